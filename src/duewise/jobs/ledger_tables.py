"""The rows of the ledger's files, from the fold's own arrays, copied only where they must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from duewise.book.columns import (
    CHARGED_OFF,
    COMPONENTS,
    DPD,
    FIGURES,
    NEVER,
    NEXT_DUE,
    OLDEST_DUE,
    OUTSTANDING,
    PAST_DUE,
    Int32s,
    Int64s,
)
from duewise.book.delinquency import places, places5
from duewise.book.ledger import LOAN_STATUS, Ledger
from duewise.money import minor_digits

if TYPE_CHECKING:
    import pyarrow as pa

DIGITS_MIN = 2
_LAST_DAY = int(np.iinfo(np.int32).max)
_NOT_WRITTEN = ("grace_days", "tolerance_minor", "penalty_multiplier")
_MAY_BE_NULL = ("next_due_date", "oldest_due_date")


def tables_of(found: Ledger, decimals: Decimals) -> dict[str, pa.Table]:
    """The rows of the three files: instalments, loans and borrowers."""
    loans = _Loans.of(found)
    return {
        "instalments": _instalments(found, decimals, loans),
        "loans": required(_loans(found, decimals, loans), nullable=_MAY_BE_NULL),
        "borrowers": required(_borrowers(decimals, loans), nullable=_MAY_BE_NULL),
    }


@dataclass(frozen=True)
class _Loans:
    """Ids of all loans, which of them are open on the day (None: all), and the figures of those."""

    loan_ids: pa.Array
    borrower_ids: pa.Array
    is_open: npt.NDArray[np.bool_] | None
    figures: tuple[Int64s, ...]

    @classmethod
    def of(cls, found: Ledger) -> _Loans:
        from duewise.book.sweep import turned

        loans = found.aligned.loans
        ids = [loans[name].to_arrow() for name in ("loan_id", "borrower_id")]
        is_open = (loans["opened_date"] <= found.as_of).to_numpy()
        figures = found.figures
        if is_open.all():
            return cls(ids[0], ids[1], None, tuple(turned(figures)))
        return cls(ids[0], ids[1], is_open, tuple(turned(figures[is_open])))

    def opened(self, column: pa.Array) -> pa.Array:
        """The entries of the open loans, of a column of all."""
        return column if self.is_open is None else column.filter(self.is_open)


def _loans(found: Ledger, decimals: Decimals, loans: _Loans) -> pa.Table:
    import pyarrow as pa

    figures, buckets = loans.figures, found.products.buckets.on(found.as_of)
    days = figures[DPD].astype(np.int32)
    named: dict[str, Any] = {
        "loan_id": loans.opened(loans.loan_ids),
        "borrower_id": loans.opened(loans.borrower_ids),
        "days_past_due": pa.array(days),
        "bucket": _named(*places(days, buckets)),
        "class5": _named(*places5(days, figures[CHARGED_OFF] > 0)),
        "oldest_due_date": _dates(figures[OLDEST_DUE].astype(np.int32)),
        "next_due_date": _dates(figures[NEXT_DUE].astype(np.int32)),
    }
    amounts = {f"{name}_minor": number for number, name in enumerate(FIGURES)}
    columns = {}
    for name in LOAN_STATUS:
        if name not in _NOT_WRITTEN:
            column = named[name] if name in named else decimals.of(figures[amounts[name]])
            columns[name.removesuffix("_minor")] = column
    return pa.table(columns)


def _named(place: npt.NDArray[np.int8], names: tuple[str, ...]) -> pa.Array:
    """Names by their places; a name may stand for several places."""
    import pyarrow as pa

    once = list(dict.fromkeys(names))
    if len(once) < len(names):
        place = np.array([once.index(name) for name in names], np.int8)[place]
    return pa.DictionaryArray.from_arrays(pa.array(place), pa.array(once))


def _borrowers(decimals: Decimals, loans: _Loans) -> pa.Table:
    """Worst lateness, sums and next date of each borrower, whose loans lie together."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids, figures = loans.opened(loans.borrower_ids), loans.figures
    if len(ids):
        is_head = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
        heads = np.concatenate([[0], np.flatnonzero(is_head) + 1])
        next_due = np.where(figures[NEXT_DUE] == NEVER, _LAST_DAY, figures[NEXT_DUE])
        first = np.minimum.reduceat(next_due, heads)
        worst, past_due, owed = (
            reduce.reduceat(figures[number], heads)
            for reduce, number in ((np.maximum, DPD), (np.add, PAST_DUE), (np.add, OUTSTANDING))
        )
        ids = ids if len(heads) == len(ids) else ids.take(pa.array(heads))
    else:
        worst, past_due, owed, first = (figures[DPD],) * 4
    return pa.table(
        {
            "borrower_id": ids,
            "days_past_due": pa.array(worst.astype(np.int32)),
            "past_due": decimals.of(past_due),
            "outstanding": decimals.of(owed),
            "next_due_date": _dates(np.where(first == _LAST_DAY, NEVER, first).astype(np.int32)),
        }
    )


def _instalments(found: Ledger, decimals: Decimals, loans: _Loans) -> pa.Table:
    """The instalments of the loans opened by the day; ids once a loan, amounts as they lie."""
    import pyarrow as pa

    columns, rows, own = found.aligned.columns, found.rows, found.aligned.instalments
    starts = columns.loans.instalment_start
    of_loan = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    named: dict[str, Any] = {
        "loan_id": pa.DictionaryArray.from_arrays(pa.array(of_loan), loans.loan_ids),
        "number": own["number"].to_arrow(),
        "due_date": _dates(columns.instalments.due),
        "effective_due_date": _dates(rows.effective),
        "principal": decimals.of(columns.instalments.principal),
        "interest": decimals.of(columns.instalments.interest),
        "fee": decimals.of(columns.instalments.fee),
        "penalty": decimals.of(rows.penalty),
    }
    for component in reversed(COMPONENTS):
        named[f"{component}_paid"] = decimals.of(rows.paid[COMPONENTS.index(component)])
    named |= {
        "paid_in_advance": decimals.of(rows.paid_in_advance),
        "paid_late": decimals.of(rows.paid_late),
        "settled_date": _dates(rows.settled),
        "outstanding": decimals.of(rows.outstanding),
        "days_past_due": pa.array(rows.days_past_due),
        "waived": decimals.of(rows.waived),
    }
    table = required(pa.table(named), nullable=("settled_date",))
    return table if loans.is_open is None else table.filter(pa.array(loans.is_open[of_loan]))


def _dates(days: Int32s) -> pa.Array:
    import pyarrow as pa

    never = days == NEVER
    mask = never if never.any() else None
    return pa.array(days, type=pa.int32(), mask=mask).view(pa.date32())


def required(table: pa.Table, *, nullable: tuple[str, ...] = ()) -> pa.Table:
    """The table, promising that only those columns have nulls: it is written in half the time."""
    import pyarrow as pa

    fields = [pa.field(f.name, f.type, nullable=f.name in nullable) for f in table.schema]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


class Decimals:
    """Minor units of a currency as Decimal(18, 2) in major units, mostly without a copy."""

    def __init__(self, currency: str) -> None:
        digits = minor_digits(currency)
        self._scale = max(digits, DIGITS_MIN)
        self._factor = 10 ** (self._scale - digits)

    def of(self, minor: np.ndarray[Any, Any]) -> pa.Array:
        """A column of whole minor units (Int64) as decimals."""
        import pyarrow as pa

        amounts = np.ascontiguousarray(minor if self._factor == 1 else minor * self._factor)
        kind = pa.decimal64(18, self._scale)
        return pa.Array.from_buffers(kind, len(amounts), [None, pa.py_buffer(amounts)])
