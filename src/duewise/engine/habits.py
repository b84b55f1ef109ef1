"""How a group's borrowers have paid so far: counted over their instalments, one row a borrower."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.align import day_number
from duewise.book.columns import DPD, NEVER, OLDEST_DUE, PAYMENT, Int32s, Int64s
from duewise.book.ledger import Ledger
from duewise.risk.model import Prior, probability_of_default
from duewise.strategy.tone import HISTORY_DAYS, is_usually_punctual

PART_DAYS = 28  # as far back as a part payment counts


def habits(
    known: Ledger, owner: Int64s, declared: Int64s, *, people: int, as_of: date, prior: Prior
) -> pl.DataFrame:
    """A row for each of so many borrowers; all null for one without an instalment.

    `_share` of own instalments that came late, shrunk; the signs of the tone ladder; the part
    payments of PART_DAYS. `owner` is the place of each loan's borrower, `people` if nobody's;
    `declared` are the places of those who say that they are in hardship.
    """
    whose = np.repeat(owner, np.diff(known.aligned.columns.loans.instalment_start))
    rows, today = known.rows, day_number(as_of)
    is_due, is_settled = rows.effective < today, rows.settled != NEVER
    is_late = np.where(is_settled, rows.settled > rows.effective, rows.days_past_due > 0)
    is_old = is_due & is_settled & (rows.effective >= today - HISTORY_DAYS)

    def count(which: npt.NDArray[np.bool_]) -> Int64s:
        return np.bincount(whose[which], minlength=people)[:people]

    in_hardship = np.zeros(people, np.bool_)
    in_hardship[declared] = True
    frame = pl.DataFrame(
        {
            "_share": probability_of_default(count(is_due & is_late), count(is_due), prior),
            "usually_punctual": is_usually_punctual(count(is_old), count(is_old & is_late)),
            "hardship": in_hardship,
        }
    ).hstack(_part_payments(known, owner, people=people, as_of=as_of))
    has_any = pl.Series(np.bincount(whose, minlength=people)[:people] > 0)
    return frame.select(pl.when(has_any).then(pl.all()))


def _part_payments(known: Ledger, owner: Int64s, *, people: int, as_of: date) -> pl.DataFrame:
    """The payments of PART_DAYS that left something past due, and the last one's age.

    A payment made on or after the due date of the oldest instalment that is still unpaid was one
    in part: a full one would have settled it.
    """
    columns, today = known.aligned.columns, day_number(as_of)
    day, kind = columns.events.day, columns.events.kind
    recent = np.flatnonzero((day > today - PART_DAYS) & (day <= today) & (kind == PAYMENT))
    loan = np.searchsorted(columns.loans.event_start, recent, side="right") - 1
    of_loan = known.figures[loan]
    is_part = (of_loan[:, DPD] > 0) & (day[recent] >= of_loan[:, OLDEST_DUE])
    who, age = owner[loan[is_part]], today - day[recent[is_part]]
    last: Int32s = np.full(people + 1, PART_DAYS, np.int32)
    np.minimum.at(last, who, age.astype(np.int32))
    ages = pl.Series(last[:people])
    return pl.DataFrame(
        {
            "part_payments_28d": np.bincount(who, minlength=people)[:people].astype(np.int32),
            "days_since_part_payment": ages.set(ages == PART_DAYS, None),
        }
    )
