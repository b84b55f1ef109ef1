"""The tone ladder: more risk is never met more warmly, and who is in trouble is helped first.

Every combination of signs on both sides of every threshold is asked, not a sample of them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise, product
from typing import Any

import polars as pl
import pytest
from tests.unit.lender import cases, context, tables

from duewise.engine.loans import open_loans
from duewise.errors import BadInput
from duewise.strategy.tone import (
    SIGNS,
    TONES,
    WARMTH,
    load_ladder,
    shipped_ladder,
    tones,
)

LEVELS = {
    "dpd": (-30, -1, 0, 1, 2, 3, 6, 7, 8, 14, 15, 59, 60, 120),
    "probability_of_default": (None, 0.0, 0.179, 0.18, 0.299, 0.3, 1.0),
    "usually_punctual": (None, False, True),
    "hardship": (False, True),
    "part_payments_28d": (None, 0, 1),
    "broken_promises_90d": (None, 0, 1, 2, 3),
}
EVERYBODY = pl.DataFrame(
    list(product(*LEVELS.values())), schema={name: SIGNS[name] for name in LEVELS}, orient="row"
)
SPOKEN = pl.concat(
    [
        EVERYBODY,
        tones(
            EVERYBODY.with_columns(days_past_due=pl.col("dpd").clip(0)),
            shipped_ladder(),
        ),
    ],
    how="horizontal",
)
COLDNESS = {tone: step for step, tone in enumerate(WARMTH)}


def test_it_speaks_to_everybody_and_every_rung_speaks_to_somebody() -> None:
    assert {*SPOKEN["tone"]} == {*TONES}
    assert {*SPOKEN["tone_reason"]} == {rung.reason for rung in shipped_ladder()}


@pytest.mark.parametrize("sign", ["dpd", "probability_of_default", "broken_promises_90d"])
def test_it_is_never_warmer_to_more_risk(sign: str) -> None:
    others = [name for name in LEVELS if name != sign]
    known = SPOKEN.filter(pl.col(sign).is_not_null(), pl.col("tone") != "help")
    runs = known.sort(sign).group_by(others).agg("tone")["tone"]
    assert len(runs) > len(LEVELS)
    for run in runs:
        assert all(COLDNESS[warm] <= COLDNESS[cold] for warm, cold in pairwise(run))


def test_it_is_no_colder_to_the_usually_punctual_and_never_urges_them() -> None:
    loyal = SPOKEN.filter("usually_punctual")
    other = SPOKEN.filter(usually_punctual=False)
    others = [name for name in LEVELS if name != "usually_punctual"]
    pairs = loyal.join(other, on=others, nulls_equal=True).filter(pl.col("tone") != "help")
    assert "urgent" not in {*loyal["tone"]}
    assert pairs.height > 0
    assert all(
        COLDNESS[warm] <= COLDNESS[cold] for warm, cold in pairs.select("tone", "tone_right").rows()
    )


def test_it_helps_whoever_declares_hardship_before_all_else() -> None:
    troubled = SPOKEN.filter("hardship").select("tone", "tone_reason").unique()
    assert troubled.rows() == [("help", "hardship_declared")]


def test_it_urges_nobody_before_the_due_date() -> None:
    assert "urgent" not in {*SPOKEN.filter(pl.col("dpd") < 0)["tone"]}


def test_it_reads_habit_and_hardship_from_the_ledger_and_the_desk() -> None:
    due = {month: date(2026, month, 10) for month in range(1, 9)}

    def loan(name: str, months: tuple[int, ...], paid_on: dict[int, int]) -> dict[str, Any]:
        days = [due[month].replace(day=paid_on.get(month, 10)) for month in months]
        paid = [(datetime(day.year, day.month, day.day, 4, tzinfo=UTC), 87_000) for day in days]
        return {"borrower": name, "due": [*(due[month] for month in months), due[8]], "paid": paid}

    given = tables(
        loan("Zhao", (1, 2, 3, 4), {}),
        loan("Li", (1, 2, 3, 4), {3: 12}),
        loan("Chen", (7,), {}),
        cases=cases(Li="hardship_pending"),
    )
    found = open_loans(given, context=context()).sort("borrower_id")
    assert found["usually_punctual"].to_list() == [False, False, True]
    assert found["hardship"].to_list() == [False, True, False]
    # One of each has just been missed; 15 % late is believed before any, worth four instalments.
    assert found["probability_of_default"].to_list() == [1.6 / 6, 2.6 / 9, 1.6 / 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {tone: warm, reason: a}", "rung 1: unknown tone 'warm'"),
        ("- {tone: help, reason: a, when: income < 3}", "rung 1: unknown column 'income'"),
        ("- {tone: help, reason: a, when: dpd + 1}", "rung 1: is neither true nor false"),
        ("- {tone: help}", "rung 1: no reason"),
        ("- {tone: help, reason: a, who: b}", "rung 1: not a rung"),
        ("- {tone: help, reason: a, when: hardship}", "does not end in a rung for everybody"),
        ("tone: help", "a ladder is a list of rungs"),
        ("- {tone: [", "not YAML"),
    ],
)
def test_it_refuses_a_ladder_that_does_not_hold(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        load_ladder(text, source="tone.yaml")
    assert raised.value.mend
