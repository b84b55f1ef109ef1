"""News of a payment between release and wire: nobody who has paid is chased."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.desk import (
    EVENING,
    MORNING,
    Desk,
    admit,
    delivery_line,
    eventually,
    open_desk,
    pay,
    plan_day,
    release,
    submits,
    write_book,
)

from duewise.channels.base import Message, SendResult
from duewise.jobs import claim, crossing
from duewise.jobs.crossing import Crossings
from duewise.jobs.ingest import RecordResult, complete_feed
from duewise.jobs.replan import replan_held
from duewise.jobs.verdicts import Verdicts, add_wire_verdicts
from duewise.store.book import Book
from duewise.store.sql import queries

YESTERDAY = date(2026, 8, 13)
_SOMEBODY_WAITS = "SELECT 1 FROM pg_locks WHERE NOT granted"


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, "Li", "Wang")
    return opened


@pytest.fixture
def book(desk: Desk) -> Book:
    return write_book(desk, Li=YESTERDAY, Wang=YESTERDAY)


@pytest.fixture
def folder(desk: Desk, book: Book) -> Path:
    return plan_day(desk, book)


def later(desk: Desk, **span: float) -> None:
    """Time passes, and the payments feed with it."""
    desk.clock.set(desk.clock.now() + timedelta(**span))
    with desk.app.connect(desk.dsn) as conn:
        complete_feed(conn, desk.clock.now())


def replan(desk: Desk, book: Book) -> Counter[str]:
    with desk.app.connect(desk.dsn) as conn:
        return replan_held(conn, book, desk.app.tenant, now=desk.clock.now())


async def send_all(desk: Desk) -> list[str]:
    """Send at the end of the day; the references of what reached the gateway."""
    async with delivery_line(desk) as line:
        await line.pass_at(EVENING)
    return sorted({record["reference"] for record in submits(desk)})


async def test_it_cancels_the_message_of_one_who_paid_before_it_left(
    desk: Desk, book: Book, folder: Path
) -> None:
    assert release(desk, folder) == {"ready": 2}
    later(desk, hours=1)
    assert pay(desk, "P-1", "Li", "868.40") == RecordResult(recorded=1, duplicates=0, held=1)
    assert desk.story("Li")[-1] == ("held", "payment_event")
    assert replan(desk, book) == Counter(cancelled=1)
    assert len(await send_all(desk)) == 1
    assert desk.story("Li")[-1] == ("cancelled", "after_payment: nothing_owed")
    assert desk.states() == {"cancelled": 1, "delivered": 1}
    desk.assert_ties()


async def test_it_asks_for_the_rest_after_a_partial_payment(
    desk: Desk, book: Book, folder: Path
) -> None:
    release(desk, folder)
    later(desk, hours=1)
    pay(desk, "P-1", "Li", "500.00")
    assert replan(desk, book) == Counter(renewed=1)
    assert [outcome for _, outcome, _ in desk.verdicts("Li")] == ["allow"] * 3
    await send_all(desk)
    texts = {record["destination"]: "" for record in submits(desk)}
    for record in submits(desk):
        texts[record["destination"]] += record["text"]
    assert sum("368.40" in text for text in texts.values()) == 1
    assert sum("868.40" in text for text in texts.values()) == 1
    assert desk.states() == {"delivered": 2}
    desk.assert_ties()


async def test_it_asks_for_all_again_after_a_reversal(desk: Desk, book: Book, folder: Path) -> None:
    release(desk, folder)
    later(desk, hours=1)
    pay(desk, "P-1", "Li", "500.00")
    replan(desk, book)
    later(desk, minutes=5)
    taken_back = pay(desk, "R-1", "Li", "500.00", kind="reversal", reverses="P-1")
    assert taken_back.held == 1
    assert replan(desk, book) == Counter(renewed=1)
    amount = desk.rows("SELECT amount_minor FROM envelope WHERE borrower_id = 'Li'")
    assert amount == [(86_840,)]
    await send_all(desk)
    assert desk.states() == {"delivered": 2}
    desk.assert_ties()


async def test_it_counts_a_payment_told_twice_once(desk: Desk, book: Book, folder: Path) -> None:
    release(desk, folder)
    later(desk, hours=1)
    pay(desk, "P-1", "Li", "500.00")
    replan(desk, book)
    again = pay(desk, "P-1", "Li", "500.00")
    assert again == RecordResult(recorded=0, duplicates=1, held=0)
    assert desk.rows("SELECT amount_minor FROM envelope WHERE borrower_id = 'Li'") == [(36_840,)]


async def test_it_lets_a_payment_in_the_midst_of_a_verdict_wait_until_the_mark(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it either holds a notice, or finds it on the wire: nothing lies between the two."""
    release(desk, folder)
    paying: list[asyncio.Task[RecordResult]] = []

    async def told_meanwhile(cursor: Any, verdicts: Verdicts, **given: Any) -> int | None:
        block_id = await add_wire_verdicts(cursor, verdicts, **given)
        paying.append(asyncio.create_task(asyncio.to_thread(pay, desk, "P-1", "Li", "868.40")))
        await eventually(lambda: bool(desk.rows(_SOMEBODY_WAITS)))
        return block_id

    monkeypatch.setattr(claim, "add_wire_verdicts", told_meanwhile)
    async with delivery_line(desk) as line:
        later(desk, hours=10)
        assert pay(desk, "P-2", "Wang", "868.40").held == 1, "told before the verdict"
        await line.pass_at(EVENING)
        assert (await paying[0]).held == 0
    assert desk.states() == {"held": 1, "delivered": 1}
    assert len({record["destination"] for record in submits(desk)}) == 1
    desk.assert_ties()


async def test_it_holds_by_number_so_that_no_sender_waits_in_a_ring(
    desk: Desk, folder: Path
) -> None:
    """A sender has locked the first envelope and wants the second; a payment wants both."""
    release(desk, folder)
    desk.run(
        "UPDATE envelope SET borrower_id = CASE envelope_id WHEN first THEN 'Z' ELSE 'A' END"
        " FROM (SELECT min(envelope_id) AS first FROM envelope) AS f"
    )
    lock = "SELECT 1 FROM envelope WHERE borrower_id = %s FOR UPDATE"
    values = {"borrower_ids": ["A", "Z"], "reason": "paid", "now": desk.clock.now()}

    def hold() -> int:
        with desk.app.connect(desk.dsn) as conn:
            for way in ("seqscan", "bitmapscan"):  # by borrower, as where there are many
                conn.execute(f"SET enable_{way} = off")
            return conn.execute(queries("inbound")["hold_unsent"], values).rowcount

    with desk.app.connect(desk.dsn) as sender, sender.transaction():
        sender.execute(lock, ["Z"])
        holding = asyncio.create_task(asyncio.to_thread(hold))
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
        await eventually(lambda: bool(desk.rows(waits)))
        sender.execute(lock, ["A"])
    assert await holding == 2


@pytest.mark.parametrize(
    ("amount", "rules"), [("868.40", {"CN-LED-01", "CN-DUE-01"}), ("100.00", {"CN-LED-04"})]
)
async def test_it_releases_nothing_on_figures_that_a_payment_has_overtaken(
    desk: Desk, folder: Path, amount: str, rules: set[str]
) -> None:
    later(desk, minutes=10)
    assert pay(desk, "P-1", "Li", amount).held == 0
    assert release(desk, folder) == {"ready": 1, "blocked": 1}
    gate, outcome, fired = desk.verdicts("Li")[-1]
    assert (gate, outcome) == ("release", "block")
    assert set(fired) >= rules
    desk.assert_ties()


async def test_it_plans_on_what_was_known_at_its_instant_only(desk: Desk, book: Book) -> None:
    later(desk, hours=1)
    pay(desk, "P-1", "Li", "500.00")
    desk.clock.set(MORNING)
    release(desk, plan_day(desk, book))
    assert desk.story("Li")[-1][0] == "blocked", "it was planned without, and judged with it"
    assert desk.verdicts("Li")[-1][2] == ["CN-LED-04"]


async def test_it_plans_again_what_waited_for_the_payment_a_borrower_spoke_of(
    desk: Desk, book: Book, folder: Path
) -> None:
    release(desk, folder)
    async with delivery_line(desk) as line:
        later(desk, hours=1)
        await line.reply("Li", "已还")
        assert desk.story("Li")[-1] == ("held", "reply_paid")
        assert replan(desk, book) == Counter(), "no news, no new plan"
        later(desk, hours=1)
        assert pay(desk, "P-1", "Li", "868.40").held == 1
        assert replan(desk, book) == Counter(cancelled=1)
        await line.pass_at(EVENING)
    assert desk.states() == {"cancelled": 1, "delivered": 1}
    desk.assert_ties()


async def test_it_stops_a_message_the_gateway_put_off_when_it_was_paid_meanwhile(
    desk: Desk, folder: Path
) -> None:
    """It was on the wire when the payment came, so nobody could hold it; then it was refused."""
    release(desk, folder)
    async with delivery_line(desk) as line:
        await line.control.refuse("ESME_RTHROTTLED", count=4)
        await line.pass_at(EVENING)
        assert desk.states() == {"ready": 2}
        later(desk, seconds=20)
        assert pay(desk, "P-1", "Li", "868.40").held == 1
        await line.pass_at(desk.clock.now() + timedelta(minutes=2))
    assert desk.states() == {"held": 1, "delivered": 1}
    desk.assert_ties()


def test_it_keeps_the_arm_the_budgets_chose_when_it_plans_again(tmp_path: Path, dsn: str) -> None:
    desk = open_desk(tmp_path / "workspace", dsn)
    path = desk.app.workspace / "strategy.yaml"
    arms = (
        "{gentle: {channel: sms, template: zh.m1_day1.gentle}, neutral: {channel: sms, template: "
    )
    arms += "zh.m1_day1.neutral, worth: 9999}}"
    head = path.read_text(encoding="utf-8").split("steps:", maxsplit=1)[0]
    step = f"{{name: late, stage: overdue, when: dpd = 1, choose: budget, arms: {arms}}}"
    path.write_text(f"{head}budgets: {{sms: 9}}\nsteps:\n  - {step}\n", encoding="utf-8")
    admit(desk, "Li")
    book = write_book(desk, Li=YESTERDAY)
    assert release(desk, plan_day(desk, book)) == {"ready": 1}
    later(desk, minutes=1)
    pay(desk, "P-1", "Li", "100.00")
    with desk.app.connect(desk.dsn) as conn:
        assert replan_held(conn, book, desk.app.tenant, now=desk.clock.now()) == {"renewed": 1}
    told = desk.rows("SELECT arm, template, state, amount_minor < 86840 FROM envelope")
    assert told == [("neutral", "zh.m1_day1.neutral", "ready", True)]


async def test_it_lets_a_payment_commit_once_its_notice_is_written_and_before_it_is_answered(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(desk, folder)
    later(desk, hours=10)
    monkeypatch.setattr(crossing, "WAIT_MS_MAX", 60_000)
    async with delivery_line(desk) as line:
        send_many = line.channel.send_many

        async def unanswered(
            messages: Sequence[Message], *, written: Callable[[], None]
        ) -> list[SendResult]:
            results = await send_many(messages)
            written()
            async with asyncio.timeout(10):  # it may not wait for what we still keep back
                assert (await asyncio.to_thread(pay, desk, "P-1", "Li", "868.40")).held == 0
            return results

        monkeypatch.setattr(line.channel, "send_many", unanswered)
        await line.pass_at(EVENING)
    assert desk.states() == {"delivered": 2}
    desk.assert_ties()


async def test_it_keeps_the_lock_of_one_chunk_where_the_wait_for_another_is_given_up(
    desk: Desk,
) -> None:
    crossings = Crossings(desk.app.connector(desk.dsn))
    held = "SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
    held += " AND granted"
    await crossings.begin(7)
    with desk.app.connect(desk.dsn) as payment:
        for lock_class in crossing.CLASSES:
            payment.execute("SELECT pg_advisory_lock_shared(%s, 8)", [lock_class])
        waiting = asyncio.create_task(crossings.begin(8))
        await eventually(lambda: bool(desk.rows(_SOMEBODY_WAITS)))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert desk.rows(held) == [(7,)]
    await crossings.close()
    await eventually(lambda: desk.rows(held) == [])


@pytest.mark.parametrize("answers", [True, False])
async def test_it_commits_a_payment_that_finds_a_notice_marked_after_the_notice_is_written(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    """But a route that does not answer keeps it waiting for so long only."""
    release(desk, folder)
    later(desk, hours=10)
    monkeypatch.setattr(crossing, "WAIT_MS_MAX", 60_000 if answers else 50)
    order: list[str] = []
    paying: list[asyncio.Task[None]] = []

    def pay_both() -> None:
        for borrower in ("Li", "Wang"):
            assert pay(desk, f"P-{borrower}", borrower, "868.40").held == 0
        order.append("paid")

    async with delivery_line(desk) as line:
        send_many = line.channel.send_many

        async def slowly(messages: Sequence[Message], **given: Any) -> list[SendResult]:
            paying.append(asyncio.create_task(asyncio.to_thread(pay_both)))
            if answers:
                await eventually(lambda: bool(desk.rows(_SOMEBODY_WAITS)))
            else:
                await paying[0]
            results = await send_many(messages, **given)
            order.append("written")
            return results

        monkeypatch.setattr(line.channel, "send_many", slowly)
        await line.pass_at(EVENING)
        await paying[0]
    assert order == (["written", "paid"] if answers else ["paid", "written"])
    assert desk.states() == {"delivered": 2}
    desk.assert_ties()
