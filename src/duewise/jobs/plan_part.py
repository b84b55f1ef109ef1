"""One partition of a plan, in whichever process: read it, ask the core, write what it says.

Lean by intent: a worker process imports this and what planning takes, no database and no solver.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from duewise.book.schema import PAYMENTS
from duewise.engine.partition import PLAN, PlanContext, Tables, plan_partition
from duewise.engine.spread import hourly
from duewise.errors import DuewiseError
from duewise.frames import completed

if TYPE_CHECKING:
    from duewise.store.book import Book, BookTables

PLANNED = ".arrow"  # a partition's rows: read once more and soon, so not pressed at all
OFFERED = ".offers"  # beside it: what its messages take of the budgets
OTHERS = ".others"  # and what else could be said, where budgets choose between arms
HOURLY = ".hourly"  # and what each hour is asked for, where routes have a rate
UNREAD = ".unread"  # and what of the lender's own columns no model could read


@dataclass(frozen=True)
class Known:
    """What operations know of some borrowers: payments since, addresses, contacts and the rest."""

    payments: pl.DataFrame
    addresses: pl.DataFrame
    contacts: pl.DataFrame
    cases: pl.DataFrame
    sent: pl.DataFrame
    promises: pl.DataFrame

    def joined(self, found: BookTables) -> Tables:
        """The same borrowers' rows of the book, and these."""
        return Tables(
            borrowers=found.borrowers,
            loans=found.loans,
            instalments=found.instalments,
            payments=_union(found.payments, self.payments),
            pauses=found.pauses,
            extensions=found.extensions,
            features=found.features,
            addresses=self.addresses,
            contacts=self.contacts,
            cases=self.cases,
            sent=self.sent,
            promises=self.promises,
        )


def read_part(book: Book, number: int, known: Known) -> Tables:
    """A partition's tables: the book's are read by the process that plans them."""
    return known.joined(book.plan_tables(number))


def plan_part(read: Callable[[], Tables], context: PlanContext, target: Path) -> None:
    """Plan what `read` gives; by the target's being there a partition is known to be planned."""
    plan = plan_partition(read(), context=context)
    if plan.rows.schema != PLAN:
        raise DuewiseError("a plan does not have the plan's columns")
    if context.strategy.budgets:
        plan.offers.write_parquet(target.with_suffix(OFFERED))
    if plan.others.height:
        plan.others.write_ipc(target.with_suffix(OTHERS), compression="lz4")
    if plan.unread:
        text = json.dumps(plan.unread, ensure_ascii=False)
        target.with_suffix(UNREAD).write_text(text, encoding="utf-8")
    if context.rates:
        counts = hourly(pl.concat([plan.rows, plan.others]), context)
        counts.write_ipc(target.with_suffix(HOURLY))
    unfinished = target.with_suffix(".tmp")
    plan.rows.write_ipc(unfinished)
    unfinished.rename(target)


def _union(payments: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Book and events; a payment told by both counts once."""
    payments = completed(payments, PAYMENTS)
    if events.is_empty():
        return payments
    columns = payments.columns
    return pl.concat(
        [
            payments,
            events.join(payments, on="payment_id", how="anti").select(
                pl.col(name).cast(payments.schema[name]) for name in columns
            ),
        ]
    )
