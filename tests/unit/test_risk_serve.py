"""A plan knows the risk by the model in use, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from tests.unit.lender import AS_OF, STRATEGY_TEXT, context, strategy, tables
from tests.unit.test_features import LI, PRODUCTS

from duewise.engine.partition import open_loans, plan_partition
from duewise.errors import BadInput
from duewise.jobs.bench.big_book import write_book
from duewise.jobs.plan_day import plan_parts
from duewise.jobs.risk_serve import score_book, served_models
from duewise.risk.features import KEY
from duewise.risk.inputs import Inputs
from duewise.risk.serve import COLUMNS, FORESEEN, Served, foresee, ordered, told

CHEN = {"borrower": "Chen", "due": [AS_OF + timedelta(days=2)]}
GONE = {"borrower": "Zhao", "due": [AS_OF - timedelta(days=9)]}


@dataclass(frozen=True)
class OfOne:
    """A model that says what it is told of a column."""

    column: str

    def probability(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        return frame[self.column].cast(pl.Float64).fill_null(0.25).to_numpy()


LATE = Served("late_1", "boosting 0123", OfOne("late_share"))
WEEK = Served("late_7", "scorecard 4567", OfOne("late_7_share"))


def risks(*models: Served, **more: Any) -> dict[str, list[float | None]]:
    found = open_loans(tables(LI, CHEN, GONE, **more), context=context(models=models))
    return {name: row for name, *row in found.select("borrower_id", *FORESEEN.values()).rows()}


def test_it_takes_the_model_of_the_context() -> None:
    found = risks(LATE, WEEK)
    assert found["Li"] == pytest.approx([1 / 3, 1 / 3, None])
    assert found["Chen"] == [0.25, 0.25, None]


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=5))
def test_it_never_foresees_a_week_late_more_surely_than_a_day(drawn: list[tuple[float]]) -> None:
    given = np.array(drawn).T
    found = np.array(ordered(list(given)))
    assert (np.diff(found, axis=0) <= 1e-12).all()
    for before, after in zip(given.T, found.T, strict=True):
        nearest = isotonic_regression(before, increasing=False).x
        assert after == pytest.approx(nearest, abs=1e-12)


def test_it_serves_the_targets_in_order() -> None:
    month = Served("late_30", "boosting 89ab", OfOne("late_share"))
    found = risks(month, WEEK, Served("late_1", "scorecard cdef", OfOne("late_7_count")))
    assert found["Li"] == sorted(found["Li"], key=lambda each: each or 0, reverse=True)
    assert found["Li"] != risks(LATE, WEEK)["Li"]


def test_it_keeps_the_share_where_no_model_speaks() -> None:
    plain, by_week = risks(), risks(WEEK)
    assert [row[1:] for row in plain.values()] == [[None, None]] * 3
    assert {name: row[0] for name, row in by_week.items()} == {
        name: row[0] for name, row in plain.items()
    }
    assert risks(LATE)["Zhao"] == plain["Zhao"]  # nothing is to come: no next instalment to foresee


def test_it_lets_a_strategy_name_what_a_model_foresees() -> None:
    text = STRATEGY_TEXT.replace("probability_of_default >= 0.18", "probability_late_7 >= 0.3")
    assert text != STRATEGY_TEXT
    due = {**LI, "due": [*LI["due"][:3], AS_OF + timedelta(days=5)]}
    asked = context(strategy=strategy(text, hold_out_bp=0))
    without = plan_partition(tables(due), context=asked).rows["step"].item()
    given = context(strategy=strategy(text, hold_out_bp=0), models=(WEEK,))
    assert without is None
    assert plan_partition(tables(due), context=given).rows["step"].item() is not None


def test_it_gives_a_model_the_lenders_own_columns() -> None:
    own = pl.DataFrame({"borrower_id": ["Li"], "as_of": [AS_OF], "income_risk": [0.75]})
    found = risks(Served("late_1", "boosting 89ab", OfOne("income_risk")), features=own)
    assert (found["Li"][0], found["Chen"][0]) == (0.75, 0.25)


def test_it_plans_on_what_a_model_cannot_read_and_counts_the_borrowers() -> None:
    inputs = Inputs((), {"band": ("A", "B")}, {})
    model = Served("late_1", "boosting 89ab", OfOne("late_share"), inputs)
    days = [AS_OF, AS_OF, AS_OF, AS_OF - timedelta(days=40)]
    own = pl.DataFrame(
        {
            "borrower_id": ["Li", "Chen", "Zhao", "Zhao"],
            "as_of": days,
            "band": ["Z", "A", None, "Y"],
        }
    )
    given = tables(LI, CHEN, GONE, features=own)
    assert plan_partition(given, context=context(models=(model,))).unread == {"band": 1}
    assert plan_partition(given, context=context(models=(LATE,))).unread == {}


def test_it_tells_of_a_whole_plan_what_was_not_read(tmp_path: Path) -> None:
    inputs = Inputs(("income",), {"band": ("A", "B")}, {})
    model = Served("late_1", "boosting 89ab", OfOne("late_share"), inputs)
    own = {"as_of": [AS_OF], "income": ["much"]}
    given = {
        name: tables(loan, features=pl.DataFrame({"borrower_id": [name], "band": [band], **own}))
        for name, loan, band in (("Li", LI, "Z"), ("Chen", CHEN, "A"))
    }
    read = [lambda each=each: each for each in given.values()]
    asked = context(models=(model,))
    found = plan_parts(read.__getitem__, asked, partitions=2, out=tmp_path)
    assert (found.borrowers, found.unread) == (2, {"band": 1, "income": 2})
    assert plan_parts(read.__getitem__, asked, partitions=2, out=tmp_path).unread == found.unread


def test_it_says_by_what_the_risk_is_known() -> None:
    assert told((LATE, WEEK)) == "late_1 by boosting 0123, late_7 by scorecard 4567"
    assert foresee((), pl.DataFrame({"loan_id": ["L1"], "number": [1]})).row(0) == ("L1",) + (
        None,
    ) * len(COLUMNS)


def test_it_scores_a_book_and_refuses_without_a_model(tmp_path: Path) -> None:
    book = write_book(tmp_path / "book", 40, as_of=AS_OF)
    out = tmp_path / "scores.parquet"
    assert served_models(tmp_path) == ()
    with pytest.raises(BadInput, match="no model to score by"):
        score_book(book, PRODUCTS, (), as_of=AS_OF, out=out)
    found = score_book(book, PRODUCTS, (LATE,), as_of=AS_OF, out=out)
    assert (found.rows, found.unread) == (40, {})
    scored = pl.read_parquet(out)
    assert scored.columns == [*KEY, *COLUMNS]
    assert scored["probability_of_default"].is_between(0, 1).all()
