"""What a plan is made of: the rows of one group of borrowers, and everything else, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from duewise.book.align import LoanTables
from duewise.book.ledger import Ledger, ledger
from duewise.book.product import Products
from duewise.book.schema import EXTENSIONS, FEATURES, PAUSES
from duewise.engine.facts import LenderFacts
from duewise.frames import empty
from duewise.guard.rule import Rulebook
from duewise.message.template import Sender, Template
from duewise.money import Money
from duewise.risk.model import Prior
from duewise.risk.serve import Served, ServedHazard
from duewise.strategy.cascade import SENT
from duewise.strategy.plan import Strategy
from duewise.strategy.promise import PROMISES
from duewise.strategy.timing import PaidByHour
from duewise.strategy.tone import Rung, shipped_ladder


@dataclass(frozen=True)
class Tables:
    """The rows of one group of borrowers: the book's, and what operations know of them."""

    borrowers: pl.DataFrame
    loans: pl.DataFrame
    instalments: pl.DataFrame
    payments: pl.DataFrame
    addresses: pl.DataFrame
    contacts: pl.DataFrame
    cases: pl.DataFrame
    pauses: pl.DataFrame = field(default_factory=lambda: empty(PAUSES))
    extensions: pl.DataFrame = field(default_factory=lambda: empty(EXTENSIONS))
    features: pl.DataFrame = field(default_factory=lambda: empty(FEATURES))
    sent: pl.DataFrame = field(default_factory=lambda: empty(SENT))
    promises: pl.DataFrame = field(default_factory=lambda: empty(PROMISES))

    def ledger(self, products: Products, *, as_of: date, known_at: datetime, zone: str) -> Ledger:
        """What these borrowers' loans owe as of a day, by what was known at an instant."""
        rows = LoanTables(self.loans, self.instalments, self.payments, self.pauses, self.extensions)
        return ledger(rows, products, as_of=as_of, known_at=known_at, zone=zone)


@dataclass(frozen=True)
class PlanContext:
    """Everything a plan depends on besides its tables. Frozen, and picklable for workers.

    `ledger_complete_until` is the instant up to which all payments are known; the guard counts the
    ledger's age from it. Without a model of late_1 the risk is the shrunk share of `prior`.
    `paid_by_hour` are the whole book's payments, where hours are learned. `earlier` are versions of
    the strategy that borrowers may still be on. `rates` are the parts a second that the routes of a
    channel carry, where that is limited.
    """

    plan_id: str
    as_of: date
    now: datetime
    strategy: Strategy
    templates: Mapping[str, Template]
    sender: Sender
    rulebook: Rulebook
    lender: LenderFacts
    products: Products
    ledger_complete_until: datetime
    prior: Prior = field(default_factory=Prior)
    ladder: tuple[Rung, ...] = field(default_factory=shipped_ladder)
    paid_by_hour: PaidByHour | None = None
    part_price: Money = field(default_factory=lambda: Money(0, "CNY"))
    models: tuple[Served, ...] = ()
    hazard: ServedHazard | None = None
    earlier: tuple[Strategy, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
