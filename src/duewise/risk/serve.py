"""The registered models as plans and scores use them: probabilities of each open loan on a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from duewise.frames import Schema

if TYPE_CHECKING:
    from duewise.risk.fit import Model
    from duewise.risk.inputs import Inputs

# By target of `risk.target` the column that a plan, a strategy and a score know it by.
FORESEEN: Mapping[str, str] = {
    "late_1": "probability_of_default",
    "late_7": "probability_late_7",
    "late_30": "probability_late_30",
}
PROBABILITIES: Schema = {"loan_id": pl.String, **dict.fromkeys(FORESEEN.values(), pl.Float64)}


@dataclass(frozen=True)
class Served:
    """The model in use for a target; `name` says which of which version, for people.

    `inputs` are the features it reads, so that a plan can say which values it could not.
    """

    target: str
    name: str
    model: Model
    inputs: Inputs | None = None


def foresee(models: Sequence[Served], rows: pl.DataFrame) -> pl.DataFrame:
    """PROBABILITIES of the rows of `features` that have an instalment to come.

    Null where no model is served. Raises BadInput where the rows lack a model's column.
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


def unread(models: Sequence[Served], given: pl.DataFrame) -> dict[str, int]:
    """In how many rows a lender's own column holds what a model cannot read, by column.

    Such values are scored as missing. A column that several models read counts as by the strictest.
    """
    found: dict[str, int] = {}
    for each in models:
        for name, rows in each.inputs.unread(given).items() if each.inputs else ():
            found[name] = max(rows, found.get(name, 0))
    return dict(sorted(found.items()))


def told(models: Sequence[Served]) -> str:
    """By what a plan knows the risk, in words.

    >>> told(())
    "the borrower's own share of late instalments"
    """
    named = ", ".join(f"{each.target} by {each.name}" for each in models)
    return named or "the borrower's own share of late instalments"
