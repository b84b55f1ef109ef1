"""The compiled ledger agrees to the minor unit with one that goes day by day, and obeys its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compared import Figures, assert_agrees, fold, line_of, or_none, told
from tests.histories import DAY_0, HORIZON, History, columns, history, history_of
from tests.history_frames import FAR_AHEAD, day_of, flat, products, tables

from duewise.book.align import LoanTables
from duewise.book.columns import FIGURES, Columns
from duewise.book.delinquency import BUCKETS, bucket
from duewise.book.ledger import ledger
from duewise.book.reading import fold_dates

histories = st.randoms(use_true_random=False).map(history)


def by_date(columns: Columns, dates: list[int]) -> Figures:
    """Loans x dates x FIGURES."""
    loans = len(columns.loans.rule)
    figures = np.zeros((loans * len(dates), len(FIGURES)), np.int64)
    fold_dates(columns, np.array(dates, np.int32), figures)
    return figures.reshape(loans, len(dates), len(FIGURES))


@settings(max_examples=300, deadline=None)
@given(histories)
def test_it_agrees_with_the_oracle_on_what_is_looked_for(each: History) -> None:
    assert_agrees([each])


def test_it_covers_every_option_in_its_histories() -> None:
    seen = [history_of(seed) for seed in range(2_000)]
    kinds = {event.kind for each in seen for event in each.events}
    assert kinds == {"payment", "chargeback", "waiver", "charge_off", "extension"}
    for name in vars(seen[0].terms):
        assert len({getattr(each.terms, name) for each in seen}) > 1, f"{name} never changes"
    assert {pause.what for each in seen for pause in each.pauses} == {"clock", "penalty"}
    assert any(row[0] != row[1] for each in seen for row in each.schedule), "no due date rolls"


@settings(max_examples=200, deadline=None)
@given(histories, st.data())
def test_it_does_not_mind_how_a_days_payment_is_cut(each: History, data: st.DataObject) -> None:
    payments = [n for n, event in enumerate(each.events) if event.kind == "payment"]
    if not payments:
        return
    n = data.draw(st.sampled_from(payments))
    whole = each.events[n]
    first = data.draw(st.integers(0, whole.amount))
    parts = [replace(whole, amount=part) for part in (first, whole.amount - first) if part]
    cut = replace(each, events=(*each.events[:n], *parts, *each.events[n + 1 :]))
    assert_same(each, cut)


def assert_same(one: History, other: History) -> None:
    (rows, figures), (again, same) = (fold(columns([h]), [h.as_of]) for h in (one, other))
    assert figures.tolist() == same.tolist()
    for place in range(len(rows.outstanding)):
        assert line_of(rows, place) == line_of(again, place)


@settings(max_examples=100, deadline=None)
@given(histories, st.integers(1, 2_000_000), st.integers(0, HORIZON))
def test_it_is_as_it_was_when_a_payment_is_made_and_reversed(
    each: History, amount: int, day: int
) -> None:
    each = flat(each)
    plain = tables([each])
    undone = tables([each], reversed_payment=(DAY_0 + day, amount))
    assert undone.payments.height == plain.payments.height + 2
    for found, same in zip(read(plain, each), read(undone, each), strict=True):
        assert found.equals(same)


def read(given: LoanTables, each: History) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = ledger(
        given, products([each]), as_of=day_of(each.as_of), known_at=FAR_AHEAD, zone="Asia/Shanghai"
    )
    return found.instalments, found.loans


@pytest.mark.parametrize("first", range(1_000_000, 1_002_000, 500))
def test_it_agrees_with_the_oracle_from_the_books_own_frames(first: int) -> None:
    several = [history_of(seed) for seed in range(first, first + 500)]
    several = [replace(flat(each), as_of=several[0].as_of) for each in several]
    shuffled = tables(several, shuffle=first)
    found = ledger(
        shuffled,
        products(several),
        as_of=day_of(several[0].as_of),
        known_at=FAR_AHEAD,
        zone="Asia/Shanghai",
    )
    for k, each in enumerate(several):
        expected, lines = told(each)
        figures = dict(zip(FIGURES, found.figures[k].tolist(), strict=True))
        assert {key: or_none(figures[key]) for key in expected} == expected, f"seed {first + k}"
        starts = found.aligned.columns.loans.instalment_start
        outstanding = [int(found.rows.outstanding[n]) for n in range(starts[k], starts[k + 1])]
        assert outstanding == [line[7] for line in lines]


@settings(max_examples=200, deadline=None)
@given(histories, st.integers(0, HORIZON), st.integers(0, HORIZON))
def test_it_comes_to_the_same_whether_it_stops_on_the_way(
    each: History, one: int, other: int
) -> None:
    first, last = sorted((DAY_0 + one, DAY_0 + other))
    made = columns([each])
    straight = by_date(made, [last])[0, 0]
    on_the_way = by_date(made, [first, last])[0, 1]
    assert np.array_equal(straight, on_the_way)
    _, once = fold(made, [last])
    once[0, FIGURES.index("cost_of_one_more_day")] = 0  # that one asks for the day after
    assert np.array_equal(straight, once[0])


@settings(max_examples=200, deadline=None)
@given(histories)
def test_it_grows_by_a_day_or_falls_where_nothing_happens(each: History) -> None:
    days = list(range(DAY_0, DAY_0 + HORIZON))
    late = by_date(columns([each]), days)[0, :, 0].tolist()
    busy = {event.day for event in each.events}
    paused = {day for p in each.pauses if p.what == "clock" for day in range(p.since, p.until)}
    for today, tomorrow, day in zip(late, late[1:], days[1:], strict=False):
        if day not in busy:
            step = 0 if day in paused else 1
            assert tomorrow == today + step if today else tomorrow in (0, 1), f"day {day}"


@settings(max_examples=200, deadline=None)
@given(histories)
def test_it_loses_no_money(each: History) -> None:
    calm = tuple(event for event in each.events if event.kind not in ("chargeback", "charge_off"))
    each = replace(each, events=calm)
    rows, figures = fold(columns([each]), [each.as_of])
    came_in = sum(e.amount for e in calm if e.kind == "payment" and e.day <= each.as_of)
    assert rows.paid.sum() + figures[0, FIGURES.index("overpaid")] == came_in
    charged = rows.penalty.sum() + sum(row[2] + row[3] + row[4] for row in each.schedule)
    assert rows.outstanding.sum() == charged - rows.paid.sum() - rows.waived.sum()


@given(st.integers(-5, 2_000))
def test_it_puts_every_number_of_days_into_one_bucket(days: int) -> None:
    name = pl.select(bucket(pl.lit(days))).item()
    expected = next(b.name for b in BUCKETS if b.days_max is None or days <= b.days_max)
    assert name == expected
