"""How late each loan was on many days, and what became of it from each day to the next.

Read from the schedule and the events in one pass over the loans; which bucket a number of days
falls into is a matter of the table in force, so the same days can be told under another version.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl

from duewise.book.align import Aligned, day_number
from duewise.book.columns import CHARGED_OFF, DPD, EXTENSION, FIGURES, OUTSTANDING, Int64s
from duewise.book.delinquency import Buckets, bucket_on, class5, place_on
from duewise.errors import BadInput
from duewise.frames import Schema

EVERY = ("month", "week", "day")
DATES_MAX = 1_000
ROWS_MAX = 250_000  # loans x dates held at once

# What a loan's step from one date to the next is called; the first that holds is it.
CHANGES = ("close", "re_age", "cure", "improve", "roll", "stay")
CLOSED = "closed"  # where a loan goes that owes nothing any more

STATUS: Schema = {
    "loan_id": pl.String,
    "opened_date": pl.Date,
    "original_principal_minor": pl.Int64,
    "date": pl.Date,
    "days_past_due": pl.Int32,
    "worst_days_past_due": pl.Int32,
    "bucket": pl.String,
    "class5": pl.String,
    "outstanding_minor": pl.Int64,
    "extensions": pl.Int64,
}


def dates_between(first: date, last: date, *, every: str = "month") -> list[date]:
    """The first day of each month or week (Monday), or each day, from `first` to `last` inclusive.

    Raises BadInput where there are fewer than two, for nothing can change, or more than DATES_MAX.

    >>> [str(day) for day in dates_between(date(2026, 1, 15), date(2026, 3, 1))]
    ['2026-02-01', '2026-03-01']
    """
    if last < first:
        raise BadInput(f"{last} lies before {first}", source="--to", mend="give a later day")
    start = {"month": first.replace(day=1), "week": first - timedelta(first.weekday())}
    step = {"month": "1mo", "week": "1w", "day": "1d"}[every]
    days = pl.date_range(start.get(every, first), last, step, eager=True)
    found = days.filter(days >= first).to_list()
    if len(found) < 2:  # noqa: PLR2004 -- from one to the next
        raise BadInput(
            f"{first} to {last} holds {len(found)} first days of a {every}; it takes two",
            source="--to",
            mend="widen the range, or look every day",
        )
    if len(found) > DATES_MAX:
        raise BadInput(
            f"{first} to {last} makes {len(found):,} dates; {DATES_MAX:,} is the most",
            source="--every",
            mend="look less often, or narrow the range",
        )
    return found


def slices(aligned: Aligned, dates: int, *, rows_max: int = ROWS_MAX) -> Iterator[Aligned]:
    """The loans a few at a time, so that so many `dates` of them stay within `rows_max` rows."""
    loans, step = aligned.columns.loans, max(rows_max // dates, 1)
    for first in range(0, len(loans.rule), step):
        end = first + step
        some = loans._replace(
            rule=loans.rule[first:end],
            terms=loans.terms[first:end],
            instalment_start=loans.instalment_start[first : end + 1],
            event_start=loans.event_start[first : end + 1],
            pause_start=loans.pause_start[first : end + 1],
        )
        yield replace(
            aligned,
            terms=replace(aligned.terms, loans=aligned.loans.slice(first, step)),
            columns=aligned.columns._replace(loans=some),
        )


def status(
    aligned: Aligned, dates: Sequence[date], buckets: Buckets, *, rules_of: date | None = None
) -> pl.DataFrame:
    """How each loan stood at the end of each of the rising `dates`: columns of STATUS.

    A row per loan and date from the day it was opened, loan by loan. The bucket is of the table in
    force on the row's date, or on `rules_of`. `worst_days_past_due` is the most on any of the dates
    up to then, `extensions` how many were agreed by then.
    """
    figures = _figures(aligned, dates)
    late = figures[:, :, DPD].astype(np.int32)
    seen = (
        aligned.loans.select("loan_id", "opened_date", original_principal_minor="principal_minor")
        .select(pl.all().gather(np.repeat(np.arange(len(late)), len(dates))))
        .with_columns(
            pl.Series("date", list(dates) * len(late), pl.Date),
            pl.Series("days_past_due", late.ravel()),
            pl.Series("worst_days_past_due", np.maximum.accumulate(late, axis=1).ravel()),
            pl.Series("outstanding_minor", figures[:, :, OUTSTANDING].ravel()),
            pl.Series("_charged_off", figures[:, :, CHARGED_OFF].ravel() > 0),
            pl.Series("extensions", _extensions(aligned, dates).ravel()),
        )
        .filter(pl.col("opened_date") <= pl.col("date"))
    )
    days = pl.col("days_past_due")
    return seen.with_columns(
        bucket_on(days, _rules(rules_of), buckets).alias("bucket"),
        class5(days, is_charged_off=pl.col("_charged_off")).alias("class5"),
    ).select(*STATUS)


def transitions(
    seen: pl.DataFrame, buckets: Buckets, *, rules_of: date | None = None
) -> pl.DataFrame:
    """What became of each loan that owed something, from each date to the next one of `seen`.

    Columns: loan_id, from_date, to_date, from_bucket, to_bucket (CLOSED where nothing is owed),
    change (of CHANGES), balance_minor (outstanding on from_date). Both buckets are of the table in
    force on to_date, or on `rules_of`: a change of the table moves no loan. `seen`: STATUS, loan by
    loan.
    """
    step = (
        seen.with_columns(
            to_date=pl.col("date").shift(-1),
            _days=pl.col("days_past_due").shift(-1),
            _owed=pl.col("outstanding_minor").shift(-1),
            _extended=pl.col("extensions").shift(-1) > pl.col("extensions"),
        )
        .filter(
            (pl.col("loan_id").shift(-1) == pl.col("loan_id")) & (pl.col("outstanding_minor") > 0)
        )
        .rename({"date": "from_date", "outstanding_minor": "balance_minor"})
    )
    rules = _rules(rules_of, of="to_date")
    return step.with_columns(
        from_bucket=bucket_on(pl.col("days_past_due"), rules, buckets),
        to_bucket=pl.when(pl.col("_owed") == 0)
        .then(pl.lit(CLOSED))
        .otherwise(bucket_on(pl.col("_days"), rules, buckets)),
        change=_change(
            place_on(pl.col("days_past_due"), rules, buckets),
            place_on(pl.col("_days"), rules, buckets),
        ),
    ).select(
        "loan_id", "from_date", "to_date", "from_bucket", "to_bucket", "change", "balance_minor"
    )


def _rules(rules_of: date | None, *, of: str = "date") -> pl.Expr:
    return pl.col(of) if rules_of is None else pl.lit(rules_of)


def _change(before: pl.Expr, after: pl.Expr) -> pl.Expr:
    is_better = after < before
    holds = (
        pl.col("_owed") == 0,
        is_better & pl.col("_extended"),
        is_better & (after == 0),
        is_better,
        after > before,
    )
    *named, name = CHANGES
    found = pl.lit(name)
    for condition, change in reversed(list(zip(holds, named, strict=True))):
        found = pl.when(condition).then(pl.lit(change)).otherwise(found)
    return found


def _figures(aligned: Aligned, dates: Sequence[date]) -> Int64s:
    """Loans x dates x FIGURES."""
    from duewise.book.reading import fold_dates

    assert all(one < other for one, other in pairwise(dates)), "dates rise"
    loans = len(aligned.columns.loans.rule)
    figures = np.empty((loans * len(dates), len(FIGURES)), np.int64)
    fold_dates(aligned.columns, _numbers(dates), figures)
    return figures.reshape(loans, len(dates), len(FIGURES))


def _extensions(aligned: Aligned, dates: Sequence[date]) -> Int64s:
    """Loans x dates: how many extensions were agreed up to the end of each."""
    starts, events = aligned.columns.loans.event_start, aligned.columns.events
    rows = slice(starts[0], starts[-1])
    is_one = events.kind[rows] == EXTENSION
    loan = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[is_one]
    place = np.searchsorted(_numbers(dates), events.day[rows][is_one])
    counts = np.zeros((len(starts) - 1, len(dates) + 1), np.int64)
    np.add.at(counts, (loan, place), 1)
    return counts.cumsum(axis=1)[:, :-1]


def _numbers(dates: Sequence[date]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array([day_number(day) for day in dates], np.int32)
