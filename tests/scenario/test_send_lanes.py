"""What leaves first where not all can: required notices, then urgent ones, then the rest."""

from __future__ import annotations

from pathlib import Path

from tests.scenario.desk import EVENING, Desk
from tests.scenario.provider_desk import released
from tests.scenario.test_caps_race import Wire

from duewise.jobs.deliver import DeliverySettings, send_due, worker

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
