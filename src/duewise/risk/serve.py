"""The registered models as plans and scores use them: probabilities of each open loan on a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from duewise.frames import Schema

if TYPE_CHECKING:
    from duewise.risk.fit import Model

# By target of `risk.target` the column that a plan, a strategy and a score know it by.
FORESEEN: Mapping[str, str] = {
    "late_1": "probability_of_default",
    "late_7": "probability_late_7",
    "late_30": "probability_late_30",
}
PROBABILITIES: Schema = {"loan_id": pl.String, **dict.fromkeys(FORESEEN.values(), pl.Float64)}


@dataclass(frozen=True)
class Served:
    """The model in use for a target; `name` says which of which version, for people."""

    target: str
    name: str
    model: Model


def foresee(models: Sequence[Served], rows: pl.DataFrame) -> pl.DataFrame:
    """PROBABILITIES of the rows of `features` that have an instalment to come.

    Null where no model is served. Raises BadInput where a model cannot read the rows.
    """
    ahead = rows.filter(pl.col("number").is_not_null())
    found = {FORESEEN[each.target]: each.model.probability(ahead) for each in models}
    return ahead.select(
        "loan_id",
        *(
            pl.Series(name, found[name]) if name in found else pl.lit(None, pl.Float64).alias(name)
            for name in FORESEEN.values()
        ),
    )


def told(models: Sequence[Served]) -> str:
    """By what a plan knows the risk, in words.

    >>> told(())
    "the borrower's own share of late instalments"
    """
    named = ", ".join(f"{each.target} by {each.name}" for each in models)
    return named or "the borrower's own share of late instalments"
