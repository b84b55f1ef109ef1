"""Sixty-four senders at once: no cap is passed by one, and none is left unused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.scenario.desk import EVENING, Desk, admit, open_desk, plan_and_release

from duewise.channels.base import Accepted, Arrivals, Capabilities, Message
from duewise.jobs.contacts import Contact, record_contacts
from duewise.jobs.deliver import DeliverySettings, Worker, send_due, worker
from duewise.jobs.ingest import complete_feed
from duewise.times import ManualClock

YESTERDAY = date(2026, 8, 13)
WORKERS = 64
BORROWERS = 60
PER_DEBT = 2  # envelopes due about each of a borrower's two loans
# Beside CN's caps per debt (one a day, three in seven days): one per borrower, agencies and calls
# included, and one per number.
DEBTOR_MAX, NUMBER_MAX = 4, 2
PROFILE = f"""
schema: jp/1
version: 2026-11-23
profile: RACE
rules:
- {{id: RC-CAP-01, for: {{stage: [overdue]}}, cap: {{count: {{dir: [out]}}, per: debtor, window: {{type: consecutive_days, n: 7}}, max: {DEBTOR_MAX}, include_agencies: true}}, else: defer, basis: policy, conf: L, src: [HOUSE]}}
- {{id: RC-CAP-02, for: {{stage: [overdue]}}, cap: {{count: {{dir: [out], channel: [sms]}}, per: number, window: {{type: calendar_day}}, max: {NUMBER_MAX}}}, else: defer, basis: policy, conf: L, src: [HOUSE]}}
"""
MORE = """
INSERT INTO envelope
SELECT (jsonb_populate_record(e, jsonb_build_object(
        'envelope_id', nextval(pg_get_serial_sequence('envelope', 'envelope_id')),
        'key', e.key || '|' || loan || '|' || n, 'loan_id', e.borrower_id || loan))).*
  FROM envelope e, unnest(%(loans)s::text[]) AS loan, generate_series(1, %(each)s) AS n
 WHERE loan <> '-1001' OR n > 1
 ORDER BY n, loan, e.envelope_id
"""


@dataclass
class Wire:
    """A route that takes all it is given, and gives way to the others while it does."""

    numbers: list[str]
    name: str = "wire"
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(
            parts_max=10, receipts=False, replies=False, idempotent=False, echoes_reference=False
        )
    )
    inbound: Arrivals = field(default_factory=Arrivals)
    listening_since: datetime | None = None

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, message: Message, *, key: str) -> Accepted:
        self.numbers.append(key)
        return Accepted((f"{message.envelope_id:x}-{message.reference}",))

    async def send_many(self, messages: Sequence[Message], **_: Any) -> list[Any]:
        await asyncio.sleep(0.001)
        return [await self.send(message, key=message.address) for message in messages]


def crowded_desk(folder: Path, dsn: str) -> Desk:
    """Borrowers with two loans each, and a few contacts this week that an agency made."""
    desk = open_desk(folder / "workspace", dsn)
    profiles = folder / "workspace" / "profiles"
    (profiles / "race.yaml").write_text(PROFILE, encoding="utf-8")
    guard = desk.app.config.guard.model_copy(update={"profiles": ["CN", "HOUSE", "RACE"]})
    desk = replace(
        desk,
        app=replace(desk.app, config=desk.app.config.model_copy(update={"guard": guard})),
    )
    borrowers = tuple(f"B{number:03d}" for number in range(BORROWERS))
    admit(desk, *borrowers)
    plan_and_release(desk, *({"borrower": each, "due": [YESTERDAY]} for each in borrowers))
    desk.run(MORE, loans=["-1001", "-1002"], each=PER_DEBT)
    desk.run("UPDATE envelope SET not_before = created_at")
    with desk.app.connect(dsn) as conn:
        complete_feed(conn, EVENING)
        calls = [call(f"{each}-{n}", each, n) for each in borrowers for n in range(calls_of(each))]
        record_contacts(conn, calls, now=EVENING)
    return desk


def calls_of(borrower: str) -> int:
    """How often an agency called this borrower in the week: 0 to 5 times."""
    return int(borrower[1:]) % 6


def call(contact_id: str, borrower: str, days_ago: int) -> Contact:
    at = EVENING - timedelta(days=days_ago, hours=1)
    return Contact(contact_id, borrower, at, "voice_human", "out", "agency", outcome="no_answer")


def sequential(borrower: str) -> int:
    """How many of the borrower's envelopes may leave today, one after the other."""
    sent: Counter[str] = Counter()
    for loan in ("-1001", "-1002") * PER_DEBT:
        has_room = calls_of(borrower) + sent.total() < DEBTOR_MAX and sent.total() < NUMBER_MAX
        if has_room and sent[loan] < 1:
            sent[loan] += 1
    return sent.total()


async def drained(desk: Desk, sender: Worker, wire: Wire, clock: ManualClock) -> None:
    """One of the senders, until nothing that is due is left, whoever has it."""
    settings = DeliverySettings(chunk_max=6)
    while True:
        await send_due(sender, wire, tenant=desk.app.tenant, clock=clock, settings=settings)
        due = await (
            await sender.conn.execute(
                "SELECT count(*) FROM envelope"
                " WHERE state IN ('ready', 'sending') AND not_before <= %s AND valid_until > %s",
                [clock.now(), clock.now()],
            )
        ).fetchone()
        if due == (0,):
            return


async def test_it_holds_every_cap_with_sixty_four_senders_whose_clocks_differ(
    tmp_path: Path, dsn: str
) -> None:
    desk = crowded_desk(tmp_path, dsn)
    numbers: list[str] = []
    async with AsyncExitStack() as stack:
        senders = [
            await stack.enter_async_context(worker(desk.app.connector(dsn))) for _ in range(WORKERS)
        ]
        await asyncio.gather(
            *(
                drained(desk, sender, Wire(numbers), ManualClock(EVENING - timedelta(seconds=n)))
                for n, sender in enumerate(senders)
            )
        )
    sent = dict(
        desk.rows("SELECT borrower_id, count(wired_at)::int FROM envelope GROUP BY borrower_id")
    )
    assert sent == {borrower: sequential(borrower) for borrower in sent}
    assert len(numbers) == sum(sent.values())
    assert set(sent.values()) == {0, 1, 2}
    assert len(sent) == BORROWERS


async def test_it_judges_on_the_call_an_agency_told_of_at_the_last_moment(
    tmp_path: Path, dsn: str
) -> None:
    """The call was told of just before the verdict, and it was the last one allowed."""
    desk = crowded_desk(tmp_path, dsn)
    desk.run("UPDATE envelope SET state = 'cancelled' WHERE borrower_id <> 'B003'")
    desk.clock.set(EVENING)
    numbers: list[str] = []

    class Telling(ManualClock):
        """At the first look at the clock, which is the verdict's, the agency has told."""

        looks = 0

        def now(self) -> datetime:
            self.looks += 1
            if self.looks == 1:
                with desk.app.connect(dsn) as conn:
                    record_contacts(conn, [call("late", "B003", 0)], now=EVENING)
            return super().now()

    async with worker(desk.app.connector(dsn)) as sender:
        await drained(desk, sender, Wire(numbers), Telling(EVENING))
    assert numbers == []
    assert {verdict[1] for verdict in desk.verdicts("B003")[-4:]} == {"defer"}
