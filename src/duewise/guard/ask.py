"""What a condition says of each message of a batch: holds, fails, or cannot be known.

A condition becomes a function of columns once, and is asked of every batch after. What a rule makes
of "not known" (fires, applies, no exemption) is for the rule to say, not for this file.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from decimal import Decimal
from functools import lru_cache, reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any, TypeAlias

import polars as pl

from duewise.guard.columns import Columns, labels_that
from duewise.guard.facts import FACTS, Kind
from duewise.guard.predicate import SETS, AllOf, AnyOf, Atom, Not, Predicate, Ref
from duewise.guard.truth import Truth, known, truth_of, unknown_of

Ask: TypeAlias = Callable[[Columns], Truth]
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


def compiled(predicate: Predicate) -> Ask:
    """The predicate as a function of the columns; each of its conditions is asked once a batch."""
    match plain(predicate):
        case AllOf(members):
            return _folded(and_, [compiled(member) for member in members])
        case AnyOf(members):
            return _folded(or_, [compiled(member) for member in members])
        case Not(member):
            asked = compiled(member)
            return lambda columns: ~asked(columns)
        case Atom() as atom:
            return _compiled_atom(atom)


def plain(predicate: Predicate) -> Predicate:
    """The same of fewer kinds: `nin` is not `in`, and of labels each is asked for by itself.

    Rules share labels, and each is then looked for once.
    """
    match predicate:
        case Atom(fact, "nin", value):
            return Not(Atom(fact, "in", value))
        case Atom(fact, "superset", tuple() as labels) if labels:
            return AllOf(tuple(Atom(fact, "overlaps", (label,)) for label in labels))
        case Atom(fact, "overlaps", (_, _, *_) as labels):
            return AnyOf(tuple(Atom(fact, "overlaps", (label,)) for label in labels))
    return predicate


def is_of_sets(atom: Atom) -> bool:
    """Whether the condition looks into a set, or at two texts: those are Polars' (see `sets`)."""
    return atom.op in SETS or (FACTS[atom.fact].kind is Kind.TEXT and isinstance(atom.value, Ref))


def facts_in(atom: Atom) -> tuple[str, ...]:
    """The fact a condition is about, and the one it compares it with."""
    return (atom.fact, atom.value.fact) if isinstance(atom.value, Ref) else (atom.fact,)


@lru_cache(maxsize=1_024)
def _compiled_atom(atom: Atom) -> Ask:
    name, ask = str(atom), _ask_of(atom)

    def asked(columns: Columns) -> Truth:
        found: Truth = columns.kept(name, ask)
        return found

    return asked


def _folded(join: Callable[[Truth, Truth], Truth], asks: list[Ask]) -> Ask:
    return lambda columns: reduce(join, (ask(columns) for ask in asks))


def _ask_of(atom: Atom) -> Ask:
    match atom.op:
        case "present":
            return lambda columns: known(columns.known(atom.fact), columns.all)
        case "absent":
            return lambda columns: ~known(columns.known(atom.fact), columns.all)
    if is_of_sets(atom):
        return _of_frame(atom)
    return _READ.get(FACTS[atom.fact].kind, _of_numbers)(atom)


def _of_booleans(atom: Atom) -> Ask:
    fact, value, is_equal = atom.fact, atom.value, atom.op == "=="
    if not isinstance(value, Ref):
        if bool(value) is is_equal:
            return lambda columns: columns.truth(fact)
        return lambda columns: ~columns.truth(fact)
    other = value.fact

    def asked(columns: Columns) -> Truth:
        one, two = columns.truth(fact), columns.truth(other)
        same = (one & two) | (~one & ~two)
        return same if is_equal else ~same

    return asked


def _of_words(atom: Atom) -> Ask:
    fact, value = atom.fact, atom.value
    compare = _is_member if atom.op == "in" else _COMPARE[atom.op]

    def asked(columns: Columns) -> Truth:
        words = columns.words(fact)
        return words.told(labels_that(compare, words.labels, value))

    return asked


def _is_member(label: str, values: Container[object]) -> bool:
    return label in values


def _of_numbers(atom: Atom) -> Ask:
    fact, value = atom.fact, atom.value
    if isinstance(value, tuple):
        members = [_compiled_atom(Atom(fact, "==", member)) for member in value]
        nothing: Ask = lambda columns: ~known(columns.all, columns.known(fact))  # noqa: E731
        return _folded(or_, [nothing, *members])
    compare = _COMPARE[atom.op]
    if isinstance(value, Ref):
        other = value.fact
        return lambda columns: columns.numbers(fact).compared(compare, columns.numbers(other))
    assert isinstance(value, Decimal)
    number = int(value) if value == int(value) else float(value)
    return lambda columns: columns.numbers(fact).compared(compare, number)


_READ: Mapping[Kind, Callable[[Atom], Ask]] = {Kind.BOOL: _of_booleans, Kind.TEXT: _of_words}


def _of_frame(atom: Atom) -> Ask:
    expression = set_expression(atom)

    def asked(columns: Columns) -> Truth:
        facts = [columns.series(name) for name in facts_in(atom)]
        given = [fact for fact in facts if fact is not None]
        if len(given) < len(facts):
            return unknown_of(columns.height)
        return truth_of(pl.DataFrame(given).select(expression).to_series())

    return asked


@lru_cache(maxsize=1_024)
def set_expression(atom: Atom) -> pl.Expr:
    """The condition over the facts as they were given; null where one of them is not known."""
    fact, value = pl.col(atom.fact), atom.value
    if not isinstance(value, Ref):
        assert isinstance(value, tuple)
        return _of_labels(fact, atom.op, value)
    other = pl.col(value.fact)
    answers = {
        "in": lambda: other.list.contains(fact),
        "subset": lambda: fact.list.set_difference(other).list.len() == 0,
        "superset": lambda: other.list.set_difference(fact).list.len() == 0,
        "overlaps": lambda: fact.list.set_intersection(other).list.len() > 0,
    }
    told = answers[atom.op]() if atom.op in answers else _COMPARE[atom.op](fact, other)
    return _both_known(fact, other, told)


def _of_labels(fact: pl.Expr, op: str, labels: tuple[object, ...]) -> pl.Expr:
    if op == "subset":
        others = fact.list.set_difference(pl.lit(list(labels), dtype=pl.List(pl.String)))
        return (others.list.len() if labels else fact.list.len()) == 0
    if labels:
        (label,) = labels  # more are asked for one by one, see `plain`
        return fact.list.contains(pl.lit(label))
    return _both_known(fact, fact, pl.lit(value=op == "superset"))


def _both_known(one: pl.Expr, other: pl.Expr, result: pl.Expr) -> pl.Expr:
    return pl.when(one.is_not_null() & other.is_not_null()).then(result)
