"""An invented book of any size, laid out by arithmetic alone, and the context to plan it in.

Loan n belongs to borrower n. Of its six monthly instalments three were due before the as-of date
and the next is due on it or two days later: four borrowers in five are to be told. Most were paid,
some in part, some not, and one payment in a hundred was taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import polars as pl

from duewise.book.schema import INSTALMENTS, LOANS, PAYMENTS
from duewise.engine.partition import PlanContext, Tables
from duewise.frames import INSTANT, conform, empty
from duewise.ids import stable_hash
from duewise.jobs.bench.figure import Sizes, Timer
from duewise.jobs.operations import ADDRESSES, CASES, CONTACTS
from duewise.jobs.tenant import Tenant

INSTALMENTS_PER_LOAN = 6
_PAID_AT_H = 4
_MORNING = time(0, 30)  # UTC: half past eight in Shanghai
_NOON = time(4)


@dataclass(frozen=True)
class Task:
    """What a benchmark is given: whose settings, how much, on which day, and a timer (seconds)."""

    tenant: Tenant
    sizes: Sizes
    as_of: date
    timer: Timer

    @property
    def morning(self) -> datetime:
        """When the day is planned."""
        return datetime.combine(self.as_of, _MORNING, UTC)

    @property
    def noon(self) -> datetime:
        """When it is sent."""
        return datetime.combine(self.as_of, _NOON, UTC)

    @property
    def context(self) -> PlanContext:
        """A plan's context that needs no database: all payments up to now are known."""
        return PlanContext(
            plan_id="bench",
            as_of=self.as_of,
            now=self.morning,
            strategy=self.tenant.strategy,
            templates=self.tenant.templates,
            sender=self.tenant.sender,
            rulebook=self.tenant.rulebook,
            lender=self.tenant.lender,
            products=self.tenant.products,
            ledger_complete_until=self.morning,
        )


def loans_of(count: int, *, as_of: date, first: int = 0) -> pl.DataFrame:
    """`count` loans in the book's form from number `first`, four months old or two days less."""
    n = pl.int_range(first, first + count, eager=True).alias("n").to_frame()
    opened = pl.lit(as_of).dt.offset_by("-4mo") + pl.duration(days=pl.col("n") % 2 * 2)
    frame = n.select(
        loan_id=_name("L"),
        borrower_id=_name("B"),
        product=pl.lit("instalment"),
        currency=pl.lit("CNY"),
        principal_minor=pl.lit(INSTALMENTS_PER_LOAN * 80_000),
        opened_date=opened,
        annual_rate=pl.lit(0.216),
        penalty_rate=pl.lit(None),
        penalty_multiplier=pl.lit(None),
        day_count=pl.lit(360),
        term=pl.lit(INSTALMENTS_PER_LOAN),
        method=pl.lit("equal_instalment"),
        autopay=pl.lit(value=False),
        grace_days=pl.lit(0),
        tolerance_minor=pl.lit(0),
        status=pl.lit("open"),
    )
    return conform(frame, LOANS, name="loans")


def instalments_of(loans: pl.DataFrame) -> pl.DataFrame:
    """Six monthly instalments of each loan, in the book's order."""
    months = pl.DataFrame({"number": range(1, INSTALMENTS_PER_LOAN + 1)})
    frame = (
        loans.with_row_index("n")
        .join(months, how="cross", maintain_order="left_right")
        .with_columns(
            due_date=pl.col("opened_date").dt.offset_by(pl.format("{}mo", "number")),
            principal_minor=80_000 + pl.col("n").cast(pl.Int64) * 37 % 900 * 100,
            interest_minor=5_000 + pl.col("n").cast(pl.Int64) % 1_000,
            fee_minor=pl.lit(0),
        )
    )
    return conform(frame, INSTALMENTS, name="instalments")


def payments_of(instalments: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    """What was paid on instalments due before the as-of date, and what was taken back."""
    paid = (
        instalments.with_row_index("row")
        .filter(pl.col("due_date") < as_of, pl.col("row") % 29 != 0)
        .with_columns(owed=pl.col("principal_minor") + pl.col("interest_minor"))
        .with_columns(
            payment_id=pl.format("P{}", "row"),
            paid_at=pl.col("due_date").cast(INSTANT) + pl.duration(hours=_PAID_AT_H),
            amount_minor=pl.when(pl.col("row") % 37 == 0)
            .then(pl.col("owed") // 2)
            .otherwise("owed"),
            kind=pl.lit("payment"),
            reverses=pl.lit(None, pl.String),
            component=pl.lit(None, pl.String),
            source=pl.lit("core"),
        )
    )
    taken_back = paid.filter(pl.col("row") % 101 == 0).with_columns(
        payment_id=pl.format("R{}", "row"), kind=pl.lit("reversal"), reverses="payment_id"
    )
    frame = conform(pl.concat([paid, taken_back]), PAYMENTS, name="payments")
    return frame.sort("borrower_id", "paid_at", "payment_id")


def tables_of(count: int, *, as_of: date, first: int = 0) -> Tables:
    """The tables of that many borrowers with a loan each, all of whom can be reached."""
    loans = loans_of(count, as_of=as_of, first=first)
    instalments = instalments_of(loans)
    borrowers = loans.select("borrower_id").with_columns(
        pl.Series("borrower_hash", [stable_hash(name) for name in loans["borrower_id"]]),
        locale=pl.lit("zh-CN"),
        timezone=pl.lit("Asia/Shanghai"),
    )
    return Tables(
        borrowers=borrowers,
        loans=loans,
        instalments=instalments,
        payments=payments_of(instalments, as_of=as_of),
        addresses=reachable(borrowers),
        contacts=empty(CONTACTS),
        cases=empty(CASES),
    )


def reachable(borrowers: pl.DataFrame) -> pl.DataFrame:
    """A valid number for every borrower, whatever it is."""
    frame = borrowers.select(
        "borrower_id",
        "timezone",
        channel=pl.lit("sms"),
        number_token="token-" + pl.col("borrower_id"),
        number_state=pl.lit("valid"),
        role=pl.lit("debtor"),
        wrong_party=pl.lit(value=False),
        opted_out=pl.lit(value=False),
    )
    return conform(frame, ADDRESSES, name="addresses")


def _name(letter: str) -> pl.Expr:
    return pl.format("{}{}", pl.lit(letter), pl.col("n").cast(pl.String).str.zfill(7))
