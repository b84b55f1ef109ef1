"""The rules of a rulebook as Polars expressions, and the facts laid out for them.

The bodies that need more than one row's facts (windows, caps, word lists) are laid beside the facts
first, as columns that are true where the body holds, false where it does not, and null where a fact
it needs is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import and_, or_

import polars as pl

from duewise.guard.cap import has_room
from duewise.guard.derived import DERIVED, NEEDS, with_derived
from duewise.guard.facts import FACTS
from duewise.guard.lexicon import hit_columns
from duewise.guard.predicate import compiled
from duewise.guard.read_rule import SCOPES, rule_facts
from duewise.guard.rule import Cap, Duty, Lint, Must, Rule, Rulebook, Window
from duewise.guard.window import is_open
from duewise.guard.zones import Zones, with_zones


@dataclass(frozen=True)
class CompiledRule:
    """`applies` is Boolean, `holds` three-valued; fires where it applies and does not hold."""

    rule: Rule
    applies: pl.Expr
    holds: pl.Expr

    @property
    def fires(self) -> pl.Expr:
        return self.applies & ~self.holds.fill_null(value=False)


@dataclass(frozen=True)
class CompiledRulebook:
    """The rules that gate, as expressions, and the facts they ask for."""

    rulebook: Rulebook
    rules: tuple[CompiledRule, ...]
    facts: tuple[str, ...]
    derived: tuple[str, ...]

    @property
    def clocks(self) -> CompiledRulebook:
        """Only the rules that time alone can satisfy, windows and caps, and their facts."""
        rules = [each.rule for each in self.rules if isinstance(each.rule.body, Window | Cap)]
        return _compiled(self.rulebook, rules)


@lru_cache(maxsize=16)
def compile_rulebook(rulebook: Rulebook) -> CompiledRulebook:
    """Every rule but the duties as expressions, and the facts they ask for."""
    return _compiled(rulebook, [rule for rule in rulebook.rules if not isinstance(rule.body, Duty)])


def _compiled(rulebook: Rulebook, rules: Sequence[Rule]) -> CompiledRulebook:
    asked = frozenset(fact for rule in rules for fact in rule_facts(rule))
    derived = tuple(name for name in DERIVED if name in asked)
    needed = asked.union(*(NEEDS[name] for name in derived), ("now", "history"))
    return CompiledRulebook(
        rulebook,
        tuple(CompiledRule(rule, _applies(rule), _holds(rule)) for rule in rules),
        facts=tuple(name for name in FACTS if name in needed and name not in DERIVED),
        derived=derived,
    )


def lay_out(facts: pl.DataFrame, events: pl.DataFrame, book: CompiledRulebook) -> pl.DataFrame:
    """The facts with the derived ones, and columns `body:ID` and `lexicon:NAME` for the rules."""
    rulebook, rules = book.rulebook, book.rules
    laid, zones = with_zones(facts)
    laid = with_derived(laid, book.derived, rulebook=rulebook, zones=zones)
    laid = laid.with_columns(
        is_open(each.rule.body, zones=zones, calendar=rulebook.calendar).alias(_body(each.rule))
        for each in rules
        if isinstance(each.rule.body, Window)
    )
    laid = laid.with_columns(
        _room(laid, events, each, each.rule.body, zones=zones, tz_default=rulebook.tz_default)
        for each in rules
        if isinstance(each.rule.body, Cap)
    )
    if any(isinstance(each.rule.body, Lint) for each in rules):
        laid = laid.hstack(hit_columns(laid["msg.text"], rulebook.lexicons))
    return laid


def any_of(conditions: Iterable[pl.Expr]) -> pl.Expr:
    """Whether any of them holds; of none, none does."""
    return reduce(or_, conditions, pl.lit(value=False))


def _room(
    laid: pl.DataFrame,
    events: pl.DataFrame,
    each: CompiledRule,
    cap: Cap,
    *,
    zones: Zones,
    tz_default: str | None,
) -> pl.Series:
    """The cap's column, counted only for the rows to which its rule applies."""
    concerned = laid.filter(each.applies)
    room = has_room(concerned, events, cap, zones=zones, tz_default=tz_default)
    return (
        laid.select("row")
        .join(
            concerned.select("row").with_columns(room.alias(_body(each.rule))),
            on="row",
            how="left",
            maintain_order="left",
        )
        .to_series(1)
    )


def _applies(rule: Rule) -> pl.Expr:
    """In scope, in force, `if` not known to be false, `unless` not known to be true."""
    conditions = [
        pl.col(SCOPES[key]).is_in(values).fill_null(value=True) for key, values in rule.scope
    ]
    if rule.valid_from:
        conditions.append((pl.col("last_date") >= rule.valid_from).fill_null(value=True))
    if rule.valid_to:
        conditions.append((pl.col("first_date") <= rule.valid_to).fill_null(value=True))
    if rule.applies_if:
        conditions.append(compiled(rule.applies_if).fill_null(value=True))
    if rule.unless:
        conditions.append(~compiled(rule.unless).fill_null(value=False))
    return reduce(and_, conditions, pl.lit(value=True))


def _holds(rule: Rule) -> pl.Expr:
    match rule.body:
        case Must(predicate):
            return compiled(predicate)
        case Lint(lexicons):
            return ~any_of(pl.col(f"lexicon:{name}") for name in lexicons)
    return pl.col(_body(rule))


def _body(rule: Rule) -> str:
    return f"body:{rule.id}"
