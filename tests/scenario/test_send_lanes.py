"""What leaves first where not all can: required notices, then urgent ones, then the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.desk import EVENING, Desk
from tests.scenario.provider_desk import released
from tests.scenario.test_caps_race import Wire

from duewise.channels.base import Message, nobody
from duewise.jobs.deliver import DeliverySettings, awaits_receipts, send_due, worker
from duewise.outbox import pace

BORROWERS = ("CHEN", "LI", "WANG", "ZHAO")
LANES = {"CHEN": 2, "LI": 1, "WANG": 0, "ZHAO": 2}


def lanes(desk: Desk) -> dict[str, int]:
    return dict(desk.rows("SELECT borrower_id, lane FROM envelope"))


async def test_it_sends_required_and_urgent_notices_before_optional_ones(
    tmp_path: Path, dsn: str
) -> None:
    desk = released(tmp_path, dsn, *BORROWERS)
    step = desk.rows("SELECT DISTINCT step FROM envelope")
    required = {name for (name,) in step} <= desk.app.tenant.required_steps
    assert set(lanes(desk).values()) == {0 if required else 2}
    for borrower, lane in LANES.items():
        desk.run(
            "UPDATE envelope SET lane = %(lane)s, not_before = %(at)s WHERE borrower_id = %(who)s",
            lane=lane,
            at=EVENING.replace(minute=30 - lane * 10),  # what is more urgent fell due later
            who=borrower,
        )
    wire = Wire([])
    settings = DeliverySettings(chunk_max=1)
    async with worker(desk.app.connector(dsn)) as sender:
        await send_due(sender, wire, tenant=desk.app.tenant, clock=desk.clock, settings=settings)
    order = "SELECT borrower_id FROM envelope JOIN claim c ON envelope_id = c.envelope_ids[1]"
    found = [who for (who,) in desk.rows(f"{order} ORDER BY c.claim_id")]
    assert found[:2] == ["WANG", "LI"]
    assert sorted(found[2:]) == ["CHEN", "ZHAO"]


def test_it_waits_for_the_receipt_of_what_was_accepted_after_its_claim_was_dropped(
    tmp_path: Path, dsn: str
) -> None:
    desk = released(tmp_path, dsn, "LI")
    move = "UPDATE envelope SET state = %(to)s, changed_at = %(at)s, wired_at = %(at)s"
    for state in ("sending", "unknown", "accepted"):
        desk.run(move, to=state, at=EVENING)
    assert desk.rows("SELECT envelope_ids, settled_at FROM claim") == [
        ([number for (number,) in desk.rows("SELECT envelope_id FROM envelope")], EVENING)
    ]


@dataclass
class Overtaken(Wire):
    """Once the first message is out, another one falls due ahead of all that was read."""

    desk: Desk | None = None
    passes_s: int = 0

    async def send_many(self, messages: Sequence[Message], **_: Any) -> list[Any]:
        if self.desk and not self.numbers:
            self.desk.run(
                "UPDATE envelope SET not_before = %(at)s WHERE borrower_id = 'ZHAO'",
                at=EVENING - timedelta(hours=2),
            )
            self.desk.clock.set(EVENING + timedelta(seconds=self.passes_s))
        return await super().send_many(messages)


async def sent_after(desk: Desk, wire: Overtaken) -> list[int]:
    """How many had been sent after each pass."""
    desk.run("UPDATE envelope SET not_before = %(at)s", at=EVENING - timedelta(hours=1))
    counts = []
    async with worker(desk.app.connector(desk.dsn)) as sender:
        for _ in range(2):
            await send_due(
                sender,
                wire,
                tenant=desk.app.tenant,
                clock=desk.clock,
                settings=DeliverySettings(chunk_max=1),
            )
            counts.append(len(wire.numbers))
    return counts


async def test_it_sends_in_the_next_pass_what_fell_due_behind_its_place(
    tmp_path: Path, dsn: str
) -> None:
    desk = released(tmp_path, dsn, *BORROWERS)
    assert await sent_after(desk, Overtaken([], desk=desk)) == [3, 4]


async def test_it_looks_at_the_head_of_the_queue_every_second(tmp_path: Path, dsn: str) -> None:
    desk = released(tmp_path, dsn, *BORROWERS)
    assert await sent_after(desk, Overtaken([], desk=desk, passes_s=1)) == [4, 4]


async def test_it_asks_no_more_about_a_claim_that_nothing_can_come_of(
    tmp_path: Path, dsn: str
) -> None:
    desk, wire = released(tmp_path, dsn, *BORROWERS), Wire([])
    async with worker(desk.app.connector(dsn)) as sender:
        settings = DeliverySettings(chunk_max=1)
        await send_due(sender, wire, tenant=desk.app.tenant, clock=desk.clock, settings=settings)
        assert await awaits_receipts(sender.conn, wire, now=EVENING)
        tell = "UPDATE envelope SET state = 'delivered' WHERE borrower_id = ANY(%(who)s)"
        desk.run(tell, who=["CHEN", "LI", "WANG"])
        assert await awaits_receipts(sender.conn, wire, now=EVENING)
        awaited = (
            "SELECT e.borrower_id FROM claim c JOIN envelope e ON envelope_id = envelope_ids[1]"
        )
        awaited += " WHERE c.is_awaited ORDER BY 1"
        assert len(desk.rows(awaited)) == 4, "as long as something is awaited nothing is written"
        ((until,),) = desk.rows("SELECT valid_until FROM envelope WHERE borrower_id = 'ZHAO'")
        assert not await awaits_receipts(sender.conn, wire, now=until)
        assert desk.rows(awaited) == []


async def test_it_goes_on_asking_about_a_claim_whose_doubt_may_end(
    tmp_path: Path, dsn: str
) -> None:
    desk, wire = released(tmp_path, dsn, "LI", "WANG"), Wire([])
    async with worker(desk.app.connector(dsn)) as sender:
        settings = DeliverySettings(chunk_max=1)
        await send_due(sender, wire, tenant=desk.app.tenant, clock=desk.clock, settings=settings)
        desk.run("UPDATE envelope SET state = 'unknown' WHERE borrower_id = 'LI'")
        desk.run("UPDATE envelope SET state = 'delivered' WHERE borrower_id = 'WANG'")
        push = replace(wire, capabilities=replace(wire.capabilities, carries="push"))
        assert not await awaits_receipts(sender.conn, push, now=EVENING)
        desk.run("UPDATE envelope SET state = 'accepted' WHERE borrower_id = 'LI'")
        assert await awaits_receipts(sender.conn, wire, now=EVENING)


class Telling(Wire):
    """Says that all is written a moment before it has the answers."""

    async def send_many(
        self, messages: Sequence[Message], *, written: Callable[[], None] = nobody, **_: Any
    ) -> list[Any]:
        written()
        return await super().send_many(messages)


@pytest.mark.parametrize(
    ("route", "fits_s", "sizes"),
    [
        (Telling, 60.0, [2, 2]),
        (Telling, 1e-9, [2, 1, 1]),
        (Wire, 1e-9, [2, 2]),  # answers take their time however few are asked for at once
    ],
)
async def test_it_marks_together_what_the_route_lately_wrote_in_half_a_second(
    tmp_path: Path,
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    route: type[Wire],
    fits_s: float,
    sizes: list[int],
) -> None:
    monkeypatch.setattr(pace, "WRITE_S_MAX", fits_s)
    desk, wire = released(tmp_path, dsn, *BORROWERS), route([])
    put_off = "UPDATE envelope SET not_before = %(at)s WHERE borrower_id IN ('WANG', 'ZHAO')"
    desk.run(put_off, at=EVENING + timedelta(minutes=1))
    settings = DeliverySettings()
    async with worker(desk.app.connector(dsn)) as sender:
        await send_due(sender, wire, tenant=desk.app.tenant, clock=desk.clock, settings=settings)
        desk.run(put_off, at=EVENING)
        await send_due(sender, wire, tenant=desk.app.tenant, clock=desk.clock, settings=settings)
    claims = desk.rows("SELECT cardinality(envelope_ids) FROM claim ORDER BY claim_id")
    assert [size for (size,) in claims] == sizes
