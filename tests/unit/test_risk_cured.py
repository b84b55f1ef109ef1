"""Lapses on later mornings: rows of the hazard, its validation, and the columns a strategy reads."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.lender import AS_OF, STRATEGY_TEXT, context, strategy, tables
from tests.unit.test_features import LI, PRODUCTS, ZONE, book_of, noon
from tests.unit.test_risk_hazard import LITTLE, drawn_lapses

from duewise.book.ledger import Ledger, ledger
from duewise.engine.partition import Tables, open_loans, plan_partition
from duewise.risk.cured import as_known_on, lapsed, of_lapsed, with_cure
from duewise.risk.features import features_of, morning
from duewise.risk.guards import Guard
from duewise.risk.hazard import DAYS, HORIZONS, Hazard, fit_hazard
from duewise.risk.hazard_check import OURS, USUAL, HazardCheck, check_hazard, hazard_guards
from duewise.risk.inputs import Inconclusive, Reason
from duewise.risk.serve import CURED_BY, ServedHazard, told
from duewise.strategy.conditions import condition

LATE = AS_OF - timedelta(days=5)
WANG: dict[str, Any] = {
    "borrower": "Wang",
    "due": [LATE - timedelta(days=60), LATE, AS_OF + timedelta(days=25)],
    "paid": [(noon(LATE - timedelta(days=61)), 86_840)],
}
ZHAO: dict[str, Any] = {"borrower": "Zhao", "due": [AS_OF - timedelta(days=DAYS + 1)]}


def known(day: date, *loans: dict[str, Any]) -> Ledger:
    at = morning(day, ZONE)
    return ledger(book_of(*loans), PRODUCTS, as_of=day, known_at=at, zone=ZONE)


def test_it_finds_who_is_past_due_by_at_most_thirty_days() -> None:
    found = lapsed(known(AS_OF, LI, WANG, ZHAO))
    assert found.select("number", "due_date", "from_day").rows() == [(2, LATE, 5)]
    assert lapsed(known(LATE + timedelta(days=1), WANG))["from_day"].to_list() == [1]
    assert lapsed(known(LATE, WANG)).is_empty()


@pytest.mark.parametrize(
    ("paid_on_day", "expected"),
    [(5, [(5, True)]), (12, [(12, True)]), (None, [(DAYS, False)]), (3, [])],
)
def test_it_learns_from_that_morning_on(
    paid_on_day: int | None, expected: list[tuple[int, bool]]
) -> None:
    folded = known(AS_OF, WANG)
    rows = of_lapsed(
        features_of(folded, book_of(WANG).payments, known_at=morning(AS_OF, ZONE)), lapsed(folded)
    )
    paid = [] if paid_on_day is None else [(noon(LATE + timedelta(days=paid_on_day)), 95_000)]
    later = known(AS_OF + timedelta(days=60), {**WANG, "paid": [*WANG["paid"], *paid]})
    found = with_cure(rows, later)
    assert found.select("days", "is_cured").rows() == expected
    if expected:
        assert found["known_days"].item() == 65
        early = as_known_on(found, AS_OF + timedelta(days=2))
        told_then = (5, True) if paid_on_day == 5 else (7, False)
        assert early.select("days", "is_cured").row(0) == told_then
        assert as_known_on(found, AS_OF - timedelta(days=1)).is_empty()


def landmarks(rows: int = 1_200) -> pl.DataFrame:
    """Drawn lapses on mornings of three days, as far as they are unpaid by then."""
    frame, _ = drawn_lapses(rows, censored=0)
    first = pl.Series(np.resize([1, 4, 9], rows), dtype=pl.Int32)
    return (
        frame.with_columns(from_day=first, known_days=pl.lit(40))
        .with_columns(as_of=pl.col("due_date") + pl.duration(days="from_day"))
        .filter(pl.col("days") >= pl.col("from_day"))
    )


@pytest.fixture(scope="module")
def checked() -> HazardCheck:
    found = check_hazard(
        landmarks(),
        ["prompt", "noise"],
        groups="borrower_id",
        seed=0,
        folds=2,
        settings=LITTLE,
        rounds=50,
    )
    assert isinstance(found, HazardCheck)
    return found


@pytest.fixture(scope="module")
def fitted() -> Hazard:
    found = fit_hazard(landmarks(), ["prompt"], groups="borrower_id", seed=0, settings=LITTLE)
    assert isinstance(found, Hazard)
    return found


def test_it_foresees_from_the_morning_it_is_asked_on(fitted: Hazard) -> None:
    rows = pl.DataFrame({"due_date": [LATE] * 3, "prompt": [1.0, 1.0, 0.0], "from_day": [1, 9, 9]})
    found = fitted.probability_cured(rows)
    assert found[1, :2].tolist() == [0, 0]  # past already
    truth = 1 - np.array([0.75, 0.75, 0.95])[:, None] ** np.clip(
        np.array(HORIZONS) - np.array([[0], [8], [8]]), 0, None
    )
    assert np.abs(found - truth).max() < 0.12, found


def test_it_is_judged_beside_the_usual_share_on_later_mornings(checked: HazardCheck) -> None:
    before = landmarks()["as_of"].sort()[int(landmarks().height * 0.69)]
    assert checked.judged["as_of"].min() >= before
    score = {row["model"]: row["point"] for row in checked.metrics.head(2).iter_rows(named=True)}
    assert score[OURS] < score[USUAL]
    of = checked.calibration.filter(model=OURS)
    assert of["rows"].to_list() == sorted(of["rows"])
    ahead = checked.judged.filter(pl.col("from_day") <= 3)
    assert of["rows"][0] == ahead.height
    assert of["paid"][0] == pytest.approx(
        ahead.select((pl.col("is_cured") & (pl.col("days") <= 3)).mean()).item()
    )


def test_it_registers_no_hazard_that_is_worse(checked: HazardCheck, fitted: Hazard) -> None:
    def broken(guards: list[Guard]) -> set[str]:
        return {guard.name for guard in guards if not guard.holds}

    blind = Hazard(fitted.inputs, {}, (), -3.0, fitted.calibration)
    asked: dict[str, Any] = {"groups": "borrower_id", "seed": 0}
    assert "better_than_usual" not in broken(hazard_guards(checked, last=blind, **asked))
    assert "integrated_brier_not_worse" not in broken(hazard_guards(checked, last=blind, **asked))
    worse = HazardCheck(
        checked.judged,
        {OURS: blind.probability_cured(checked.judged)},
        checked.metrics.with_columns(low=-1.0),
        checked.calibration.with_columns(probability=pl.col("paid") + 0.2),
    )
    assert broken(hazard_guards(worse, last=fitted, **asked)) >= {
        "better_than_usual",
        "bias",
        "integrated_brier_not_worse",
    }


def test_it_is_inconclusive_without_mornings_that_are_known() -> None:
    asked: dict[str, Any] = {"groups": "borrower_id", "seed": 0, "folds": 2}
    for rows, reason in (
        (landmarks().with_columns(known_days=20), Reason.TOO_FEW_ROWS),
        (landmarks().with_columns(as_of=date(2026, 3, 1)), Reason.TOO_FEW_DATES),
    ):
        assert check_hazard(rows, ["prompt"], **asked) == Inconclusive(reason)


def test_it_lets_a_strategy_wait_for_who_will_pay_soon(fitted: Hazard) -> None:
    own = pl.DataFrame({"borrower_id": ["Wang", "Li"], "as_of": [AS_OF] * 2, "prompt": [1.0, 1.0]})
    hazard, given = ServedHazard("hazard 0123", fitted), tables(LI, WANG, features=own)
    found = open_loans(given, context=context(hazard=hazard)).sort("borrower_id")
    columns = found.select("borrower_id", *CURED_BY.values()).rows()
    assert columns[0] == ("Li", None, None, None, None)  # nothing is past due
    name, day_3, *later = columns[1]
    assert (name, day_3) == ("Wang", None)  # day 3 is past
    assert 0.3 < later[0] < later[1] < later[2] < 1
    assert open_loans(given, context=context())["probability_cured_7d"].to_list() == [None, None]
    assert told((), hazard).endswith("late instalments; cure by hazard 0123")
    aside = open_loans(given, context=context(hazard=ServedHazard("nothing", None)))
    assert aside["probability_cured_7d"].to_list() == [None, None]
    when = "dpd between 1 and 30 and probability_cured_14d < 0.5"
    assert found.filter(condition(when)).is_empty()
    assert steps_of(given, hazard, "probability_cured_14d < 0.5")["Wang"] is None
    assert steps_of(given, hazard, "probability_cured_14d >= 0.5")["Wang"] is not None
    assert steps_of(given, None, "probability_cured_14d >= 0.5")["Wang"] is None


def steps_of(given: Tables, hazard: ServedHazard | None, when: str) -> dict[str, str | None]:
    """Each borrower's step, where day 5 past due is a step's by that condition."""
    text = STRATEGY_TEXT.replace("when: dpd = 7", f"when: dpd = 5 and {when}")
    assert text != STRATEGY_TEXT
    asked = context(strategy=strategy(text, hold_out_bp=0), hazard=hazard)
    return dict(plan_partition(given, context=asked).rows.select("borrower_id", "step").rows())
