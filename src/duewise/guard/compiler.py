"""The rules of a rulebook as Polars expressions, and the facts laid out for them.

Windows, caps and word lists need more than one fact of a row: they are laid beside the facts first,
as columns. Whatever scopes the messages at hand cannot meet is left out before anything is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from operator import and_, or_
from typing import TypeAlias

import polars as pl

from duewise.guard.cap import has_room, with_counts
from duewise.guard.derived import (
    DERIVED,
    NEEDS,
    derived_columns,
    local_dates,
    with_due_eff,
)
from duewise.guard.facts import FACTS
from duewise.guard.lexicon import hit_columns
from duewise.guard.predicate import Atom, compiled
from duewise.guard.read_rule import SCOPES, predicates_of, rule_facts
from duewise.guard.rule import Cap, Duty, Lexicon, Lint, Must, Rule, Rulebook, Window
from duewise.guard.sets import set_atoms, with_set_columns
from duewise.guard.window import is_open
from duewise.guard.zones import Zones, with_clocks, with_zones

# The stages, channels and roles that occur; None where one is not known, "" for a word of no rule.
Seen: TypeAlias = tuple[frozenset[str | None], ...]
_OTHER = ""


@dataclass(frozen=True)
class CompiledRule:
    """`applies` is Boolean, `holds` three-valued; fires where it applies and does not hold."""

    rule: Rule
    applies: pl.Expr
    holds: pl.Expr

    @property
    def fires(self) -> pl.Expr:
        return self.applies & ~self.holds.fill_null(value=False)

    @property
    def is_clock(self) -> bool:
        """Whether time alone can satisfy it."""
        return isinstance(self.rule.body, Window | Cap)


@dataclass(frozen=True)
class CompiledRulebook:
    """The rules that gate, as expressions, and what they ask for."""

    rulebook: Rulebook
    rules: tuple[CompiledRule, ...]
    facts: tuple[str, ...]
    derived: tuple[str, ...]
    sets: Mapping[Atom, str]

    @cached_property
    def fires(self) -> list[pl.Expr]:
        """A Boolean expression a rule, named by its place."""
        return [each.fires.alias(str(place)) for place, each in enumerate(self.rules)]

    @cached_property
    def any_fires(self) -> pl.Expr:
        """Whether one of the rules fires."""
        return any_of(each.fires for each in self.rules)

    @cached_property
    def is_lost(self) -> pl.Expr:
        """Whether one of the rules lacks a fact it needs."""
        return any_of(each.applies & each.holds.is_null() for each in self.rules)

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


def compile_for(messages: pl.DataFrame, rulebook: Rulebook) -> CompiledRulebook:
    """The rules that may concern any of these messages, as expressions made once."""
    return _compiled_for(rulebook, _seen(messages, rulebook))


def lay_out(facts: pl.DataFrame, events: pl.DataFrame, book: CompiledRulebook) -> pl.DataFrame:
    """The facts with the derived ones, and the columns that windows, caps and word lists need."""
    home = book.rulebook.tz_default
    laid, zones = with_zones(facts)
    laid = with_clocks(laid, zones, home)
    if any("acct.due_roll" in NEEDS[name] for name in book.derived):
        laid = with_due_eff(laid, book.rulebook)
    windows = tuple(book.windows.items())
    laid = laid.with_columns(_told(book.rulebook, book.derived, windows, book.has_dates, zones))
    if book.sets:
        laid = with_set_columns(laid, book.sets)
    if book.caps:
        laid = with_counts(laid, events, book.caps, zones=zones, home=home)
    return laid.hstack(hit_columns(laid["msg.text"], book.lexicons)) if book.lexicons else laid


@lru_cache(maxsize=256)
def _told(
    rulebook: Rulebook,
    derived: tuple[str, ...],
    windows: tuple[tuple[Window, str], ...],
    has_dates: bool,  # noqa: FBT001 -- a key of the cache
    zones: Zones,
) -> tuple[pl.Expr, ...]:
    """The derived facts, the windows, and the local dates if a rule asks whether it is in force."""
    dates = local_dates(rulebook.tz_default, zones) if has_dates else ()
    return (
        *derived_columns(derived, rulebook=rulebook, zones=zones),
        *(
            is_open(window, zones=zones, calendar=rulebook.calendar).alias(column)
            for window, column in windows
        ),
        *(day.alias(name) for name, day in zip(("first_date", "last_date"), dates, strict=False)),
    )


def any_of(conditions: Iterable[pl.Expr]) -> pl.Expr:
    """Whether any of them holds; of none, none does."""
    return reduce(or_, conditions, pl.lit(value=False))


def _seen(messages: pl.DataFrame, rulebook: Rulebook) -> Seen:
    given = [name for name in SCOPES.values() if name in messages.columns]
    found = messages.select(pl.col(given).unique().implode()).rows(named=True)
    met = found[0] if found else {}
    return tuple(
        frozenset(
            value if value is None or value in words else _OTHER
            for value in met.get(SCOPES[key], [None])
        )
        for key, words in _scope_words(rulebook).items()
    )


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
    derived = tuple(name for name in DERIVED if name in asked)
    needed = asked.union(*(NEEDS[name] for name in derived), ("now", "history"))
    home = rulebook.tz_default
    sets = set_atoms(predicate for rule in rules for predicate in predicates_of(rule))
    return CompiledRulebook(
        rulebook,
        tuple(
            CompiledRule(rule, _applies(rule, met, sets), _holds(rule, home, sets))
            for rule in rules
        ),
        facts=tuple(name for name in FACTS if name in needed and name not in DERIVED),
        derived=derived,
        sets=sets,
    )


def _applies(
    rule: Rule, met: dict[str, frozenset[str | None]] | None, sets: Mapping[Atom, str]
) -> pl.Expr:
    """In scope, in force, `if` not known to be false, `unless` not known to be true."""
    conditions = [
        pl.col(SCOPES[key]).is_in(values).fill_null(value=True)
        for key, values in rule.scope
        if met is None or not met[key] <= {None, *values}
    ]
    if rule.valid_from:
        conditions.append((pl.col("last_date") >= rule.valid_from).fill_null(value=True))
    if rule.valid_to:
        conditions.append((pl.col("first_date") <= rule.valid_to).fill_null(value=True))
    if rule.applies_if:
        conditions.append(compiled(rule.applies_if, sets).fill_null(value=True))
    if rule.unless:
        conditions.append(~compiled(rule.unless, sets).fill_null(value=False))
    return reduce(and_, conditions, pl.lit(value=True))


def _holds(rule: Rule, home: str | None, sets: Mapping[Atom, str]) -> pl.Expr:
    match rule.body:
        case Must(predicate):
            return compiled(predicate, sets)
        case Lint(lexicons):
            return ~any_of(pl.col(f"lexicon:{name}") for name in lexicons)
        case Cap():
            return has_room(rule.body, _column(rule.body), home=home)
    return pl.col(_column(rule.body))


def _column(body: object) -> str:
    """Bodies that say the same share a column."""
    return f"body:{body}"
