"""The report of two days at the desk of a small lender: read back, and compared with what was done.

Everybody owes one instalment, due on the first day; half are in the hold-out. Of the treated the
first three answer (one opts out, one cannot pay, one disputes) and pay late; of the held-out all do.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.scenario.desk import DAY, EVENING, MORNING, Desk, open_desk

from duewise.channels.base import Inbound, InboundReceipt, InboundReply
from duewise.jobs.ingest import Payment, complete_feed, record_payments
from duewise.jobs.load_book import load_book
from duewise.jobs.plan_day import plan_book
from duewise.jobs.receive import take_in
from duewise.jobs.release import release_plan
from duewise.jobs.report import read_report, summary
from duewise.jobs.tenant import Tenant
from duewise.measure.report import Count, Report
from duewise.measure.stats import Estimate, Inconclusive, Reason
from duewise.outbox.envelope import Balance
from duewise.sim.files import MAPPING
from duewise.store import journal
from duewise.store.connection import connect

BORROWERS = 96
LATE_TREATED = 3
AFTERWARDS = MORNING + timedelta(days=4)
OWED = Decimal("868.40")
UNSENT, FAILED = 2, 1  # of the treated, the last ones

NAMES = {
    "name": "李小明",
    "salutation": "李*先生",
    "locale": "zh-CN",
    "timezone": "Asia/Shanghai",
}
TERMS = {
    "product": "instalment",
    "currency": "CNY",
    "principal": OWED,
    "opened_date": DAY - timedelta(days=30),
    "annual_rate": 0.216,
    "penalty_multiplier": 1.5,
    "method": "equal_instalment",
    "autopay": False,
    "grace_days": 0,
    "tolerance": Decimal(0),
}
DUE = {"number": 1, "due_date": DAY, "principal": OWED, "interest": Decimal(0), "fee": Decimal(0)}
PAYMENTS = {
    "payment_id": pl.String(),
    "loan_id": pl.String(),
    "paid_at": pl.Datetime("us", "UTC"),
    "amount": pl.Decimal(18, 2),
    "kind": pl.String(),
    "reverses": pl.String(),
    "source": pl.String(),
}
MOVE = """
UPDATE envelope SET state = %(state)s, reason = %(reason)s, changed_at = %(now)s,
       wired_at = COALESCE(wired_at, %(wired_at)s)
 WHERE envelope_id = ANY(%(ids)s)
"""
SUBMIT = """
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT envelope_id, 'smpp', envelope_id || '-' || part, part, %(now)s
  FROM envelope, generate_series(1, parts) AS part WHERE envelope_id = ANY(%(ids)s)
"""


@dataclass(frozen=True)
class Story:
    """What was done to whom, and the report of it. The treated come in the order of their ids."""

    desk: Desk
    tenant: Tenant
    held_out: list[str]
    treated: list[str]
    report: Report


@pytest.fixture(scope="module")
def story(
    server_dsn: str, template_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Played once, for nobody writes to it afterwards."""
    with _database(server_dsn, template_dsn) as dsn:
        yield _play(open_desk(tmp_path_factory.mktemp("story") / "workspace", dsn))


@contextmanager
def _database(server_dsn: str, template_dsn: str) -> Iterator[str]:
    name = sql.Identifier(f"report_{os.getpid()}")
    template = sql.Identifier(str(conninfo_to_dict(template_dsn)["dbname"]))
    with connect(server_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
        yield make_conninfo(server_dsn, dbname=f"report_{os.getpid()}")
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _play(desk: Desk) -> Story:
    tenant = desk.app.tenant
    tenant = replace(tenant, strategy=replace(tenant.strategy, hold_out_bp=5_000))
    _import(desk, [f"B{number:03d}" for number in range(BORROWERS)])
    _plan(desk, tenant, now=MORNING)
    rows = journal.read(desk.app.workspace, since=DAY).collect()
    chosen = {
        decision: rows.filter(decision=decision)["borrower_id"].sort().to_list()
        for decision in ("held_out", "proposed")
    }
    held_out, treated = chosen["held_out"], chosen["proposed"]
    _send(desk, tenant, treated[:-UNSENT])
    in_time = treated[LATE_TREATED:]
    _pay(desk, in_time, at=EVENING)
    _plan(desk, tenant, now=MORNING + timedelta(days=1))
    _pay(desk, [*treated[:LATE_TREATED], *held_out], at=EVENING + timedelta(days=2))
    return Story(desk, tenant, held_out, treated, _read(desk, tenant))


def test_it_balances_with_what_was_done(story: Story) -> None:
    sent = len(story.treated) - UNSENT
    assert story.report.balance == Balance(
        planned=len(story.treated) + 2,
        sent=sent,
        blocked=1,  # the dispute
        held=UNSENT + 1,  # a payment came before they left; and the hardship
        cancelled=0,
        lapsed=0,
        submitted=sent,
        delivered=sent - FAILED,
        failed=FAILED,
        expired=0,
        unknown=0,
    )
    assert story.report.balance.ties
    assert (story.report.borrowers, story.report.loans) == (BORROWERS, BORROWERS)


def test_it_compares_the_arms_as_they_were_drawn(story: Story) -> None:
    late_1d, late_7d, _ = story.report.effects
    assert (late_1d.treated.n, late_1d.treated.sum) == (len(story.treated), LATE_TREATED)
    assert (late_1d.hold_out.n, late_1d.hold_out.sum) == (len(story.held_out), len(story.held_out))
    assert isinstance(late_1d.estimate, Estimate)
    assert late_1d.estimate.point == pytest.approx(LATE_TREATED / len(story.treated) - 1)
    assert late_7d.estimate == Inconclusive(Reason.HORIZON_NOT_REACHED)
    assert not story.report.sample_ratio.is_mismatch


def test_it_cannot_say_what_arms_out_of_ratio_did(story: Story) -> None:
    claimed = replace(story.tenant, strategy=replace(story.tenant.strategy, hold_out_bp=500))
    report = _read(story.desk, claimed)
    assert report.sample_ratio.is_mismatch
    assert report.effects[0].estimate == Inconclusive(Reason.SAMPLE_RATIO_MISMATCH)
    assert isinstance(report.cost.per_prevented, Inconclusive)


def test_it_counts_the_cost_by_part(story: Story) -> None:
    ((parts,),) = story.desk.rows("SELECT sum(parts) FROM envelope WHERE wired_at IS NOT NULL")
    cost = story.report.cost
    assert cost.parts == parts > 0
    assert cost.total == parts * Decimal("0.05")
    assert cost.currency == "CNY"
    prevented = story.report.effects[0].estimate
    assert isinstance(prevented, Estimate)
    assert isinstance(cost.per_prevented, Estimate)
    assert cost.per_prevented.point == pytest.approx(
        float(cost.total) / (-prevented.point * len(story.treated)), rel=1e-6
    )


def test_it_tells_the_steps_in_the_strategys_words(story: Story) -> None:
    steps = {step.step: step for step in story.report.steps}
    assert list(steps) == [step.name for step in story.tenant.strategy.steps]
    told = steps["due_today"]
    assert (steps["m1_day1"].proposed, steps["m1_day1"].blocked) == (2, 2)
    assert told.when == "dpd = 0 and autopay = false"
    assert (told.proposed, told.held_out) == (len(story.treated), len(story.held_out))
    assert (told.sent, told.delivered) == (
        len(story.treated) - UNSENT,
        len(story.treated) - UNSENT - FAILED,
    )


def test_it_gives_a_reason_for_whatever_did_not_go(story: Story) -> None:
    report = story.report
    assert _counted(report.held) == {"payment_event": UNSENT, "review: CN-HRD-02": 1}
    assert _counted(report.not_contacted) == {
        "hold_out": 2 * len(story.held_out),
        "nothing_owed": len(story.treated) - LATE_TREATED,
        "channel_opted_out": 1,
    }
    assert _counted(report.replies) == {"dispute": 1, "hardship": 1, "opt_out": 1}
    assert report.opt_outs == 1
    for count in (*report.held, *report.not_contacted, *report.replies):
        assert count.meaning
        assert count.meaning != count.name


def test_it_names_the_rule_that_blocked_and_what_it_rests_on(story: Story) -> None:
    assert story.report.blocked == [Count("CN-DSP-01", 1, "a dispute is open", "CARD69")]


def test_it_tells_three_journeys_of_different_borrowers(story: Story) -> None:
    journeys = story.report.journeys
    assert journeys[0].title == "Reminded step by step, then paid"
    assert len({journey.borrower_id for journey in journeys}) == len(journeys) == 3
    assert len({journey.title for journey in journeys}) == 3
    kinds = [line.kind for line in journeys[0].lines]
    assert kinds == ["sent", "delivered", "payment"]
    sent, delivered, paid = journeys[0].lines
    assert sent.text.startswith("【示例消费金融】")
    assert "868.40" in sent.text
    assert (sent.detail, delivered.text) == (
        "step due_today, arm gentle",
        "delivered to the handset",
    )
    assert paid.text == "CNY 868.40"
    replied = [line for journey in journeys for line in journey.lines if line.kind == "reply"]
    assert ("TD", "wants no more messages: the channel was stopped") in [
        (line.text, line.detail) for line in replied
    ]


def test_it_says_everything_in_one_flat_object(story: Story) -> None:
    figures = summary(story.report)
    asked = "planned sent blocked held cancelled lapsed submitted delivered failed expired unknown"
    for name in asked.split():
        assert figures[name] == getattr(story.report.balance, name)
    assert (figures["replies"], figures["opt_outs"]) == (3, 1)
    assert figures["treated_late_1d"] == round(LATE_TREATED / len(story.treated), 6)
    assert figures["hold_out_late_1d"] == 1.0
    assert figures["ties"] is True


def test_it_reports_a_lender_that_has_done_nothing_yet(tmp_path: Path, dsn: str) -> None:
    desk = open_desk(tmp_path / "workspace", dsn)
    _import(desk, ["B000"])
    report = _read(desk, desk.app.tenant)
    assert report.balance == Balance(*[0] * 11)
    assert {effect.estimate for effect in report.effects} == {
        Inconclusive(Reason.HORIZON_NOT_REACHED)
    }
    assert (report.journeys, report.not_contacted) == ([], [])
    assert summary(report)["treated_late_1d"] is None


def _counted(counts: Sequence[Count]) -> dict[str, int]:
    return {count.name: count.count for count in counts}


def _import(desk: Desk, borrowers: Sequence[str]) -> None:
    source = desk.app.workspace / "source"
    source.mkdir()
    for name, table in _tables(borrowers).items():
        table.write_parquet(source / f"{name}.parquet")
    with desk.app.connect(desk.dsn) as conn:
        into = desk.app.workspace / "book"
        load_book(conn, source, MAPPING, into, keyring=desk.app.keyring, now=MORNING)


def _tables(borrowers: Sequence[str]) -> dict[str, pl.DataFrame]:
    """A loan of one instalment for each, as the mapping reads them; no payment yet."""
    everybody = {"borrower_id": list(borrowers)}
    owed = {"loan_id": [f"L-{borrower}" for borrower in borrowers], **everybody}
    phones = [f"+86138{number:08d}" for number in range(len(borrowers))]
    return {
        "borrowers": pl.DataFrame({**everybody, "phone": phones}).with_columns(**_lit(NAMES)),
        "loans": pl.DataFrame(owed).with_columns(**_lit(TERMS)),
        "instalments": pl.DataFrame(owed).with_columns(**_lit(DUE)),
        "payments": pl.DataFrame(schema=PAYMENTS),
    }


def _lit(values: Mapping[str, object]) -> dict[str, pl.Expr]:
    return {
        name: pl.lit(value).cast(pl.Decimal(18, 2)) if isinstance(value, Decimal) else pl.lit(value)
        for name, value in values.items()
    }


def _plan(desk: Desk, tenant: Tenant, *, now: datetime) -> None:
    day = now.date()
    folder = desk.app.workspace / "plans" / day.isoformat()
    with desk.app.connect(desk.dsn) as conn:
        complete_feed(conn, now)
        plan_book(conn, desk.app.book(), tenant, as_of=day, now=now, out=folder)
        release_plan(conn, folder, tenant, now=now)


def _send(desk: Desk, tenant: Tenant, borrowers: Sequence[str]) -> None:
    """To the gateway, and back: receipts, one of them bad, and three answers."""
    found = desk.rows(
        "SELECT envelope_id, parts FROM envelope WHERE borrower_id = ANY(%(of)s)"
        " ORDER BY borrower_id",
        of=list(borrowers),
    )
    sent_at = EVENING - timedelta(hours=4)
    moved = {"ids": [row[0] for row in found], "now": sent_at, "wired_at": sent_at}
    with desk.app.connect(desk.dsn) as conn:
        for state, reason in (("sending", "claimed"), ("accepted", "accepted_by_gateway")):
            conn.execute(MOVE, moved | {"state": state, "reason": reason})
        conn.execute(SUBMIT, moved)
    failed = {row[0] for row in found[-FAILED:]}
    receipts = [
        InboundReceipt(
            provider_id=f"{envelope_id}-{part}",
            status="failed" if envelope_id in failed else "delivered",
            code="027" if envelope_id in failed else "000",
            reference="",
            at=sent_at,
        )
        for envelope_id, parts in found
        for part in range(1, parts + 1)
    ]
    texts = ("TD", "最近失业了，还不上", "金额不对")
    replies = [_reply(borrower, text) for borrower, text in zip(borrowers, texts, strict=False)]
    asyncio.run(_take_in(desk, tenant, [*receipts, *replies], now=sent_at))


def _reply(borrower: str, text: str) -> InboundReply:
    phone = f"+86138{int(borrower.removeprefix('B')):08d}"
    return InboundReply(f"reply-{borrower}", phone, "1069", text, EVENING - timedelta(hours=3))


async def _take_in(desk: Desk, tenant: Tenant, came: Sequence[Inbound], *, now: datetime) -> None:
    async with await desk.app.connector(desk.dsn)() as conn:
        await take_in(conn, "smpp", came, tenant=tenant, now=now)


def _pay(desk: Desk, borrowers: Sequence[str], *, at: datetime) -> None:
    payments = [
        Payment(f"P-{borrower}", f"L-{borrower}", paid_at=at, amount=OWED) for borrower in borrowers
    ]
    with desk.app.connect(desk.dsn) as conn:
        record_payments(conn, payments, now=at)


def _read(desk: Desk, tenant: Tenant) -> Report:
    with desk.app.connect(desk.dsn) as conn:
        complete_feed(conn, AFTERWARDS)
        return read_report(conn, desk.app.book(), tenant, now=AFTERWARDS)
