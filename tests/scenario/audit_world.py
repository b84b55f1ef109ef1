"""A day of a lender whose verdicts are evidence: some sent, some not, for different reasons."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.desk import (
    DAY,
    EVENING,
    Desk,
    admit,
    delivery_line,
    open_desk,
    plan_and_release,
)
from tests.scenario.road import CommandLine

from duewise.store.audit import seal, sealed

YESTERDAY = date(2026, 8, 13)
SENT = tuple(f"Li{n:02d}" for n in range(12))
# Wang disputes, Zhao opted out, Chen's number was taken away: three that get nothing.
UNSENT = ("Wang", "Zhao", "Chen")


async def decided_day(folder: Path, dsn: str, *, now: datetime = EVENING) -> Desk:
    """A desk after a day: planned, released, judged on the wire, sent or not, and sealed."""
    desk = open_desk(folder / "workspace", dsn)
    admit(desk, *SENT, *UNSENT)
    plan_and_release(desk, *({"borrower": each, "due": [YESTERDAY]} for each in (*SENT, *UNSENT)))
    desk.run(
        "INSERT INTO case_file VALUES (DEFAULT, 'Wang', 'dispute', %(now)s, NULL, 'desk')",
        now=desk.clock.now(),
    )
    desk.run(
        "INSERT INTO opt_out VALUES (DEFAULT, 'Zhao', 'sms', %(now)s, 'desk', true)",
        now=desk.clock.now(),
    )
    desk.run("UPDATE person SET phone_sealed = NULL WHERE borrower_id = 'Chen'")
    sealed_now(desk)
    async with delivery_line(desk) as line:
        await line.pass_at(now)
    sealed_now(desk)
    return desk


def sealed_now(desk: Desk) -> int:
    """Seal what waits; how many records."""
    with desk.app.connect(desk.dsn) as conn:
        return seal(conn, desk.app.signer, now=desk.clock.now() + timedelta(seconds=1))


def records(desk: Desk) -> list[dict[str, Any]]:
    """All sealed records, in their order."""
    with desk.app.connect(desk.dsn) as conn:
        return [json.loads(record) for batch in sealed(conn) for record in batch.records]


def command_line(desk: Desk, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """`duewise --json` of the desk, on its clock; the database's address is in the environment."""
    clock = desk.clock.now().isoformat()
    return CommandLine(capsys, "--workspace", desk.app.workspace, "--clock", clock, "--json")


SPAN = f"{DAY}..{DAY}"
