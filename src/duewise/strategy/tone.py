"""The tone ladder: from signs of risk, ability, willingness and loyalty to one tone and its reason.

The rungs are data (`tone.yaml`); here they are read, checked and compiled to one expression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import polars as pl
import yaml

from duewise.errors import BadInput
from duewise.strategy.conditions import KEPT_MAX
from duewise.strategy.offers import Wholes

# From the warmest to the firmest. Help is no rung between them: it is another conversation.
WARMTH = ("thank", "gentle", "neutral", "clear", "urgent")
TONES = (*WARMTH, "help")
# What a rung may speak of, one row per loan. Who is not known to the desk has declared no hardship.
SIGNS: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "dpd": pl.Int32,
    "days_past_due": pl.Int32,
    "probability_of_default": pl.Float64,
    "usually_punctual": pl.Boolean,
    "hardship": pl.Boolean,
    "part_payments_28d": pl.Int32,
    "broken_promises_90d": pl.Int32,
}
PUNCTUAL_INSTALMENTS_MIN = 3  # fewer say nothing of a habit
HISTORY_DAYS = 365


@dataclass(frozen=True)
class Rung:
    """A tone, when it is taken (None: always) and the word for why."""

    tone: str
    reason: str
    when: str | None = None


def load_ladder(text: str, *, source: str) -> tuple[Rung, ...]:
    """The rungs of a ladder file. Raises BadInput with the rung that is not one."""
    try:
        listed = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"not YAML: {error}", source=source, mend="quote the condition") from error
    if not isinstance(listed, list) or not listed:
        raise BadInput("a ladder is a list of rungs", source=source, mend="write `- tone: …`")
    rungs = tuple(_rung(raw, number, source) for number, raw in enumerate(listed, start=1))
    if rungs[-1].when is not None or any(rung.when is None for rung in rungs[:-1]):
        mend = "leave out `when` on the last rung, and only there"
        raise BadInput("the ladder does not end in a rung for everybody", source=source, mend=mend)
    return rungs


@lru_cache
def shipped_ladder() -> tuple[Rung, ...]:
    """The rungs that ship."""
    file = files("duewise.strategy").joinpath("tone.yaml")
    return load_ladder(file.read_text(encoding="utf-8"), source="tone.yaml")


def tones(rows: pl.DataFrame, ladder: Sequence[Rung]) -> pl.DataFrame:
    """Per row `tone` and `tone_reason`. `rows` hold `SIGNS`; a null makes a condition false.

    >>> li = {"dpd": -2, "days_past_due": 0, "probability_of_default": 0.05}
    >>> li |= {"usually_punctual": True, "hardship": False}
    >>> row = pl.DataFrame([li | {"part_payments_28d": 0, "broken_promises_90d": 0}])
    >>> tones(row, shipped_ladder()).row(0)
    ('thank', 'punctual')
    """
    first = pl.coalesce(
        pl.when(pl.lit(value=True) if rung.when is None else _condition(rung.when)).then(number)
        for number, rung in enumerate(ladder)
    )
    spoken = rows.select(rung=first).get_column("rung")
    told = pl.DataFrame(
        {"tone": [each.tone for each in ladder], "tone_reason": [each.reason for each in ladder]}
    )
    return told[spoken]


def is_usually_punctual(settled: Wholes, late: Wholes) -> npt.NDArray[np.bool_]:
    """Of borrowers who settled so many instalments of the last HISTORY_DAYS, so many of them late.

    What is not settled yet says nothing of habit.
    """
    found: npt.NDArray[np.bool_] = (settled >= PUNCTUAL_INSTALMENTS_MIN) & (late == 0)
    return found


def _rung(raw: object, number: int, source: str) -> Rung:
    def bad(message: str, mend: str) -> BadInput:
        return BadInput(f"rung {number}: {message}", source=source, mend=mend)

    if not isinstance(raw, dict) or set(raw) - {"tone", "reason", "when"}:
        raise bad("not a rung", "give it tone, reason and when, nothing else")
    if raw.get("tone") not in TONES:
        raise bad(f"unknown tone {raw.get('tone')!r}", f"use {', '.join(TONES)}")
    if not isinstance(raw.get("reason"), str):
        raise bad("no reason", "say in a word why")
    when = raw.get("when")
    try:
        if when is not None:
            _condition(str(when))
    except ValueError as error:
        raise bad(str(error), f"columns: {', '.join(SIGNS)}") from error
    return Rung(raw["tone"], raw["reason"], None if when is None else str(when))


@lru_cache(KEPT_MAX)
def _condition(when: str) -> pl.Expr:
    """The condition over `SIGNS`. Raises ValueError if it is not one."""
    try:
        expression = pl.sql_expr(when)
        unknown = [name for name in expression.meta.root_names() if name not in SIGNS]
        if unknown:
            raise ValueError(f"unknown column {unknown[0]!r}")
        found = pl.DataFrame(schema=dict(SIGNS)).select(expression).dtypes[0]
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    if found != pl.Boolean:
        raise ValueError("is neither true nor false")
    return expression.fill_null(value=False)
