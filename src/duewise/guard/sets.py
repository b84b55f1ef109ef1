"""Conditions on a fact that is a set, asked once for each set that occurs and not once a row.

The sets are labels of what a text contains or a borrower stopped: few differ among many rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import polars as pl

from duewise.guard.predicate import AllOf, AnyOf, Atom, Not, Predicate, Ref, compiled

_FEW = 4_000  # rows of which it is cheaper to ask each than to find the sets that occur
SETS = ("subset", "superset", "overlaps")


def set_atoms(predicates: Iterable[Predicate]) -> dict[Atom, str]:
    """The conditions that compare a set with labels, each with the name of its column."""
    found = (atom for predicate in predicates for atom in _atoms(predicate))
    return {atom: f"set:{atom}" for atom in found if _is_of_labels(atom)}


def with_set_columns(facts: pl.DataFrame, atoms: Mapping[Atom, str]) -> pl.DataFrame:
    """The fact frame, which has its `row` numbers, with a three-valued column a condition."""
    if facts.height < _FEW:
        return facts.with_columns(compiled(atom).alias(column) for atom, column in atoms.items())
    for fact in dict.fromkeys(atom.fact for atom in atoms):
        groups = facts.select("row", fact).group_by(fact).agg("row")
        told = groups.select(
            compiled(atom).alias(column) for atom, column in atoms.items() if atom.fact == fact
        )
        group_of = np.empty(facts.height, dtype=np.int64)
        sizes = groups["row"].list.len().to_numpy()
        group_of[groups["row"].explode().to_numpy()] = np.repeat(np.arange(len(sizes)), sizes)
        facts = facts.hstack([column.gather(group_of) for column in told.get_columns()])
    return facts


def _is_of_labels(atom: Atom) -> bool:
    return atom.op in SETS and not isinstance(atom.value, Ref)


def _atoms(predicate: Predicate) -> Iterator[Atom]:
    match predicate:
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from _atoms(member)
        case Not(member):
            yield from _atoms(member)
        case Atom():
            yield predicate
