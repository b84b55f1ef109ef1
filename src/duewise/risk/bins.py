"""Few bins per feature, each with one rate, rising or falling throughout; the missing apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

FINE = 40  # bins of equal mass to begin with
BINS_MAX = 7
SHARE_MIN = 0.02  # of the rows; a smaller bin goes to its nearer neighbour
SMOOTH = 1.0  # rows at the mean rate added to each bin, so that a pure one has odds too


@dataclass(frozen=True)
class Bins:
    """Where a feature's bins are cut, and the weight of evidence of each.

    Bin k holds `edges[k - 1]` <= value < `edges[k]`; the last weight is that of the missing. A
    category's `groups` say which bin each known value falls into; then `edges` is empty.
    """

    edges: tuple[float, ...]
    woe: tuple[float, ...]
    shares: tuple[float, ...]
    groups: tuple[int, ...] = ()

    def place(self, column: Floats) -> Places:
        """The bin of each value; the last one for NaN."""
        missing = np.isnan(column)
        if self.groups:
            known = np.asarray(self.groups)
            found = known[np.where(missing, 0, column).astype(np.int64)]
        else:
            found = np.searchsorted(np.asarray(self.edges), column, side="right")
        return np.where(missing, len(self.woe) - 1, found).astype(np.int64)

    def evidence(self, column: Floats) -> Floats:
        """The weight of evidence of each value: the log-odds of late it adds to the mean's."""
        return np.asarray(self.woe)[self.place(column)]


def cut(column: Floats, target: Floats, *, sign: int = 0) -> Bins:
    """Monotone bins of a number: risk rises with it (`sign` 1), falls (-1), or as the data say.

    Fine bins of equal mass are pooled while their rates break the order (Barlow et al. 1972, the
    pool-adjacent-violators algorithm), then the nearest neighbours while they are too many or too
    small.
    """
    given = ~np.isnan(column)
    value, late = column[given], target[given]
    fine = np.unique(np.quantile(value, np.linspace(0, 1, FINE + 1)[1:-1]))
    place = np.searchsorted(fine, value, side="right")
    rows = np.bincount(place, minlength=len(fine) + 1).astype(np.float64)
    events = np.bincount(place, weights=late, minlength=len(fine) + 1).astype(np.float64)
    starts = _merged(rows, events, len(column), sign=sign)
    edges = tuple(float(fine[start - 1]) for start in starts[1:])
    return _weighed(Bins(edges, (0.0,) * (len(edges) + 2), ()), column, target)


def joined(bins: Bins, points: Sequence[int]) -> tuple[Bins, tuple[int, ...]]:
    """The same bins of a number with neighbours of equal points made one: a shorter table.

    >>> joined(Bins((1.0, 2.0), (0.0, 0.1, 0.9, 0.0), (0.2, 0.3, 0.5, 0.0)), [5, 5, -2, 0])
    (Bins(edges=(2.0,), woe=(0.06, 0.9, 0.0), shares=(0.5, 0.5, 0.0), groups=()), (5, -2, 0))
    """
    if bins.groups:
        return bins, tuple(points)
    starts = [0] + [k for k in range(1, len(points) - 1) if points[k] != points[k - 1]]
    share = np.asarray(bins.shares[:-1])
    shares = np.add.reduceat(share, starts)
    woe = np.add.reduceat(share * np.asarray(bins.woe[:-1]), starts) / np.maximum(shares, 1e-12)
    return (
        Bins(
            tuple(bins.edges[k - 1] for k in starts[1:]),
            (*woe.tolist(), bins.woe[-1]),
            (*shares.tolist(), bins.shares[-1]),
        ),
        tuple(points[k] for k in (*starts, -1)),
    )


def group(column: Floats, target: Floats, *, known: int) -> Bins:
    """Bins of a category with values 0 … known - 1: those of like rates go together."""
    given = ~np.isnan(column)
    place = column[given].astype(np.int64)
    rows = np.bincount(place, minlength=known).astype(np.float64)
    events = np.bincount(place, weights=target[given], minlength=known).astype(np.float64)
    mean = target.mean()
    order = np.argsort((events + SMOOTH * mean) / (rows + SMOOTH), kind="stable")
    starts = _merged(rows[order], events[order], len(column), sign=1)
    groups = np.empty(known, dtype=np.int64)
    groups[order] = np.searchsorted(starts, np.arange(known), side="right") - 1
    bins = Bins((), (0.0,) * (len(starts) + 1), (), tuple(groups.tolist()))
    return _weighed(bins, column, target)


def _merged(rows: Floats, events: Floats, total: int, *, sign: int) -> list[int]:
    """Where the merged bins start, of bins in order."""
    from scipy.optimize import isotonic_regression

    rate = events / np.maximum(rows, 1)
    signs = (sign,) if sign else (1, -1)
    fits = [
        isotonic_regression(rate, weights=np.maximum(rows, 1e-9), increasing=s > 0) for s in signs
    ]
    best = min(fits, key=lambda fit: float(rows @ (fit.x - rate) ** 2))
    starts: list[int] = best.blocks[:-1].tolist()
    while len(starts) > 1:
        n = np.add.reduceat(rows, starts)
        rates = np.add.reduceat(events, starts) / np.maximum(n, 1)
        # Merging two neighbours costs this much squared error (Ward 1963).
        cost = np.diff(rates) ** 2 * n[:-1] * n[1:] / np.maximum(n[:-1] + n[1:], 1)
        small = n < SHARE_MIN * total
        if small.any():
            cost = np.where(small[:-1] | small[1:], cost, np.inf)
        elif len(starts) <= BINS_MAX:
            break
        del starts[int(np.argmin(cost)) + 1]
    return starts


def _weighed(bins: Bins, column: Floats, target: Floats) -> Bins:
    """The bins with their weights of evidence (Good 1950) and their shares of the rows."""
    place, count = bins.place(column), len(bins.woe)
    rows = np.bincount(place, minlength=count)
    late = np.bincount(place, weights=target, minlength=count)
    mean = target.mean()
    rate = (late + SMOOTH * mean) / (rows + SMOOTH)
    woe = np.log(rate / (1 - rate)) - np.log(mean / (1 - mean))
    return Bins(bins.edges, tuple(woe.tolist()), tuple((rows / len(column)).tolist()), bins.groups)
