"""The verdict on messages: the same code for ten million planned ones or forty on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add

import polars as pl

from duewise.guard.cap import event_frame
from duewise.guard.compiler import (
    CompiledRule,
    CompiledRulebook,
    any_of,
    compile_rulebook,
    lay_out,
)
from duewise.guard.facts import fact_frame
from duewise.guard.later import next_allowed_at
from duewise.guard.rule import Outcome, Rulebook

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
    book = compile_rulebook(rulebook)
    facts, events = _facts(messages, book), event_frame(history)
    laid = lay_out(facts, events, book)
    fired = laid.select(each.fires.alias(each.rule.id) for each in book.rules)
    verdicts = _verdicts(fired, book.rules)
    waiting = facts.filter(
        (verdicts["outcome"] == Outcome.DEFER.word)
        & fired.select(any_of(pl.col(each.rule.id) for each in book.clocks.rules)).to_series()
    )
    later = next_allowed_at(waiting, events, book)
    at = facts.select("row").join(later, on="row", how="left", maintain_order="left")
    return messages.with_columns(*verdicts.get_columns(), at["next_allowed_at"])


def _facts(messages: pl.DataFrame, book: CompiledRulebook) -> pl.DataFrame:
    facts = fact_frame(messages, list(book.facts))
    if "history" not in messages.columns:  # the contact log is an argument: it was read
        facts = facts.with_columns(history=pl.lit(value=True))
    borrower = messages["borrower_id"] if "borrower_id" in messages.columns else pl.lit(None)
    return facts.with_columns(borrower_id=borrower.cast(pl.String)).with_row_index("row")


def _verdicts(fired: pl.DataFrame, rules: Sequence[CompiledRule]) -> pl.DataFrame:
    """Columns outcome, rules, deciding. Few patterns of fired rules occur: each is told once."""
    parts = [rules[start : start + _BITS] for start in range(0, len(rules), _BITS)]
    masks = fired.select(_mask(part).alias(f"word:{n}") for n, part in enumerate(parts))
    patterns = masks.unique(maintain_order=True)
    told = [_told(mask, rules) for mask in patterns.iter_rows()]
    table = patterns.hstack(pl.DataFrame(told, schema=VERDICT, orient="row"))
    joined = masks.join(table, on=masks.columns, how="left", maintain_order="left")
    return joined.select(*VERDICT)


def _mask(rules: Sequence[CompiledRule]) -> pl.Expr:
    bits = (pl.col(each.rule.id).cast(pl.Int64) * (1 << n) for n, each in enumerate(rules))
    return reduce(add, bits, pl.lit(0, dtype=pl.Int64))


def _told(mask: Iterable[int], rules: Sequence[CompiledRule]) -> tuple[str, list[str], list[str]]:
    whole = sum(word << (_BITS * n) for n, word in enumerate(mask))
    spoke = [each.rule for bit, each in enumerate(rules) if whole >> bit & 1]
    worst = max((rule.effect for rule in spoke if rule.effect), default=Outcome.ALLOW)
    deciding = [rule.id for rule in spoke if rule.effect is worst]
    return worst.word, [rule.id for rule in spoke], deciding
