"""Whether probabilities mean the same for everybody: by age band, by sex, by region."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.metrics import auc, brier

Floats = npt.NDArray[np.float64]

AGE_BANDS = (25, 35, 45, 55, 65)
ROWS_MIN = 100  # a smaller group is shown without figures: they would be noise


def group_figures(
    predictions: pl.DataFrame, frame: pl.DataFrame, *, model: str, protected: Sequence[str]
) -> pl.DataFrame:
    """A row per protected column and group: column, group, then the figures below.

    `rows`, `late` (the share), `probability` (the mean). `bias` is the mean probability less the
    share that came late, with `error` its standard error were every probability exact: a bias
    within two of them is noise. `auc` and `brier` are within the group. Figures are null for fewer
    than 100 rows, and the AUC where a group has one outcome.
    """
    rows = frame[predictions["row"].to_numpy()]
    parts = [
        _of_group(column, str(group), part, model)
        for column in protected
        for group, part in _parts(predictions, rows[column])
    ]
    return pl.DataFrame(parts, schema=_FIGURES, orient="row")


_FIGURES = {
    "column": pl.String,
    "group": pl.String,
    "rows": pl.Int64,
    "late": pl.Float64,
    "probability": pl.Float64,
    "bias": pl.Float64,
    "error": pl.Float64,
    "auc": pl.Float64,
    "brier": pl.Float64,
}


def banded(column: pl.Series) -> pl.Series:
    """Ages in bands, other numbers in fifths, texts as they are.

    >>> banded(pl.Series("age", [24, 25, 70])).to_list()
    ['below 25', '25 to 34', '65 or more']
    """
    if not column.dtype.is_numeric():
        return column.cast(pl.String)
    if column.name == "age":
        ends = [f"{low} to {high - 1}" for low, high in pairwise(AGE_BANDS)]
        labels = [f"below {AGE_BANDS[0]}", *ends, f"{AGE_BANDS[-1]} or more"]
        place = pl.Series(AGE_BANDS).search_sorted(column.fill_null(0), side="right")
    else:
        labels = ["lowest fifth", "second fifth", "middle fifth", "fourth fifth", "highest fifth"]
        place = ((column.rank("min") - 1) * len(labels) // column.count()).fill_null(0)
    named = place.cast(pl.Int64).replace_strict(list(range(len(labels))), labels)
    return named.set(column.is_null(), None)


def _parts(predictions: pl.DataFrame, column: pl.Series) -> list[tuple[str, pl.DataFrame]]:
    named = predictions.with_columns(group=banded(column).fill_null("not known"))
    return [(group, part) for (group,), part in sorted(named.group_by("group"))]


def _of_group(column: str, group: str, part: pl.DataFrame, model: str) -> tuple[object, ...]:
    target, probability = part["target"].to_numpy(), part[model].to_numpy()
    late = float(target.mean())
    if len(part) < ROWS_MIN:
        return (column, group, len(part), *[None] * 6)
    mean = float(probability.mean())
    error = float(np.sqrt((probability * (1 - probability)).sum()) / len(part))
    ranked = auc(target, probability) if 0 < late < 1 else None
    return (
        column,
        group,
        len(part),
        late,
        mean,
        mean - late,
        error,
        ranked,
        brier(target, probability),
    )
