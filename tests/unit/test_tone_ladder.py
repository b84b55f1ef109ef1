"""The tone ladder: more risk is never met more warmly, and who is in trouble is helped first.

Every combination of signs on both sides of every threshold is asked, not a sample of them.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise, product

import polars as pl
import pytest

from duewise.errors import BadInput
from duewise.strategy.tone import (
    SIGNS,
    TONES,
    WARMTH,
    load_ladder,
    shipped_ladder,
    signs,
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
    day = {month: date(2026, month, 10) for month in range(1, 9)}
    paid = [("Zhao", day[month], day[month]) for month in range(1, 5)]
    late = [("Li", day[month], date(2026, month, 12 if month == 3 else 9)) for month in range(1, 5)]
    new = [("Chen", day[7], day[7])]
    open_ones = [(name, day[8], None) for name in ("Zhao", "Li", "Chen")]
    history = pl.DataFrame(
        [*paid, *late, *new, *open_ones],
        schema=["borrower_id", "effective_due_date", "settled_date"],
        orient="row",
    )
    cases = pl.DataFrame({"borrower_id": ["Li"], "hardship_pending": [True]})
    found = signs(history, cases, as_of=date(2026, 8, 14)).sort("borrower_id")
    assert found.rows() == [("Chen", False, False), ("Li", False, True), ("Zhao", True, False)]


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
