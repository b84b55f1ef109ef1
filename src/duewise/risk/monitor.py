"""Whether a model still fits the accounts it scores, and what stands in for it when it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.metrics import auc, brier, calibration_error, calibration_line

Floats = npt.NDArray[np.float64]

PSI_BINS = 10
PSI_LOW, PSI_HIGH = 0.10, 0.25  # Siddiqi 2006, chapter 9: below is stable, above has moved
ROWS_MIN = 500  # outcomes in a segment before its calibration is judged
EVENTS_MIN = 30
# The least share a bin is counted with: an empty one would be infinitely far.
SHARE_MIN = 1e-4


class Finding(StrEnum):
    """What the monitor has to say of a model."""

    SCORE_MOVED = "score_moved"
    FEATURES_MOVED = "features_moved"
    OUT_OF_CALIBRATION = "out_of_calibration"
    RANKS_NO_BETTER = "ranks_no_better"
    NO_BETTER_THAN_USUAL = "no_better_than_usual"

    @property
    def meaning(self) -> str:
        """One sentence for people."""
        return _MEANINGS[self]


_MEANINGS: Mapping[Finding, str] = {
    Finding.SCORE_MOVED: "scores lie where they did not when the model was fitted",
    Finding.FEATURES_MOVED: "more than a quarter of the features have moved",
    Finding.OUT_OF_CALIBRATION: "probabilities no longer mean what they say",
    Finding.RANKS_NO_BETTER: "late accounts no longer rank above punctual ones as they did",
    Finding.NO_BETTER_THAN_USUAL: "who pays when is foreseen worse than by everybody's usual day",
}


@dataclass(frozen=True)
class Limits:
    """Past these a model is not used. All are stated in its card."""

    psi: float = PSI_HIGH
    moved_share: float = 0.25
    slope_low: float = 0.7
    slope_high: float = 1.4
    bias: float = 0.03
    auc_loss: float = 0.05


@dataclass(frozen=True)
class Reference:
    """Where a feature or a score lay at the fit: inner edges, and the share of each bin.

    The last share is that of the missing. A text column has `values` instead, and a bin for others.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    values: tuple[str, ...] = ()


def reference(column: pl.Series) -> Reference:
    """Ten bins of equal mass of a number, or each value of a text.

    >>> reference(pl.Series([1.0, 2.0, 3.0, None])).shares[-1]
    0.25
    """
    if not column.dtype.is_numeric():
        values = tuple(column.cast(pl.String).drop_nulls().unique().sort())
        return Reference((), _shares(_place(column, (), values), len(values) + 2), values)
    given = column.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()
    cuts = np.linspace(0, 1, PSI_BINS + 1)[1:-1]
    edges = tuple(np.unique(np.quantile(given, cuts)).tolist()) if len(given) else ()
    return Reference(edges, _shares(_place(column, edges, ()), len(edges) + 2))


def psi(before: Reference, column: pl.Series) -> float:
    """Population stability index of a column against where it lay (Siddiqi 2006, chapter 9).

    The symmetrised relative entropy of the two shares (Kullback, Leibler 1951); 0 for none.

    >>> same = pl.Series([1.0, 2.0, 3.0, 4.0])
    >>> psi(reference(same), same)
    0.0
    """
    place = _place(column, before.edges, before.values)
    now = np.maximum(_shares(place, len(before.shares)), SHARE_MIN)
    then = np.maximum(before.shares, SHARE_MIN)
    return float(((now - then) * np.log(now / then)).sum())


def drift(
    references: Mapping[str, Reference],
    frame: pl.DataFrame,
    *,
    unread: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """A row per feature (and score): feature, psi, missing, unread, moved; the most moved first.

    `missing` and `unread` are shares of the rows: nothing there, and (`Inputs.unread`) what the
    model takes for missing, as it cannot read it.
    """
    rows, cannot = max(len(frame), 1), unread or {}
    table = pl.DataFrame(
        {
            "feature": list(references),
            "psi": [psi(before, frame[name]) for name, before in references.items()],
            "missing": [frame[name].null_count() / rows for name in references],
            "unread": [cannot.get(name, 0) / rows for name in references],
        },
        schema={"feature": pl.String, **dict.fromkeys(("psi", "missing", "unread"), pl.Float64)},
    )
    return table.with_columns(moved=pl.col("psi") > PSI_HIGH).sort(
        "psi", "feature", descending=[True, False]
    )


def performance(outcomes: pl.DataFrame, *, segment: str, seed: int) -> pl.DataFrame:
    """A row per segment, and one for all: what matured outcomes say of their probabilities.

    `outcomes` has target (0, 1, or null while it is open), probability and the segment's column.
    Columns: segment, rows, open, late, probability, bias, auc, brier, slope, intercept, ece,
    ece_floor; figures are null for fewer than 500 outcomes or 30 late ones.
    """
    named = outcomes.with_columns(pl.col(segment).cast(pl.String).fill_null("not known"))
    parts = [
        ("all", named),
        *((str(key[0]), part) for key, part in sorted(named.group_by(segment))),
    ]
    return pl.DataFrame([_performance(name, part, seed) for name, part in parts])


def _performance(name: str, part: pl.DataFrame, seed: int) -> dict[str, object]:
    known = part.drop_nulls("target")
    target = known["target"].cast(pl.Float64).to_numpy()
    probability = known["probability"].to_numpy()
    late = float(target.sum())
    figures: dict[str, float | None] = dict.fromkeys(_PERFORMANCE)
    if len(known) >= ROWS_MIN and EVENTS_MIN <= late <= len(known) - EVENTS_MIN:
        slope, intercept = calibration_line(target, probability)
        error = calibration_error(target, probability, seed=seed)
        values = (
            late / len(known),
            float(probability.mean()),
            float((probability - target).mean()),
            auc(target, probability),
            brier(target, probability),
            slope,
            intercept,
            error.error,
            error.floor_high,
        )
        figures = dict(zip(_PERFORMANCE, values, strict=True))
    return {"segment": name, "rows": len(known), "open": len(part) - len(known), **figures}


_PERFORMANCE = (
    "late",
    "probability",
    "bias",
    "auc",
    "brier",
    "slope",
    "intercept",
    "ece",
    "ece_floor_high",
)


def findings(
    drifted: pl.DataFrame,
    performed: pl.DataFrame,
    *,
    score: str,
    auc_before: float,
    limits: Limits,
) -> list[Finding]:
    """Every limit that is passed, in the order of `Finding`."""
    of_score = drifted.filter(feature=score)["psi"].to_list()
    of_features = drifted.filter(pl.col("feature") != score)["moved"]
    whole = performed.row(by_predicate=pl.col("segment") == "all", named=True)
    is_known = whole["auc"] is not None
    past = {
        Finding.SCORE_MOVED: any(value > limits.psi for value in of_score),
        Finding.FEATURES_MOVED: (of_features.mean() or 0) > limits.moved_share,  # type: ignore[operator]
        Finding.OUT_OF_CALIBRATION: is_known
        and (
            abs(whole["bias"]) > limits.bias
            or not limits.slope_low <= whole["slope"] <= limits.slope_high
        ),
        Finding.RANKS_NO_BETTER: is_known and whole["auc"] < auc_before - limits.auc_loss,
    }
    return [finding for finding, is_past in past.items() if is_past]


def model_in_use(chain: Sequence[tuple[str, Sequence[Finding]]]) -> str:
    """The first model that no limit speaks against; `rules` where each has passed one.

    >>> model_in_use([("boosting", [Finding.SCORE_MOVED]), ("scorecard", [])])
    'scorecard'
    >>> model_in_use([("boosting", [Finding.SCORE_MOVED])])
    'rules'
    """
    return next((name for name, found in chain if not found), "rules")


def _place(
    column: pl.Series, edges: Sequence[float], values: Sequence[str]
) -> npt.NDArray[np.int64]:
    if column.dtype.is_numeric():
        number = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        place = np.searchsorted(np.asarray(edges), number, side="left")
        return np.where(np.isnan(number), len(edges) + 1, place).astype(np.int64)
    missing = column.is_null().to_numpy()
    known = column.cast(pl.String).replace_strict(
        list(values), list(range(len(values))), default=len(values), return_dtype=pl.Int64
    )
    return np.where(missing, len(values) + 1, known.fill_null(len(values)).to_numpy())


def _shares(place: npt.NDArray[np.int64], bins: int) -> tuple[float, ...]:
    return tuple((np.bincount(place, minlength=bins) / max(len(place), 1)).tolist())
