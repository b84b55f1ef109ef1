"""Schedules: against the slow oracle, and the figures a person can check by hand."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from tests.unit import loan_oracle

from duewise.book.amortise import level_amounts
from duewise.book.day_count import DAY_COUNTS
from duewise.book.schedule import instalments, upfront_fees
from duewise.book.schema import METHODS
from duewise.book.terms import FREQUENCIES, MONTH_ENDS, RESIDUES, TERMS
from duewise.errors import BadInput

SEED = 20260131
LOANS = 24_000


def random_terms(n: int, *, seed: int) -> pl.DataFrame:
    """Loans over every option; every tenth is a day from a month's end, every ninth is tiny."""
    draw = np.random.default_rng(seed)
    opened = np.datetime64("2019-01-01") + draw.integers(0, 3000, n)
    month_end = (opened.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    opened = np.where(np.arange(n) % 10 < 4, month_end, opened)
    has_first = draw.random(n) < 0.5
    term = np.where(draw.random(n) < 0.02, draw.integers(60, 121, n), draw.integers(1, 37, n))
    principal = np.exp(draw.uniform(0, 25, n)).astype(np.int64)
    return pl.DataFrame(
        {
            "loan_id": [f"L{i}" for i in range(n)],
            "principal_minor": np.where(np.arange(n) % 9 == 0, draw.integers(1, 200, n), principal),
            "annual_rate": np.round(draw.choice([0.0, 0.2, 0.36, 3.0], n) * draw.random(n), 6),
            "opened_date": pl.Series(opened),
            "first_due_date": pl.Series(opened + draw.integers(1, 120, n)).set(
                pl.Series(~has_first), None
            ),
            "term": term,
            "method": draw.choice(METHODS, n),
            "frequency": draw.choice(list(FREQUENCIES), n),
            "day_count": draw.choice(DAY_COUNTS, n),
            "month_end": draw.choice(MONTH_ENDS, n),
            "residue": draw.choice(RESIDUES, n),
            "minimum_share": np.round(draw.random(n) * 0.3, 4),
            "minimum_floor_minor": draw.integers(0, 20_000, n),
            "instalment_fee_minor": draw.integers(0, 500, n),
            "instalment_fee_share": np.round(draw.random(n) * 0.01, 6),
        }
    )


def one(**terms: object) -> pl.DataFrame:
    loan = {
        "loan_id": "Li",
        "principal_minor": 1_200_000,
        "annual_rate": 0.216,
        "opened_date": date(2026, 1, 31),
        "term": 12,
        **terms,
    }
    return pl.DataFrame([loan], schema_overrides={"first_due_date": pl.Date})


def test_it_agrees_with_the_oracle_to_the_minor_unit() -> None:
    terms = random_terms(LOANS, seed=SEED)
    found = instalments(terms)
    expected = [row for loan in terms.to_dicts() for row in loan_oracle.schedule(loan)]
    wrong = [pair for pair in zip(found.rows(), expected, strict=True) if pair[0] != pair[1]]
    assert not wrong, (SEED, len(wrong), wrong[:3])


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ("method", METHODS),
        ("frequency", tuple(FREQUENCIES)),
        ("day_count", DAY_COUNTS),
        ("month_end", MONTH_ENDS),
        ("residue", RESIDUES),
    ],
)
def test_it_covers_every_option_many_times(column: str, names: tuple[str, ...]) -> None:
    counts = dict(random_terms(LOANS, seed=SEED)[column].value_counts().iter_rows())
    assert set(counts) == set(names)
    assert min(counts.values()) > LOANS / 10


def test_it_is_exact_where_a_product_outgrows_64_bits() -> None:
    terms = one(
        principal_minor=987_654_321_012_345,
        annual_rate=0.12345679,
        term=360,
        day_count="actual_365",
    )
    loan = {**random_terms(1, seed=1).row(0, named=True), **terms.row(0, named=True)}
    loan |= {"method": "equal_instalment", "frequency": "monthly", "month_end": "anchor"}
    loan |= {"residue": "last", "first_due_date": None}
    loan |= {"instalment_fee_minor": 0, "instalment_fee_share": 0.0}
    columns = (np.array([terms["principal_minor"][0]]), np.array([True]), np.array([0, 360]))
    rate = (np.array([12_345_679]), np.array([36_500_000_000]))
    _, is_sure = level_amounts(*columns, np.full(360, 30), *rate)
    assert not is_sure[0]  # so it is settled by fractions
    assert instalments(terms).rows() == loan_oracle.schedule(loan)


def test_it_keeps_the_anchor_day_through_february() -> None:
    due = instalments(one(term=4))["due_date"].to_list()
    assert due == [date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)]


@pytest.mark.parametrize(
    ("rule", "opened", "second"),
    [
        ("anchor", date(2026, 2, 28), date(2026, 4, 28)),
        ("end_of_month", date(2026, 2, 28), date(2026, 4, 30)),
        ("end_of_month", date(2026, 2, 27), date(2026, 4, 27)),
        ("isda_eom", date(2026, 2, 27), date(2026, 4, 30)),
    ],
)
def test_it_ends_a_month_as_the_rule_says(rule: str, opened: date, second: date) -> None:
    assert instalments(one(month_end=rule, opened_date=opened))["due_date"][1] == second


def test_it_puts_the_residue_where_it_is_told() -> None:
    loan = {"principal_minor": 100, "term": 3, "method": "equal_principal", "annual_rate": 0.0}
    assert instalments(one(**loan))["principal_minor"].to_list() == [33, 33, 34]
    first = instalments(one(**loan, residue="first"))
    assert first["principal_minor"].to_list() == [34, 33, 33]


def test_it_charges_a_long_first_period_by_months_and_days() -> None:
    # A month and 15 days before it: 12 000 yuan * 21.6 % * (30 + 15) / 360.
    rows = instalments(one(opened_date=date(2026, 1, 31), first_due_date=date(2026, 3, 15)))
    assert rows["interest_minor"][0] == 1_200_000 * 216 * (30 + 15) // 360_000


def test_it_asks_a_revolving_borrower_for_a_share_and_no_less_than_the_floor() -> None:
    terms = {"method": "revolving", "minimum_share": 0.1, "term": 24, "principal_minor": 100_000}
    rows = instalments(one(**terms, minimum_floor_minor=5_000))
    assert rows.select("principal_minor", "interest_minor").row(0) == (10_000, 1_800)
    paid = (rows["principal_minor"] + rows["interest_minor"]).to_list()
    assert min(paid[:-1]) == 5_000
    assert rows["principal_minor"].sum() == 100_000


def test_it_keeps_the_rows_of_a_revolving_loan_that_asks_for_nothing() -> None:
    terms = {"method": "revolving", "minimum_share": 0.0, "annual_rate": 0.0, "term": 3}
    rows = instalments(one(**terms, principal_minor=1))
    assert rows.select("number", "principal_minor").rows() == [(1, 0), (2, 0), (3, 1)]


def test_it_repays_a_bullet_in_one_row() -> None:
    rows = instalments(one(method="bullet", day_count="actual_365"))
    assert rows["due_date"].to_list() == [date(2027, 1, 31)]
    assert rows.select("principal_minor", "interest_minor").row(0) == (1_200_000, 259_200)


def test_it_adds_fixed_fees_and_shares() -> None:
    terms = one(instalment_fee_minor=100, instalment_fee_share=0.006, upfront_fee_share=0.0000005)
    assert instalments(terms)["fee_minor"].unique().to_list() == [7_300]
    assert upfront_fees(terms).to_list() == [1]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("principal_minor", 0),
        ("annual_rate", -0.1),
        ("annual_rate", 11.0),
        ("annual_rate", 1 / 3),
        ("annual_rate", float("nan")),
        ("term", 0),
        ("term", 601),
        ("method", "annuity"),
        ("frequency", "daily"),
        ("day_count", "30/360"),
        ("month_end", "never"),
        ("residue", "middle"),
        ("first_due_date", date(2026, 1, 31)),
        ("opened_date", None),
        ("minimum_share", 1.5),
        ("instalment_fee_minor", -1),
    ],
)
def test_it_names_the_column_the_loan_and_the_mend(column: str, value: object) -> None:
    with pytest.raises(BadInput) as caught:
        instalments(one(**{column: value}))
    assert caught.value.source == column
    assert "'Li'" in caught.value.message
    assert caught.value.mend


def test_it_takes_each_loan_once() -> None:
    with pytest.raises(BadInput, match="'Li' is there twice"):
        instalments(pl.concat([one(), one()]))


def test_it_misses_a_column_that_has_no_default() -> None:
    with pytest.raises(BadInput) as caught:
        instalments(one().drop("term"))
    assert caught.value.source == "term"


def test_it_makes_nothing_of_no_loans() -> None:
    rows = instalments(pl.DataFrame(schema=dict(TERMS)))
    assert rows.is_empty()
    assert rows.columns[:3] == ["loan_id", "number", "due_date"]


def test_it_keeps_loans_in_their_order() -> None:
    terms = random_terms(200, seed=7)
    kept = instalments(terms)["loan_id"].unique(maintain_order=True)
    assert kept.to_list() == terms["loan_id"].to_list()


@pytest.mark.parametrize(
    ("principal", "rate", "term", "amount"),
    [
        # Math 352, Theory of Interest, amortisation project (a university's published table).
        (150_000_00, 0.03625, 360, 684_08),
        # npm, loan-calculate-utils 1.1.0, README: the usual Chinese mortgage example.
        (1_000_000_00, 0.049, 360, 5_307_27),
    ],
)
def test_it_asks_for_the_published_level_amount(
    principal: int, rate: float, term: int, amount: int
) -> None:
    rows = instalments(one(principal_minor=principal, annual_rate=rate, term=term))
    paid = rows["principal_minor"] + rows["interest_minor"]
    assert paid[:-1].unique().to_list() == [amount]


def test_it_repays_as_a_published_table() -> None:
    # Math 352, as above, months 1 to 8: interest, principal, balance.
    rows = instalments(one(principal_minor=150_000_00, annual_rate=0.03625, term=360)).head(8)
    assert rows["interest_minor"].to_list() == [
        *(453_13, 452_43, 451_73, 451_03),
        *(450_32, 449_62, 448_91, 448_20),
    ]
    assert rows["principal_minor"].to_list() == [
        *(230_95, 231_65, 232_35, 233_05),
        *(233_76, 234_46, 235_17, 235_88),
    ]
    assert 150_000_00 - rows["principal_minor"].sum() == 148_132_73


def test_it_repays_equal_principal_as_published() -> None:
    # npm, loan-calculate-utils 1.1.0, README: first month 6 861.11 of which interest 4 083.33.
    terms = one(principal_minor=1_000_000_00, annual_rate=0.049, term=360, method="equal_principal")
    first = instalments(terms).row(0, named=True)
    assert (first["principal_minor"], first["interest_minor"]) == (2_777_78, 4_083_33)
