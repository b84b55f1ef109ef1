"""The plan of one partition: who is written to, why not, and that it is the same every time."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import polars as pl
import pytest
from tests.unit.lender import (
    AS_OF,
    NOW,
    STRATEGY_TEXT,
    addresses,
    cases,
    contacts,
    context,
    strategy,
    tables,
)

from duewise.book.schema import PAUSES
from duewise.engine.partition import PLAN, Tables, plan_partition
from duewise.ids import stable_hash
from duewise.message.filters import columns_of
from duewise.message.template import load_templates
from duewise.strategy.assign import is_held_out

Frame: TypeAlias = pl.DataFrame
YESTERDAY = AS_OF - timedelta(days=1)
LI = {"borrower": "Li", "due": [YESTERDAY]}


def _rows(given: Tables, **changes: object) -> list[dict[str, object]]:
    return plan_partition(given, context=context(**changes)).rows.to_dicts()


def test_it_proposes_one_message_and_says_what_it_found() -> None:
    (row,) = _rows(tables(LI))
    assert row["decision"] == "proposed"
    assert (row["step"], row["stage"], row["dpd"], row["bucket"]) == ("m1_day1", "overdue", 1, "M1")
    assert (row["amount_minor"], row["due_date"]) == (
        86_840 + 72,
        YESTERDAY,
    )  # 800.00 at 32.4 % for a day
    assert (row["outcome"], row["rules"], row["propensity"]) == ("allow", [], 0.5)
    assert row["key"] == f"Li|m1_day1|{AS_OF}"
    assert NOW <= row["not_before"] < row["valid_until"]  # type: ignore[operator]


def test_it_gives_a_reason_for_every_borrower_it_does_not_write_to() -> None:
    given = tables(
        {"borrower": "Chen", "due": [AS_OF], "paid": [(datetime(2026, 8, 1, tzinfo=UTC), 86_840)]},
        {"borrower": "Li", "due": [AS_OF + timedelta(days=20)]},
        LI | {"borrower": "Wang"},
        LI | {"borrower": "Zhao"},
        addresses=addresses("Chen", "Li", "Zhao", opted_out=("Zhao",)),
    )
    reasons = {row["borrower_id"]: row["reason"] for row in _rows(given)}
    assert reasons == {
        "Chen": "nothing_owed",
        "Li": "no_step",
        "Wang": "no_address",
        "Zhao": "channel_opted_out",
    }


def test_it_does_not_know_payments_that_come_later() -> None:
    later = NOW + timedelta(minutes=1)
    before = _rows(tables(LI | {"paid": [(later, 86_840 + 72)]}))
    after = _rows(tables(LI | {"paid": [(later, 86_840 + 72)]}), now=later)
    assert (before[0]["decision"], after[0]["reason"]) == ("proposed", "nothing_owed")


def test_it_holds_out_but_never_from_a_required_notice() -> None:
    everybody = strategy(hold_out_bp=10_000)
    optional, required = LI, {"borrower": "Wang", "due": [AS_OF - timedelta(days=7)]}
    held_out, sent = _rows(tables(optional, required), strategy=everybody)
    assert (held_out["decision"], held_out["propensity"]) == ("held_out", 1.0)
    assert (sent["step"], sent["decision"], sent["hold_out"]) == ("m1_day7", "proposed", True)


def test_it_makes_one_message_of_several_loans_and_records_the_loser() -> None:
    other = {"borrower": "Li", "loan": "Li-1002", "due": [AS_OF - timedelta(days=7)]}
    (row,) = _rows(tables(LI, other))
    assert (row["loan_id"], row["losers"]) == ("Li-1002", ["Li-1001:m1_day1"])
    assert row["template"] == "zh.m1_day7.neutral.several"
    alone = [_rows(tables(each))[0]["amount_minor"] for each in (LI, other)]
    assert (row["loan_count"], row["total_minor"]) == (2, sum(alone))  # type: ignore[arg-type]
    assert row["amount_minor"] == alone[1]


@pytest.mark.parametrize("days", [-2, 40])  # not due yet; later than the one that speaks
def test_it_speaks_of_one_loan_where_the_other_is_another_matter(days: int) -> None:
    other = {"borrower": "Li", "loan": "Li-1002", "due": [AS_OF - timedelta(days=days)]}
    (row,) = _rows(tables(LI, other))
    assert (row["loan_id"], row["loan_count"]) == ("Li-1001", 1)
    assert row["total_minor"] == row["amount_minor"]
    assert not str(row["template"]).endswith(".several")


def paused(*loans: str, what: str = "messages", until: date = AS_OF + timedelta(days=1)) -> Frame:
    rows = [(loan, loan.split("-")[0], AS_OF, until, what, "illness") for loan in loans]
    names = ("loan_id", "borrower_id", "from_date", "until_date", "what", "reason")
    return pl.DataFrame(rows, schema={name: PAUSES[name] for name in names}, orient="row")


def test_it_sends_no_optional_message_about_a_loan_whose_messages_are_paused() -> None:
    (row,) = _rows(tables(LI, pauses=paused("Li-1001")))
    assert (row["decision"], row["reason"]) == ("none", "messages_paused")
    required = {"borrower": "Li", "due": [AS_OF - timedelta(days=7)]}
    (row,) = _rows(tables(required, pauses=paused("Li-1001")))
    assert (row["decision"], row["step"]) == ("proposed", "m1_day7")


@pytest.mark.parametrize("pause", [{"what": "penalty"}, {"until": AS_OF}])
def test_it_heeds_no_other_pause_and_none_that_is_over(pause: dict[str, Any]) -> None:
    (row,) = _rows(tables(LI, pauses=paused("Li-1001", **pause)))
    assert row["decision"] == "proposed"


def test_it_lets_a_paused_loan_silence_no_other() -> None:
    other = {"borrower": "Li", "loan": "Li-1002", "due": [YESTERDAY]}
    (row,) = _rows(tables(LI, other, pauses=paused("Li-1001")))
    assert (row["decision"], row["loan_id"], row["losers"]) == ("proposed", "Li-1002", [])


def test_it_writes_in_the_borrowers_language() -> None:
    given = tables(LI, LI | {"borrower": "Wang"})
    locales = {"Li": "en-SG", "Wang": "zh-Hant-HK"}
    speakers = given.borrowers.with_columns(
        locale=pl.col("borrower_id").replace_strict(locales, return_dtype=pl.String)
    )
    li, wang = _rows(replace(given, borrowers=speakers))
    assert str(li["template"]).startswith("en.m1_day1.")
    assert str(wang["template"]).startswith("zh.m1_day1.")


def test_it_speaks_in_the_ladders_tone_where_the_step_leaves_it_open() -> None:
    text = STRATEGY_TEXT
    for tone in ("gentle", "neutral", "urgent"):
        text = text.replace(f"zh.m1_day1.{tone}", "zh.m1_day1")
    given = tables(LI, LI | {"borrower": "Wang"}, cases=cases(Wang="hardship_pending"))
    li, wang = _rows(given, strategy=strategy(text, hold_out_bp=0))
    assert (li["template"], li["tone"]) == ("zh.m1_day1.urgent", "urgent")
    assert (wang["template"], wang["tone"]) == ("zh.m1_day1.help", "help")


def test_it_lets_the_guard_stop_a_dispute_and_names_the_rule() -> None:
    (row,) = _rows(tables(LI | {"borrower": "Wang"}, cases=cases(Wang="dispute_open")))
    assert (row["outcome"], row["rules"]) == ("block", ["CN-DSP-01"])


def test_it_defers_when_the_day_has_had_its_message() -> None:
    this_morning = contacts(("Li", NOW - timedelta(minutes=20), "overdue", "Li-1001"))
    (row,) = _rows(tables(LI, contacts=this_morning))
    assert (row["outcome"], row["rules"]) == ("defer", ["CN-CAP-04"])
    assert row["next_allowed_at"] == datetime(2026, 8, 15, tzinfo=UTC)  # 08:00 in Shanghai


def test_it_defers_on_a_stale_ledger() -> None:
    (row,) = _rows(tables(LI), ledger_complete_until=NOW - timedelta(seconds=301))
    assert (row["outcome"], row["rules"]) == ("defer", ["CN-LED-03"])


def test_it_blocks_a_price_above_the_lawful() -> None:
    given = tables(LI)
    dear = given.loans.with_columns(annual_rate=pl.lit(0.36))
    (row,) = _rows(tables(LI, loans=dear))
    assert (row["outcome"], row["rules"]) == ("block", ["CN-FEE-02"])


def test_it_tires_nobody() -> None:
    often = contacts(
        *(("Li", NOW - timedelta(days=day), "pre_due", "Li-1") for day in range(8, 16))
    )
    (row,) = _rows(tables(LI, contacts=often))
    assert row["reason"] == "fatigue"


@pytest.mark.parametrize("days", [0, 1, 30, 31])
def test_it_counts_days_past_due_from_the_day_after(days: int) -> None:
    (row,) = _rows(tables({"borrower": "Li", "due": [AS_OF - timedelta(days=days)]}))
    assert row["days_past_due"] == days
    assert row["bucket"] == ("M0" if days == 0 else "M1" if days <= 30 else "M2")


def test_it_gives_the_same_bytes_for_the_same_tables() -> None:
    loans = [
        {"borrower": f"B{n:03d}", "due": [date(2026, 8, 1) + timedelta(days=n % 25)]}
        for n in range(300)
    ]
    given = tables(*loans)
    plans = [plan_partition(given, context=context()).rows for _ in range(2)]
    written = []
    for plan in plans:
        assert plan.schema == PLAN
        buffer = io.BytesIO()
        plan.write_parquet(buffer)
        written.append(buffer.getvalue())
    assert written[0] == written[1]


def test_it_plans_a_borrower_alone_as_among_others() -> None:
    loans = [
        {"borrower": f"B{n:03d}", "due": [date(2026, 8, 1) + timedelta(days=n % 25)]}
        for n in range(60)
    ]
    together = _rows(tables(*loans))
    alone = [_rows(tables(loan))[0] for loan in loans]
    assert together == alone


def test_it_keeps_the_hold_out_from_version_to_version() -> None:
    hashes = pl.Series([stable_hash(f"B{n}") for n in range(5_000)])
    first, second = strategy(hold_out_bp=500), strategy(hold_out_bp=500, version=2)
    assert is_held_out(first, hashes).equals(is_held_out(second, hashes))
    share = is_held_out(first, hashes).mean()
    assert share == pytest.approx(0.05, abs=0.01)


def test_it_carries_what_the_shipped_texts_say() -> None:
    """But for those about a promise, a plan of payments, a grace or a report: others know of these."""
    others = {"grace", "credit_notice", "promise_made", "promise_broken", "plan_offered"}
    told = {*PLAN, "salutation", "loan_tail"}
    lacking = {
        (template.name, column)
        for template in load_templates().values()
        for name, kind in template.variables.items()
        for column in columns_of(kind, name)
        if template.purpose not in others and column not in told
    }
    assert not lacking
