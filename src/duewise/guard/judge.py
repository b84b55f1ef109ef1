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
from duewise.guard.compiler import CompiledRule, CompiledRulebook, compile_for, lay_out
from duewise.guard.facts import fact_frame
from duewise.guard.later import next_allowed_at
from duewise.guard.rule import Outcome, Rulebook

Numbers: TypeAlias = npt.NDArray[np.int64]
VERDICT: Mapping[str, pl.DataType] = {
    "outcome": pl.String(),
    "rules": pl.List(pl.String()),
    "deciding": pl.List(pl.String()),
}
_BITS = 62  # rules per word of the bit mask that names which rules fired


def judge(messages: pl.DataFrame, history: pl.DataFrame, *, rulebook: Rulebook) -> pl.DataFrame:
    """The messages with `outcome`, `rules`, `deciding` and `next_allowed_at`, in their order.

    `messages`: one row a message, facts as columns (see `facts.FACTS`) and `borrower_id`; a column
    that is absent or null is a fact not known. `history`: the contact log (see `cap.EVENTS`).
    `rules` holds every rule that fired, `deciding` those at the outcome's own severity;
    `next_allowed_at` is set for a deferral in which a window or a cap speaks.
    """
    book = compile_for(messages, rulebook)
    facts, events = _facts(messages, book), event_frame(history)
    laid = lay_out(facts, events, book)
    fired = laid.select(book.fires)
    verdicts = _verdicts(fired, book.rules, facts.height)
    waits = _waits(fired, verdicts, book)
    at = pl.Series("next_allowed_at", [None], dtype=INSTANT).new_from_index(0, facts.height)
    if waits is not None:
        at = at.scatter(waits.arg_true(), next_allowed_at(laid.filter(waits), events, book))
    return messages.with_columns(*verdicts.get_columns(), at)


def _facts(messages: pl.DataFrame, book: CompiledRulebook) -> pl.DataFrame:
    """The facts the rules ask for, whose they are, and their row numbers."""
    height = messages.height
    facts = fact_frame(messages, book.facts)
    if "history" not in messages.columns:  # the contact log is an argument: it was read
        was_read = pl.Series("history", [True]).new_from_index(0, height)
        facts = facts.drop("history").hstack([was_read])
    if "borrower_id" in messages.columns:
        borrower = messages.get_column("borrower_id").cast(pl.String)
    else:
        borrower = pl.Series("borrower_id", [None], dtype=pl.String).new_from_index(0, height)
    return facts.hstack([borrower, pl.Series("row", np.arange(height, dtype=np.uint32))])


def _waits(fired: pl.DataFrame, verdicts: pl.DataFrame, book: CompiledRulebook) -> pl.Series | None:
    """The deferred rows in which a window or a cap speaks; None if there is no such row."""
    clocks = [fired.to_series(place) for place, each in enumerate(book.rules) if each.is_clock]
    spoke = [column for column in clocks if column.any()]
    if not spoke:
        return None
    waits = (verdicts["outcome"] == Outcome.DEFER.word) & reduce(or_, spoke)
    return waits if waits.any() else None


def _verdicts(fired: pl.DataFrame, rules: Sequence[CompiledRule], height: int) -> pl.DataFrame:
    """Columns outcome, rules, deciding. Few patterns of fired rules occur: each is told once."""
    spoke = [place for place, column in enumerate(fired.get_columns()) if column.any()]
    words = [
        _mask(fired.select(pl.nth(spoke[start : start + _BITS])))
        for start in range(0, len(spoke), _BITS)
    ]
    patterns, pattern_of = _distinct(words, height)
    told = [_told(mask, [rules[place] for place in spoke]) for mask in patterns]
    table = pl.DataFrame(told, schema=VERDICT, orient="row")
    return table[pattern_of] if len(told) > 1 else _repeated(table, height)


def _mask(fired: pl.DataFrame) -> Numbers:
    """A bit a column."""
    mask = np.zeros(fired.height, dtype=np.int64)
    for bit, column in enumerate(fired.get_columns()):
        mask |= column.to_numpy().astype(np.int64) << bit
    return mask


def _distinct(words: Sequence[Numbers], height: int) -> tuple[list[list[int]], Numbers]:
    """The distinct rows of words, and for each row which of them it is."""
    place = np.zeros(height, dtype=np.int64)
    patterns: list[list[int]] = [[]]
    for word in words:
        values, of_word = np.unique(word, return_inverse=True)
        pairs, place = np.unique(place * len(values) + of_word, return_inverse=True)
        patterns = [
            [*patterns[pair // len(values)], int(values[pair % len(values)])] for pair in pairs
        ]
    return patterns, place


def _repeated(table: pl.DataFrame, height: int) -> pl.DataFrame:
    return pl.DataFrame([column.new_from_index(0, height) for column in table.get_columns()])


def _told(mask: Sequence[int], rules: Sequence[CompiledRule]) -> tuple[str, list[str], list[str]]:
    whole = sum(word << (_BITS * n) for n, word in enumerate(mask))
    spoke = [each.rule for bit, each in enumerate(rules) if whole >> bit & 1]
    worst = max((rule.effect for rule in spoke if rule.effect), default=Outcome.ALLOW)
    deciding = (rule.id for rule in spoke if rule.effect is worst)
    # A rule that changed on a day stands twice, and speaks once.
    return worst.word, list(dict.fromkeys(rule.id for rule in spoke)), list(dict.fromkeys(deciding))
