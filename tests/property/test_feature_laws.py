"""A feature knows what was known on its day, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from math import nan
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.histories import history_of
from tests.history_frames import ZONE, day_of, flat, products, tables

from duewise.book.align import LoanTables
from duewise.book.ledger import ledger
from duewise.book.product import Products
from duewise.book.schema import EXTENSIONS, LOANS, PAUSES, PAYMENTS
from duewise.frames import INSTANT, Schema, completed, conform
from duewise.risk.features import CONTACTS, features, morning

LOANS_OF_LI = 3


def told_on(found: LoanTables, terms: Products, day: date, **given: Any) -> pl.DataFrame:
    return features(found, terms, as_of=day, zone=ZONE.key, **given)


def book_of(seed: int) -> tuple[LoanTables, Products, date]:
    """Some of Li's loans, and a day in the middle of their lives."""
    lived = [flat(history_of(seed * LOANS_OF_LI + n)) for n in range(LOANS_OF_LI)]
    return tables(lived), products(lived), day_of(lived[0].as_of)


def more(frame: pl.DataFrame, schema: Schema, **values: object) -> pl.DataFrame:
    """The frame with one row more."""
    row = pl.DataFrame([values], schema_overrides={name: schema[name] for name in values})
    return pl.concat([frame, conform(completed(row, schema), schema, name="a row")])


def nothing_later(found: LoanTables, at: datetime) -> LoanTables:
    return replace(
        found,
        payments=found.payments.filter(pl.col("paid_at") <= at),
        extensions=found.extensions.filter(pl.col("agreed_at") <= at),
    )


def later_money(found: LoanTables, at: datetime) -> LoanTables:
    row = {"payment_id": "later", "loan_id": "L00000", "borrower_id": "Li", "kind": "payment"}
    paid = {**row, "paid_at": at + timedelta(seconds=1), "amount_minor": 12_345}
    return replace(found, payments=more(found.payments, PAYMENTS, **paid))


def later_reversal(found: LoanTables, at: datetime) -> LoanTables:
    """All that was paid before is taken back afterwards."""
    back = found.payments.filter(pl.col("kind") == "payment").with_columns(
        payment_id="back-" + pl.col("payment_id"),
        reverses="payment_id",
        kind=pl.lit("reversal"),
        paid_at=pl.lit(at + timedelta(hours=1)).cast(INSTANT),
    )
    return replace(found, payments=pl.concat([found.payments, back]))


def later_extension(found: LoanTables, at: datetime) -> LoanTables:
    row = {"loan_id": "L00000", "number": 1, "agreed_at": at + timedelta(hours=1)}
    longer = {**row, "borrower_id": "Li", "due_date": at.date() + timedelta(days=50)}
    return replace(found, extensions=more(found.extensions, EXTENSIONS, **longer))


def later_pause(found: LoanTables, at: datetime) -> LoanTables:
    day = at.date() + timedelta(days=2)
    span = {"from_date": day, "until_date": day + timedelta(days=9), "what": "clock"}
    row = {"loan_id": "L00000", "borrower_id": "Li", **span}
    return replace(found, pauses=more(found.pauses, PAUSES, **row))


def later_loan(found: LoanTables, at: datetime) -> LoanTables:
    first = found.loans.row(0, named=True)
    opened = at.date() + timedelta(days=2)
    row = {**first, "loan_id": "L99999", "opened_date": opened}
    return replace(found, loans=more(found.loans, LOANS, **row))


def another_status(found: LoanTables, at: datetime) -> LoanTables:
    """The book says today how a loan ended; nobody knew on that day."""
    del at
    return replace(found, loans=found.loans.with_columns(status=pl.lit("written_off")))


LATER = (
    nothing_later,
    later_money,
    later_reversal,
    later_extension,
    later_pause,
    later_loan,
    another_status,
)


@pytest.mark.parametrize("alter", LATER)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 5_000))
def test_it_tells_the_same_whatever_happens_later(
    alter: Callable[[LoanTables, datetime], LoanTables], seed: int
) -> None:
    found, terms, day = book_of(seed)
    altered = alter(found, morning(day, ZONE.key))
    assert told_on(altered, terms, day).equals(told_on(found, terms, day))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 5_000), hours=st.integers(1, 5_000))
def test_it_hears_of_contacts_and_of_given_columns_up_to_its_day(seed: int, hours: int) -> None:
    found, terms, day = book_of(seed)
    at = morning(day, ZONE.key)
    contacts = pl.DataFrame(
        [("Li", at - timedelta(days=3), "out", "no_answer")], schema=dict(CONTACTS), orient="row"
    )
    lenders = pl.DataFrame({"borrower_id": "Li", "as_of": [day], "income": [5.0]})
    later = pl.DataFrame(
        [("Li", at + timedelta(hours=hours), "in", None)], schema=dict(CONTACTS), orient="row"
    )
    richer = lenders.with_columns(as_of=pl.col("as_of") + timedelta(days=hours), income=9.0)
    plain = told_on(found, terms, day, contacts=contacts, given=lenders)
    assert plain["income"].to_list() == [5.0] * plain.height
    assert plain["contact_count_28d"].to_list() == [1.0] * plain.height
    told = told_on(
        found,
        terms,
        day,
        contacts=pl.concat([contacts, later]),
        given=pl.concat([lenders, richer]),
    )
    assert told.equals(plain)


def test_it_does_change_with_what_was_known() -> None:
    """The law above could not be broken by a frame that never changes."""
    seed = 1
    found, terms, day = book_of(seed)
    before = morning(day, ZONE.key) - timedelta(days=1)
    plain = told_on(found, terms, day)
    assert plain.height
    for alter in (later_money, later_reversal):
        assert not told_on(alter(found, before), terms, day).equals(plain)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 5_000))
def test_it_counts_as_plain_arithmetic_does(seed: int) -> None:
    found, terms, day = book_of(seed)
    told = told_on(found, terms, day)
    if told.is_empty():
        return
    expected = _plain(found, terms, day)
    row = told.row(0, named=True)
    assert [_number(row[name]) for name in expected] == pytest.approx(
        [_number(each) for each in expected.values()], rel=1e-5, nan_ok=True
    )


def _number(value: Any) -> float:
    return nan if value is None else float(value)


def _plain(found: LoanTables, terms: Products, day: date) -> dict[str, object]:
    """Some features, instalment by instalment, from the ledger's own frame."""
    at = morning(day, ZONE.key)
    folded = ledger(found, terms, as_of=day, known_at=at, zone=ZONE.key)
    made = set(folded.loans["loan_id"])
    past = []
    for each in folded.instalments.iter_rows(named=True):
        due, settled = each["effective_due_date"], each["settled_date"]
        is_owed = settled is None and each["outstanding_minor"] > 0 and due < day
        if each["loan_id"] in made and (settled is not None or is_owed):
            past.append((due, ((settled or day) - due).days))
    past.sort(key=lambda each: each[0])
    late = [delay > 0 for _, delay in past]
    since = [(day - due).days for due, delay in past if delay > 0]
    run = next((n for n, each in enumerate(reversed(late)) if each), len(late))
    return {
        "past_count": len(past),
        "late_count": sum(late),
        "late_7_count": sum(delay >= 7 for _, delay in past),
        "late_30_count": sum(delay >= 30 for _, delay in past),
        "late_share": sum(late) / len(late) if late else None,
        "late_share_3": sum(late[-3:]) / len(late[-3:]) if late else None,
        "late_count_90d": sum(days <= 90 for days in since),
        "days_since_late": since[-1] if since else None,
        "on_time_streak": run,
        "delay_max": max((max(delay, 0) for _, delay in past), default=None),
        "borrower_days_past_due": folded.loans["days_past_due"].max(),
    }
