"""The verdict on messages: the same code for ten million planned ones or forty on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.frames import INSTANT
from duewise.guard.cap import event_frame
from duewise.guard.columns import Columns
from duewise.guard.compiler import CompiledRule, any_of, compile_for, lay_out
from duewise.guard.later import next_allowed_at
from duewise.guard.rule import Outcome, Rulebook
from duewise.guard.truth import Bools, known, unpacked

Numbers: TypeAlias = npt.NDArray[np.int64]
VERDICT: Mapping[str, pl.DataType] = {
    "outcome": pl.String(),
    "rules": pl.List(pl.String()),
    "deciding": pl.List(pl.String()),
}
_SMALL = (1 << 16) - 1  # numbers up to it are counted sooner than sorted
_BITS = 62  # rules per word of the bit mask that names which rules fired


def judge(messages: pl.DataFrame, history: pl.DataFrame, *, rulebook: Rulebook) -> pl.DataFrame:
    """The messages with `outcome`, `rules`, `deciding` and `next_allowed_at`, in their order.

    `messages`: one row a message, facts as columns (see `facts.FACTS`) and `borrower_id`; a column
    that is absent or null is a fact not known. `history`: the contact log (see `cap.EVENTS`).
    `rules` holds every rule that fired, `deciding` those at the outcome's own severity;
    `next_allowed_at` is set for a deferral in which a window or a cap speaks.
    """
    columns, events = _columns(messages), event_frame(history)
    book = compile_for(columns, rulebook)
    lay_out(columns, events, book)
    spoke = _spoke(book.rules, columns)
    verdicts = _verdicts(spoke, messages.height)
    at = pl.Series("next_allowed_at", [None], dtype=INSTANT).new_from_index(0, messages.height)
    waits = _waits(spoke, verdicts["outcome"])
    waits = waits[~_is_lost(book.rules, columns)[waits]]
    if waits.size:
        at = at.scatter(waits, next_allowed_at(columns, waits, events, book))
    judged = {column.name: column for column in (*verdicts.get_columns(), at)}
    given = [column for column in messages.get_columns() if column.name not in judged]
    return pl.DataFrame([*given, *judged.values()])


def _columns(messages: pl.DataFrame) -> Columns:
    """The facts. The contact log is an argument: it was read, unless the facts say otherwise."""
    columns = Columns(messages)
    if "history" not in messages.columns:
        columns.put("history", known(columns.all, columns.all))
    return columns


def _spoke(rules: Sequence[CompiledRule], columns: Columns) -> list[tuple[CompiledRule, Bools]]:
    """The rules that fire somewhere, and where."""
    fired = ((rule, rule.fires(columns)) for rule in rules)
    return [(rule, unpacked(where, columns.height)) for rule, where in fired if where.any()]


def _waits(
    spoke: Sequence[tuple[CompiledRule, Bools]], outcomes: pl.Series
) -> npt.NDArray[np.intp]:
    """The deferred rows in which a window or a cap speaks."""
    clocks = [where for rule, where in spoke if rule.is_clock]
    if not clocks:
        return np.zeros(0, dtype=np.intp)
    deferred = (outcomes == Outcome.DEFER.word).to_numpy()
    return np.nonzero(reduce(np.logical_or, clocks) & deferred)[0]


def _is_lost(rules: Sequence[CompiledRule], columns: Columns) -> Bools:
    """The rows that lack a fact which a window or a cap needs: they never pass."""
    lost = (rule.is_lost(columns) for rule in rules if rule.is_clock)
    return unpacked(any_of(lost, columns.height), columns.height)


def _verdicts(spoke: Sequence[tuple[CompiledRule, Bools]], height: int) -> pl.DataFrame:
    """Columns outcome, rules, deciding. Few patterns of fired rules occur: each is told once."""
    fired = [where for _, where in spoke]
    words = [_mask(fired[start : start + _BITS]) for start in range(0, len(fired), _BITS)]
    patterns, pattern_of = _distinct(words, height)
    told = [_told(mask, [rule for rule, _ in spoke]) for mask in patterns]
    table = pl.DataFrame(told, schema=VERDICT, orient="row")
    return table[pattern_of] if len(told) > 1 else _repeated(table, height)


def _mask(fired: Sequence[Bools]) -> Numbers:
    """A bit a column."""
    return reduce(or_, (where.astype(np.int64) << bit for bit, where in enumerate(fired)))


def _distinct(words: Sequence[Numbers], height: int) -> tuple[list[list[int]], Numbers]:
    """The distinct rows of words, and for each row which of them it is."""
    place = np.zeros(height, dtype=np.int64)
    patterns: list[list[int]] = [[]]
    for word in words:
        values, of_word = _places(word)
        pairs, place = _places(place * len(values) + of_word)
        patterns = [
            [*patterns[pair // len(values)], int(values[pair % len(values)])] for pair in pairs
        ]
    return patterns, place


def _places(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """The distinct numbers, none below 0, and the place of each row's among them."""
    most = int(numbers.max(initial=0))
    if most > _SMALL:
        distinct, place = np.unique(numbers, return_inverse=True)
        return distinct, place
    distinct = np.flatnonzero(np.bincount(numbers))
    place_of = np.zeros(most + 1, dtype=np.int64)
    place_of[distinct] = np.arange(len(distinct))
    return distinct, place_of[numbers]


def _repeated(table: pl.DataFrame, height: int) -> pl.DataFrame:
    return pl.DataFrame([column.new_from_index(0, height) for column in table.get_columns()])


def _told(mask: Sequence[int], rules: Sequence[CompiledRule]) -> tuple[str, list[str], list[str]]:
    whole = sum(word << (_BITS * n) for n, word in enumerate(mask))
    spoke = [each.rule for bit, each in enumerate(rules) if whole >> bit & 1]
    worst = max((rule.effect for rule in spoke if rule.effect), default=Outcome.ALLOW)
    deciding = (rule.id for rule in spoke if rule.effect is worst)
    # A rule that changed on a day stands twice, and speaks once.
    return worst.word, list(dict.fromkeys(rule.id for rule in spoke)), list(dict.fromkeys(deciding))
