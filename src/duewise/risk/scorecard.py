"""A scorecard: points for bins, added up; one page that a regulator can read and work out by hand.

More points are less risk. 600 points are odds of 50 punctual to 1 late, 20 points double the odds
(Siddiqi 2006, Credit Risk Scorecards, chapter 6). The points are whole numbers, and the score is
their sum: nothing is hidden behind the table.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.risk.bins import Bins, Fine, cut, group, joined
from duewise.risk.calibrate import Calibration, calibrate
from duewise.risk.folds import drawn_groups, group_folds
from duewise.risk.inputs import Inputs
from duewise.risk.logistic import fit_logistic

Floats = npt.NDArray[np.float64]

FACTOR = 20 / log(2)
OFFSET = 600 - FACTOR * log(50)
FEATURES_MAX = 15  # lines of one page
RIDGE = 10.0
FOLDS = 5
ROWS_MAX = 200_000  # more tell a table of whole points nothing; whole borrowers are drawn


@dataclass(frozen=True)
class Scorecard:
    """The table: for each feature its bins, and the points of each bin."""

    inputs: Inputs
    bins: Mapping[str, Bins]
    points: Mapping[str, tuple[int, ...]]
    base: int
    calibration: Calibration

    def point_columns(self, frame: pl.DataFrame) -> Floats:
        """Rows x features of the card, in its order: the points each earns."""
        matrix = self.inputs.matrix(frame)
        return np.column_stack(
            [
                np.empty((len(matrix), 0)),  # a card may have learned nothing but its base
                *(
                    np.asarray(self.points[name])[
                        bins.place(matrix[:, self.inputs.names.index(name)])
                    ]
                    for name, bins in self.bins.items()
                ),
            ]
        )

    def score(self, frame: pl.DataFrame) -> Floats:
        """Points in all; more is better."""
        return np.asarray(self.base + self.point_columns(frame).sum(axis=1), dtype=np.float64)

    def odds(self, frame: pl.DataFrame) -> Floats:
        """Log-odds of late that the points stand for, before calibration."""
        return (OFFSET - self.score(frame)) / FACTOR

    def probability(self, frame: pl.DataFrame) -> Floats:
        """Calibrated probability that the row's event comes."""
        return self.calibration(self.odds(frame))

    def contributions(self, frame: pl.DataFrame) -> Floats:
        """Rows x (features of the card, then the base): log-odds above the average account's.

        A sum has one Shapley value per term: the term less its mean (Lundberg, Lee 2017,
        corollary 1). They add up to `odds`.
        """
        points = self.point_columns(frame)
        mean = np.array(
            [np.dot(self.points[name], bins.shares) for name, bins in self.bins.items()]
        )
        base = (OFFSET - self.base - mean.sum()) / FACTOR
        return np.column_stack(((mean - points) / FACTOR, np.full(len(points), base)))

    def table(self) -> pl.DataFrame:
        """The card itself: feature, bin in words, share of accounts, points."""
        rows = [
            (name, text, share, points)
            for name, bins in self.bins.items()
            for text, share, points in zip(
                self._texts(name, bins), bins.shares, self.points[name], strict=True
            )
            if share > 0
        ]
        return pl.DataFrame(rows, schema=["feature", "bin", "share", "points"], orient="row")

    def _texts(self, name: str, bins: Bins) -> list[str]:
        if not bins.groups:
            edges = [f"{edge:.6g}" for edge in bins.edges]
            between = [f"{low} to below {high}" for low, high in itertools.pairwise(edges)]
            ends = [f"below {edges[0]}", *between, f"{edges[-1]} or more"] if edges else ["any"]
            return [*ends, "missing"]
        known = self.inputs.categories[name]
        last = len(bins.woe) - 1
        return [
            " or ".join(
                value for value, place in zip(known, bins.groups, strict=True) if place == n
            )
            for n in range(last)
        ] + ["missing"]


def fit_scorecard(
    frame: pl.DataFrame, target: Floats, groups: pl.Series, *, inputs: Inputs, seed: int
) -> Scorecard:
    """A card of these rows, calibrated on folds of borrowers that its own fit never saw.

    Of more than ROWS_MAX rows it is made of as many, of borrowers drawn by the seed.
    """
    is_many = len(target) > ROWS_MAX
    if is_many:
        kept = drawn_groups(groups, share=ROWS_MAX / len(target), seed=seed)
        frame, target, groups = frame[kept], target[kept], groups[kept]
    matrix = inputs.matrix(frame)
    every = _laid_out(inputs, matrix)
    fold = group_folds(groups, pl.Series(target), folds=FOLDS, seed=seed)
    unseen = np.empty(len(target))
    for k in range(FOLDS):
        held = fold == k
        # Of many rows laid out once for all folds: where bins may be cut is then told by held-out
        # rows' features too, never by their outcomes.
        seen = {name: fine.among(~held) for name, fine in every.items()} if is_many else None
        card = _card(seen or _laid_out(inputs, matrix[~held]), target[~held], inputs)
        unseen[held] = card.odds(frame.filter(held))
    full = _card(every, target, inputs)
    found = calibrate(unseen, target, fold=fold)
    return Scorecard(inputs, full.bins, full.points, full.base, found)


def _laid_out(inputs: Inputs, matrix: Floats) -> dict[str, Fine]:
    numbers = len(inputs.numbers)
    return {
        name: Fine.of_numbers(matrix[:, n])
        if n < numbers
        else Fine.of_categories(matrix[:, n], known=len(inputs.categories[name]))
        for n, name in enumerate(inputs.names)
    }


def _card(columns_of: Mapping[str, Fine], target: Floats, inputs: Inputs) -> Scorecard:
    every = {name: _bins(fine, target, name, inputs) for name, fine in columns_of.items()}
    bins = {name: each for name, each in every.items() if len(set(each.woe)) > 1}
    evidence = {name: columns_of[name].evidence(each) for name, each in bins.items()}
    weights = _weights(evidence, target)
    chosen = sorted(weights, key=lambda name: -weights[name] * evidence[name].std())[:FEATURES_MAX]
    columns = np.column_stack([np.empty((len(target), 0)), *(evidence[name] for name in chosen)])
    intercept, *slopes = fit_logistic(columns, target, ridge=RIDGE, rising=True).tolist()
    points = {
        name: [round(-FACTOR * slope * woe) for woe in bins[name].woe]
        for name, slope in zip(chosen, slopes, strict=True)
    }
    kept = {name: joined(bins[name], each) for name, each in points.items() if any(each)}
    return Scorecard(
        inputs,
        {name: short for name, (short, _) in kept.items()},
        {name: each for name, (_, each) in kept.items()},
        round(OFFSET - FACTOR * intercept),
        Calibration("platt", (0.0, 1.0)),
    )


def _weights(evidence: Mapping[str, Floats], target: Floats) -> dict[str, float]:
    """A coefficient >= 0 for each feature's evidence: most get none, as others say the same."""
    columns = np.column_stack([np.empty((len(target), 0)), *evidence.values()])
    found = fit_logistic(columns, target, ridge=RIDGE, rising=True)
    return {name: weight for name, weight in zip(evidence, found[1:], strict=True) if weight > 0}


def _bins(fine: Fine, target: Floats, name: str, inputs: Inputs) -> Bins:
    if name in inputs.categories:
        return group(fine, target)
    return cut(fine, target, sign=inputs.signs.get(name, 0))
