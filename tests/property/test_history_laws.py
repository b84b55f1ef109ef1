"""Histories and their matrices agree with the day-by-day oracle, and obey their laws."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.histories import DAY_0, History, history, history_of
from tests.history_frames import FAR_AHEAD, day_of, flat, products, tables
from tests.oracle import Account

from duewise.book.align import Aligned, align
from duewise.book.delinquency import BUCKETS, Bucket, Buckets, BucketTable
from duewise.book.history import CHANGES, slices, status, transitions
from duewise.measure.rolls import Counts, counts, counts_of, roll_rates, total, vintage_shares

histories = st.lists(st.randoms(use_true_random=False).map(history).map(flat), min_size=1)
DAYS = 200
SWITCH = day_of(DAY_0 + DAYS // 2)
STRICT = (Bucket("fine", 0), Bucket("M1", 3), Bucket("bad", 20), Bucket("lost", None))
TABLES = Buckets((BucketTable(date(2000, 1, 1), BUCKETS), BucketTable(SWITCH, STRICT)))


def aligned(several: list[History]) -> Aligned:
    return align(tables(several), products(several), known_at=FAR_AHEAD, zone="Asia/Shanghai")


def by_day(several: list[History]) -> pl.DataFrame:
    """What the oracle says of each loan on each day: loan by loan."""
    rows = []
    for number, each in enumerate(several):
        account, yesterday = Account(each.terms, each.lines(), each.pauses), each.terms.opened
        for day in range(DAY_0, DAY_0 + DAYS):
            account.live(min(yesterday, DAY_0 - 1) if day == DAY_0 else day - 1, day, each.events)
            figures = account.figures(day)
            rows.append(
                {
                    "loan_id": f"L{number:05}",
                    "date": day_of(day),
                    "days_past_due": figures["days_past_due"],
                    "outstanding_minor": figures["outstanding"],
                    "is_charged_off": bool(figures["charged_off"]),
                }
            )
    return pl.DataFrame(rows, schema_overrides={"days_past_due": pl.Int32})


def named(days: int, table: tuple[Bucket, ...]) -> str:
    return next(b.name for b in table if b.days_max is None or days <= b.days_max)


@pytest.mark.parametrize("first", range(3_000_000, 3_000_060, 20))
def test_it_agrees_with_the_oracle_on_every_day_and_under_every_table(first: int) -> None:
    several = [flat(history_of(seed)) for seed in range(first, first + 20)]
    expected = by_day(several)
    dates = expected["date"].unique().sort().to_list()
    of = aligned(several)
    now, then, later = (
        status(of, dates, TABLES, rules_of=day) for day in (None, date(2001, 1, 1), SWITCH)
    )
    names = ["loan_id", "date", "days_past_due", "outstanding_minor"]
    assert now.select(names).equals(expected.select(names))
    for found, table_of in (
        (now, TABLES.on),
        (then, lambda _: BUCKETS),
        (later, lambda _: STRICT),
    ):
        told = [
            named(days, table_of(day))
            for days, day in expected.select("days_past_due", "date").rows()
        ]
        assert found["bucket"].to_list() == told
    lost = expected["is_charged_off"] | (expected["days_past_due"] > 360)
    assert ((now["class5"] == "loss") == lost).all()


@settings(max_examples=30, deadline=None)
@given(histories, st.sampled_from([1, 7, 30]), st.sampled_from([None, SWITCH]))
def test_it_loses_no_loan_and_no_balance_between_two_dates(
    several: list[History], step: int, rules_of: date | None
) -> None:
    dates = [day_of(DAY_0) + timedelta(days) for days in range(0, DAYS, step)]
    seen = status(aligned(several), dates, TABLES, rules_of=rules_of)
    found = counts_of(seen, TABLES, rules_of=rules_of)
    owed = seen.filter((pl.col("outstanding_minor") > 0) & (pl.col("date") < dates[-1]))
    assert found.rolls["loans"].sum() == owed.height
    assert found.rolls["balance_minor"].sum() == owed["outstanding_minor"].sum()
    for rates in (
        roll_rates(found.rolls, TABLES),
        roll_rates(found.rolls, TABLES, pooled=True),
    ):
        row = [name for name in ("from_date", "from_bucket") if name in rates.columns]
        for by in ("share_by_count", "share_by_balance"):
            sums = rates.group_by(row).agg(pl.col(by).sum())[by]
            assert ((sums - 1).abs() < 1e-12).all()


@settings(max_examples=30, deadline=None)
@given(histories, st.integers(1, 5), st.integers(1, 40))
def test_it_adds_up_to_the_whole_however_the_book_is_cut(
    several: list[History], partitions: int, rows_max: int
) -> None:
    dates = [day_of(DAY_0) + timedelta(days) for days in range(0, DAYS, 15)]
    whole = counts_of(status(aligned(several), dates, TABLES), TABLES)
    parts: list[Counts] = []
    for number in range(partitions):
        of = aligned(several)
        mine = [n for n in range(len(several)) if n % partitions == number]
        one_each = list(slices(of, len(dates), rows_max=1))
        parts += [counts(one_each[n], dates, TABLES) for n in mine]
    for found in (total(parts), total(reversed(parts)), counts(aligned(several), dates, TABLES)):
        assert found.rolls.equals(whole.rolls)
        assert found.vintages.equals(whole.vintages)
    some = slices(aligned(several), len(dates), rows_max=rows_max)
    cut = total(counts_of(status(each, dates, TABLES), TABLES) for each in some)
    assert cut.rolls.equals(whole.rolls)


@settings(max_examples=30, deadline=None)
@given(histories)
def test_it_calls_each_step_by_what_happened_in_it(several: list[History]) -> None:
    dates = [day_of(DAY_0) + timedelta(days) for days in range(0, DAYS, 10)]
    seen = status(aligned(several), dates, TABLES)
    found = transitions(seen, TABLES, rules_of=SWITCH).select("loan_id", "to_date", "change").rows()
    assert {row[2] for row in found} <= set(CHANGES)
    expected = []
    for (loan,), of in seen.group_by("loan_id", maintain_order=True):
        extended = [
            day_of(e.day) for e in several[int(str(loan)[1:])].events if e.kind == "extension"
        ]
        rows = of.select("date", "days_past_due", "outstanding_minor").rows()
        for (since, before, balance), (until, after, rest) in pairwise(rows):
            is_extended = any(since < day <= until for day in extended)
            if balance:
                expected.append(
                    (loan, until, name_of(before, after, rest, is_extended=is_extended))
                )
    assert found == expected


def name_of(before: int, after: int, rest: int, *, is_extended: bool) -> str:
    was, is_now = (
        next(n for n, b in enumerate(STRICT) if b.days_max is None or days <= b.days_max)
        for days in (before, after)
    )
    if not rest:
        return "close"
    if is_now >= was:
        return "stay" if is_now == was else "roll"
    if is_extended:
        return "re_age"
    return "cure" if is_now == 0 else "improve"


@settings(max_examples=30, deadline=None)
@given(histories)
def test_it_never_takes_back_that_a_vintage_was_late(several: list[History]) -> None:
    dates = [day_of(DAY_0) + timedelta(days) for days in range(DAYS)]
    found = counts(aligned(several), dates, TABLES)
    shares = vintage_shares(found.vintages, min(day_of(each.terms.opened) for each in several))
    for by in ("count", "principal"):
        late, ever = pl.col(f"late_by_{by}"), pl.col(f"ever_by_{by}")
        assert shares.select((late <= ever).all()).item()
        grown = pl.col(f"ever_by_{by}").diff().over("vintage", "late_days")
        assert shares.select((grown.fill_null(0) >= 0).all()).item()
    by_days = shares.pivot("late_days", index=["vintage", "date"], values="late_by_count")
    assert by_days.select((pl.col("7") <= pl.col("1")).all()).item()
