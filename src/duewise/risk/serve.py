"""The registered models as plans and scores use them: probabilities of each open loan on a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.frames import Schema, completed

if TYPE_CHECKING:
    from duewise.risk.fit import Model
    from duewise.risk.hazard import Hazard
    from duewise.risk.inputs import Inputs

Floats = npt.NDArray[np.float64]

# By target of `risk.target`, the least late first, the column that a plan, a strategy and a score
# know it by.
FORESEEN: Mapping[str, str] = {
    "late_1": "probability_of_default",
    "late_7": "probability_late_7",
    "late_30": "probability_late_30",
}
# That a missed instalment is paid so many days after its due date, by the hazard of paying.
CURED_BY: Mapping[int, str] = {days: f"probability_cured_{days}d" for days in (3, 7, 14, 30)}
COLUMNS = (*FORESEEN.values(), *CURED_BY.values())
PROBABILITIES: Schema = {"loan_id": pl.String, **dict.fromkeys(COLUMNS, pl.Float64)}


@dataclass(frozen=True)
class Served:
    """The model in use for a target; `name` says which of which version, for people.

    `inputs` are the features it reads, so that a plan can say which values it could not.
    """

    target: str
    name: str
    model: Model
    inputs: Inputs | None = None


@dataclass(frozen=True)
class ServedHazard:
    """The hazard of paying in use; without a model where the monitor has set it aside."""

    name: str
    model: Hazard | None

    @property
    def inputs(self) -> Inputs | None:
        """What it reads."""
        return self.model.inputs if self.model else None


def foresee(
    models: Sequence[Served],
    rows: pl.DataFrame,
    *,
    hazard: ServedHazard | None = None,
    lapses: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """PROBABILITIES of the rows of `features`.

    Of late payment where an instalment is to come, as `ordered`; of cure for the loans of `lapses`,
    which are `cured.of_lapsed` of these rows. Null where no model is served, and for a horizon that
    is past. Raises BadInput where the rows lack a model's column.
    """
    found = _late(models, rows)
    if hazard is None or hazard.model is None or lapses is None or lapses.is_empty():
        return completed(found, PROBABILITIES)
    cured = _cured(hazard.model, lapses)
    joined = found.join(cured, on="loan_id", how="full", coalesce=True, maintain_order="left_right")
    return joined.select(list(PROBABILITIES))


def _late(models: Sequence[Served], rows: pl.DataFrame) -> pl.DataFrame:
    ahead = rows.filter(pl.col("number").is_not_null()) if rows["number"].null_count() else rows
    ranked = sorted(models, key=lambda each: list(FORESEEN).index(each.target))
    said = ordered([each.model.probability(ahead) for each in ranked])
    found = {FORESEEN[each.target]: column for each, column in zip(ranked, said, strict=True)}
    return ahead.select(
        "loan_id",
        *(
            pl.Series(name, found[name]) if name in found else pl.lit(None, pl.Float64).alias(name)
            for name in FORESEEN.values()
        ),
    )


def ordered(columns: Sequence[Floats]) -> list[Floats]:
    """Probabilities that cannot rise from one column to the next: who is 7 days late is 1 day late.

    What is in order stays as it is; neighbours that are not take their mean. These are the nearest
    values in order, in squares (Barlow et al. 1972: pooled adjacent violators, by its closed form).

    >>> ordered([np.array([0.2, 0.1]), np.array([0.1, 0.3])])
    [array([0.2, 0.2]), array([0.1, 0.2])]
    """
    every = range(len(columns))
    mean = {(i, j): np.mean(columns[i : j + 1], axis=0) for i in every for j in every if i <= j}
    return [
        np.minimum.reduce(
            [np.maximum.reduce([mean[i, j] for j in every if j >= k]) for i in range(k + 1)]
        )
        for k in every
    ]


def _cured(hazard: Hazard, lapses: pl.DataFrame) -> pl.DataFrame:
    found = hazard.probability_cured(lapses)
    first = pl.col("from_day")
    return lapses.select(
        "loan_id",
        *(
            pl.when(first <= days).then(pl.Series(column)).alias(name)
            for (days, name), column in zip(CURED_BY.items(), found.T, strict=True)
        ),
    )


def unread(
    models: Sequence[Served], given: pl.DataFrame, *, hazard: ServedHazard | None = None
) -> dict[str, int]:
    """In how many rows a lender's own column holds what a model cannot read, by column.

    Such values are scored as missing. A column that several models read counts as by the strictest.
    """
    found: dict[str, int] = {}
    read = [*(each.inputs for each in models), hazard.inputs if hazard else None]
    for inputs in read:
        for name, rows in inputs.unread(given).items() if inputs else ():
            found[name] = max(rows, found.get(name, 0))
    return dict(sorted(found.items()))


def told(models: Sequence[Served], hazard: ServedHazard | None = None) -> str:
    """By what a plan knows the risk, in words.

    >>> told(())
    "the borrower's own share of late instalments"
    """
    named = ", ".join(f"{each.target} by {each.name}" for each in models)
    risk = named or "the borrower's own share of late instalments"
    return f"{risk}; cure by {hazard.name}" if hazard else risk
