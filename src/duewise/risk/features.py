"""What is known of each open loan on a day, as numbers: the same for fitting and for scoring.

A row is an open loan on an as-of date; a column stands in features.csv beside this file, with its
unit, the direction in which risk rises, and its reason in both languages. Everything is read off
what was known at an instant: later payments, reversals and extensions change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from duewise.book.align import LoanTables, day_number
from duewise.book.calendar import chinese_calendar
from duewise.book.columns import NONE, Rows, frozen
from duewise.book.ledger import Ledger, ledger
from duewise.book.product import Products
from duewise.book.schema import FEATURES, PAYMENTS
from duewise.frames import INSTANT, Schema, completed, empty
from duewise.risk.history import Borrowers, Folded, Months, Sheet, read_history

CONTACT_DAYS = 28  # as far back as a plan sees contacts: fitting may see no further
CONTACTS: Schema = {
    "borrower_id": pl.String,
    "at": INSTANT,
    "dir": pl.String,
    "outcome": pl.String,
}
ANSWERED = ("connected", "conversation")
FESTIVAL_DAYS_MAX = 200  # further away than half a year, the nearest one is not known
# What names a row: no feature, but what targets and strategies join by.
KEY = ("borrower_id", "loan_id", "number", "due_date")


@dataclass(frozen=True)
class Feature:
    """One column. `sign`: 1 where risk rises with it, -1 where it falls, 0 where neither is sure.

    `reason` by language: what a high risk is put down to, if it comes from this column.
    """

    name: str
    theme: str
    unit: str
    sign: int
    meaning: str
    reason: dict[str, str]


@cache
def feature_table() -> tuple[Feature, ...]:
    """All features, in the order of the columns.

    >>> feature_table()[1].name, feature_table()[1].sign
    ('late_count', 1)
    """
    file = resources.files(__package__) / "features.csv"
    rows = pl.read_csv(file.read_bytes(), infer_schema=False).fill_null("")
    return tuple(
        Feature(name, theme, unit, {"+": 1, "-": -1, "": 0}[sign], meaning, {"en": en, "zh": zh})
        for name, theme, unit, sign, meaning, en, zh in rows.iter_rows()
    )


def features(
    tables: LoanTables,
    products: Products,
    *,
    as_of: date,
    zone: str,
    known_at: datetime | None = None,
    contacts: pl.DataFrame | None = None,
    given: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The features of the loans that were open on the morning of a day, by what was known then.

    Columns: KEY, those of `feature_table` (Float32, null where there is nothing to tell), and those
    of `given` (the book's table `features`). `known_at` is local midnight at the beginning of the
    day, unless said otherwise. Raises BadInput as `ledger` does.
    """
    instant = known_at or morning(as_of, zone)
    folded = ledger(tables, products, as_of=as_of, known_at=instant, zone=zone)
    return features_of(folded, tables.payments, known_at=instant, contacts=contacts, given=given)


def morning(day: date, zone: str) -> datetime:
    """The instant at which a day begins there: what a score of that day may know.

    >>> morning(date(2026, 8, 14), "Asia/Shanghai").isoformat()
    '2026-08-13T16:00:00+00:00'
    """
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def features_of(
    folded: Ledger,
    payments: pl.DataFrame,
    *,
    known_at: datetime,
    contacts: pl.DataFrame | None = None,
    given: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """`features` of a book that is folded already."""
    rows = _history(folded)
    for more in (
        _bounced(payments, folded, known_at),
        _contact_response(empty(CONTACTS) if contacts is None else contacts, known_at),
    ):
        rows = rows.join(more, on="borrower_id", how="left", maintain_order="left")
    names = [feature.name for feature in feature_table()]
    rows = rows.with_columns(_counted()).select(
        *KEY, *(pl.col(name).cast(pl.Float32) for name in names)
    )
    return _with_given(rows, empty(FEATURES) if given is None else given, folded.as_of)


def _history(folded: Ledger) -> pl.DataFrame:
    """KEY, and all that follows from the loans themselves."""
    loans, names = folded.aligned.loans, _of_history()
    sheet = Sheet(
        np.zeros(1, [(name, np.float32) for name in names]),
        np.empty((len(names), loans.height), np.float32),
        *np.empty((2, loans.height), np.int64),
    )
    book = Folded(
        folded.aligned.columns,
        Rows(*map(frozen, folded.rows)),
        frozen(folded.figures),
        day_number(folded.as_of),
    )
    count = read_history(book, _borrowers(loans), _months(book), sheet)
    following = pl.Series(sheet.following[:count])
    following = following.set(following == NONE, None)
    schedule = folded.aligned.instalments.select(
        "number", due_date=pl.Series(folded.rows.effective).cast(pl.Date)
    )
    frames = (
        loans.select("borrower_id", "loan_id", *_OF_TERMS)[sheet.loan[:count]],
        schedule.select(pl.all().gather(following)),
        pl.DataFrame(
            [pl.Series(name, sheet.out[n, :count]) for n, name in enumerate(names)]
        ).fill_nan(None),
    )
    rows: pl.DataFrame = pl.concat(frames, how="horizontal")
    return rows.with_columns(_season(pl.col("due_date")))


_OF_TERMS = ("annual_rate", "autopay", "grace_days")
_ELSEWHERE = ("terms", "season", "contact")  # themes that the loans' past does not tell
_OF_PAYMENTS = ("reversal_count", "autopay_failure_count")


@cache
def _of_history() -> tuple[str, ...]:
    """The features that the loans' own past tells."""
    names = [each.name for each in feature_table() if each.theme not in _ELSEWHERE]
    return tuple(name for name in names if name not in _OF_PAYMENTS)


def _borrowers(loans: pl.DataFrame) -> Borrowers:
    """Which loans are whose, in the order of the borrowers' ids."""
    order = loans.select("borrower_id").with_row_index("place").sort("borrower_id", "place")
    counts = order["borrower_id"].rle().struct.field("len").to_numpy()
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Borrowers(frozen(start), frozen(order["place"].cast(pl.Int64).to_numpy()))


def _months(book: Folded) -> Months:
    """The place in the month of every day on which something is due or happened."""
    days = [array for array in (book.rows.effective, book.columns.events.day) if len(array)]
    first = min((int(array.min()) for array in days), default=0)
    last = max((int(array.max()) for array in days), default=0)
    day = pl.int_range(first, last + 1, dtype=pl.Int32, eager=True).cast(pl.Date)
    turn = 2 * np.pi * (day.dt.day() - 1) / day.dt.days_in_month()
    return Months(first, frozen(turn.cos().to_numpy()), frozen(turn.sin().to_numpy()))


def _season(due: pl.Expr) -> list[pl.Expr]:
    return [
        due.dt.month().alias("due_month"),
        due.dt.weekday().alias("due_weekday"),
        due.dt.day().alias("due_day"),
        due.replace_strict(*_from_festival(), default=None, return_dtype=pl.Int32).alias(
            "days_to_spring_festival"
        ),
        due.replace_strict(*_rest_days(), default=None, return_dtype=pl.Boolean).alias(
            "is_due_on_rest_day"
        ),
    ]


Told: TypeAlias = tuple[pl.Series, pl.Series]  # days, and what is told of each


@cache
def _from_festival() -> Told:
    """Each day's distance from the nearest Spring Festival holiday that was given notice of."""
    from chinese_calendar import constants

    feast = constants.Holiday.spring_festival.value
    days = sorted(day for day, name in constants.holidays.items() if name == feast)
    firsts = [day for day in days if day - timedelta(days=1) not in days]
    near: dict[date, int] = {}
    for first in firsts:
        for distance in range(-FESTIVAL_DAYS_MAX, FESTIVAL_DAYS_MAX + 1):
            day = first + timedelta(days=distance)
            if abs(distance) < abs(near.get(day, FESTIVAL_DAYS_MAX + 1)):
                near[day] = distance
    return _as_columns(near, pl.Int32)


@cache
def _rest_days() -> Told:
    calendar = chinese_calendar()
    roll = "statutory_and_weekly_rest"
    rests = {
        day: calendar.is_rest(day, roll=roll)
        for year in calendar.years or ()
        for n in range(366)
        if calendar.knows(day := date(year, 1, 1) + timedelta(days=n))
    }
    return _as_columns(rests, pl.Boolean)


def _as_columns(told: Mapping[date, int], kind: type[pl.DataType]) -> Told:
    """Days, and what is told of each: as columns once, and not at each question."""
    return pl.Series(list(told), dtype=pl.Date), pl.Series(list(told.values()), dtype=kind)


def _bounced(payments: pl.DataFrame, folded: Ledger, known_at: datetime) -> pl.DataFrame:
    """borrower_id and _OF_PAYMENTS: money that went back, each by its own date."""
    loans = folded.aligned.loans.select("loan_id", "borrower_id", "autopay")
    back = completed(payments, PAYMENTS).filter(
        pl.col("kind").is_in(["reversal", "chargeback"]) & (pl.col("paid_at") <= known_at)
    )
    return (
        back.select("loan_id", is_reversal=pl.col("kind") == "reversal")
        .join(loans, on="loan_id")
        .group_by("borrower_id")
        .agg(
            reversal_count=pl.col("is_reversal").sum(),
            autopay_failure_count=pl.col("autopay").sum(),
        )
    )


def _contact_response(contacts: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """borrower_id and the contacts of the last CONTACT_DAYS, as a plan sees them."""
    at, known = pl.col("at"), pl.col("outcome").is_not_null()
    recent = contacts.filter(at > known_at - timedelta(days=CONTACT_DAYS), at <= known_at)
    return recent.group_by("borrower_id").agg(
        contact_count_28d=(pl.col("dir") == "out").sum(),
        answered_share_28d=pl.col("outcome").is_in(ANSWERED).sum() / known.sum(),
        reply_count_28d=(pl.col("dir") == "in").sum(),
        days_since_contact=(pl.lit(known_at).cast(INSTANT) - at.max()).dt.total_days(),
    )


def _counted() -> list[pl.Expr]:
    """Nothing heard of is none."""
    counts = (*_OF_PAYMENTS, "contact_count_28d", "reply_count_28d")
    return [pl.col(name).fill_null(0) for name in counts] + [
        pl.col("answered_share_28d").fill_nan(None)
    ]


def given_on(given: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """borrower_id and the lender's own columns: each borrower's latest row of the day or before it.

    A column with a name of ours is called `given_<name>`.
    """
    known = given.filter(pl.col("as_of") <= as_of)
    latest = known.sort("as_of", maintain_order=True).unique(
        "borrower_id", keep="last", maintain_order=True
    )
    ours = {*KEY[1:], *(feature.name for feature in feature_table())}
    taken = {name: f"given_{name}" for name in given.columns if name in ours}
    return latest.drop("as_of").rename(taken)


def _with_given(rows: pl.DataFrame, given: pl.DataFrame, as_of: date) -> pl.DataFrame:
    own = given_on(given, as_of)
    return rows.join(own, on="borrower_id", how="left", maintain_order="left")
