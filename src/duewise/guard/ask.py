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

from duewise.guard.columns import Columns, labels_that
from duewise.guard.facts import FACTS, Kind
from duewise.guard.predicate import SETS, AllOf, AnyOf, Atom, Not, Predicate, Ref
from duewise.guard.sets import Sets
from duewise.guard.truth import Bits, Truth, known, none, truth_of, unknown_of

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
    if atom.op in SETS:
        return _of_sets(atom)
    if isinstance(atom.value, Ref) and atom.op == "in":
        return _of_word_in_sets(atom.fact, atom.value.fact)
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
    if isinstance(value, Ref):
        return _of_two_texts(atom, value.fact)
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


def _of_two_texts(atom: Atom, other: str) -> Ask:
    """Two columns of texts that may all differ."""
    fact, compare = atom.fact, _COMPARE[atom.op]

    def asked(columns: Columns) -> Truth:
        one, two = columns.series(fact), columns.series(other)
        if one is None or two is None:
            return unknown_of(columns.height)
        return truth_of(compare(one, two))

    return asked


def _of_word_in_sets(fact: str, other: str) -> Ask:
    def asked(columns: Columns) -> Truth:
        words, sets = columns.words(fact), columns.sets(other)
        found = [
            words.told(labels_that(eq, words.labels, label)).yes & sets.have(label)
            for label in words.labels
            if label in sets.places
        ]
        return known(reduce(or_, found, none(columns.height)), words.known & sets.known)

    return asked


def _of_sets(atom: Atom) -> Ask:
    """Conditions on a set: beside labels, or beside another set."""
    fact, op, value = atom.fact, atom.op, atom.value
    if not isinstance(value, Ref):
        assert isinstance(value, tuple)
        labels = tuple(map(str, value))
        if op == "subset":
            return _of_one_set(fact, lambda sets: ~sets.have_beside(labels))
        if op == "superset" and not labels:
            return _of_one_set(fact, lambda sets: sets.known)
        # More labels are asked for one by one, see `plain`.
        return _of_one_set(fact, lambda sets: sets.have_any(labels))
    other, compare = value.fact, _COMPARE_SETS[op]

    def asked(columns: Columns) -> Truth:
        one, two = columns.sets(fact), columns.sets(other)
        return known(compare(one, two), one.known & two.known)

    return asked


def _of_one_set(fact: str, holds: Callable[[Sets], Bits]) -> Ask:
    def asked(columns: Columns) -> Truth:
        sets = columns.sets(fact)
        return known(holds(sets), sets.known)

    return asked


_COMPARE_SETS: Mapping[str, Callable[[Sets, Sets], Bits]] = {
    "subset": lambda one, two: ~one.lack(two),
    "superset": lambda one, two: ~two.lack(one),
    "overlaps": Sets.share,
}
