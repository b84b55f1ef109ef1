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


@dataclass(frozen=True)
class Fine:
    """A column laid out finely, by its values alone: numbers in bins of equal mass, or categories.

    `place` is each value's bin; the last one (`count` - 1) holds the missing. A number's bins are
    cut at `edges`; a category has none.
    """

    place: Places
    edges: Floats
    count: int

    @classmethod
    def of_numbers(cls, column: Floats) -> Fine:
        """Bins of equal mass of a number."""
        missing = np.isnan(column)
        edges = np.unique(np.quantile(column[~missing], np.linspace(0, 1, FINE + 1)[1:-1]))
        place = np.searchsorted(edges, column, side="right")
        place[missing] = len(edges) + 1
        return cls(place, edges, len(edges) + 2)

    @classmethod
    def of_categories(cls, column: Floats, *, known: int) -> Fine:
        """The values 0 … known - 1 of a category."""
        place = np.where(np.isnan(column), known, column).astype(np.int64)
        return cls(place, np.empty(0), known + 1)

    def among(self, rows: npt.NDArray[np.bool_]) -> Fine:
        """The same bins, of some of the rows."""
        return Fine(self.place[rows], self.edges, self.count)

    def evidence(self, bins: Bins) -> Floats:
        """`bins.evidence` of the values: bins of this layout, read off without a search."""
        if bins.groups:
            of = [*bins.groups, -1]
        else:
            least = np.concatenate(([-np.inf], self.edges))  # the least value of each fine bin
            of = [*np.searchsorted(np.asarray(bins.edges), least, side="right").tolist(), -1]
        return np.asarray(bins.woe)[of][self.place]


def cut(fine: Fine, target: Floats, *, sign: int = 0) -> Bins:
    """Monotone bins of a number: risk rises with it (`sign` 1), falls (-1), or as the data say.

    Fine bins of equal mass are pooled while their rates break the order (Barlow et al. 1972, the
    pool-adjacent-violators algorithm), then the nearest neighbours while they are too many or too
    small.
    """
    rows, late = _counts(fine, target)
    starts = _merged(rows[:-1], late[:-1], len(target), sign=sign)
    edges = tuple(float(fine.edges[start - 1]) for start in starts[1:])
    return _weighed(edges, (), rows, late, [*starts, fine.count - 1])


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


def group(fine: Fine, target: Floats) -> Bins:
    """Bins of a category: values of like rates go together."""
    rows, late = _counts(fine, target)
    mean, known = target.mean(), fine.count - 1
    order = np.argsort((late[:-1] + SMOOTH * mean) / (rows[:-1] + SMOOTH), kind="stable")
    starts = _merged(rows[order], late[order], len(target), sign=1)
    groups = np.empty(known, dtype=np.int64)
    groups[order] = np.searchsorted(starts, np.arange(known), side="right") - 1
    ordered = [*order, known]
    return _weighed((), tuple(groups.tolist()), rows[ordered], late[ordered], [*starts, known])


def _counts(fine: Fine, target: Floats) -> tuple[Floats, Floats]:
    """How many rows lie in each fine bin, and how many of them are late."""
    rows = np.bincount(fine.place, minlength=fine.count).astype(np.float64)
    late = np.bincount(fine.place, weights=target, minlength=fine.count)
    return rows, late.astype(np.float64)


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


def _weighed(
    edges: tuple[float, ...],
    groups: tuple[int, ...],
    rows: Floats,
    late: Floats,
    starts: Sequence[int],
) -> Bins:
    """Bins that start at these fine ones: weights of evidence (Good 1950), shares of the rows."""
    rows, late = np.add.reduceat(rows, starts), np.add.reduceat(late, starts)
    mean = late.sum() / rows.sum()
    rate = (late + SMOOTH * mean) / (rows + SMOOTH)
    woe = np.log(rate / (1 - rate)) - np.log(mean / (1 - mean))
    return Bins(edges, tuple(woe.tolist()), tuple((rows / rows.sum()).tolist()), groups)
