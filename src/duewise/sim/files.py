"""The synthetic lender as a real one would hand it over: tables in major units, people included."""

from __future__ import annotations

import polars as pl

from duewise.sim.lender import Lender

MAPPING = "duewise"  # the shipped mapping that reads them


def source_tables(lender: Lender) -> dict[str, pl.DataFrame]:
    """borrowers, loans, instalments and payments in the layout that `MAPPING` reads."""
    borrowers = lender.borrowers.select("borrower_id").join(
        lender.people, on="borrower_id", how="left", maintain_order="left"
    )
    return {
        "borrowers": borrowers,
        "loans": _in_major_units(lender.loans),
        "instalments": _in_major_units(lender.instalments),
        "payments": _in_major_units(lender.payments),
    }


def _in_major_units(frame: pl.DataFrame) -> pl.DataFrame:
    """Amounts as Decimal(18, 2), their columns named without the minor unit's suffix."""
    money = [name for name in frame.columns if name.endswith("_minor")]
    return frame.with_columns(
        (pl.col(name).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2)) for name in money
    ).rename({name: name.removesuffix("_minor") for name in money})
