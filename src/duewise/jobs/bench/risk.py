"""What early warning costs: the features of every open loan, from the book's tables in memory."""

from __future__ import annotations

import numpy as np

from duewise.book.align import LoanTables
from duewise.book.product import shipped_products
from duewise.jobs.bench.big_book import PART, tables_of
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import Figure, in_turns, rates
from duewise.risk.features import features

ZONE = "Asia/Shanghai"


def risk(task: Task) -> list[Figure]:
    """Borrowers a second: ledger and features of one partition, a loan each."""
    tables = LoanTables(**tables_of(np.arange(PART), as_of=task.as_of))
    products = shipped_products()

    def ours() -> None:
        features(tables, products, as_of=task.as_of, zone=ZONE)

    ours()
    seconds = in_turns(ours, None, turns=task.sizes.turns, timer=task.timer)
    return [rates("risk", "borrowers/s", PART, seconds, note="ledger and features in memory")]
