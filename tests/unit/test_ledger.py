"""What is owed on a day, told with Li, who pays late."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from duewise.book.ledger import instalment_status, known_payments, loan_status
from duewise.book.schema import INSTALMENTS, LOANS, PAYMENTS

MARCH_1, APRIL_1, MAY_1 = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instalments(*rows: tuple[str, int, date, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "loan_id": loan,
                "borrower_id": "Li",
                "number": number,
                "due_date": due,
                "principal_minor": minor,
                "interest_minor": 0,
                "fee_minor": 0,
            }
            for loan, number, due, minor in rows
        ],
        schema=dict(INSTALMENTS),
    )


def payments(*rows: tuple[str, str, str, int, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "payment_id": payment,
                "loan_id": loan,
                "borrower_id": "Li",
                "paid_at": at(when),
                "amount_minor": minor,
                "kind": "reversal" if reverses else "payment",
                "reverses": reverses,
                "source": "file",
            }
            for payment, loan, when, minor, reverses in rows
        ],
        schema=dict(PAYMENTS),
    )


def loans(*ids: str, opened: date = date(2026, 1, 1), tolerance: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "loan_id": loan,
                "borrower_id": "Li",
                "product": "cash",
                "currency": "CNY",
                "principal_minor": 300,
                "opened_date": opened,
                "annual_rate": 0.2,
                "method": "equal_instalment",
                "autopay": False,
                "grace_days": 0,
                "tolerance_minor": tolerance,
                "status": "open",
            }
            for loan in ids
        ],
        schema=dict(LOANS),
    )


THREE = instalments(("A", 1, MARCH_1, 100), ("A", 2, APRIL_1, 100), ("A", 3, MAY_1, 100))


def status(
    owed: pl.DataFrame, paid: pl.DataFrame, as_of: date, known: str | None = None
) -> pl.DataFrame:
    known_at = at(known or f"{as_of}T23:59:59")
    return instalment_status(owed, paid, as_of=as_of, known_at=known_at)


def of_loan(
    owed: pl.DataFrame, paid: pl.DataFrame, as_of: date, *, tolerance: int = 0
) -> dict[str, object]:
    rows = loan_status(loans("A", tolerance=tolerance), status(owed, paid, as_of), as_of=as_of)
    return rows.row(0, named=True)


def test_it_settles_the_oldest_instalment_first() -> None:
    found = status(THREE, payments(("p", "A", "2026-03-02T09:00", 150, None)), date(2026, 4, 3))
    assert found["paid_minor"].to_list() == [100, 50, 0]
    assert found["outstanding_minor"].to_list() == [0, 50, 100]
    assert found["days_past_due"].to_list() == [0, 2, 0]


def test_it_counts_no_day_on_the_due_date_itself() -> None:
    assert of_loan(THREE, payments(), MARCH_1)["days_past_due"] == 0
    assert of_loan(THREE, payments(), date(2026, 3, 2))["days_past_due"] == 1


def test_it_knows_no_payment_before_it_is_made() -> None:
    paid = payments(("p", "A", "2026-03-03T09:00", 100, None))
    before = status(THREE, paid, date(2026, 3, 3), "2026-03-03T08:59")
    after = status(THREE, paid, date(2026, 3, 3), "2026-03-03T09:00")
    assert before["days_past_due"].to_list() == [2, 0, 0]
    assert after["days_past_due"].to_list() == [0, 0, 0]


def test_it_owes_again_what_was_taken_back() -> None:
    paid = payments(
        ("p", "A", "2026-02-27T09:00", 100, None), ("r", "A", "2026-03-05T09:00", 100, "p")
    )
    assert of_loan(THREE, paid, date(2026, 3, 4))["days_past_due"] == 0
    assert of_loan(THREE, paid, date(2026, 3, 5))["days_past_due"] == 4


def test_it_takes_a_rest_within_tolerance_for_paid_but_asks_for_it_with_the_next() -> None:
    paid = payments(("p", "A", "2026-03-01T09:00", 99, None))
    in_march = of_loan(THREE, paid, date(2026, 3, 20), tolerance=1)
    assert (in_march["days_past_due"], in_march["past_due_minor"]) == (0, 0)
    in_april = of_loan(THREE, paid, date(2026, 4, 2), tolerance=1)
    assert (in_april["days_past_due"], in_april["past_due_minor"]) == (1, 101)


def test_it_names_what_comes_next() -> None:
    found = of_loan(THREE, payments(("p", "A", "2026-03-01T09:00", 130, None)), date(2026, 3, 31))
    assert (found["next_due_date"], found["next_due_minor"]) == (APRIL_1, 70)
    assert found["oldest_due_date"] is None
    assert found["outstanding_minor"] == 170


def test_it_names_nothing_when_all_is_paid() -> None:
    found = of_loan(THREE, payments(("p", "A", "2026-03-01T09:00", 500, None)), date(2026, 6, 1))
    assert (found["bucket"], found["outstanding_minor"], found["next_due_date"]) == ("M0", 0, None)


def test_it_leaves_out_loans_that_are_not_opened_yet() -> None:
    found = status(THREE, payments(), MARCH_1)
    assert loan_status(loans("A", opened=date(2026, 3, 2)), found, as_of=MARCH_1).is_empty()


def test_it_reads_scattered_rows_as_well_as_sorted_ones() -> None:
    mixed = instalments(
        ("A", 2, APRIL_1, 100), ("B", 1, MARCH_1, 70), ("A", 1, MARCH_1, 100), ("B", 2, APRIL_1, 70)
    )
    paid = payments(("p", "A", "2026-03-01T09:00", 100, None))
    found = status(mixed, paid, date(2026, 3, 11))
    assert found.select("loan_id", "number", "days_past_due").rows() == [
        ("A", 1, 0),
        ("A", 2, 0),
        ("B", 1, 10),
        ("B", 2, 0),
    ]


def test_it_answers_for_a_book_without_a_row() -> None:
    found = status(instalments(), payments(), MARCH_1)
    assert found.is_empty()
    assert loan_status(loans(), found, as_of=MARCH_1).is_empty()
    empty_loan = loan_status(loans("A"), found, as_of=MARCH_1).row(0, named=True)
    assert (empty_loan["days_past_due"], empty_loan["outstanding_minor"]) == (0, 0)


def test_it_counts_a_payment_once_that_the_book_and_the_events_both_tell() -> None:
    book = payments(("p", "A", "2026-03-01T09:00", 100, None))
    later = payments(
        ("p", "A", "2026-03-01T09:00", 100, None),
        ("q", "A", "2026-03-02T09:00", 50, None),
        ("q", "A", "2026-03-02T09:00", 50, None),
        ("z", "A", "2026-03-09T09:00", 50, None),
    )
    known = known_payments(book, later, known_at=at("2026-03-05T00:00"))
    assert known["payment_id"].to_list() == ["p", "q"]
