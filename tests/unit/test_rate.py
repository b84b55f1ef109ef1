"""Annual rates: against the published examples, against scipy, and where there is none."""

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import polars as pl
import pytest
from scipy.optimize import brentq
from tests.unit.test_schedule import one, random_terms

from duewise.book.rate import Flow, NoRate, Reason, annual_rates, period_rate
from duewise.book.schedule import instalments

SEED = 20210312


def rate(*flows: Flow) -> float:
    found = period_rate(flows)
    assert not isinstance(found, NoRate)
    return found


def per_cent(value: float, places: str) -> str:
    return str(Decimal(value * 100).quantize(Decimal(places), ROUND_HALF_UP))


def level(first: int, last: int, amount_minor: int) -> list[Flow]:
    return [Flow(number, -amount_minor) for number in range(first, last + 1)]


def test_it_states_the_rates_of_the_central_banks_example() -> None:
    # People's Bank of China, Announcement [2021] No. 3 (12 March 2021), annex: 100 000 yuan less
    # 1 000 of service fee, twelve times 8 833.30: about 12.80 % simple, 13.58 % compound.
    monthly = rate(Flow(0, 99_000_00), *level(1, 12, 8_833_30))
    assert per_cent(12 * monthly, "0.01") == "12.80"
    assert per_cent((1 + monthly) ** 12 - 1, "0.01") == "13.58"


# Directive 87/102/EEC as amended by 98/7/EC, Annex III, part A (the same equation, on calendar days):
# 1 000 lent on 1 January 1994.
@pytest.mark.parametrize(
    ("lent", "repaid", "stated", "places"),
    [
        (1000, {546 / 365: 1200}, "12.96", "0.01"),  # first example: 1 200 on 1 July 1995
        (950, {546 / 365: 1200}, "16.9", "0.1"),  # second: 50 retained for expenses
        (1000, {1: 600, 2: 600}, "13.07", "0.01"),  # third: i = 0.1306623
    ],
)
def test_it_states_the_rate_of_the_directives_examples(
    lent: int, repaid: dict[float, int], stated: str, places: str
) -> None:
    found = rate(Flow(0, lent), *(Flow(years, -amount) for years, amount in repaid.items()))
    assert per_cent(found, places) == stated


def test_it_solves_the_directives_third_example_to_seven_decimals() -> None:
    assert round(rate(Flow(0, 1000), Flow(1, -600), Flow(2, -600)), 6) == 0.130662


# 12 CFR 1026 (Regulation Z), Appendix J, (c), examples of the actuarial method: the paragraph,
# unit-periods in a year, advance, then (first whole unit-period, odd part, how many, amount), rate.
APPENDIX_J = [
    ("(1)(i)", 12, 5_000_00, [(1, 0, 24, 230_00)], "9.69"),
    ("(1)(ii)", 12, 6_000_00, [(1, 19 / 30, 36, 200_00)], "11.82"),
    ("(1)(iii)", 24, 5_000_00, [(0, 6 / 15, 24, 219_17)], "10.34"),
    ("(1)(iv)", 4, 10_000_00, [(1, (30 + 9) / 90, 40, 385_00)], "8.97"),
    ("(1)(v)", 52, 500_00, [(4, 4 / 7, 30, 17_60)], "14.96"),
    ("(2)(i)", 12, 5_000_00, [(1, 0, 1, 250_00), (2, 0, 23, 230_00)], "10.08"),
    ("(2)(ii)", 13, 400_00, [(1, 5 / 28, 1, 39_50), (2, 5 / 28, 11, 38_31)], "28.50"),
    ("(3)(i)", 12, 5_000_00, [(1, 0, 23, 230_00), (24, 0, 1, 280_00)], "10.50"),
    ("(3)(ii)", 26, 200_00, [(0, 8 / 14, 19, 9_50), (19, 8 / 14, 1, 30_00)], "12.22"),
    ("(4)(i)", 12, 5_000_00, [(1, 0, 1, 250_00), (2, 0, 22, 230_00), (24, 0, 1, 280_00)], "10.90"),
    (
        "(4)(ii)",
        6,
        8_000_00,
        [
            (0, (30 + 22) / 60, 1, 449_36),
            (1, (30 + 22) / 60, 18, 465_00),
            (19, (30 + 22) / 60, 1, 200_00),
        ],
        "7.30",
    ),
    ("(5)(i)", 365 / 255, 1_000_00, [(1, 0, 1, 1_080_00)], "11.45"),
]


@pytest.mark.parametrize(
    ("in_year", "advance", "series", "stated"),
    [example[1:] for example in APPENDIX_J],
    ids=[example[0] for example in APPENDIX_J],
)
def test_it_states_the_rate_of_appendix_j(
    in_year: float, advance: int, series: list[tuple[int, float, int, int]], stated: str
) -> None:
    flows = [
        Flow(first + step, -amount, odd)
        for first, odd, count, amount in series
        for step in range(count)
    ]
    assert per_cent(in_year * rate(Flow(0, advance), *flows), "0.01") == stated


# The same, where the appendix gives dates that a schedule of ours can have: opened, due dates.
@pytest.mark.parametrize(
    ("opened", "due", "frequency", "lent", "paid", "stated"),
    [
        ("1978-01-10", ["1978-02-10", 24], "monthly", 5_000_00, 230_00, "9.69"),
        ("1978-02-10", ["1978-04-01", 36], "monthly", 6_000_00, 200_00, "11.82"),
        ("1978-05-23", ["1978-10-01", 40], "quarterly", 10_000_00, 385_00, "8.97"),
        ("1978-03-20", ["1978-04-21", 30], "weekly", 500_00, 17_60, "14.96"),
        ("1978-01-03", ["1978-09-15", 1], "monthly", 1_000_00, 1_080_00, "11.45"),
    ],
)
def test_it_counts_unit_periods_as_appendix_j(  # noqa: PLR0917 -- the columns of the table
    opened: str, due: tuple[str, int], frequency: str, lent: int, paid: int, stated: str
) -> None:
    first, count = due
    terms = one(
        principal_minor=lent,
        opened_date=date.fromisoformat(opened),
        first_due_date=date.fromisoformat(first),
        frequency=frequency,
        term=count,
    )
    rows = instalments(terms).with_columns(principal_minor=paid, interest_minor=0)
    assert per_cent(annual_rates(terms, rows)["us_apr"][0], "0.01") == stated


# which.co.uk, "Annual Percentage Rate of Charge, example calculation": 125 000 pounds over 25 years,
# 3.5 % for two years, then 5.5 %, fees of 999.
@pytest.mark.parametrize(
    ("early", "later", "at_end", "stated"),
    [
        (625_78, 757_66, 0, "5.3"),  # repayment: the level amounts at 3.5 %, then at 5.5 %
        (364_58, 572_92, 125_000_00, "5.4"),  # interest only
    ],
)
def test_it_states_the_charge_of_a_published_mortgage(
    early: int, later: int, at_end: int, stated: str
) -> None:
    flows = [
        Flow(0, 125_000_00 - 999_00),
        *(Flow(month / 12, -early) for month in range(1, 25)),
        *(Flow(month / 12, -later) for month in range(25, 301)),
        Flow(300 / 12, -at_end),
    ]
    assert per_cent(rate(*flows), "0.1") == stated


def test_it_agrees_with_scipy_on_every_loan_of_a_book() -> None:
    terms = random_terms(1500, seed=SEED).with_columns(
        principal_minor=pl.col("principal_minor") + 10_000_00, upfront_fee_share=0.02
    )
    rows = instalments(terms)
    rates = annual_rates(terms, rows)
    years = rows.join(terms.select("loan_id", "opened_date", "frequency"), on="loan_id")
    assert rates["reason"].null_count() == terms.height
    for (loan,), owed in years.group_by("loan_id"):
        paid = terms.filter(pl.col("loan_id") == loan)["principal_minor"][0]
        upfront = (paid * 2 + 50) // 100
        times = [_years(*row) for row in owed.select("opened_date", "due_date", "frequency").rows()]
        due = owed.select(pl.sum_horizontal("^.*_minor$")).to_series().to_numpy()
        expected = brentq(_balance, -0.99, 10_000, args=(paid - upfront, np.array(times), due))
        found = rates.filter(pl.col("loan_id") == loan)["effective_rate"][0]
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-10), (SEED, loan)


def _balance(rate: float, lent: int, times: np.ndarray, due: np.ndarray) -> float:
    return float(lent - (due / (1 + rate) ** times).sum())


def _years(opened: date, due: date, frequency: str) -> float:
    """Whole weeks or months back from the due date, and days by the year that ends with them."""
    from tests.unit.loan_oracle import DAYS, last_day, moved

    if frequency in DAYS:
        whole, left = divmod((due - opened).days, 7)
        share = whole / 52
    else:
        day = max(opened.day, due.day) if due.day == last_day(due) else due.day
        months = 0
        while moved(due, -(months + 1), day=day) >= opened:
            months += 1
        left = (moved(due, -months, day=day) - opened).days
        share = months / 12
    end = opened + timedelta(days=left)
    return share + left / (end - moved(end, -12, day=end.day)).days


def test_it_costs_the_contract_rate_when_there_is_no_fee() -> None:
    for method in ("equal_instalment", "equal_principal", "interest_only"):
        terms = one(method=method, principal_minor=10**12)
        found = annual_rates(terms, instalments(terms))
        assert found["simple_rate"][0] == pytest.approx(0.216, abs=1e-9)
        assert found["us_apr"][0] == pytest.approx(0.216, abs=1e-9)
        assert found["effective_rate"][0] == pytest.approx(1.018**12 - 1, abs=1e-9)


@pytest.mark.parametrize(
    ("flows", "reason"),
    [
        ([], Reason.NO_SIGN_CHANGE),
        ([Flow(0, 100)], Reason.NO_SIGN_CHANGE),
        ([Flow(0, 100), Flow(0, -120)], Reason.NO_TIME),
        ([Flow(0, 100), Flow(1, 20)], Reason.NO_SIGN_CHANGE),
        ([Flow(0, 100), Flow(1, 0)], Reason.NO_SIGN_CHANGE),
        ([Flow(0, 0), Flow(1, -100)], Reason.NO_SIGN_CHANGE),
        ([Flow(0, 100), Flow(-1, -120)], Reason.NO_TIME),
        # 10 % and 20 % both solve it.
        ([Flow(0, 100), Flow(1, -230), Flow(2, 132)], Reason.SEVERAL_ROOTS),
        ([Flow(0, 100), Flow(0.001, -200)], Reason.OUT_OF_RANGE),
    ],
)
def test_it_says_why_there_is_no_rate(flows: list[Flow], reason: Reason) -> None:
    assert period_rate(flows) == NoRate(reason)
    assert reason.meaning


def test_it_finds_a_rate_below_nothing() -> None:
    assert rate(Flow(0, 100), Flow(1, -81)) == pytest.approx(-0.19)


def test_it_takes_money_that_is_paid_out_in_parts() -> None:
    # 500 now and 500 in a year, 1 210 in two: 500 x^2 + 500 x = 1 210.
    found = rate(Flow(0, 500), Flow(1, 500), Flow(2, -1210))
    assert 500 * (1 + found) ** 2 + 500 * (1 + found) == pytest.approx(1210)


def test_it_brackets_the_root_where_newton_does_not_arrive() -> None:
    # Paid out in parts, and less than that comes back: the balance is not concave.
    paid_out = {4.3: 756_741, 5.9: 956_267, 7.4: 786_200}
    paid_back = {9.3: 284_201, 9.5: 869_256}
    found = rate(
        *(Flow(years, amount) for years, amount in paid_out.items()),
        *(Flow(years, -amount) for years, amount in paid_back.items()),
    )
    worth = sum(amount / (1 + found) ** years for years, amount in paid_out.items())
    owed = sum(amount / (1 + found) ** years for years, amount in paid_back.items())
    assert worth == pytest.approx(owed)
    assert -1 < found < 0


def test_it_says_of_each_loan_of_a_book_whether_it_has_a_rate() -> None:
    terms = pl.concat([one(loan_id=name) for name in ("Li", "Wang", "Zhao", "Chen")])
    rows = instalments(terms)
    is_wang, is_zhao = (pl.col("loan_id") == name for name in ("Wang", "Zhao"))
    rows = rows.filter(~is_wang).with_columns(
        pl.when(is_zhao).then(date(2026, 1, 31)).otherwise("due_date").alias("due_date")
    )
    found = annual_rates(terms, rows.sample(fraction=1, shuffle=True, seed=1))
    assert found["reason"].to_list() == [None, "no_sign_change", "no_time", None]
    assert found["effective_rate"].is_null().to_list() == [False, True, True, False]
