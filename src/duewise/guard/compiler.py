"""The rules of a rulebook as functions of columns, and the columns laid out for them.

Windows, caps and word lists need more than one fact of a row: they are laid beside the facts first,
as columns. Whatever scopes the messages at hand cannot meet is left out before anything is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache, reduce
from operator import ge, le, or_
from typing import TypeAlias

import polars as pl

from duewise.guard.ask import Ask, compiled
from duewise.guard.cap import counts, has_room
from duewise.guard.columns import Columns, Compare
from duewise.guard.derived import DERIVED, NEEDS, local_dates, put_derived
from duewise.guard.facts import FACTS
from duewise.guard.lexicon import texts_hit
from duewise.guard.predicate import Atom
from duewise.guard.read_rule import SCOPES, rule_facts
from duewise.guard.rule import Cap, Duty, Lexicon, Lint, Must, Rule, Rulebook, Window
from duewise.guard.truth import Bits, none
from duewise.guard.window import is_open
from duewise.guard.zones import Zones, zones_of

# The stages, channels and roles that occur; None where one is not known, "" for a word of no rule.
Seen: TypeAlias = tuple[frozenset[str | None], ...]
_OTHER = ""
_EPOCH = date(1970, 1, 1)
_DATES = ("first_date", "last_date")


@dataclass(frozen=True)
class CompiledRule:
    """Fires where it applies and is not known to hold."""

    rule: Rule
    applies: Callable[[Columns], Bits]
    holds: Ask

    def fires(self, columns: Columns) -> Bits:
        return self.applies(columns) & ~self.holds(columns).yes

    def is_lost(self, columns: Columns) -> Bits:
        """Where it applies and lacks a fact it needs."""
        return self.applies(columns) & ~self.holds(columns).known

    @property
    def is_clock(self) -> bool:
        """Whether time alone can satisfy it."""
        return isinstance(self.rule.body, Window | Cap)


@dataclass(frozen=True)
class CompiledRulebook:
    """The rules that gate, as functions of columns, and what must be laid out for them."""

    rulebook: Rulebook
    rules: tuple[CompiledRule, ...]
    facts: tuple[str, ...]

    @cached_property
    def clocks(self) -> CompiledRulebook:
        """Only the windows and caps, and their facts."""
        return _compiled(self.rulebook, [each.rule for each in self.rules if each.is_clock], None)

    @cached_property
    def windows(self) -> dict[Window, str]:
        """The distinct windows, each with its column."""
        bodies = (each.rule.body for each in self.rules)
        return {body: _column(body) for body in bodies if isinstance(body, Window)}

    @cached_property
    def caps(self) -> dict[Cap, str]:
        """The distinct caps, each with its column."""
        bodies = (each.rule.body for each in self.rules)
        return {body: _column(body) for body in bodies if isinstance(body, Cap)}

    @cached_property
    def lexicons(self) -> tuple[Lexicon, ...]:
        """The word lists that are asked for."""
        bodies = (each.rule.body for each in self.rules)
        names = {name for body in bodies if isinstance(body, Lint) for name in body.lexicons}
        return tuple(each for each in self.rulebook.lexicons if each.name in names)

    @cached_property
    def has_dates(self) -> bool:
        """Whether a rule is in force on some days only."""
        return any(each.rule.valid_from or each.rule.valid_to for each in self.rules)


def compile_for(columns: Columns, rulebook: Rulebook) -> CompiledRulebook:
    """The rules that may concern any of these messages, made functions once."""
    return _compiled_for(rulebook, _seen(columns, rulebook))


def lay_out(columns: Columns, events: pl.DataFrame, book: CompiledRulebook) -> Zones:
    """Put beside the facts what windows, caps and word lists come to. Returns the zones."""
    rulebook = book.rulebook
    zones = zones_of(columns, rulebook.tz_default)
    put_derived(columns, rulebook, zones)
    for window, name in book.windows.items():
        columns.put(name, is_open(window, zones=zones, calendar=rulebook.calendar))
    if book.has_dates:
        for name, day in zip(_DATES, local_dates(zones, columns.height), strict=True):
            columns.put(name, day)
    if book.caps:
        for cap, count in counts(columns, events, tuple(book.caps), zones).items():
            columns.put(book.caps[cap], has_room(cap, count, columns, zones))
    if book.lexicons:
        texts = columns.series("msg.text")
        if texts is None:
            texts = pl.Series([None], dtype=pl.String).new_from_index(0, columns.height)
        for name, hit in texts_hit(texts, book.lexicons).items():
            columns.put(_lexicon(name), hit)
    return zones


def any_of(each: Iterable[Bits], height: int) -> Bits:
    """Where any of them has its bit."""
    return reduce(or_, each, none(height))


def _seen(columns: Columns, rulebook: Rulebook) -> Seen:
    return tuple(_met(columns, SCOPES[key], words) for key, words in _scope_words(rulebook).items())


def _met(columns: Columns, fact: str, named: frozenset[str]) -> frozenset[str | None]:
    words = columns.words(fact)
    met = {label if label in named else _OTHER for label in words.labels}
    is_all_known = bool((words.known == columns.all).all())
    return frozenset(met if is_all_known else {*met, None})


@lru_cache(maxsize=16)
def _scope_words(rulebook: Rulebook) -> dict[str, frozenset[str]]:
    """The stages, channels and roles that the rulebook names."""
    named = [pair for rule in rulebook.rules for pair in rule.scope]
    return {
        scope: frozenset(word for key, words in named if key == scope for word in words)
        for scope in SCOPES
    }


@lru_cache(maxsize=256)
def _compiled_for(rulebook: Rulebook, seen: Seen) -> CompiledRulebook:
    met = dict(zip(SCOPES, seen, strict=True))
    rules = [
        rule
        for rule in rulebook.rules
        if not isinstance(rule.body, Duty)
        and all(met[key] & {None, *words} for key, words in rule.scope)
    ]
    return _compiled(rulebook, rules, met)


def _compiled(
    rulebook: Rulebook, rules: Sequence[Rule], met: dict[str, frozenset[str | None]] | None
) -> CompiledRulebook:
    asked = frozenset(fact for rule in rules for fact in rule_facts(rule))
    needed = asked.union(*(NEEDS[name] for name in DERIVED if name in asked), ("now", "history"))
    return CompiledRulebook(
        rulebook,
        tuple(CompiledRule(rule, _applies(rule, met), _holds(rule)) for rule in rules),
        facts=tuple(name for name in FACTS if name in needed and name not in DERIVED),
    )


def _applies(rule: Rule, met: dict[str, frozenset[str | None]] | None) -> Callable[[Columns], Bits]:
    """In scope, in force, `if` not known to be false, `unless` not known to be true."""
    refusals: list[Callable[[Columns], Bits]] = [
        _no(compiled(Atom(SCOPES[key], "in", values)))
        for key, values in rule.scope
        if met is None or not met[key] <= {None, *values}
    ]
    if rule.valid_from:
        refusals.append(_no(_compared("last_date", ge, rule.valid_from)))
    if rule.valid_to:
        refusals.append(_no(_compared("first_date", le, rule.valid_to)))
    if rule.applies_if:
        refusals.append(_no(compiled(rule.applies_if)))
    if rule.unless:
        excused = compiled(rule.unless)
        refusals.append(lambda columns: excused(columns).yes)
    return lambda columns: reduce(
        lambda applies, refused: applies & ~refused(columns), refusals, columns.all
    )


def _no(asked: Ask) -> Callable[[Columns], Bits]:
    return lambda columns: asked(columns).no


def _compared(name: str, compare: Compare, day: date) -> Ask:
    days = (day - _EPOCH).days
    return lambda columns: columns.numbers(name).compared(compare, days)


def _holds(rule: Rule) -> Ask:
    match rule.body:
        case Must(predicate):
            return compiled(predicate)
        case Lint(lexicons):
            names = [*map(_lexicon, lexicons)]
            return lambda columns: ~reduce(or_, (columns.truth(name) for name in names))
    name = _column(rule.body)
    return lambda columns: columns.truth(name)


def _column(body: object) -> str:
    """Bodies that say the same share a column."""
    return f"body:{body}"


def _lexicon(name: str) -> str:
    return f"lexicon:{name}"
