"""A LightGBM model laid out for a whole column of rows at once; compiled, and exact.

A tree of LightGBM grows by splitting one leaf after the other: the left part keeps the leaf's
number, the right part gets a new one. Played back over a block of rows, a split is one comparison
of small numbers without a branch, the same for all rows, so that the processor does 32 of them at
a time; nobody walks from node to node. Values are first turned into their place among the
thresholds of the model, which fits a byte. The sum of the leaves is taken in the library's order,
so the score is that of `Booster.predict(raw_score=True)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from duewise.book.compiled import compiled, uncounted
from duewise.errors import BadInput

Int32s = npt.NDArray[np.int32]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Floats = Float32s | Float64s
Places = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

BLOCK = 512  # rows whose places and leaves stay in the nearest cache
ZERO = 1e-35  # what LightGBM takes for zero
# LightGBM's decision_type: a bit each, and two for what counts as missing.
IS_CATEGORICAL, IS_DEFAULT_LEFT = 1, 2
NO_MISSING, ZERO_MISSING, NAN_MISSING = range(3)
MISSING = -1  # the highest number of a byte, or of two
ANY_OF = 3  # a column of ours: 0 where the value is one of a set of categories, else 1
WORD = 32
FEW = 256  # thresholds that are all asked


class Question(NamedTuple):
    """A column of places: a feature, what counts as missing in it, and the categories asked for."""

    feature: int
    missing: int
    categories: tuple[int, ...] = ()


class Splits(NamedTuple):
    """All splits of all trees, in order; `tree_end` is where each tree's splits end."""

    row: Int32s  # of places: a question's, or beyond all questions its own with one added
    threshold: Places  # goes right if its place is above
    leaf: Places  # whose rows are asked
    turn: Places  # the bits by which the leaf of those that go right differs
    tree_end: Int32s
    value: Float64s  # of the leaves, tree after tree: one more than a tree has splits


class Cuts(NamedTuple):
    """How values become places: of question q the thresholds are those up to `end[q]`."""

    feature: Int32s
    missing: Int32s
    end: Int32s
    threshold: Floats
    category: Float64s  # the thresholds once more: where a set of categories is asked for


@dataclass(frozen=True)
class Forest:
    """A model ready to score. `features` are the names of the columns, in order."""

    features: tuple[str, ...]
    cuts: Cuts
    splits: Splits

    def score(self, columns: npt.NDArray[np.floating]) -> Float64s:
        """The raw scores (log-odds) of `columns` (features x rows; nan is missing)."""
        assert len(columns) == len(self.features), "a column per feature"
        out = np.zeros(columns.shape[1], np.float64)
        if columns.dtype == np.float32:
            _score(np.ascontiguousarray(columns, np.float32), self._lowered, self.splits, out)
        else:
            _score(np.ascontiguousarray(columns, np.float64), self.cuts, self.splits, out)
        return out

    @cached_property
    def _lowered(self) -> Cuts:
        """The cuts for numbers of single precision, which are above both or above neither."""
        return self.cuts._replace(threshold=lowered(self.cuts.category))


def lowered(thresholds: Float64s) -> Float32s:
    """The highest numbers of single precision that are not above them.

    >>> float(lowered(np.array([0.1]))[0]) <= 0.1 < float(np.float32(0.1))
    True
    """
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near > thresholds, below, near)


def forest_of(model: str) -> Forest:
    """The forest of a model's text (`Booster.model_to_string`).

    Raises BadInput for what is no such text, linear trees, averaged trees, several classes.
    """
    head, *parts = model.split("\nTree=")
    top = _fields(head)
    if "feature_names" not in top:
        raise _unlike("not a text of LightGBM")
    if "average_output" in head or top.get("num_tree_per_iteration") != "1":
        raise _unlike("a model of averaged trees or of several classes")
    trees = [_tree(part) for part in parts]
    asked = sorted({question for tree in trees for question in tree.question})
    cuts = _cuts(asked, trees)
    return Forest(tuple(top["feature_names"].split(" ")), cuts, _splits(asked, cuts, trees))


# ---- reading the text ----------------------------------------------------------------------------


class _Tree(NamedTuple):
    """One tree as LightGBM writes it; a child below 0 is leaf `~child`."""

    question: list[Question]
    threshold: list[float]
    is_default_left: list[bool]
    left: list[int]
    right: list[int]
    value: list[float]


def _tree(part: str) -> _Tree:
    fields = _fields(part)
    if fields.get("is_linear", "0") != "0":
        raise _unlike("a model of linear trees")
    if fields["num_leaves"] == "1":
        return _Tree([], [], [], [], [], _numbers(fields, "leaf_value"))
    kinds = _whole(fields, "decision_type")
    thresholds = _numbers(fields, "threshold")
    features = _whole(fields, "split_feature")
    ends, words = _whole(fields, "cat_boundaries"), _whole(fields, "cat_threshold")
    questions = [
        Question(feature, ANY_OF, _categories(words[ends[int(at)] : ends[int(at) + 1]]))
        if kind & IS_CATEGORICAL
        else Question(feature, kind >> 2 & 3)
        for feature, kind, at in zip(features, kinds, thresholds, strict=True)
    ]
    return _Tree(
        questions,
        [0.0 if kind & IS_CATEGORICAL else at for kind, at in zip(kinds, thresholds, strict=True)],
        [bool(kind & IS_DEFAULT_LEFT) and not kind & IS_CATEGORICAL for kind in kinds],
        _whole(fields, "left_child"),
        _whole(fields, "right_child"),
        _numbers(fields, "leaf_value"),
    )


def _fields(text: str) -> dict[str, str]:
    lines = text.split("\nend of trees", maxsplit=1)[0].splitlines()
    return {name: value for name, is_field, value in (x.partition("=") for x in lines) if is_field}


def _numbers(fields: Mapping[str, str], name: str) -> list[float]:
    return [float(each) for each in fields[name].split()]


def _whole(fields: Mapping[str, str], name: str) -> list[int]:
    return [int(each) for each in fields.get(name, "").split()]


def _categories(words: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n in range(WORD * len(words)) if words[n // WORD] >> n % WORD & 1)


def _unlike(what: str) -> BadInput:
    return BadInput(
        f"the model cannot be laid out: {what}",
        mend="store it by Booster.model_to_string, with one score a row",
    )


# ---- laying it out -------------------------------------------------------------------------------


def _cuts(asked: Sequence[Question], trees: Iterable[_Tree]) -> Cuts:
    """Every threshold of each question, rising; of a set of categories the categories."""
    found: dict[Question, set[float]] = {question: set() for question in asked}
    for tree in trees:
        for question, threshold in zip(tree.question, tree.threshold, strict=True):
            found[question] |= set(question.categories) or {threshold}
    lists = [sorted(found[question]) for question in asked]
    thresholds = np.array([cut for each in lists for cut in each], np.float64)
    return Cuts(
        np.array([question.feature for question in asked], np.int32),
        np.array([question.missing for question in asked], np.int32),
        np.cumsum([len(each) for each in lists], dtype=np.int32),
        thresholds,
        thresholds,
    )


def _splits(asked: Sequence[Question], cuts: Cuts, trees: Sequence[_Tree]) -> Splits:
    number = {question: n for n, question in enumerate(asked)}
    lists = [own.tolist() for own in np.split(cuts.category, cuts.end[:-1])]
    places = [{cut: place for place, cut in enumerate(own)} for own in lists]
    rows = []
    for tree in trees:
        for n, question in enumerate(tree.question):
            q, shift = number[question], tree.is_default_left[n]
            place = 0 if question.categories else places[q][tree.threshold[n]]
            leaf, right = _first_leaf(tree, tree.left[n]), _first_leaf(tree, tree.right[n])
            rows.append((q + shift * len(asked), place + shift, leaf, leaf ^ right))
    table = np.array(rows, np.int32).reshape(-1, 4)
    most = max([*np.diff(cuts.end, prepend=0), *(len(tree.value) for tree in trees)], default=0)
    size: type[np.uint8 | np.uint16] = np.uint8 if most < np.iinfo(np.uint8).max else np.uint16
    if most >= np.iinfo(np.uint16).max:
        raise _unlike("more thresholds or leaves than can be counted in two bytes")
    row, *small = np.ascontiguousarray(table.T)
    threshold, leaf, turn = (each.astype(size) for each in small)
    return Splits(
        row,
        threshold,
        leaf,
        turn,
        np.cumsum([len(tree.question) for tree in trees], dtype=np.int32),
        np.array([value for tree in trees for value in tree.value], np.float64),
    )


def _first_leaf(tree: _Tree, child: int) -> int:
    """The number that a part of the tree had as a leaf, before it was split: that of its left."""
    while child >= 0:
        child = tree.left[child]
    return ~child


# ---- scoring -------------------------------------------------------------------------------------


@compiled
def _score(columns: Floats, cuts: Cuts, splits: Splits, out: Float64s) -> None:
    """Add every tree's leaf to `out`, block by block of rows."""
    tree_end, value, questions = splits.tree_end, splits.value, len(cuts.end)
    places = np.empty((2 * questions, BLOCK), splits.threshold.dtype)
    at = np.empty(BLOCK, splits.threshold.dtype)
    for first in range(0, columns.shape[1], BLOCK):
        n = min(BLOCK, columns.shape[1] - first)
        _place(columns, cuts, first, n, places)
        # One more than the highest number is 0: there what is missing goes left.
        places[questions:] = places[:questions] + at.dtype.type(1)
        split = base = 0
        for tree in range(len(tree_end)):
            at[:] = 0
            _grow(places, at, splits, split, tree_end[tree])
            for r in range(n):
                out[first + r] += value[base + at[r]]
            base += tree_end[tree] - split + 1
            split = tree_end[tree]


@uncounted
def _grow(places: Places, at: Places, splits: Splits, split: int, end: int) -> None:
    """Split after split, send the rows that are at its leaf, and lie above it, to the right."""
    row, threshold, leaf, turn, _, _ = splits
    stay = at.dtype.type(0)
    for s in range(split, end):
        place, above, mine, other = places[row[s]], threshold[s], leaf[s], turn[s]
        for r in range(BLOCK):  # no branch and no longer number: or it is not 32 rows at a time
            at[r] = at.dtype.type(at[r] ^ (other if (at[r] == mine) & (place[r] > above) else stay))


@compiled
def _place(columns: Floats, cuts: Cuts, first: int, n: int, places: Places) -> None:
    """How many thresholds of its question lie below each value; missing is the highest number."""
    start, below = 0, np.empty(BLOCK, np.int32)
    for q in range(len(cuts.end)):
        end, kind = cuts.end[q], cuts.missing[q]
        column, own = columns[cuts.feature[q], first : first + n], cuts.threshold[start:end]
        if kind == ANY_OF:
            for r in range(n):
                places[q, r] = _is_none_of(column[r], cuts.category[start:end])
        else:
            nothing = _below(0.0, own) if kind == NO_MISSING else MISSING
            _count_below(column, own, below)
            for r in range(n):
                places[q, r] = nothing if np.isnan(column[r]) else below[r]
            if kind == ZERO_MISSING:
                for r in range(n):
                    if abs(column[r]) <= ZERO:
                        places[q, r] = MISSING
        start = end


@compiled
def _count_below(column: Floats, own: Floats, below: Int32s) -> None:
    """How many of the rising thresholds are below each value.

    Few are all asked, of eight values at a time: sooner done than to look for a value's place.
    """
    n, few = len(column), len(own) // 4 * 4
    if len(own) > FEW:
        for r in range(n):
            below[r] = _below(float(column[r]), own)
        return
    for r in range(n):
        below[r] = 0
    for t in range(0, few, 4):
        a, b, c, d = own[t], own[t + 1], own[t + 2], own[t + 3]
        for r in range(n):
            x = column[r]
            below[r] += np.int32(a < x) + np.int32(b < x) + np.int32(c < x) + np.int32(d < x)
    for t in range(few, len(own)):
        for r in range(n):
            below[r] += np.int32(own[t] < column[r])


@compiled
def _below(x: float, own: Floats) -> int:
    """How many of the rising thresholds are below x; without a branch."""
    low, size = 0, len(own)
    while size > 1:
        half = size // 2
        low += half * (own[low + half - 1] < x)
        size -= half
    return int(low + (own[low] < x))


@compiled
def _is_none_of(x: float, categories: Float64s) -> bool:
    """Whether x is missing, or its whole part is none of the categories."""
    is_one = False
    for category in categories:
        is_one |= (x >= 0) & (np.floor(x) == category)
    return not is_one
