"""What a report tells, as plain data: made by the jobs, shown by the web, dumped as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from duewise.measure.outcome import Effect
from duewise.measure.stats import Estimate, Inconclusive, SampleRatio
from duewise.outbox.envelope import Balance


@dataclass(frozen=True)
class Count:
    """How many of something: of a rule's blocks, a reason's holds, an intent's replies.

    `source` names what a rule rests on, as its profile does.
    """

    name: str
    count: int
    meaning: str = ""
    source: str = ""


@dataclass(frozen=True)
class StepCount:
    """What became of one step's proposals; `when` is its condition, as the strategy says it."""

    step: str
    stage: str
    proposed: int
    held_out: int
    allowed: int
    blocked: int
    deferred: int
    sent: int
    delivered: int
    when: str = ""


@dataclass(frozen=True)
class DayCount:
    """One local day."""

    day: date
    planned: int
    sent: int
    delivered: int
    payments: int


@dataclass(frozen=True)
class Cost:
    """`price` is of one part, in major units; `per_prevented` of one late borrower less."""

    parts: int
    price: Decimal
    currency: str
    per_prevented: Estimate | Inconclusive

    @property
    def total(self) -> Decimal:
        """In major units, exact."""
        return self.parts * self.price


@dataclass(frozen=True)
class Line:
    """One moment of a journey.

    `kind` is one of LINE_KINDS; `text` is what was said or happened, `detail` why, or what came.
    """

    at: datetime
    kind: str
    text: str
    detail: str = ""


LINE_KINDS = (
    "due",
    "sent",
    "delivered",
    "failed",
    "unknown",
    "reply",
    "payment",
    "held",
    "blocked",
    "cancelled",
    "hold_out",
    "silence",
)


@dataclass(frozen=True)
class Journey:
    """One borrower's days, told message by message. Lines are in order of time."""

    title: str
    borrower_id: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Report:
    """A period of one lender. `hours` counts sent messages by local hour (0 to 23).

    `blocked` counts envelopes by rule (one may break several), `held` events (one envelope may be
    held twice), `given_up` envelopes that were cancelled or lapsed, and `not_contacted` the days of
    borrowers for whom nothing was proposed. `balance` counts envelopes where they stand.
    """

    lender: str
    first_date: date
    last_date: date
    zone: str
    made_at: datetime
    borrowers: int
    loans: int
    balance: Balance
    blocked: Sequence[Count]
    held: Sequence[Count]
    given_up: Sequence[Count]
    not_contacted: Sequence[Count]
    opt_outs: int
    replies: Sequence[Count]
    effects: Sequence[Effect]
    sample_ratio: SampleRatio
    cost: Cost
    steps: Sequence[StepCount]
    hours: Mapping[int, int]
    days: Sequence[DayCount]
    journeys: Sequence[Journey]
