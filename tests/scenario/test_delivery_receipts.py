"""Receipts: early, late, doubled, in any notation and order, for one part or many; one end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
from psycopg import AsyncConnection
from tests.scenario.desk import (
    EVENING,
    Desk,
    admit,
    delivery_line,
    eventually,
    gateway_here,
    open_desk,
    plan_and_release,
)

from duewise.channels.base import InboundReceipt, ReceiptStatus
from duewise.channels.gateway.settings import IdForm
from duewise.jobs import deliver
from duewise.jobs.deliver import Run, recover, worker
from duewise.jobs.delivery_line import run_line
from duewise.jobs.ingest import complete_feed
from duewise.jobs.receive import take_in

CAST = ("Chen", "Li", "Wang")
ORDERS_MAX = 6  # as many borrowers, one for each order in which three receipts may come
SENT = "UPDATE envelope SET state = 'sending', owner = 7, attempt = 1, wired_at = not_before"
TAKEN = """
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT envelope_id, 'smpp', borrower_id || part, part, not_before
  FROM envelope, generate_series(1, 2) AS part
"""


def released_desk(folder: Path, dsn: str, *cast: str, **smpp: Any) -> Desk:
    """A desk with one message for each of the cast, of two parts."""
    desk = open_desk(folder / "workspace", dsn, **smpp)
    admit(desk, *cast)
    due = [date(2026, 8, 13)]
    plan_and_release(desk, *({"borrower": borrower, "due": due} for borrower in cast))
    assert desk.rows("SELECT DISTINCT parts FROM envelope") == [(2,)]
    return desk


@pytest.mark.parametrize("id_form", get_args(IdForm))
@pytest.mark.parametrize("echoes_reference", [True, False])
async def test_it_finds_the_message_of_every_receipt(
    tmp_path: Path, dsn: str, id_form: IdForm, *, echoes_reference: bool
) -> None:
    desk = released_desk(tmp_path, dsn, *CAST, echoes_reference=echoes_reference)
    odd: dict[str, Any] = {"early_share": 0.5, "duplicate_share": 1.0, "receipt_id_form": id_form}
    async with delivery_line(desk, **odd) as line:
        await line.pass_at(EVENING)
        await eventually(lambda: desk.states() == {"delivered": 3})
    assert desk.rows("SELECT count(*) FROM submission") == [(6,)], "a part is paid for once"
    assert desk.rows("SELECT count(*), count(envelope_id) FROM receipt") == [(6, 6)]
    desk.assert_ties()


async def test_it_matches_the_last_receipts_before_it_leaves(tmp_path: Path, dsn: str) -> None:
    desk = released_desk(tmp_path, dsn, *CAST, echoes_reference=False)
    async with delivery_line(desk, early_share=1.0) as line:
        await line.pass_at(EVENING)
    assert desk.states() == {"delivered": 3}


async def test_it_knows_what_a_lost_worker_was_answered_and_what_only_its_receipts_prove(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = released_desk(tmp_path, dsn, *CAST)

    async def never(*_: object, **__: object) -> None:
        """It is lost before it tells the envelopes."""

    monkeypatch.setattr(deliver, "accept_answered", never)
    async with delivery_line(desk, silent_share=1.0) as line:
        await line.pass_at(EVENING)
        assert desk.states() == {"sending": 3}
    # Of one the answer was not stored, and a receipt for one part is there.
    of_li = "(SELECT envelope_id FROM envelope WHERE borrower_id = 'Li')"
    desk.run("UPDATE claim SET envelope_ids = array_remove(envelope_ids, " + of_li + ")")
    desk.run(
        "INSERT INTO claim (owner, envelope_ids, at)"
        f" SELECT owner, ARRAY[{of_li}], at FROM claim; DELETE FROM submission"
        f" WHERE envelope_id = {of_li}"
    )
    reference = str(desk.rows(f"SELECT {of_li}")[0][0])
    told = await taken_in(desk, "Li", receipt("li-", 1, "delivered", reference=reference))
    assert told == "sending", "its worker may still tell"
    async with worker(desk.app.connector(dsn)) as other:
        await recover(other, now=EVENING)
    assert desk.states() == {"accepted": 2, "unknown": 1}
    assert desk.rows(f"SELECT provider_id, part FROM submission WHERE envelope_id = {of_li}") == [
        ("li-1", 0)
    ]
    desk.assert_ties()


async def test_it_does_not_take_the_receipts_of_an_earlier_run_for_its_own(
    tmp_path: Path, dsn: str
) -> None:
    """As many come in as it sent parts, all of them another run's: it goes on listening."""
    desk = released_desk(tmp_path, dsn, "Chen")
    admit(desk, "Chen", "Li")
    desk.clock.set(EVENING)
    with desk.app.connect(dsn) as conn:
        complete_feed(conn, EVENING)
    async with gateway_here(desk) as (ports, control):

        async def run(**given: Any) -> None:
            await run_line(
                desk.app.channel(port=ports.port),
                connect=desk.app.connector(dsn),
                tenant=desk.app.tenant,
                clock=desk.clock,
                settings=desk.app.delivery,
                run=Run(stop=asyncio.Event(), **given),
            )

        async def hand_over(_: object = None) -> None:
            await control.flush()

        async def hand_over_late() -> None:
            await eventually(lambda: desk.states() == {"delivered": 1, "accepted": 1})
            await asyncio.sleep(0.8)  # time enough to leave too early
            await hand_over()

        await run()
        assert desk.states() == {"accepted": 1}
        plan_and_release(desk, {"borrower": "Li", "due": [date(2026, 8, 13)]}, plan_id="plan-2")
        await asyncio.gather(run(linger_s=30.0, before_pass=hand_over), hand_over_late())
    assert desk.states() == {"delivered": 2}


def receipt(
    borrower: str, part: int, status: ReceiptStatus, *, reference: str = ""
) -> InboundReceipt:
    return InboundReceipt(f"{borrower}{part}", status, "000", reference, EVENING)


async def taken_in(desk: Desk, borrower: str, *receipts: InboundReceipt) -> str:
    """The borrower's state after these receipts, one transaction each."""
    conn: AsyncConnection[Any] = await desk.app.connector(desk.dsn)()

    try:
        for each in receipts:
            await take_in(conn, "smpp", [each], tenant=desk.app.tenant, now=EVENING)
    finally:
        await conn.close()
    return str(desk.story(borrower)[-1][0])


@pytest.mark.parametrize(
    ("receipts", "state"),
    [
        ([(1, "delivered")], "sending"),
        ([(1, "delivered"), (2, "delivered")], "delivered"),
        ([(1, "delivered"), (2, "failed")], "failed"),
        ([(1, "expired"), (2, "delivered")], "expired"),
        ([(1, "expired"), (2, "failed")], "failed"),
        ([(1, "expired"), (1, "delivered"), (2, "delivered")], "delivered"),
        ([(1, "failed"), (1, "delivered"), (2, "delivered")], "delivered"),
        ([(1, "unknown"), (2, "delivered")], "unknown"),
        ([(1, "unknown"), (1, "delivered"), (2, "delivered")], "delivered"),
    ],
)
async def test_it_folds_the_parts_to_the_same_end_in_any_order(
    tmp_path: Path, dsn: str, receipts: Sequence[tuple[int, ReceiptStatus]], state: str
) -> None:
    orders = list(itertools.permutations(receipts))
    assert len(orders) <= ORDERS_MAX
    cast = [f"B{number}-" for number in range(len(orders))]
    desk = released_desk(tmp_path, dsn, *cast)
    desk.run(SENT)
    desk.run(TAKEN)
    for borrower, order in zip(cast, orders, strict=True):
        told = [receipt(borrower, part, status) for part, status in order]
        assert await taken_in(desk, borrower, *told, *told) == state, order
    desk.assert_ties()


@pytest.mark.parametrize("before", ["ready", "held", "cancelled", "lapsed", "blocked"])
async def test_it_believes_a_receipt_whatever_became_of_the_message_meanwhile(
    tmp_path: Path, dsn: str, before: str
) -> None:
    """It was tried, in doubt, and made ready again; then its receipts came, first for one part."""
    desk = released_desk(tmp_path, dsn, "Li")
    desk.run("UPDATE envelope SET state = %(state)s, attempt = 1", state=before)
    (reference,) = map(str, desk.rows("SELECT envelope_id FROM envelope")[0])
    first, second = (receipt("Li", part, "delivered", reference=reference) for part in (1, 2))
    halfway = await taken_in(desk, "Li", first)
    assert halfway == ("unknown" if before == "ready" else before)
    assert await taken_in(desk, "Li", second) == "delivered"
    desk.assert_ties()


async def test_it_keeps_a_receipt_that_would_undo_a_better_one(tmp_path: Path, dsn: str) -> None:
    desk = released_desk(tmp_path, dsn, "Li")
    desk.run(SENT)
    desk.run(TAKEN)
    told = [receipt("Li", 1, "delivered"), receipt("Li", 2, "delivered")]
    assert await taken_in(desk, "Li", *told, receipt("Li", 3, "failed")) == "delivered"
    assert desk.rows("SELECT count(*), count(envelope_id) FROM receipt") == [(3, 2)]


async def test_it_gives_a_receipt_to_no_message_that_was_never_sent(
    tmp_path: Path, dsn: str
) -> None:
    """A number that another installation gave to a message of its own is not ours."""
    desk = released_desk(tmp_path, dsn, "Li")
    (reference,) = map(str, desk.rows("SELECT envelope_id FROM envelope")[0])
    stranger = receipt("Stranger", 1, "delivered", reference=reference)
    assert await taken_in(desk, "Li", stranger, stranger) == "ready"
    assert desk.rows("SELECT count(*), count(envelope_id) FROM receipt") == [(1, 0)]
    desk.assert_ties()
