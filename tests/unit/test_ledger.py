"""What is owed on a day, told with Li, who pays late."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from duewise.book.align import LoanTables
from duewise.book.ledger import Ledger, known_payments, ledger
from duewise.book.product import Products, read_products, shipped_products
from duewise.book.schema import EXTENSIONS, INSTALMENTS, LOANS, PAUSES, PAYMENTS
from duewise.document import parse
from duewise.errors import BadInput
from duewise.frames import completed, conform

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
    """(payment, loan, when, minor, what): what is None, the payment reversed, or a kind."""
    kinds = ("chargeback", "waiver", "charge_off")
    return pl.DataFrame(
        [
            {
                "payment_id": payment,
                "loan_id": loan,
                "borrower_id": "Li",
                "paid_at": at(when),
                "amount_minor": minor,
                "kind": what if what in kinds else "reversal" if what else "payment",
                "reverses": None if what in kinds else what,
                "source": "file",
            }
            for payment, loan, when, minor, what in rows
        ],
        schema=dict(PAYMENTS),
    )


def loans(*ids: str, opened: date = date(2026, 1, 1), **terms: object) -> pl.DataFrame:
    rows = pl.DataFrame(
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
                "status": "open",
                **terms,
            }
            for loan in ids
        ],
        schema_overrides={"loan_id": pl.String, "opened_date": pl.Date},
    )
    return conform(completed(rows, LOANS), LOANS, name="loans")


THREE = instalments(("A", 1, MARCH_1, 100), ("A", 2, APRIL_1, 100), ("A", 3, MAY_1, 100))


def products(text: str) -> Products:
    return read_products(parse(f"schema: products/1\nproducts:\n  default: {text}", source="p"))


def read(
    owed: pl.DataFrame,
    paid: pl.DataFrame,
    as_of: date,
    known: str | None = None,
    *,
    of: Products | None = None,
    pauses: pl.DataFrame | None = None,
    extensions: pl.DataFrame | None = None,
    **terms: Any,
) -> Ledger:
    ids = owed["loan_id"].unique(maintain_order=True).sort().to_list()
    tables = LoanTables(
        loans(*ids, **terms),
        owed,
        paid,
        pl.DataFrame(schema=dict(PAUSES)) if pauses is None else pauses,
        pl.DataFrame(schema=dict(EXTENSIONS)) if extensions is None else extensions,
    )
    known_at = at(known or f"{as_of}T23:59:59")
    return ledger(tables, of or shipped_products(), as_of=as_of, known_at=known_at, zone="UTC")


def of_loan(owed: pl.DataFrame, paid: pl.DataFrame, as_of: date, **more: Any) -> dict[str, object]:
    return read(owed, paid, as_of, **more).loans.row(0, named=True)


def test_it_settles_the_oldest_instalment_first() -> None:
    paid = payments(("p", "A", "2026-03-02T09:00", 150, None))
    found = read(THREE, paid, date(2026, 4, 3)).instalments
    assert found["principal_paid_minor"].to_list() == [100, 50, 0]
    assert found["outstanding_minor"].to_list() == [0, 50, 100]
    assert found["days_past_due"].to_list() == [0, 2, 0]
    assert found["paid_late_minor"].to_list() == [100, 0, 0]
    assert found["paid_in_advance_minor"].to_list() == [0, 50, 0]
    assert found["settled_date"].to_list() == [date(2026, 3, 2), None, None]


def test_it_counts_no_day_on_the_due_date_itself() -> None:
    assert of_loan(THREE, payments(), MARCH_1)["days_past_due"] == 0
    assert of_loan(THREE, payments(), date(2026, 3, 2))["days_past_due"] == 1


def test_it_knows_no_payment_before_it_is_made() -> None:
    paid = payments(("p", "A", "2026-03-03T09:00", 100, None))
    before = read(THREE, paid, date(2026, 3, 3), "2026-03-03T08:59").instalments
    after = read(THREE, paid, date(2026, 3, 3), "2026-03-03T09:00").instalments
    assert before["days_past_due"].to_list() == [2, 0, 0]
    assert after["days_past_due"].to_list() == [0, 0, 0]


def test_it_owes_again_what_was_taken_back() -> None:
    paid = payments(
        ("p", "A", "2026-02-27T09:00", 100, None), ("r", "A", "2026-03-05T09:00", 100, "p")
    )
    assert of_loan(THREE, paid, date(2026, 3, 4))["days_past_due"] == 0
    assert of_loan(THREE, paid, date(2026, 3, 5))["days_past_due"] == 4


def test_it_charges_penalty_for_days_that_a_reversal_makes_late_but_not_a_chargeback() -> None:
    reversed_ = payments(
        ("p", "A", "2026-02-27T09:00", 100_000, None), ("r", "A", "2026-03-05T09:00", 100_000, "p")
    )
    charged_back = payments(
        ("p", "A", "2026-02-27T09:00", 100_000, None),
        ("c", "A", "2026-03-05T09:00", 100_000, "chargeback"),
    )
    owed = instalments(("A", 1, MARCH_1, 100_000))
    terms = {"penalty_rate": 0.36, "day_count": 360}
    day = date(2026, 3, 6)
    # 1,000.00 at 36 % a year of 360 days is 1.00 a day: five days late, or one.
    assert of_loan(owed, reversed_, day, **terms)["penalty_minor"] == 500
    assert of_loan(owed, charged_back, day, **terms)["penalty_minor"] == 100
    assert of_loan(owed, charged_back, day, **terms)["days_past_due"] == 5


def test_it_takes_a_rest_within_tolerance_for_paid_but_asks_for_it_with_the_next() -> None:
    paid = payments(("p", "A", "2026-03-01T09:00", 99, None))
    in_march = of_loan(THREE, paid, date(2026, 3, 20), tolerance_minor=1)
    assert (in_march["days_past_due"], in_march["past_due_minor"]) == (0, 0)
    in_april = of_loan(THREE, paid, date(2026, 4, 2), tolerance_minor=1)
    assert (in_april["days_past_due"], in_april["past_due_minor"]) == (1, 101)


def test_it_names_what_comes_next() -> None:
    found = of_loan(THREE, payments(("p", "A", "2026-03-01T09:00", 130, None)), date(2026, 3, 31))
    assert (found["next_due_date"], found["next_due_amount_minor"]) == (APRIL_1, 70)
    assert found["oldest_due_date"] is None
    assert found["outstanding_minor"] == 170


def test_it_names_nothing_when_all_is_paid() -> None:
    found = of_loan(THREE, payments(("p", "A", "2026-03-01T09:00", 500, None)), date(2026, 6, 1))
    assert (found["bucket"], found["outstanding_minor"], found["next_due_date"]) == ("M0", 0, None)
    assert (found["overpaid_minor"], found["settlement_amount_minor"]) == (200, 0)


def test_it_says_what_one_more_day_costs_and_what_makes_it_right_today() -> None:
    owed = instalments(("A", 1, MARCH_1, 100_000), ("A", 2, APRIL_1, 100_000))
    found = of_loan(owed, payments(), date(2026, 3, 4), penalty_rate=0.36, day_count=360)
    assert (found["penalty_minor"], found["cost_of_one_more_day_minor"]) == (300, 100)
    assert found["amount_to_clear_minor"] == found["past_due_minor"] == 100_300
    assert found["settlement_amount_minor"] == 200_300


def test_it_asks_for_no_penalty_in_grace_and_for_all_of_it_after() -> None:
    owed = instalments(("A", 1, MARCH_1, 100_000))
    terms = {"penalty_rate": 0.36, "day_count": 360, "grace_days": 3}
    last_day = of_loan(owed, payments(), date(2026, 3, 4), **terms)
    assert (last_day["penalty_minor"], last_day["cost_of_one_more_day_minor"]) == (0, 400)
    assert of_loan(owed, payments(), date(2026, 3, 5), **terms)["penalty_minor"] == 400
    paid = payments(("p", "A", "2026-03-04T09:00", 100_000, None))
    assert of_loan(owed, paid, date(2026, 3, 9), **terms)["outstanding_minor"] == 0


def test_it_stops_each_clock_for_itself() -> None:
    owed = instalments(("A", 1, MARCH_1, 100_000))
    terms = {"penalty_rate": 0.36, "day_count": 360}

    def pause(what: str) -> pl.DataFrame:
        row = ("A", "Li", date(2026, 3, 3), date(2026, 3, 6), what, "flood")
        return pl.DataFrame([row], schema=dict(PAUSES), orient="row")

    day = date(2026, 3, 11)
    clock = of_loan(owed, payments(), day, pauses=pause("clock"), **terms)
    assert (clock["days_past_due"], clock["penalty_minor"]) == (7, 1_000)
    penalty = of_loan(owed, payments(), day, pauses=pause("penalty"), **terms)
    assert (penalty["days_past_due"], penalty["penalty_minor"]) == (10, 700)
    messages = of_loan(owed, payments(), day, pauses=pause("messages"), **terms)
    assert (messages["days_past_due"], messages["penalty_minor"]) == (10, 1_000)


def test_it_counts_from_the_new_day_once_an_instalment_is_extended() -> None:
    row = ("A", "Li", 1, at("2026-03-11T09:00"), date(2026, 3, 20), "hardship")
    extended = pl.DataFrame([row], schema=dict(EXTENSIONS), orient="row")
    terms = {"penalty_rate": 0.36, "day_count": 360}
    owed = instalments(("A", 1, MARCH_1, 100_000))
    before = of_loan(owed, payments(), date(2026, 3, 10), extensions=extended, **terms)
    assert (before["days_past_due"], before["penalty_minor"]) == (9, 900)
    after = of_loan(owed, payments(), date(2026, 3, 11), extensions=extended, **terms)
    assert (after["days_past_due"], after["next_due_date"]) == (0, date(2026, 3, 20))
    assert after["penalty_minor"] == 1_000  # what was charged until then is still owed
    late = of_loan(owed, payments(), date(2026, 3, 22), extensions=extended, **terms)
    assert (late["days_past_due"], late["penalty_minor"]) == (2, 1_200)


def test_it_rolls_a_due_date_over_a_holiday_where_the_contract_says_so() -> None:
    owed = instalments(("A", 1, date(2026, 10, 1), 100))
    rolling = products("{due_roll: statutory_and_weekly_rest, calendar: CN}")
    staying = read(owed, payments(), date(2026, 10, 9))
    assert staying.loans["days_past_due"].item() == 8
    rolled = read(owed, payments(), date(2026, 10, 9), of=rolling)
    assert rolled.loans["days_past_due"].item() == 1
    assert rolled.instalments["effective_due_date"].to_list() == [date(2026, 10, 8)]


def test_it_keeps_to_the_caps_of_the_product() -> None:
    owed = instalments(("A", 1, MARCH_1, 100_000))
    dear: dict[str, Any] = {"penalty_multiplier": 3.0, "day_count": 360}
    capped = products("{caps: {penalty_multiplier: 1.5, all_in: 24%}}")
    day = date(2026, 3, 31)
    # 20 % a year: three times of it, one and a half times of it, and 24 % all in.
    free = read(owed, payments(), day, **dear)
    assert free.loans["penalty_minor"].item() == 5_000
    held = read(owed, payments(), day, of=capped, **dear)
    assert held.loans["penalty_minor"].item() == 2_000
    assert held.aligned.loans["is_penalty_capped"].to_list() == [True]


def test_it_charges_a_late_fee_of_a_card_once() -> None:
    card = products("{late_fee: {share: 5%, floor: 10.00}, grace_days: 3}")
    owed = instalments(("A", 1, MARCH_1, 100_000), ("A", 2, APRIL_1, 5_000))
    assert read(owed, payments(), date(2026, 3, 4), of=card).loans["penalty_minor"].item() == 0
    assert read(owed, payments(), date(2026, 3, 5), of=card).loans["penalty_minor"].item() == 5_000
    later = read(owed, payments(), date(2026, 4, 5), of=card).instalments
    assert later["penalty_minor"].to_list() == [5_000, 1_000]


def test_it_puts_a_loan_into_the_class_of_its_days() -> None:
    one = instalments(("A", 1, MARCH_1, 100))
    assert of_loan(one, payments(), MARCH_1)["class5"] == "normal"
    assert of_loan(one, payments(), date(2026, 3, 2))["class5"] == "special_mention"
    assert of_loan(one, payments(), date(2026, 5, 31))["class5"] == "substandard"
    charged_off = payments(("w", "A", "2026-03-10T09:00", 100, "charge_off"))
    found = of_loan(one, charged_off, date(2026, 3, 11))
    assert (found["class5"], found["charged_off_minor"]) == ("loss", 100)


def test_it_leaves_out_loans_that_are_not_opened_yet() -> None:
    assert read(THREE, payments(), MARCH_1, opened=date(2026, 3, 2)).loans.is_empty()


def test_it_reads_scattered_rows_as_well_as_sorted_ones() -> None:
    mixed = instalments(
        ("A", 2, APRIL_1, 100), ("B", 1, MARCH_1, 70), ("A", 1, MARCH_1, 100), ("B", 2, APRIL_1, 70)
    )
    paid = payments(("p", "A", "2026-03-01T09:00", 100, None))
    found = read(mixed, paid, date(2026, 3, 11)).instalments
    assert found.select("loan_id", "number", "days_past_due").rows() == [
        ("A", 1, 0),
        ("A", 2, 0),
        ("B", 1, 10),
        ("B", 2, 0),
    ]


def test_it_answers_for_a_book_without_a_row() -> None:
    nothing = read(instalments(), payments(), MARCH_1)
    assert nothing.instalments.is_empty()
    assert nothing.loans.is_empty()
    tables = LoanTables(loans("A"), instalments(), payments())
    empty_loan = ledger(
        tables, shipped_products(), as_of=MARCH_1, known_at=at("2026-03-01T12:00"), zone="UTC"
    ).loans.row(0, named=True)
    assert (empty_loan["days_past_due"], empty_loan["outstanding_minor"]) == (0, 0)


def test_it_refuses_a_rate_or_an_amount_beyond_all_reason() -> None:
    with pytest.raises(BadInput, match=r"loan 'A': a penalty rate of 21\.6 a year"):
        read(THREE, payments(), MARCH_1, penalty_rate=21.6)
    with pytest.raises(BadInput, match="principal is below 0 or absurd"):
        read(instalments(("A", 1, MARCH_1, -1)), payments(), MARCH_1)


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


def test_it_refuses_a_loan_that_stands_twice() -> None:
    tables = LoanTables(loans("A", "B", "A"), THREE, payments())
    with pytest.raises(BadInput, match="loan 'A' stands twice"):
        ledger(tables, shipped_products(), as_of=APRIL_1, known_at=at("2026-04-01"), zone="UTC")
