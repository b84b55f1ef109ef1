"""How a loan's figures came about: each payment's parts, each day's penalty, event by event.

Nothing is reckoned a second time: the loan is folded once for every moment, with the events cut off
there, and what an event did is the difference between two folds. What is unpaid of a component is
asked of the fold too: by a waiver of all of it. So a trace cannot differ from the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.columns import (
    COMPONENTS,
    COMPOUND_EVERY,
    DPD,
    EXTENSION,
    FEE,
    FIGURES,
    INTEREST,
    NONE,
    OUTSTANDING,
    OVERPAID,
    PAST_DUE,
    PENALTY,
    PRINCIPAL,
    WAIVER,
    Columns,
    Events,
    Instalments,
    Int64s,
    Loans,
    Pauses,
    Rows,
    read_only,
)
from duewise.frames import Schema

# One row a moment: `event` counts the loan's events from 0, and is null where only time passed.
STEPS: Schema = {
    "step": pl.Int32,
    "date": pl.Date,
    "event": pl.Int32,
    "credit_minor": pl.Int64,
    "credit_change_minor": pl.Int64,
    "days_past_due": pl.Int32,
    "past_due_minor": pl.Int64,
    "outstanding_minor": pl.Int64,
}
# What a step changed; `place` counts the instalments in the order of their due dates from 0.
PARTS: Schema = {
    "step": pl.Int32,
    "place": pl.Int32,
    "component": pl.String,
    "charged_minor": pl.Int64,
    "paid_minor": pl.Int64,
    "waived_minor": pl.Int64,
}
_PROBED = (FEE, INTEREST, PRINCIPAL)
_COPIES = 1 + len(_PROBED)
_ALL_OF_IT = 1 << 60


@dataclass(frozen=True)
class Standing:
    """A loan at each of its moments: arrays of moments x instalments, `paid` and `left` x 4."""

    day: Int64s
    event: Int64s
    effective: Int64s
    paid: Int64s
    left: Int64s
    penalty: Int64s
    figures: Int64s


@dataclass(frozen=True)
class Trace:
    """`steps` conforms to STEPS and `parts` to PARTS; `standing` is what they were taken from."""

    steps: pl.DataFrame
    parts: pl.DataFrame
    standing: Standing


def trace(columns: Columns, as_of: int) -> Trace:
    """The trace of the one loan in `columns`, up to the end of the day `as_of` (from 1970-01-01).

    The parts of all steps sum to what the ledger says of each instalment and component.
    """
    assert len(columns.loans.rule) == 1, "a trace is of one loan"
    day, taken, event = _moments(columns, as_of)
    standing = _standing(columns, day, taken, event)
    return Trace(_steps(standing), _parts(columns, standing), standing)


def _moments(columns: Columns, as_of: int) -> tuple[Int64s, Int64s, Int64s]:
    """Day, events taken and event of each: the days on which anything can change, then its events.

    Held money is applied on due dates, and unpaid penalty turns into capital on its own days.
    """
    schedule, events = columns.instalments, columns.events
    happened = int((events.day <= as_of).sum())
    due = {*schedule.effective.tolist(), *events.amount[events.kind == EXTENSION].tolist()}
    every = int(columns.loans.rules[columns.loans.rule[0], COMPOUND_EVERY])
    turns = {day for first in due for day in range(first, as_of + 1, every)} if every else set()
    days = {as_of, *events.day[:happened].tolist(), *due, *turns}
    arrivals = [
        (day, int((events.day[:happened] < day).sum()), NONE) for day in days if day <= as_of
    ]
    own = [(int(events.day[e]), e + 1, e) for e in range(happened)]
    moments = sorted([*arrivals, *own], key=lambda moment: (moment[0], moment[1], moment[2]))
    day, taken, event = np.array(moments, np.int64).T
    return day, taken, event


def _standing(columns: Columns, day: Int64s, taken: Int64s, event: Int64s) -> Standing:
    rows, figures = _fold(columns, day, taken)
    count, n = len(day), len(columns.instalments.due)
    own = slice(None, None, _COPIES)
    waived = rows.waived.reshape(count, _COPIES, n)
    outstanding = rows.outstanding.reshape(-1, n)[own]
    left = np.zeros((count, len(COMPONENTS), n), np.int64)
    for copy, component in enumerate(_PROBED, start=1):
        left[:, component] = waived[:, copy] - waived[:, 0]
    left[:, PENALTY] = outstanding - left.sum(axis=1)
    return Standing(
        day=day,
        event=event,
        effective=rows.effective.reshape(-1, n)[own].astype(np.int64),
        paid=rows.paid.reshape(len(COMPONENTS), -1, n)[:, own].transpose(1, 0, 2),
        left=left,
        penalty=rows.penalty.reshape(-1, n)[own],
        figures=figures[own],
    )


def _fold(columns: Columns, day: Int64s, taken: Int64s) -> tuple[Rows, Int64s]:
    """Every moment's copies of the loan in one fold: as it was, and with a component waived."""
    from duewise.book.reading import fold_loans

    copies = read_only(_copies(columns, day, taken))
    n, loans = len(copies.instalments.due), len(copies.loans.rule)
    rows = Rows(
        effective=np.zeros(n, np.int32),
        penalty=np.zeros(n, np.int64),
        paid=np.zeros((len(COMPONENTS), n), np.int64),
        waived=np.zeros(n, np.int64),
        paid_in_advance=np.zeros(n, np.int64),
        paid_late=np.zeros(n, np.int64),
        settled=np.zeros(n, np.int32),
        outstanding=np.zeros(n, np.int64),
        days_past_due=np.zeros(n, np.int32),
    )
    figures = np.zeros((loans, len(FIGURES)), np.int64)
    fold_loans(copies, np.repeat(day, _COPIES).astype(np.int32), rows, figures)
    return rows, figures


def _copies(columns: Columns, day: Int64s, taken: Int64s) -> Columns:
    loans, schedule, events, pauses = columns
    times = len(day) * _COPIES
    pool, probes = len(events.day), len(_PROBED)
    # Rows of the pool of events, and behind them the probes, of each copy in turn.
    chosen = [
        np.append(np.arange(count), [pool + copy - 1] * bool(copy))
        for count in taken
        for copy in range(_COPIES)
    ]
    lengths = [len(rows) for rows in chosen]
    index = np.concatenate(chosen).astype(np.int64)
    days = np.append(events.day, np.zeros(probes, np.int32))[index]
    on = np.repeat(np.repeat(day, _COPIES), lengths)
    return Columns(
        Loans(
            loans.rules,
            np.repeat(loans.rule, times),
            np.repeat(loans.terms, times, axis=0),
            np.arange(times + 1, dtype=np.int64) * len(schedule.due),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.arange(times + 1, dtype=np.int64) * len(pauses.since),
        ),
        Instalments(
            np.tile(schedule.due, times),
            np.tile(schedule.effective, times),
            np.tile(schedule.principal, times),
            np.tile(schedule.interest, times),
            np.tile(schedule.fee, times),
        ),
        Events(
            np.where(index >= pool, on, days).astype(np.int32),
            np.append(events.kind, np.full(probes, WAIVER, np.int8))[index],
            np.append(events.amount, np.full(probes, _ALL_OF_IT, np.int64))[index],
            np.append(events.detail, np.array(_PROBED, np.int32))[index],
        ),
        Pauses(
            np.tile(pauses.since, times),
            np.tile(pauses.until, times),
            np.tile(pauses.of_penalty, times),
        ),
    )


def _steps(standing: Standing) -> pl.DataFrame:
    figures, event = standing.figures, pl.Series(standing.event)
    credit = figures[:, OVERPAID]
    return pl.DataFrame(
        {
            "step": np.arange(len(credit)),
            "date": pl.Series(standing.day).cast(pl.Int32).cast(pl.Date),
            "event": event.set(event == NONE, None),
            "credit_minor": credit,
            "credit_change_minor": np.diff(credit, prepend=0),
            "days_past_due": figures[:, DPD],
            "past_due_minor": figures[:, PAST_DUE],
            "outstanding_minor": figures[:, OUTSTANDING],
        },
        schema_overrides={name: kind for name, kind in STEPS.items() if name != "event"},
    ).with_columns(pl.col("event").cast(pl.Int32))


def _parts(columns: Columns, standing: Standing) -> pl.DataFrame:
    schedule = columns.instalments
    agreed = np.stack(
        [np.zeros_like(schedule.fee), schedule.fee, schedule.interest, schedule.principal]
    )
    charged = np.broadcast_to(agreed, standing.left.shape).copy()
    charged[:, PENALTY] = standing.penalty
    waived = charged - standing.paid - standing.left
    changes = [_changes(charged, agreed), _changes(standing.paid), _changes(waived)]
    where = np.nonzero(np.any([change != 0 for change in changes], axis=0))
    step, component, place = where
    return pl.DataFrame(
        {
            "step": step,
            "place": place,
            "component": np.array(COMPONENTS)[component],
            "charged_minor": changes[0][where],
            "paid_minor": changes[1][where],
            "waived_minor": changes[2][where],
        },
        schema=dict(PARTS),
    )


def _changes(values: Int64s, before: npt.NDArray[np.int64] | int = 0) -> Int64s:
    first = values[:1] - before
    return np.concatenate([first, np.diff(values, axis=0)])
