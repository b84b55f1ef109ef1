"""How many rows each loan has in the book's tables: what is known of their order need not be found.

Where every table lies loan by loan, in the order the fold takes, the rows of loan n follow those of
loan n - 1, and counts say all. Whoever reads so needs neither ids nor a look at the order.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from duewise.book.align import LoanTables
from duewise.book.order import counts_in_order
from duewise.book.schema import SPANS


def spans_of(tables: LoanTables) -> pl.DataFrame | None:
    """The counts of each loan, in the loans' order: columns of SPANS.

    None where a table lies in another order than the fold takes, or a loan stands twice.
    """
    loan_ids = tables.loans["loan_id"]
    if loan_ids.n_unique() < len(loan_ids):
        return None
    within = {
        "instalments": (tables.instalments, ("due_date", "number")),
        "payments": (tables.payments, ("paid_at", "payment_id")),
        "pauses": (tables.pauses, ()),
        "extensions": (tables.extensions, ()),
    }
    counts = {name: counts_in_order(rows, loan_ids, by) for name, (rows, by) in within.items()}
    others = tables.payments.filter(pl.col("kind") != "payment")
    counts["other_payments"] = counts_in_order(others, loan_ids, ())
    if any(count is None for count in counts.values()):
        return None
    return pl.DataFrame(
        {name: np.asarray(counts[name], np.int32) for name in SPANS}, schema=dict(SPANS)
    )
