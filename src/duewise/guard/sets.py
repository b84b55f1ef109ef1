"""Conditions on a fact that is a set, asked together, and once for each set that occurs.

The sets are labels of what a text contains or a borrower stopped: few differ among many rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from duewise.guard.ask import facts_in, is_of_sets, plain, set_expression
from duewise.guard.columns import Columns
from duewise.guard.predicate import AllOf, AnyOf, Atom, Not, Predicate
from duewise.guard.truth import truth_of

_FEW = 4_000  # rows of which it is cheaper to ask each than to find the sets that occur


def set_atoms(predicates: Iterable[Predicate]) -> tuple[Atom, ...]:
    """The distinct conditions that look into a set."""
    found = (atom for predicate in predicates for atom in _atoms(predicate))
    return tuple(dict.fromkeys(atom for atom in found if is_of_sets(atom)))


def put_sets(columns: Columns, atoms: Sequence[Atom]) -> None:
    """Answer these conditions together; one about a fact that was not given answers itself."""
    facts = {name: columns.series(name) for atom in atoms for name in facts_in(atom)}
    askable = [atom for atom in atoms if all(facts[name] is not None for name in facts_in(atom))]
    if not askable:
        return
    frame = pl.DataFrame([fact for fact in facts.values() if fact is not None])
    alone = [atom for atom in askable if len(facts_in(atom)) == 1 and frame.height >= _FEW]
    for fact in dict.fromkeys(atom.fact for atom in alone):
        _put_grouped(columns, [atom for atom in alone if atom.fact == fact], frame[fact])
    together = [atom for atom in askable if atom not in alone]
    _put(columns, together, frame.select(_told(together)))


def _told(atoms: Sequence[Atom]) -> list[pl.Expr]:
    return [set_expression(atom).alias(str(place)) for place, atom in enumerate(atoms)]


def _put(columns: Columns, atoms: Sequence[Atom], told: pl.DataFrame) -> None:
    for atom, column in zip(atoms, told.get_columns(), strict=True):
        columns.put(str(atom), truth_of(column))


def _put_grouped(columns: Columns, atoms: Sequence[Atom], sets: pl.Series) -> None:
    row = pl.Series("row", np.arange(len(sets), dtype=np.uint32))
    groups = pl.DataFrame([sets, row]).group_by(sets.name).agg("row")
    group_of = np.empty(len(sets), dtype=np.int64)
    sizes = groups["row"].list.len().to_numpy()
    group_of[groups["row"].explode().to_numpy()] = np.repeat(np.arange(len(sizes)), sizes)
    told = groups.select(_told(atoms))
    _put(columns, atoms, pl.DataFrame([each.gather(group_of) for each in told.get_columns()]))


def _atoms(predicate: Predicate) -> Iterator[Atom]:
    match plain(predicate):
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from _atoms(member)
        case Not(member):
            yield from _atoms(member)
        case Atom() as atom:
            yield atom
