"""The hazard of paying: person-periods, the closed form, censoring, and what makes no model."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from tests.unit.test_features import LI, PRODUCTS, ZONE, book_of, noon
from tests.unit.test_target import DUE

from duewise.book.ledger import ledger
from duewise.errors import BadInput
from duewise.risk.boosting import Settings
from duewise.risk.censored import integrated_brier, known_through, weights
from duewise.risk.features import morning
from duewise.risk.hazard import (
    DAYS,
    HORIZONS,
    Hazard,
    cured_by,
    fit_hazard,
    judge,
    lapses,
    person_periods,
)
from duewise.risk.inputs import Inconclusive, Reason

LITTLE = Settings(
    folds=2, bags=1, recipes=({"num_leaves": 3, "min_data_in_leaf": 50, "learning_rate": 0.3},)
)


def drawn_lapses(
    rows: int = 600, *, seed: int = 3, censored: float = 1 / 3
) -> tuple[pl.DataFrame, np.ndarray]:
    """Lapses whose hazard is the same each day, 0.05 or 0.25 by a feature; a third censored."""
    chance = np.random.default_rng(seed)
    is_prompt = chance.random(rows) < 0.5
    hazard = np.where(is_prompt, 0.25, 0.05)
    paid = chance.geometric(hazard)
    known = np.where(chance.random(rows) < censored, chance.integers(1, DAYS, rows), DAYS)
    frame = pl.DataFrame(
        {
            "borrower_id": [f"B{n // 2}" for n in range(rows)],
            "due_date": [date(2026, 1, 1) + timedelta(days=n % 150) for n in range(rows)],
            "prompt": is_prompt.astype(float),
            "noise": chance.normal(size=rows),
            "days": np.minimum(paid, known),
            "is_cured": paid <= known,
        }
    )
    return frame, hazard


@pytest.fixture(scope="module")
def fitted() -> Hazard:
    frame, _ = drawn_lapses()
    found = fit_hazard(frame, ["prompt", "noise"], groups="borrower_id", seed=0, settings=LITTLE)
    assert isinstance(found, Hazard)
    return found


def test_it_makes_a_row_of_each_day_at_risk_with_its_own_calendar() -> None:
    rows = pl.DataFrame({"who": ["Li", "Wang"], "due_date": [date(2026, 7, 30), date(2026, 3, 1)]})
    found = person_periods(rows, np.array([3, 1]))
    assert found.select("who", "day", "weekday", "day_of_month").rows() == [
        ("Li", 1, 5, 31),
        ("Li", 2, 6, 1),
        ("Li", 3, 7, 2),
        ("Wang", 1, 1, 2),
    ]


def test_it_adds_days_up_by_the_closed_form() -> None:
    found = cured_by(np.array([[0.1, 0.2, 0.5], [0.3, 0.3, 0.3]]))
    by_hand = [[0.1, 1 - 0.9 * 0.8, 1 - 0.9 * 0.8 * 0.5], [1 - 0.7**n for n in (1, 2, 3)]]
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)


def test_it_finds_a_hazard_that_is_known(fitted: Hazard) -> None:
    fresh, hazard = drawn_lapses(seed=4)
    truth = 1 - (1 - hazard[:, None]) ** np.array(HORIZONS)
    error = np.abs(fitted.probability_cured(fresh) - truth).mean(axis=0)
    assert (error < 0.06).all(), error


def test_it_leaves_the_usual_day_where_nobody_is_known() -> None:
    frame, _ = drawn_lapses(300)
    by_noise = frame.drop("prompt")
    found = fit_hazard(by_noise, ["noise"], groups="borrower_id", seed=0, settings=LITTLE)
    assert isinstance(found, Hazard)
    assert "usual day" in found.parts
    assert sum(found.weights) == pytest.approx(1, abs=0.25)  # the days are not flattened


def test_it_rises_with_the_horizon_and_stays_a_probability(fitted: Hazard) -> None:
    fresh, _ = drawn_lapses(seed=5)
    extreme = fresh.with_columns(noise=pl.col("noise") * 1e6)
    for rows in (fresh, extreme):
        found = fitted.probability_cured(rows)
        assert (np.diff(found, axis=1) >= 0).all()
        assert found.min() >= 0
        assert found.max() <= 1


def test_it_learns_nothing_from_a_lapse_after_its_censoring() -> None:
    frame, _ = drawn_lapses(rows=1)
    censored = frame.with_columns(days=pl.lit(4), is_cured=pl.lit(value=False))
    found = person_periods(censored, censored["days"].to_numpy())
    assert found["day"].to_list() == [1, 2, 3, 4]
    paid, weight = weights(np.array([4, 9]), np.array([False, True]), horizon=7)
    assert paid.tolist() == [0, 0]
    assert weight.tolist() == [0, 2]


def test_it_judges_a_complete_file_by_the_plain_brier_score() -> None:
    chance = np.random.default_rng(0)
    days, probability = chance.integers(1, DAYS + 1, 200), chance.random((200, len(HORIZONS)))
    cured = np.ones(200, dtype=bool)
    plain = [((days <= h) - p) ** 2 for h, p in zip(HORIZONS, probability.T, strict=True)]
    found = integrated_brier(days, cured, probability, horizons=HORIZONS)
    assert found == pytest.approx(np.mean(plain))
    assert known_through(days, cured, until=DAYS).tolist() == [1.0] * (DAYS + 1)


def test_it_judges_censored_lapses_as_if_they_were_known() -> None:
    frame, hazard = drawn_lapses(rows=20_000)
    truth = 1 - (1 - hazard[:, None]) ** np.array(HORIZONS)
    days, cured = frame["days"].to_numpy(), frame["is_cured"].to_numpy()
    expected = (truth * (1 - truth)).mean()
    assert integrated_brier(days, cured, truth, horizons=HORIZONS) == pytest.approx(
        expected, rel=0.02
    )
    found = judge(frame, truth)
    assert found["slope"].to_list() == pytest.approx([1, 1, 1, 1], abs=0.08)
    assert found["paid"].to_list() == pytest.approx(found["probability"].to_list(), abs=0.02)
    assert found["brier"].mean() == pytest.approx(expected, rel=0.02)


def test_it_is_inconclusive_where_there_is_too_little() -> None:
    frame, _ = drawn_lapses()
    never = frame.with_columns(is_cured=pl.lit(value=False))
    for rows, reason in ((frame[:50], Reason.TOO_FEW_ROWS), (never, Reason.ONE_CLASS)):
        found = fit_hazard(rows, ["prompt"], groups="borrower_id", seed=0, settings=LITTLE)
        assert found == Inconclusive(reason)


def test_it_refuses_days_that_are_no_days_at_risk() -> None:
    frame, _ = drawn_lapses()
    with pytest.raises(BadInput, match="days"):
        fit_hazard(frame.with_columns(days=0), ["prompt"], groups="borrower_id", seed=0)
    with pytest.raises(BadInput, match="is_cured"):
        fit_hazard(frame.drop("is_cured"), ["prompt"], groups="borrower_id", seed=0)


@pytest.mark.parametrize(
    ("paid_after", "seen_after", "expected"),
    [
        (0, 40, []),
        (1, 40, [(1, True)]),
        (30, 40, [(30, True)]),
        (31, 40, [(30, False)]),
        (None, 12, [(12, False)]),
        (None, 0, []),
    ],
)
def test_it_counts_the_days_of_a_lapse_as_far_as_they_are_known(
    paid_after: int | None, seen_after: int, expected: list[tuple[int, bool]]
) -> None:
    paid = [] if paid_after is None else [(noon(DUE + timedelta(days=paid_after)), 95_000)]
    seen = DUE + timedelta(days=seen_after)
    known_at = morning(seen + timedelta(days=1), ZONE)
    book = book_of({**LI, "paid": [*LI["paid"], *paid]})
    found = lapses(ledger(book, PRODUCTS, as_of=seen, known_at=known_at, zone=ZONE))
    of_due = found.filter(pl.col("due_date") == DUE)
    assert of_due.select("days", "is_cured").rows() == expected


def test_it_names_no_slope_where_all_are_foreseen_alike() -> None:
    frame, _ = drawn_lapses()
    found = judge(frame, np.full((frame.height, len(HORIZONS)), 0.5))
    assert found["slope"].is_nan().all()
