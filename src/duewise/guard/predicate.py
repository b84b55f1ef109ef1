"""Conditions of a rule, read from the profile's words. What they say of a message: `ask`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TypeAlias

from duewise.document import Node
from duewise.guard.facts import FACTS, MINOR_PER_MAJOR, Kind

Scalar: TypeAlias = bool | Decimal | str


@dataclass(frozen=True)
class Ref:
    """A value that is another fact."""

    fact: str


@dataclass(frozen=True)
class Atom:
    """`fact op value`; amounts are in minor units already."""

    fact: str
    op: str
    value: Scalar | tuple[Scalar, ...] | Ref | None = None


@dataclass(frozen=True)
class AllOf:
    """Holds where every member does."""

    members: tuple[Predicate, ...]


@dataclass(frozen=True)
class AnyOf:
    """Holds where one member does."""

    members: tuple[Predicate, ...]


@dataclass(frozen=True)
class Not:
    """Holds where the member is known not to."""

    member: Predicate


Predicate: TypeAlias = Atom | AllOf | AnyOf | Not

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_MEMBER = ("in", "nin")
SETS = ("subset", "superset", "overlaps")
_KNOWN = ("present", "absent")
OPERATORS = (*COMPARISONS, *_MEMBER, *SETS, *_KNOWN)
_WORD = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s,\[\]'\"]+")


def read_predicate(node: Node) -> Predicate:
    """The predicate a YAML node holds. Raises BadInput with the line and what to write instead."""
    if node.is_scalar:
        return read_atom(node)
    members = node.entries()
    if len(members) != 1 or not set(members) <= {"all", "any", "not"}:
        node.refuse("not a predicate", mend="write {all: [..]}, {any: [..]} or {not: ..}")
    (kind, inner), *_ = members.items()
    if kind == "not":
        return Not(read_predicate(inner))
    parts = tuple(read_predicate(member) for member in inner.items())
    if not parts:
        inner.refuse(f"{kind!r} holds nothing", mend="name at least one condition")
    return AllOf(parts) if kind == "all" else AnyOf(parts)


def read_atom(node: Node) -> Atom:
    """`"fact op value"` with every word checked against the facts and operators there are."""
    fact, op, value = (*node.text().split(maxsplit=2), "", "", "")[:3]
    if fact not in FACTS:
        near = get_close_matches(fact, FACTS, n=1)
        node.refuse(
            f"unknown fact {fact!r}",
            mend=f"did you mean {near[0]!r}?" if near else "see the table of facts",
        )
    if op not in OPERATORS:
        node.refuse(f"unknown operator {op!r}", mend=f"use one of {' '.join(OPERATORS)}")
    if (value == "") != (op in _KNOWN):
        node.refuse(
            f"operator {op!r} {'takes no value' if op in _KNOWN else 'needs a value'}",
            mend="write `fact op value`, or `fact present`",
        )
    try:
        return _checked(fact, op, value)
    except ValueError as error:
        node.refuse(f"{node.text()!r}: {error}", mend=f"{fact} is a {FACTS[fact].kind} fact")


def facts_of(predicate: Predicate) -> Iterator[str]:
    """Every fact the predicate asks for."""
    match predicate:
        case Atom(fact, _, value):
            yield fact
            if isinstance(value, Ref):
                yield value.fact
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from facts_of(member)
        case Not(member):
            yield from facts_of(member)


def _checked(fact: str, op: str, text: str) -> Atom:
    kind = FACTS[fact].kind
    if op in _KNOWN:
        return Atom(fact, op)
    if op in SETS and kind is not Kind.SET:
        raise ValueError(f"{op} compares sets")
    if kind is Kind.SET and op not in SETS:
        raise ValueError(f"a set is compared with {' '.join(SETS)}")
    if kind is Kind.BOOL and op not in ("==", "!="):
        raise ValueError("yes or no is compared with == or !=")
    if text.startswith("$"):
        return Atom(fact, op, _reference(kind, op, text[1:]))
    member_kind = Kind.TEXT if kind is Kind.SET else kind
    if op in _MEMBER or op in SETS:
        return Atom(fact, op, tuple(_value(member_kind, word) for word in _words(text)))
    return Atom(fact, op, _value(member_kind, text))


def _reference(kind: Kind, op: str, name: str) -> Ref:
    if name not in FACTS:
        raise ValueError(f"unknown fact {name!r}")
    wanted = Kind.SET if op in _MEMBER else kind
    if FACTS[name].kind is not wanted:
        raise ValueError(f"${name} is a {FACTS[name].kind} fact, not {wanted}")
    return Ref(name)


def _words(text: str) -> list[str]:
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError("expected a list in square brackets")
    return _WORD.findall(text[1:-1])


def _value(kind: Kind, text: str) -> Scalar:
    if kind is Kind.BOOL:
        if text not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text == "true"
    if kind in (Kind.AMOUNT, Kind.NUMBER):
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"{text!r} is not a number") from None
        return number * MINOR_PER_MAJOR if kind is Kind.AMOUNT else number
    if kind is not Kind.TEXT:
        raise ValueError("an instant or a date has no value to compare with")
    if text[:1] in ("'", '"'):
        return text[1:-1]
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not one word")
    return text
