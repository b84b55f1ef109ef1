"""Why an account has its score: the three features that raise its risk most, in plain words.

The share of a feature is its Shapley value in log-odds, exact for both models. Only what raises the
risk is a reason; an account that nothing speaks against has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Words = Mapping[str, Mapping[str, str]]  # feature to language to what a risk is put down to

TOP = 3
LANGUAGES = ("en", "zh")
# Where the catalogue is silent, a lender's own column has its name and where its value lies.
_PLAIN = {
    "en": {1: "{name} is higher than usual", -1: "{name} is lower than usual", 0: "{name}"},
    "zh": {1: "{name}高于常见水平", -1: "{name}低于常见水平", 0: "{name}"},
}


class Explained(Protocol):
    """A model that can say what each feature adds."""

    def contributions(self, frame: pl.DataFrame) -> Floats:
        """Rows x (features, then the base), in log-odds."""
        ...


def reasons(
    contributions: Floats, names: Sequence[str], frame: pl.DataFrame, *, words: Words
) -> pl.DataFrame:
    """A row per account: reasons (features, the weightiest first), reasons_en, reasons_zh.

    `contributions` has a column for each of `names`, and the base last. `words` need not know every
    feature: another is told by its name and whether its value is high or low among these accounts.
    """
    each = contributions[:, :-1]
    top = np.argsort(-each, axis=1, kind="stable")[:, :TOP]
    raises = np.take_along_axis(each, top, axis=1) > 0
    sides = np.column_stack([_side(frame[name]) for name in names])
    side = np.take_along_axis(sides, top, axis=1)
    said = {
        "reasons": _listed(np.asarray(names, dtype=object)[top], raises),
        **{
            f"reasons_{language}": _listed(_phrases(names, words, language)[top, side + 1], raises)
            for language in LANGUAGES
        },
    }
    return pl.DataFrame(said)


def overlap(first: pl.Series, second: pl.Series) -> float:
    """How alike two lists of reasons are: the mean share of common ones among all (Jaccard 1901).

    Two accounts without reasons are alike.

    >>> overlap(pl.Series([["a", "b"], []]), pl.Series([["a"], []], dtype=pl.List(pl.String)))
    0.75
    """
    common = first.list.set_intersection(second).list.len()
    either = first.list.set_union(second).list.len()
    shares = pl.select(pl.when(either > 0).then(common / either).otherwise(1.0)).to_series()
    return float(shares.mean() or 0.0)  # type: ignore[arg-type]


def _side(column: pl.Series) -> npt.NDArray[np.int64]:
    """1 above the median, -1 below it; 0 where it is, or for what has no order."""
    if not column.dtype.is_numeric():
        return np.zeros(len(column), dtype=np.int64)
    value = column.cast(pl.Float64)
    gap = (value - (value.median() or 0.0)).sign().fill_null(0).fill_nan(0)
    return gap.cast(pl.Int64).to_numpy()


def _phrases(names: Sequence[str], words: Words, language: str) -> npt.NDArray[np.object_]:
    """Texts, features x (below, at, above the median)."""
    plain = _PLAIN[language]
    return np.array(
        [
            [
                words.get(name, {}).get(language) or plain[side].format(name=name)
                for side in (-1, 0, 1)
            ]
            for name in names
        ],
        dtype=object,
    )


def _listed(texts: npt.NDArray[np.object_], keep: npt.NDArray[np.bool_]) -> pl.Series:
    """A list per row of the texts to keep, in their order."""
    flat = pl.DataFrame(
        {
            "row": np.repeat(np.arange(len(texts)), texts.shape[1]),
            "text": pl.Series(texts.ravel().tolist(), dtype=pl.String),
            "keep": keep.ravel(),
        }
    )
    return flat.group_by("row", maintain_order=True).agg(pl.col("text").filter("keep"))["text"]
