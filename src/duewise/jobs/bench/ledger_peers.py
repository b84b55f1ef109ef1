"""What one would write instead of the ledger, as well as we can: SQL, streaming Polars, pandas.

Each reads the book's Parquet and writes instalments.parquet and loans.parquet into a folder, in
whole minor units. First in, first out by running sums; penalty on what is unpaid of the principal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl

from duewise.jobs.bench.big_book import DAY_COUNT, MULTIPLIER, RATE

RATE_UNITS = round(RATE * MULTIPLIER * 10**8)
UNIT = DAY_COUNT * 10**8


@dataclass(frozen=True)
class Peer:
    """A name, and how it goes from the book's folder to files in another one."""

    name: str
    run: Callable[[Path, Path, date, datetime], None]
    is_quick: bool = True
    has_figures: bool = True


_SQL = """
CREATE TEMP TABLE instalment_rows AS
WITH paid AS (
    SELECT loan_id, sum(amount_minor)::BIGINT AS paid
      FROM read_parquet('{book}/payments/*.parquet') WHERE paid_at <= $known_at GROUP BY loan_id
), owed AS (
    SELECT loan_id, number, due_date, principal_minor AS principal, interest_minor AS interest,
           fee_minor AS fee, principal + interest + fee AS due,
           sum(due) OVER (PARTITION BY loan_id ORDER BY due_date, number)::BIGINT AS through
      FROM read_parquet('{book}/instalments/*.parquet')
), settled AS (
    SELECT owed.*, least(greatest(coalesce(paid, 0) - through + due, 0), due) AS got,
           least(got, fee) AS fee_paid, least(got - fee_paid, interest) AS interest_paid,
           got - fee_paid - interest_paid AS principal_paid,
           CASE WHEN got < due AND due_date < $as_of THEN ($as_of::DATE - due_date)::BIGINT
                ELSE 0 END AS days_past_due
      FROM owed LEFT JOIN paid USING (loan_id)
)
SELECT loan_id, number, due_date, principal, interest, fee, principal_paid, interest_paid, fee_paid,
       days_past_due,
       (2 * (principal - principal_paid)::HUGEINT * days_past_due * {rate} + {unit})
           // (2 * {unit}) AS charged, charged::BIGINT AS penalty,
       (due - got + charged)::BIGINT AS outstanding
  FROM settled;
COPY (SELECT * EXCLUDE (charged) FROM instalment_rows)
  TO '{out}/instalments.parquet' (COMPRESSION lz4_raw);
COPY (
    SELECT loan_id, any_value(borrower_id) AS borrower_id, max(days_past_due) AS days_past_due,
           sum(outstanding) FILTER (days_past_due > 0)::BIGINT AS past_due,
           sum(outstanding)::BIGINT AS outstanding, sum(penalty)::BIGINT AS penalty,
           min((due_date, outstanding)) FILTER (due_date >= $as_of AND outstanding > 0) AS next
      FROM instalment_rows JOIN read_parquet('{book}/loans/*.parquet') USING (loan_id)
     GROUP BY loan_id
) TO '{out}/loans.parquet' (COMPRESSION lz4_raw);
"""


def _duckdb(book: Path, out: Path, as_of: date, known_at: datetime) -> None:
    import duckdb

    connection = duckdb.connect()
    values = {"as_of": as_of, "known_at": known_at}
    script = _SQL.format(book=book, out=out, rate=RATE_UNITS, unit=UNIT)
    for statement in script.split(";")[:-1]:
        used = {name: value for name, value in values.items() if f"${name}" in statement}
        connection.execute(statement, used or None)
    connection.close()


def _polars(book: Path, out: Path, as_of: date, known_at: datetime) -> None:
    paid = (
        pl.scan_parquet(book / "payments" / "*.parquet")
        .filter(pl.col("paid_at") <= known_at)
        .group_by("loan_id")
        .agg(paid=pl.col("amount_minor").sum())
    )
    owed = pl.scan_parquet(book / "instalments" / "*.parquet").with_columns(
        due=pl.col("principal_minor") + pl.col("interest_minor") + pl.col("fee_minor")
    )
    rows = _with_figures(
        owed.with_columns(through=pl.col("due").cum_sum().over("loan_id", order_by="number")).join(
            paid, on="loan_id", how="left"
        ),
        as_of,
    )
    is_late = pl.col("days_past_due") > 0
    ahead = (pl.col("due_date") >= as_of) & (pl.col("outstanding") > 0)
    loans = rows.group_by("loan_id", "borrower_id").agg(
        pl.col("days_past_due").max(),
        past_due=pl.col("outstanding").filter(is_late).sum(),
        outstanding=pl.col("outstanding").sum(),
        penalty=pl.col("penalty").sum(),
        next_due_date=pl.col("due_date").filter(ahead).min(),
        next_due_amount=pl.col("outstanding").filter(ahead).first(),
    )
    sinks = [
        frame.sink_parquet(out / f"{name}.parquet", compression="lz4", lazy=True)
        for name, frame in (("instalments", rows), ("loans", loans))
    ]
    pl.collect_all(sinks, engine="streaming")


def _with_figures(rows: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    got = (pl.col("paid").fill_null(0) - pl.col("through") + pl.col("due")).clip(0, pl.col("due"))
    late = (pl.lit(as_of) - pl.col("due_date")).dt.total_days()
    owes = pl.col("got") < pl.col("due")
    base = pl.col("principal_minor") - pl.col("principal_paid")
    charged = (2 * base.cast(pl.Int128) * pl.col("days_past_due") * RATE_UNITS + UNIT) // (2 * UNIT)
    return (
        rows.with_columns(got=got)
        .with_columns(fee_paid=pl.min_horizontal("got", "fee_minor"))
        .with_columns(
            interest_paid=pl.min_horizontal(pl.col("got") - pl.col("fee_paid"), "interest_minor")
        )
        .with_columns(
            principal_paid=pl.col("got") - pl.col("fee_paid") - pl.col("interest_paid"),
            days_past_due=pl.when(owes & (late > 0)).then(late).otherwise(0),
        )
        .with_columns(penalty=charged.cast(pl.Int64))
        .with_columns(outstanding=pl.col("due") - pl.col("got") + pl.col("penalty"))
        .drop("got", "through", "paid")
    )


def _pandas(book: Path, out: Path, as_of: date, known_at: datetime) -> None:
    import pandas as pd

    paid = pd.read_parquet(book / "payments", columns=["loan_id", "paid_at", "amount_minor"])
    paid = paid[paid.paid_at <= known_at].groupby("loan_id").amount_minor.sum()
    rows = pd.read_parquet(book / "instalments").sort_values(["loan_id", "number"])
    due = rows.principal_minor + rows.interest_minor + rows.fee_minor
    through = due.groupby(rows.loan_id).cumsum()
    got = (rows.loan_id.map(paid).fillna(0).astype("int64") - through + due).clip(0, due)
    late = (pd.Timestamp(as_of) - pd.to_datetime(rows.due_date)).dt.days
    rows["fee_paid"] = got.clip(upper=rows.fee_minor)
    rows["interest_paid"] = (got - rows.fee_paid).clip(upper=rows.interest_minor)
    rows["principal_paid"] = got - rows.fee_paid - rows.interest_paid
    rows["days_past_due"] = late.where((got < due) & (late > 0), 0)
    base = rows.principal_minor - rows.principal_paid
    rows["penalty"] = (2 * base * rows.days_past_due * RATE_UNITS + UNIT) // (2 * UNIT)
    rows["outstanding"] = due - got + rows.penalty
    rows.to_parquet(out / "instalments.parquet", compression="lz4")
    rows["past_due"] = rows.outstanding.where(rows.days_past_due > 0, 0)
    loans = rows.groupby("loan_id").agg(
        days_past_due=("days_past_due", "max"),
        past_due=("past_due", "sum"),
        outstanding=("outstanding", "sum"),
        penalty=("penalty", "sum"),
    )
    loans.to_parquet(out / "loans.parquet", compression="lz4")


def _copy(book: Path, out: Path, as_of: date, known_at: datetime) -> None:
    """The limit: decode what the ledger reads, and encode as many columns as it writes."""
    del as_of
    paid = pl.scan_parquet(book / "payments" / "*.parquet").filter(pl.col("paid_at") <= known_at)
    paid.select(pl.col("loan_id", "paid_at", "amount_minor", "kind").len()).collect()
    rows = pl.scan_parquet(book / "instalments" / "*.parquet").drop("borrower_id")
    more = [pl.col("principal_minor").alias(f"column_{n}") for n in range(12)]
    rows.with_columns(more).sink_parquet(out / "instalments.parquet", compression="lz4")
    loans = pl.scan_parquet(book / "loans" / "*.parquet").drop("product", "currency")
    loans.sink_parquet(out / "loans.parquet", compression="lz4")


PEERS = (
    Peer("DuckDB", _duckdb),
    Peer("Polars streaming", _polars),
    Peer("pandas", _pandas, is_quick=False),
    Peer("read and write alone", _copy, has_figures=False),
)
