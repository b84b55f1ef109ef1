"""Laws of schedules: what holds of every loan, whatever its terms."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.book.amortise import exact_level, level_amounts, times
from duewise.book.day_count import DAY_COUNTS
from duewise.book.schedule import instalments
from duewise.book.schema import METHODS
from duewise.book.terms import FREQUENCIES, MONTH_ENDS, RESIDUES

kernel = settings(max_examples=100, deadline=None)  # the first call compiles


@st.composite
def loans(draw: st.DrawFn, /, **fixed: object) -> dict[str, Any]:
    opened = draw(st.dates(date(2000, 1, 1), date(2090, 1, 1)))
    first = draw(st.none() | st.integers(1, 400))
    return {
        "loan_id": "Li",
        "principal_minor": draw(st.integers(1, 10**13)),
        "annual_rate": draw(st.integers(0, 400_000)) / 10**6,
        "opened_date": opened,
        "first_due_date": None if first is None else opened + timedelta(days=first),
        "term": draw(st.integers(1, 120)),
        "method": draw(st.sampled_from(METHODS)),
        "frequency": draw(st.sampled_from(list(FREQUENCIES))),
        "day_count": draw(st.sampled_from(DAY_COUNTS)),
        "month_end": draw(st.sampled_from(MONTH_ENDS)),
        "residue": draw(st.sampled_from(RESIDUES)),
        "minimum_share": draw(st.integers(0, 100)) / 100,
        "minimum_floor_minor": draw(st.integers(0, 10**6)),
        "instalment_fee_share": draw(st.integers(0, 1000)) / 10**5,
        **fixed,
    }


def rows_of(loan: dict[str, Any]) -> pl.DataFrame:
    return instalments(pl.DataFrame([loan], schema_overrides={"first_due_date": pl.Date}))


@kernel
@given(loans())
def test_it_repays_the_principal_and_nothing_else(loan: dict[str, Any]) -> None:
    rows = rows_of(loan)
    assert rows["principal_minor"].sum() == loan["principal_minor"]
    assert rows.select(pl.min_horizontal(pl.col("^.*_minor$").min())).item() >= 0


@kernel
@given(loans())
def test_it_has_its_rows_in_order_and_all_after_the_opening(loan: dict[str, Any]) -> None:
    rows = rows_of(loan)
    expected = 1 if loan["method"] == "bullet" else loan["term"]
    assert rows["number"].to_list() == list(range(1, rows.height + 1))
    assert rows.height == expected or (loan["method"] == "revolving" and rows.height < expected)
    dates = [loan["opened_date"], *rows["due_date"]]
    assert dates == sorted(set(dates))


@kernel
@given(loans())
def test_it_falls_due_last_whatever_the_method(loan: dict[str, Any]) -> None:
    last = [
        rows_of({**loan, "method": method})["due_date"][-1]
        for method in METHODS
        if method != "revolving"
    ]
    assert len(set(last)) == 1
    if loan["first_due_date"] is not None and loan["term"] == 1:
        assert last[0] == loan["first_due_date"]


PLAIN = {
    "method": "equal_instalment",
    "first_due_date": None,
    "day_count": "equal_periods",
}


@kernel
@given(loans(**PLAIN, residue="last"))
def test_it_asks_the_same_until_the_last(loan: dict[str, Any]) -> None:
    rows = rows_of(loan)
    paid = (rows["principal_minor"] + rows["interest_minor"]).to_list()
    runs_dry = rows["principal_minor"].cum_sum().eq(loan["principal_minor"]).arg_max() or 0
    assert len(set(paid[: min(runs_dry, len(paid) - 1)])) <= 1


@kernel
@given(loans(**PLAIN, residue="first"))
def test_it_asks_the_same_after_the_first_but_for_a_unit(loan: dict[str, Any]) -> None:
    rows = rows_of(loan)
    paid = (rows["principal_minor"] + rows["interest_minor"]).to_list()[1:]
    is_squeezed = rows["principal_minor"][0] == 0  # the level amount was rounded up to no end
    assert is_squeezed or not paid or max(paid) - min(paid) <= 1


@kernel
@given(loans(method="equal_principal", first_due_date=None, day_count="equal_periods"))
def test_it_charges_less_and_less_on_equal_principal(loan: dict[str, Any]) -> None:
    rows = rows_of(loan)
    interest, principal = rows["interest_minor"].to_list(), rows["principal_minor"].to_list()
    assert interest == sorted(interest, reverse=True)
    if loan["principal_minor"] < loan["term"] ** 2:
        return  # so little that rounding up repays it before the end
    odd = 0 if loan["residue"] == "first" else -1
    rest = principal[1:] if odd == 0 else principal[:-1]
    assert len(set(rest)) <= 1
    assert not rest or 2 * abs(principal[odd] - rest[0]) <= loan["term"]


@kernel
@given(st.lists(loans(), min_size=2, max_size=5))
def test_it_treats_a_loan_alike_alone_and_in_a_book(book: list[dict[str, Any]]) -> None:
    book = [{**loan, "loan_id": f"L{place}"} for place, loan in enumerate(book)]
    frame = pl.DataFrame(book, schema_overrides={"first_due_date": pl.Date})
    assert instalments(frame).equals(pl.concat([rows_of(loan) for loan in book]))


@kernel
@given(loans())
def test_it_costs_no_less_at_a_higher_rate(loan: dict[str, Any]) -> None:
    dearer = {**loan, "annual_rate": round(loan["annual_rate"] + 0.05, 6)}
    first = [rows_of(terms)["interest_minor"][0] for terms in (loan, dearer)]
    assert first[0] <= first[1]


@kernel
@given(st.integers(0, 10**15), st.integers(0, 10**14), st.integers(1, 10**14))
def test_it_multiplies_and_divides_as_whole_numbers_do(a: int, n: int, d: int) -> None:
    smaller = min(n, d * 1000)  # a product that is the answer to a loan fits into 64 bits
    assert times(a, smaller, d) == divmod(a * smaller, d)


@kernel
@given(loans(**PLAIN), st.integers(10**13, 10**15))
def test_it_knows_where_the_bound_of_a_level_amount_tells(
    loan: dict[str, Any], principal: int
) -> None:
    units = np.full(loan["term"], 30)
    rate = (round(loan["annual_rate"] * 10**6), 360 * 10**6)
    columns = (np.array([principal]), np.array([True]), np.array([0, loan["term"]]), units)
    amounts, is_sure = level_amounts(*columns, *(np.array([part]) for part in rate))
    exact = exact_level(principal, units, *rate)
    assert not is_sure[0] or amounts[0] == exact
    assert abs(amounts[0] - exact) <= 1 + principal // 10**11
