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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from duewise.book.compiled import compiled, inlined
from duewise.errors import BadInput

Int32s = npt.NDArray[np.int32]
Float64s = npt.NDArray[np.float64]
Places = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

BLOCK = 512  # rows whose places and leaves stay in the nearest cache
ZERO = 1e-35  # what LightGBM takes for zero
# LightGBM's decision_type: a bit each, and two for what counts as missing.
IS_CATEGORICAL, IS_DEFAULT_LEFT = 1, 2
NO_MISSING, ZERO_MISSING, NAN_MISSING = range(3)
MISSING = -1  # the highest number of a byte, or of two
ANY_OF = 3  # a column of ours: 0 where the value is one of a set of categories, else 1
WORD = 32


class Question(NamedTuple):
    """A column of places: a feature, what counts as missing in it, and the categories asked for."""

    feature: int
    missing: int
    categories: tuple[int, ...] = ()


class Splits(NamedTuple):
    """All splits of all trees, in order; `tree_end` is where each tree's splits end."""

    question: Int32s
    threshold: Places  # goes right if its place, and one more where `shift`, is above
    shift: Places
    leaf: Places  # whose rows are asked
    right: Places  # the leaf of those that go right
    tree_end: Int32s
    value: Float64s  # of the leaves, tree after tree: one more than a tree has splits


class Cuts(NamedTuple):
    """How values become places: of question q the thresholds are those up to `end[q]`."""

    feature: Int32s
    missing: Int32s
    end: Int32s
    threshold: Float64s


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
        _score(np.ascontiguousarray(columns, np.float64), self.cuts, self.splits, out)
        return out


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
    return Cuts(
        np.array([question.feature for question in asked], np.int32),
        np.array([question.missing for question in asked], np.int32),
        np.cumsum([len(each) for each in lists], dtype=np.int32),
        np.array([cut for each in lists for cut in each], np.float64),
    )


def _splits(asked: Sequence[Question], cuts: Cuts, trees: Sequence[_Tree]) -> Splits:
    number = {question: n for n, question in enumerate(asked)}
    lists = [own.tolist() for own in np.split(cuts.threshold, cuts.end[:-1])]
    places = [{cut: place for place, cut in enumerate(own)} for own in lists]
    rows = []
    for tree in trees:
        for n, question in enumerate(tree.question):
            q, shift = number[question], tree.is_default_left[n]
            place = 0 if question.categories else places[q][tree.threshold[n]]
            leaf, right = _first_leaf(tree, tree.left[n]), _first_leaf(tree, tree.right[n])
            rows.append((q, place + shift, shift, leaf, right))
    table = np.array(rows, np.int32).reshape(-1, 5)
    most = max([*np.diff(cuts.end, prepend=0), *table[:, 3:].ravel()], default=0)
    size: type[np.uint8 | np.uint16] = np.uint8 if most < np.iinfo(np.uint8).max else np.uint16
    if most >= np.iinfo(np.uint16).max:
        raise _unlike("more thresholds or leaves than can be counted in two bytes")
    question, *small = np.ascontiguousarray(table.T)
    threshold, shift, leaf, right = (each.astype(size) for each in small)
    return Splits(
        question,
        threshold,
        shift,
        leaf,
        right,
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
def _score(columns: Float64s, cuts: Cuts, splits: Splits, out: Float64s) -> None:
    """Add every tree's leaf to `out`, block by block of rows."""
    tree_end, value = splits.tree_end, splits.value
    places = np.empty((len(cuts.end), BLOCK), splits.threshold.dtype)
    at = np.empty(BLOCK, splits.threshold.dtype)
    for first in range(0, columns.shape[1], BLOCK):
        n = min(BLOCK, columns.shape[1] - first)
        _place(columns, cuts, first, n, places)
        split = base = 0
        for tree in range(len(tree_end)):
            at[:] = 0
            for s in range(split, tree_end[tree]):
                _divide(places[splits.question[s]], at, splits, s)
            for r in range(n):
                out[first + r] += value[base + at[r]]
            base += tree_end[tree] - split + 1
            split = tree_end[tree]


@compiled
def _divide(place: Places, at: Places, splits: Splits, s: int) -> None:
    """Send the rows that are at the split's leaf, and answer above its threshold, to the right."""
    threshold, shift = splits.threshold[s], splits.shift[s]
    leaf, right = splits.leaf[s], splits.right[s]
    for r in range(BLOCK):  # no branch and no longer number: or it is not 32 rows at a time
        asked = at.dtype.type(place[r] + shift)  # the highest number and one more is 0: left
        at[r] = right if (at[r] == leaf) & (asked > threshold) else at[r]


@compiled
def _place(columns: Float64s, cuts: Cuts, first: int, n: int, places: Places) -> None:
    """How many thresholds of its question lie below each value; missing is the highest number."""
    feature, missing, end, threshold = cuts
    start = 0
    for q in range(len(end)):
        column, own, kind = columns[feature[q]], threshold[start : end[q]], missing[q]
        for r in range(n):
            x = column[first + r]
            if kind == ANY_OF:
                places[q, r] = _is_none_of(x, own)
            elif _is_missing(x, kind):
                places[q, r] = MISSING
            else:
                places[q, r] = _below(0.0 if np.isnan(x) else x, own)
        start = end[q]


@inlined
def _is_missing(x: float, kind: int) -> bool:
    if kind == ZERO_MISSING:
        return bool(np.isnan(x) | (abs(x) <= ZERO))
    return bool(np.isnan(x) & (kind == NAN_MISSING))


@compiled
def _below(x: float, own: Float64s) -> int:
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
