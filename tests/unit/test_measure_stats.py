import pytest
from scipy.stats import chi2
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from duewise.measure.stats import (
    BORROWERS_MIN,
    Estimate,
    Inconclusive,
    Reason,
    Tally,
    cost_per_prevented,
    difference,
    sample_ratio_mismatch,
    wilson,
)

SHARES = {"treated": 0.95, "hold_out": 0.05}


def events(n: int, late: int) -> Tally:
    return Tally(n, late, late)


@pytest.mark.parametrize(
    ("control", "treated"),
    [
        (events(1_000, 122), events(19_000, 2_128)),
        (events(50, 0), events(60, 3)),
        (events(40, 40), events(35, 1)),
        (events(31, 0), events(5_000, 1)),
    ],
)
def test_it_gives_newcombes_interval_as_statsmodels_does(control: Tally, treated: Tally) -> None:
    found = difference(control, treated)
    low, high = confint_proportions_2indep(
        treated.sum, treated.n, control.sum, control.n, method="newcomb", compare="diff"
    )
    assert isinstance(found, Estimate)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert (found.n_control, found.n_treated) == (control.n, treated.n)


def test_it_gives_the_example_of_newcombes_paper() -> None:
    # Table II, row (a) 56/70 - 48/80, method 10: 0.0524 to 0.3339.
    found = difference(control=events(80, 48), treated=events(70, 56))
    assert isinstance(found, Estimate)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize(("late", "n"), [(0, 30), (1, 30), (15, 30), (30, 30), (122, 1_000)])
def test_it_gives_wilsons_interval_as_statsmodels_does(late: int, n: int) -> None:
    assert wilson(late, n) == pytest.approx(proportion_confint(late, n, method="wilson"), abs=1e-12)


def test_it_takes_welchs_interval_for_values_that_are_not_yes_or_no() -> None:
    days = Tally(100, 250.0, 1_025.0)
    found = difference(days, Tally(100, 200.0, 800.0))
    assert isinstance(found, Estimate)
    half = 1.959964 * (days.variance / 100 + Tally(100, 200.0, 800.0).variance / 100) ** 0.5
    assert found.point == -0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=1e-6)


def test_it_says_that_an_arm_is_too_small() -> None:
    assert difference(events(BORROWERS_MIN - 1, 5), events(10_000, 5)) == Inconclusive(
        Reason.TOO_FEW_BORROWERS
    )
    assert isinstance(difference(events(BORROWERS_MIN, 5), events(10_000, 5)), Estimate)


def test_it_says_that_nobody_was_late() -> None:
    assert difference(events(500, 0), events(9_500, 0)) == Inconclusive(Reason.NO_EVENTS)


def test_it_has_no_mean_of_nobody() -> None:
    assert Tally(0, 0, 0).mean is None


def test_it_finds_arms_that_are_out_of_their_shares() -> None:
    found = sample_ratio_mismatch({"treated": 9_400, "hold_out": 600}, SHARES)
    assert found.p_value == pytest.approx(chi2.sf(100**2 / 500 + 100**2 / 9_500, 1))
    assert found.is_mismatch
    assert not sample_ratio_mismatch({"treated": 9_530, "hold_out": 470}, SHARES).is_mismatch


def test_it_finds_borrowers_in_an_arm_that_should_be_empty() -> None:
    shares = {"treated": 1.0, "hold_out": 0.0}
    assert sample_ratio_mismatch({"treated": 100, "hold_out": 1}, shares).is_mismatch
    assert not sample_ratio_mismatch({"treated": 100, "hold_out": 0}, shares).is_mismatch


def test_it_sees_no_mismatch_among_nobody() -> None:
    assert not sample_ratio_mismatch({"treated": 0, "hold_out": 0}, SHARES).is_mismatch


def test_it_prices_a_prevented_late_borrower() -> None:
    effect = Estimate(point=-0.02, low=-0.03, high=-0.01, n_control=500, n_treated=1_000)
    found = cost_per_prevented(60.0, effect)
    assert isinstance(found, Estimate)
    assert (found.point, found.low, found.high) == pytest.approx((3.0, 2.0, 6.0))


def test_it_prices_nothing_that_may_not_have_been_prevented() -> None:
    unsure = Estimate(point=-0.02, low=-0.05, high=0.01, n_control=500, n_treated=1_000)
    assert cost_per_prevented(60.0, unsure) == Inconclusive(Reason.EFFECT_NOT_CERTAIN)
    too_few = Inconclusive(Reason.TOO_FEW_BORROWERS)
    assert cost_per_prevented(60.0, too_few) is too_few


def test_it_explains_every_reason_to_people() -> None:
    assert all(reason.meaning for reason in Reason)
