"""A desk to tell stories at: a workspace, a database, people, a plan, and a gateway on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from tests.unit.lender import context, tables

from duewise.app import App, new_workspace
from duewise.config import load_config
from duewise.engine.partition import plan_partition
from duewise.jobs.ingest import add_accounts, complete_feed
from duewise.jobs.operations import addresses_of
from duewise.jobs.plan_day import summarise, write_manifest
from duewise.jobs.release import release_plan
from duewise.store.people import upsert_people
from duewise.times import ManualClock

DAY = date(2026, 8, 14)
MORNING = datetime(2026, 8, 14, 0, 30, tzinfo=UTC)  # 08:30 in Shanghai
EVENING = datetime(2026, 8, 14, 11, 55, tzinfo=UTC)  # all of the day's messages are due
DUEWISE = (sys.executable, "-c", "from duewise.cli import main; main()")
PASSWORD = "duewise"


@dataclass(frozen=True)
class Desk:
    """A workspace at a database of the test's own, on a clock that stands where it is put."""

    app: App
    dsn: str

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.app.clock, ManualClock)
        return self.app.clock

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a question to the database."""
        with self.app.connect(self.dsn) as conn:
            return conn.execute(query, values).fetchall()

    def states(self) -> dict[str, int]:
        """How many envelopes stand where."""
        return dict(self.rows("SELECT state, count(*) FROM envelope GROUP BY state"))

    def environment(self) -> dict[str, str]:
        """What a command of this desk needs to find its database."""
        return {"DUEWISE_DATABASE_URL": self.dsn, "DUEWISE_SMPP__PASSWORD": PASSWORD}


def open_desk(folder: Path, dsn: str, **smpp: Any) -> Desk:
    """A new workspace in `folder` over the database; `smpp` changes settings of the account."""
    new_workspace(folder)
    config = load_config(folder)
    changed = config.smpp.model_copy(update={"password": PASSWORD, **smpp})
    config = config.model_copy(update={"smpp": changed, "database_url": dsn})
    return Desk(App(folder, config, ManualClock(MORNING)), dsn)


def admit(desk: Desk, *borrowers: str) -> None:
    """Make people of them, each with a number, and an account for each one's loan."""
    people = pl.DataFrame(
        {
            "borrower_id": borrowers,
            "name": ["李小明"] * len(borrowers),
            "salutation": ["李*先生"] * len(borrowers),
            "phone": [phone_of(borrower, borrowers) for borrower in borrowers],
            "locale": ["zh-CN"] * len(borrowers),
            "timezone": ["Asia/Shanghai"] * len(borrowers),
        }
    )
    with desk.app.connect(desk.dsn) as conn:
        upsert_people(conn, people, keyring=desk.app.keyring)
        add_accounts(
            conn,
            pl.DataFrame(
                {
                    "loan_id": [f"{borrower}-1001" for borrower in borrowers],
                    "borrower_id": borrowers,
                    "currency": ["CNY"] * len(borrowers),
                }
            ),
        )
        complete_feed(conn, desk.clock.now())


def phone_of(borrower: str, borrowers: tuple[str, ...]) -> str:
    """The number of a borrower among those admitted together."""
    return f"+86138{borrowers.index(borrower):08d}"


def plan_and_release(desk: Desk, *loans: dict[str, Any], plan_id: str = "plan-1") -> dict[str, int]:
    """Plan these loans on the morning of `DAY`, and release the plan; envelopes by state."""
    borrowers = sorted({loan["borrower"] for loan in loans})
    tenant = desk.app.tenant
    now = desk.clock.now()
    with desk.app.connect(desk.dsn) as conn:
        given = replace(tables(*loans), addresses=addresses_of(conn, borrowers))
        chosen = context(
            plan_id=plan_id,
            as_of=DAY,
            now=now,
            strategy=replace(tenant.strategy, hold_out_bp=0),
            ledger_complete_until=now,
        )
        folder = desk.app.workspace / "plans" / plan_id
        folder.mkdir(parents=True)
        plan_partition(given, context=chosen).rows.write_parquet(folder / "plan.parquet")
        write_manifest(folder, summarise(folder / "plan.parquet", chosen), chosen, tenant)
        return dict(release_plan(conn, folder, tenant, now=now))


@contextmanager
def gateway(desk: Desk, *options: str, clock: str) -> Iterator[dict[str, Any]]:
    """The gateway simulator as its own process, for the block; its ports."""
    command = [*DUEWISE, "--workspace", str(desk.app.workspace), "--clock", clock, "gateway"]
    process = subprocess.Popen(
        [*command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        env=desk.environment(),
        text=True,
    )
    try:
        assert process.stdout is not None
        ports: dict[str, Any] = json.loads(process.stdout.readline())
        yield ports
    finally:
        process.terminate()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()


def submits(desk: Desk) -> list[dict[str, Any]]:
    """What the gateway wrote down, a line a submit."""
    path = desk.app.workspace / "gateway.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
