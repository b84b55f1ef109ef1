"""The ledger beside DuckDB: the same figures for every loan, from tables both hold in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import polars as pl

from duewise.book.align import LoanTables
from duewise.book.ledger import ledger as ledger_of
from duewise.jobs.bench.book import Task, instalments_of, loans_of, payments_of
from duewise.jobs.bench.figure import Figure, in_turns, prove_same, rates

_FIGURES = (
    "loan_id",
    "days_past_due",
    "past_due_minor",
    "outstanding_minor",
    "oldest_due_date",
    "next_due_date",
    "next_due_amount_minor",
)
_PEER_SQL = """
WITH paid AS (
    SELECT loan_id,
           greatest(sum(CASE kind WHEN 'reversal' THEN -amount_minor ELSE amount_minor END), 0)
               AS paid
      FROM payments WHERE paid_at <= $known_at GROUP BY loan_id
), owed AS (
    SELECT loan_id, due_date, number, principal_minor + interest_minor + fee_minor AS due,
           sum(due) OVER (PARTITION BY loan_id ORDER BY due_date, number) AS through
      FROM instalments
), open AS (
    SELECT o.loan_id, due_date, number,
           least(greatest(through - coalesce(paid, 0), 0), due) AS outstanding
      FROM owed o LEFT JOIN paid USING (loan_id)
), figures AS (
    SELECT loan_id,
           sum(outstanding) AS outstanding_minor,
           sum(outstanding) FILTER (due_date < $as_of) AS arrears,
           min(due_date) FILTER (due_date < $as_of AND outstanding > tolerance_minor)
               AS oldest_due_date,
           min((due_date, number, outstanding))
               FILTER (due_date >= $as_of AND outstanding > tolerance_minor) AS next
      FROM open JOIN loans USING (loan_id) WHERE opened_date <= $as_of GROUP BY loan_id
)
SELECT loan_id,
       coalesce($as_of::DATE - oldest_due_date, 0)::INTEGER AS days_past_due,
       CASE WHEN oldest_due_date IS NULL THEN 0 ELSE arrears END::BIGINT AS past_due_minor,
       outstanding_minor::BIGINT AS outstanding_minor,
       oldest_due_date, next[1]::DATE AS next_due_date, next[3]::BIGINT AS next_due_amount_minor
  FROM figures
"""


def ledger(task: Task) -> list[Figure]:
    """Loans a second, six instalments each; DuckDB's, if it is installed, on its own tables."""
    count, as_of = task.sizes.loans, task.as_of
    loans = loans_of(count, as_of=as_of)
    instalments = instalments_of(loans)
    payments = payments_of(instalments, as_of=as_of)
    known_at = task.morning

    def ours() -> pl.DataFrame:
        tables = LoanTables(loans, instalments, payments)
        products, zone = task.tenant.products, task.tenant.strategy.timezone
        return ledger_of(tables, products, as_of=as_of, known_at=known_at, zone=zone).loans

    tables = {"loans": loans, "instalments": instalments, "payments": payments}
    peer = _duckdb(tables, as_of=as_of, known_at=known_at)
    if peer:
        prove_same(_checksum(ours()), _checksum(peer()), bench="ledger")
    note = "" if peer else "no peer: DuckDB is not installed (pip install duckdb)"
    seconds = in_turns(ours, peer, turns=task.sizes.turns, timer=task.timer)
    return [rates("ledger", "loans/s", count, seconds, peer_name="DuckDB", note=note)]


def _duckdb(
    tables: dict[str, pl.DataFrame], *, as_of: date, known_at: datetime
) -> Callable[[], pl.DataFrame] | None:
    try:
        import duckdb
    except ImportError:  # a development dependency
        return None
    connection = duckdb.connect()
    for name, frame in tables.items():
        connection.from_arrow(frame.to_arrow()).create(name)
    values = {"as_of": as_of, "known_at": known_at}
    return lambda: pl.DataFrame(connection.sql(_PEER_SQL, params=values).to_arrow_table())


def _checksum(figures: pl.DataFrame) -> tuple[int, int]:
    """Rows, and a sum over the hashes of every row's figures: the same in any order of rows."""
    same_types = figures.select(_FIGURES).with_columns(pl.col("days_past_due").cast(pl.Int64))
    return figures.height, int(same_types.hash_rows(seed=1).cast(pl.UInt128).sum())
