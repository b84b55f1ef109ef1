"""What goes in and out of the API, bounded in every length."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from ninja import Schema
from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator

LIST_MAX = 10_000
PAGE_MAX = 200
FUTURE_YEAR_MAX = 2200

Code = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Instant = Annotated[
    AwareDatetime,
    Field(
        ge=datetime(1990, 1, 1, tzinfo=UTC),
        lt=datetime(FUTURE_YEAR_MAX, 1, 1, tzinfo=UTC),
        description="ISO 8601 with offset",
    ),
]


class Strict(Schema):
    """An unknown field is a mistake, not something to overlook."""

    model_config = ConfigDict(extra="forbid")


class PaymentBody(Strict):
    """One payment, or what undoes or lets off one, in major units of the loan's currency."""

    payment_id: Code = Field(description="names the payment for ever: told twice is kept once")
    loan_id: Code
    paid_at: Instant
    amount: Decimal = Field(gt=0, max_digits=18, decimal_places=4)
    kind: Literal["payment", "reversal", "chargeback", "waiver", "charge_off"] = "payment"
    reverses: Code | None = Field(default=None, description="payment_id that a reversal undoes")
    source: Code = "api"

    @model_validator(mode="after")
    def _reversal_names_its_payment(self) -> Self:
        may_name = self.kind in ("reversal", "chargeback")
        if self.reverses is None if self.kind == "reversal" else self.reverses and not may_name:
            raise ValueError("'reverses' belongs to a reversal, and a reversal needs it")
        return self


class PromiseBody(Strict):
    """A day by which a borrower said they would pay; the amount in major units."""

    promise_ref: Code = Field(description="names the promise for ever: told twice is kept once")
    borrower_id: Code
    day: date
    loan_id: Code | None = Field(default=None, description="without it, of all their loans")
    amount: Decimal | None = Field(
        default=None,
        gt=0,
        max_digits=18,
        decimal_places=4,
        description="without it, of all that is asked for",
    )
    made_at: Instant | None = Field(default=None, description="without it, just now")
    source: Code = "api"


class RecordedBody(Schema):
    """How many were new, known before, and how many envelopes they held back."""

    recorded: int
    duplicates: int
    held: int


class WatermarkBody(Strict):
    """Up to which instant a feed is complete."""

    complete_until: Instant


class FeedBody(Schema):
    """A feed as it now stands; the watermark never goes back."""

    name: str
    complete_until: datetime


class EnvelopeBody(Schema):
    """An envelope without anything personal."""

    envelope_id: int
    key: str
    plan_id: str
    as_of: date
    borrower_id: str
    loan_id: str
    step: str
    arm: str
    propensity: float
    stage: str
    channel: str
    template: str
    amount_minor: int
    currency: str
    due_date: date
    parts: int
    state: str
    reason: str
    not_before: datetime
    valid_until: datetime
    changed_at: datetime
    attempt: int


class EnvelopePage(Schema):
    """A page of envelopes, newest first; `next_cursor` is null on the last one."""

    items: list[EnvelopeBody]
    next_cursor: int | None


class BalanceBody(Schema):
    """Both equations of the outbox for one as-of date, and whether they tie."""

    as_of: date
    planned: int
    sent: int
    blocked: int
    held: int
    cancelled: int
    lapsed: int
    submitted: int
    delivered: int
    failed: int
    expired: int
    unknown: int
    ties: bool


class ProblemError(Schema):
    """One thing that is wrong, and where: `body.0.amount`, `query.limit`."""

    where: str
    detail: str


class Problem(Schema):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError]
