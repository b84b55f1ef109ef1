"""The contract of each loan: what its row says, else its product, and never more than the caps.

Also the shape in which the fold takes them: whole minor units, rates in hundred-millionths a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl

from duewise.book.columns import (
    ADVANCES,
    COMPONENTS,
    NONE,
    RATE_MAX,
    RATE_UNIT,
    SETTLEMENTS,
    SHARE_UNIT,
    Int32s,
    Int64s,
)
from duewise.book.product import Product, Products
from duewise.errors import BadInput
from duewise.frames import Schema
from duewise.money import to_minor

# What is resolved per loan, beside its own columns.
TERMS: Schema = {
    "grace_days": pl.Int32,
    "tolerance_minor": pl.Int64,
    "day_count": pl.Int32,
    "penalty_multiplier": pl.Float64,
    "penalty_rate": pl.Float64,
    "penalty_rate_units": pl.Int64,
    "is_penalty_capped": pl.Boolean,
    "is_all_in_over": pl.Boolean,
    "due_roll": pl.String,
    "calendar": pl.String,
    "rule": pl.Int32,
}


@dataclass(frozen=True)
class Terms:
    """`loans` with the columns of TERMS resolved; `rules` has a row per product and currency.

    `rolls` says for each row of `rules` how its due dates roll: due_roll, calendar.
    """

    loans: pl.DataFrame
    rules: Int64s
    rolls: pl.DataFrame

    def matrix(self) -> Int64s:
        """The loans' terms as the fold takes them: loans x columns.TERMS."""
        names = ("penalty_rate_units", "grace_days", "tolerance_minor", "day_count")
        columns = [self.loans[name].cast(pl.Int64).to_numpy() for name in names]
        opened = self.loans["opened_date"].to_physical().cast(pl.Int64).to_numpy()
        return np.stack([*columns, opened], axis=1)

    @property
    def rule(self) -> Int32s:
        return self.loans["rule"].to_numpy()


def resolve(loans: pl.DataFrame, products: Products) -> Terms:
    """The terms of loans (schema.LOANS), in their order. Raises BadInput for an absurd rate."""
    kinds, rule = _kinds(loans.select("product", "currency"))
    named = [(products.of(product), currency) for product, currency in kinds]
    defaults = pl.DataFrame(
        [_defaults(product, currency) for product, currency in named], dict(_DEFAULTS), orient="row"
    )
    joined = loans.with_columns(
        *defaults.select(pl.all().gather(rule)), pl.Series("rule", rule)
    ).with_columns(_resolved())
    _refuse_absurd_rates(joined)
    rules = np.array([_rule(product, currency) for product, currency in named], np.int64)
    return Terms(
        joined.select(*loans.columns, *(name for name in TERMS if name not in loans.columns)),
        rules.reshape(len(named), -1) if named else np.zeros((1, 1), np.int64),
        defaults.select("due_roll", "calendar"),
    )


def _kinds(loans: pl.DataFrame) -> tuple[list[tuple[str, str]], Int32s]:
    """Each product and currency once, and which of them each loan has.

    Only where one follows another is it looked up: most loans are of the kind of the one before.
    """
    changes = [column.ne_missing(column.shift()).to_numpy() for column in loans]
    is_head = np.logical_or(*changes)
    is_head[:1] = True
    heads = np.flatnonzero(is_head)
    runs = loans.select(pl.all().gather(heads))
    kinds = runs.unique(maintain_order=True)
    numbered = kinds.with_columns(rule=pl.int_range(pl.len(), dtype=pl.Int32))
    rule = runs.join(
        numbered, on=loans.columns, how="left", maintain_order="left", nulls_equal=True
    )["rule"].to_numpy()
    return kinds.rows(), np.repeat(rule, np.diff(heads, append=loans.height))


_DEFAULTS: Schema = {
    "_grace_days": pl.Int32,
    "_tolerance_minor": pl.Int64,
    "_day_count": pl.Int32,
    "_rate": pl.Float64,
    "_multiplier": pl.Float64,
    "_multiplier_max": pl.Float64,
    "_all_in": pl.Float64,
    "due_roll": pl.String,
    "calendar": pl.String,
}


def _defaults(product: Product, currency: str) -> dict[str, object]:
    penalty, caps = product.penalty, product.caps
    return {
        "_grace_days": product.grace_days,
        "_tolerance_minor": to_minor(product.tolerance, currency),
        "_day_count": product.day_count,
        "_rate": _float(penalty.rate),
        "_multiplier": _float(penalty.multiplier),
        "_multiplier_max": _float(caps.penalty_multiplier),
        "_all_in": _float(caps.all_in),
        "due_roll": product.due_roll,
        "calendar": product.calendar,
    }


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _resolved() -> list[pl.Expr]:
    """The columns of TERMS that a loan's row and its product's defaults come to."""
    annual = pl.col("annual_rate")
    wanted = pl.coalesce(
        pl.col("penalty_rate"),
        pl.col("penalty_multiplier") * annual,
        pl.col("_rate"),
        pl.col("_multiplier") * annual,
    )
    cap = pl.col("_multiplier_max") * annual
    is_capped = (wanted > cap * (1 + 1e-12)).fill_null(value=False)
    # Where nobody has said anything, nothing is charged: that is known, and is zero.
    rate = pl.when(is_capped).then(cap).otherwise(wanted).fill_null(0.0)
    return [
        pl.coalesce("grace_days", "_grace_days").alias("grace_days"),
        pl.coalesce("tolerance_minor", "_tolerance_minor").alias("tolerance_minor"),
        pl.coalesce("day_count", "_day_count").alias("day_count"),
        pl.when(rate == 0).then(0.0).otherwise(rate / annual).round(6).alias("penalty_multiplier"),
        rate.alias("penalty_rate"),
        (rate * RATE_UNIT).round().cast(pl.Int64).alias("penalty_rate_units"),
        is_capped.alias("is_penalty_capped"),
        (annual > pl.col("_all_in")).fill_null(value=False).alias("is_all_in_over"),
    ]


def _refuse_absurd_rates(loans: pl.DataFrame) -> None:
    absurd = loans.filter(~pl.col("penalty_rate_units").is_between(0, RATE_MAX))
    if not absurd.is_empty():
        loan_id, rate = absurd.select("loan_id", "penalty_rate").row(0)
        raise BadInput(
            f"loan {loan_id!r}: a penalty rate of {rate:g} a year",
            mend="rates are fractions: 0.216 is 21.6 %; correct the loan or its mapping",
        )


def _rule(product: Product, currency: str) -> list[int]:
    """A product's row of columns.RULES."""
    fee, caps = product.late_fee, product.caps
    return [
        *(COMPONENTS.index(component) for component in product.waterfall.order),
        product.waterfall.by == "component",
        ADVANCES.index(product.waterfall.advance),
        product.penalty.on == "principal_and_interest",
        product.penalty.compound_every_days,
        NONE if fee is None or fee.amount is None else to_minor(fee.amount, currency),
        NONE if fee is None or fee.share is None else round(fee.share * SHARE_UNIT),
        0 if fee is None else to_minor(fee.floor, currency),
        NONE if caps.all_in is None else round(caps.all_in * RATE_UNIT),
        product.grace_stops_clock,
        SETTLEMENTS.index(product.settlement.interest),
        round(product.settlement.fee * SHARE_UNIT),
    ]
