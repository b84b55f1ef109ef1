"""What is kept a block at a time reads as if each message had rows of its own, and nothing twice."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.scenario.desk import EVENING, Desk, delivery_line, eventually
from tests.scenario.test_delivery_receipts import receipt, released_desk

from duewise.channels.base import InboundReceipt
from duewise.jobs.receive import take_in
from duewise.jobs.settle import Answers, settle

CAST = ("Chen", "Li", "Wang")
KEPT = """
SELECT borrower_id, provider_id, status, code, reference, at
  FROM receipt JOIN envelope USING (envelope_id) ORDER BY 1, 2, 3
"""


async def take(desk: Desk, *receipts: InboundReceipt) -> None:
    """Take these in together, as one batch."""
    conn: Any = await desk.app.connector(desk.dsn)()
    async with conn:
        await take_in(conn, "smpp", receipts, tenant=desk.app.tenant, now=EVENING)


async def test_it_reads_blocks_and_rows_alike(tmp_path: Path, dsn: str) -> None:
    """One message is put on the wire twice: first with the others, then by itself."""
    desk = released_desk(tmp_path, dsn, *CAST)
    async with delivery_line(desk, duplicate_share=1.0) as line:
        await line.control.refuse("ESME_RMSGQFUL", count=2)
        await line.pass_at(EVENING - timedelta(minutes=10))
        await line.pass_at(EVENING)
        await eventually(lambda: desk.states() == {"delivered": 3})
    (blocks,) = desk.rows("SELECT count(*), sum(cardinality(envelope_ids)) FROM verdict_block")[0:1]
    assert blocks == (1, 3)
    assert desk.rows("SELECT count(*), count(DISTINCT provider_id) FROM receipt") == [(6, 6)]
    assert desk.rows("SELECT sum(cardinality(provider_ids)) FROM receipt_block") > [(0,)]
    stories = [desk.story(borrower) for borrower in CAST]
    usual = ["ready", "sending", "delivered"]
    again = ["ready", "sending", "ready", "sending", "delivered"]
    told = sorted([state for state, _ in story if state != "accepted"] for story in stories)
    assert told == sorted([usual, usual, again])
    assert sorted(len(desk.verdicts(borrower)) for borrower in CAST) == [3, 3, 4]
    assert desk.rows("SELECT count(*) FROM verdict WHERE gate = 'wire'") == [(4,)]
    desk.assert_ties()


async def test_it_keeps_once_what_is_told_again_in_whatever_company(
    tmp_path: Path, dsn: str
) -> None:
    desk = released_desk(tmp_path, dsn, *CAST)
    desk.run("UPDATE envelope SET state = 'sending', owner = 7, attempt = 1, wired_at = not_before")
    desk.run(
        "INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)"
        " SELECT envelope_id, 'smpp', borrower_id || part, part, not_before"
        "   FROM envelope, generate_series(1, 2) AS part"
    )
    chen, li, wang = (
        [receipt(borrower, part, "delivered") for part in (1, 2)] for borrower in CAST
    )
    first = [*chen, *chen, li[0], receipt("Wang", 1, "expired")]
    await take(desk, *first)
    assert desk.rows("SELECT provider_ids, codes FROM receipt_block") == [
        (["Chen1", "Chen2"], ["000"])
    ]
    await take(desk, *li, *wang)  # of both something was told before
    kept = desk.rows(KEPT)
    assert [row[:3] for row in kept] == [
        ("Chen", "Chen1", "delivered"),
        ("Chen", "Chen2", "delivered"),
        ("Li", "Li1", "delivered"),
        ("Li", "Li2", "delivered"),
        ("Wang", "Wang1", "delivered"),
        ("Wang", "Wang1", "expired"),
        ("Wang", "Wang2", "delivered"),
    ]
    assert {row[3:] for row in kept} == {("000", "", EVENING)}
    await take(desk, *chen, *li, *wang, *first)
    assert desk.rows(KEPT) == kept
    assert desk.states() == {"delivered": 3}
    desk.assert_ties()


async def test_it_stores_an_answer_of_which_something_is_on_record(
    tmp_path: Path, dsn: str
) -> None:
    """A gateway gives an id a second time: what it was first stays, the other ids are stored."""
    desk = released_desk(tmp_path, dsn, "Li")
    async with delivery_line(desk, silent_share=1.0) as line:
        await line.pass_at(EVENING)
        assert desk.states() == {"accepted": 1}
        ((envelope_id, claimed),) = desk.rows("SELECT envelope_id, (SELECT 1) FROM envelope")
        values = {"owner": line.sender.owner, "id": envelope_id}
        desk.run(
            "INSERT INTO claim (owner, envelope_ids, at)"
            " VALUES (%(owner)s, ARRAY[%(id)s::bigint], now())",
            **values,
        )
        ((claim_id,),) = desk.rows("SELECT max(claim_id) FROM claim")
        before = desk.rows("SELECT provider_id, part FROM submission ORDER BY part")
        parts = [(envelope_id, before[0][0], 1), (envelope_id, "another", 2)]
        answers = Answers(claim_id, "smpp", [], parts, EVENING, [(envelope_id, claimed)])
        await settle(line.sender, answers, patience=line.settings.patience)
    assert desk.rows("SELECT provider_id, part FROM submission ORDER BY submission_id") == [
        *before,
        ("another", 2),
    ]
