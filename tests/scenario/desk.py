"""A desk to tell stories at: a workspace, a database, people, a plan, and a gateway on loopback."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from tests.unit.lender import context, tables

from duewise.app import App, new_workspace
from duewise.book.mapping import load_mapping
from duewise.channels.base import Channel
from duewise.channels.gateway import GatewayControl, GatewayPorts, GatewaySettings, run_gateway
from duewise.config import load_config
from duewise.engine.partition import plan_partition
from duewise.jobs.deliver import DeliverySettings, Worker, recover, send_due, tidy, worker
from duewise.jobs.delivery_line import receiving
from duewise.jobs.ingest import Payment, RecordResult, add_accounts, complete_feed, record_payments
from duewise.jobs.operations import addresses_of
from duewise.jobs.plan_day import plan_book, summarise, write_manifest
from duewise.jobs.release import release_plan
from duewise.outbox.envelope import State, balance
from duewise.store.book import Book, import_book, open_book
from duewise.store.people import upsert_people
from duewise.times import ManualClock

DAY = date(2026, 8, 14)
MORNING = datetime(2026, 8, 14, 0, 30, tzinfo=UTC)  # 08:30 in Shanghai
EVENING = datetime(2026, 8, 14, 11, 55, tzinfo=UTC)  # all of the day's messages are due
DUEWISE = (sys.executable, "-c", "from duewise.cli import main; main()")
PASSWORD = "duewise"
PATIENCE_S = 10
LOAN_COLUMNS = (
    "loan_id,borrower_id,product,currency,principal,opened_date,annual_rate,"
    "penalty_multiplier,method,autopay,grace_days,tolerance"
)


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

    def run(self, statement: str, **values: Any) -> None:
        """A statement of the test's own."""
        with self.app.connect(self.dsn) as conn:
            conn.execute(statement.encode(), values)

    def story(self, borrower: str) -> list[tuple[str, str]]:
        """State and reason of each change of a borrower's envelopes, in their order."""
        return self.rows(
            "SELECT c.new_state, c.reason FROM envelope_change c JOIN envelope e USING (envelope_id)"
            " WHERE e.borrower_id = %(borrower)s ORDER BY c.change_id",
            borrower=borrower,
        )

    def verdicts(self, borrower: str) -> list[tuple[str, str, list[str]]]:
        """Gate, outcome and rules of each verdict on a borrower's envelopes, in their order."""
        return self.rows(
            "SELECT v.gate, v.outcome, v.rules FROM verdict v JOIN envelope e USING (envelope_id)"
            " WHERE e.borrower_id = %(borrower)s ORDER BY v.verdict_id",
            borrower=borrower,
        )

    def assert_ties(self) -> None:
        """Both equations of the outbox hold, each side counted by itself."""
        states = {State(state): count for state, count in self.states().items()}
        planned = self.rows("SELECT COALESCE(sum(proposals), 0)::int FROM plan_run")[0][0]
        submitted = self.rows("SELECT count(*) FROM envelope WHERE wired_at IS NOT NULL")[0][0]
        found = balance(states, planned=planned, submitted=submitted)
        assert found.ties, found
        assert sum(states.values()) == planned

    def environment(self) -> dict[str, str]:
        """What a command of this desk needs to find its database."""
        return {"DUEWISE_DATABASE_URL": self.dsn, "DUEWISE_SMPP__PASSWORD": PASSWORD}


def open_desk(folder: Path, dsn: str, **smpp: Any) -> Desk:
    """A new workspace in `folder` over the database; `smpp` changes settings of the account."""
    new_workspace(folder)
    strategy = folder / "strategy.yaml"  # nobody of these stories is in the hold-out by chance
    text = strategy.read_text(encoding="utf-8")
    strategy.write_text(text.replace("share: 5%", "share: 0%"), encoding="utf-8")
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
def gateway(desk: Desk, *options: str, clock: str, port: int = 0) -> Iterator[dict[str, Any]]:
    """The gateway simulator as its own process, for the block; its ports, and the process."""
    command = [*DUEWISE, "--workspace", str(desk.app.workspace), "--clock", clock, "gateway"]
    process = subprocess.Popen(
        [*command, "--port", str(port), *options],
        stdout=subprocess.PIPE,
        env=desk.environment(),
        text=True,
    )
    try:
        assert process.stdout is not None
        ports: dict[str, Any] = json.loads(process.stdout.readline())
        yield ports | {"process": process}
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


def write_book(desk: Desk, **dues: date) -> Book:
    """A book of the desk: a loan of one instalment of 868.40 yuan for each borrower, by due date."""
    source = desk.app.workspace / "files"
    source.mkdir()
    files = {
        "borrowers": (
            "borrower_id,locale,timezone,name,salutation,phone",
            [f"{borrower},zh-CN,Asia/Shanghai,,," for borrower in dues],
        ),
        "loans": (
            LOAN_COLUMNS,
            [f"{b}-1001,{b},cash,CNY,800.00,2026-01-14,0.216,,bullet,no,0,0" for b in dues],
        ),
        "instalments": (
            "loan_id,number,due_date,principal,interest,fee",
            [f"{borrower}-1001,1,{due},800.00,68.40,0" for borrower, due in dues.items()],
        ),
        "payments": ("payment_id,loan_id,paid_at,amount,kind,reverses,source", []),
    }
    for name, (head, lines) in files.items():
        text = "\n".join([head, *lines]) + "\n"
        (source / f"{name}.csv").write_text(text, encoding="utf-8")
    mapping = load_mapping("duewise")
    import_book(source, mapping, desk.app.workspace / "book", imported_at=MORNING)
    return open_book(desk.app.workspace / "book")


def plan_day(desk: Desk, book: Book, *, name: str = "plan-1") -> Path:
    """Plan the whole book at the clock's instant; the plan's folder."""
    folder = desk.app.workspace / "plans" / name
    with desk.app.connect(desk.dsn) as conn:
        complete_feed(conn, desk.clock.now())
        plan_book(conn, book, desk.app.tenant, as_of=DAY, now=desk.clock.now(), out=folder)
    return folder


def release(desk: Desk, folder: Path) -> dict[str, int]:
    """Release a plan at the clock's instant; new envelopes by state."""
    with desk.app.connect(desk.dsn) as conn:
        return dict(release_plan(conn, folder, desk.app.tenant, now=desk.clock.now()))


def pay(desk: Desk, payment_id: str, borrower: str, yuan: str, **given: Any) -> RecordResult:
    """News of a payment at the clock's instant."""
    event = Payment(
        payment_id=payment_id,
        loan_id=f"{borrower}-1001",
        paid_at=desk.clock.now(),
        amount=Decimal(yuan),
        **given,
    )
    with desk.app.connect(desk.dsn) as conn:
        return record_payments(conn, [event], now=desk.clock.now())


@dataclass
class Line:
    """A delivery line at the desk: its own gateway, a bound channel, a sender and a receiver."""

    desk: Desk
    ports: GatewayPorts
    control: GatewayControl
    channel: Channel
    sender: Worker
    settings: DeliverySettings
    received: Counter[str] = field(default_factory=Counter)

    async def pass_at(
        self, instant: datetime | None = None, *, is_ledger_fresh: bool = True
    ) -> None:
        """What a sender does in one pass, at an instant; then the receipts that are due."""
        if instant is not None:
            self.desk.clock.set(instant)
        now = self.desk.clock.now()
        if is_ledger_fresh:
            with self.desk.app.connect(self.desk.dsn) as conn:
                complete_feed(conn, now)
        await recover(self.sender, now=now)
        self.sender.listening_since = self.sender.listening_since or now
        await tidy(self.sender, self.channel, now=now, settings=self.settings)
        await send_due(
            self.sender,
            self.channel,
            tenant=self.desk.app.tenant,
            clock=self.desk.clock,
            settings=self.settings,
        )
        await self.settled()

    async def settled(self) -> None:
        """Until the gateway has said all that is due by now, and it is taken in."""
        await self.control.flush(timeout_s=PATIENCE_S)

    async def rebound(self) -> None:
        """Until the channel is bound again after a loss."""
        async with asyncio.timeout(PATIENCE_S):
            while not (await self.control.stats())["receivers"]:  # noqa: ASYNC110 -- as below
                await asyncio.sleep(0.01)

    async def reply(self, borrower: str, text: str, *, number: str | None = None) -> None:
        """A borrower answers from the handset."""
        keyring = self.desk.app.keyring
        sealed = self.desk.rows(
            "SELECT phone_sealed FROM person WHERE borrower_id = %(b)s", b=borrower
        )[0][0]
        phone = number or keyring.unseal(sealed, column="phone", borrower_id=borrower)
        line = self.desk.app.tenant.sender_id
        await self.control.reply(source=phone, destination=line, text=text)
        await self.settled()


@asynccontextmanager
async def gateway_here(
    desk: Desk, **settings: Any
) -> AsyncIterator[tuple[GatewayPorts, GatewayControl]]:
    """A gateway in this process, on the desk's own clock, with receipts at once unless told."""
    announced: asyncio.Future[GatewayPorts] = asyncio.get_running_loop().create_future()
    plain = {"delay_s": (0.0, 0.0), "accounts": {"duewise": PASSWORD}}
    running = asyncio.create_task(
        run_gateway(
            GatewaySettings(**(plain | settings)),
            clock=desk.clock,
            log_path=desk.app.workspace / "gateway.jsonl",
            ready=announced.set_result,
        )
    )
    await asyncio.wait((running, announced), return_when=asyncio.FIRST_COMPLETED)
    if not announced.done():
        running.result()
    ports = await announced
    async with await GatewayControl.open("127.0.0.1", ports.control_port) as control:
        try:
            yield ports, control
        finally:
            await control.stop()
            await asyncio.wait_for(running, PATIENCE_S)


@asynccontextmanager
async def delivery_line(
    desk: Desk, *, settings: DeliverySettings | None = None, **gateway_settings: Any
) -> AsyncIterator[Line]:
    """Gateway, channel, sender and receiver for the block."""
    settings = settings or desk.app.delivery
    connect = desk.app.connector(desk.dsn)
    received: Counter[str] = Counter()
    async with gateway_here(desk, **gateway_settings) as (ports, control):
        channel = desk.app.channel(port=ports.port)
        await channel.open()
        try:
            async with (
                worker(connect) as sender,
                receiving(
                    channel,
                    connect=connect,
                    tenant=desk.app.tenant,
                    clock=desk.clock,
                    done=received,
                    patience=settings.patience,
                ),
            ):
                yield Line(desk, ports, control, channel, sender, settings, received)
        finally:
            await channel.close()


async def eventually(is_true: Callable[[], bool]) -> None:
    """Wait for something that has no event, at most `PATIENCE_S` seconds."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():  # noqa: ASYNC110 -- what is awaited lies in a database or a file
            await asyncio.sleep(0.005)
