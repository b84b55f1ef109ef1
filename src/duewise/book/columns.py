"""The ledger's columns: how loans, schedules and events lie in memory, and what the codes mean.

Days are whole days from 1970-01-01, money is whole minor units, rates are whole hundred-millionths
a year. The frames they are made of and become: `ledger`. The arithmetic on them: `fold`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Int8s = npt.NDArray[np.int8]

COMPONENTS = ("penalty", "fee", "interest", "principal")
PENALTY, FEE, INTEREST, PRINCIPAL = range(len(COMPONENTS))

# The kinds of event, each once. A reversal is none: what it takes back never was.
EVENTS = ("payment", "chargeback", "waiver", "charge_off", "extension")
PAYMENT, CHARGEBACK, WAIVER, CHARGE_OFF, EXTENSION = range(len(EVENTS))

# What becomes of money that nothing is due for.
ADVANCES = ("next", "last", "hold")
NEXT, LAST, HOLD = range(len(ADVANCES))

# What early settlement asks of interest that is not due yet.
SETTLEMENTS = ("accrued", "period", "all")
ACCRUED, PERIOD, ALL = range(len(SETTLEMENTS))

NEVER = int(np.iinfo(np.int32).min)  # the day of what has not happened
NONE = -1  # no such fee, cap or component
RATE_UNIT = 100_000_000
SHARE_UNIT = 1_000_000
RATE_MAX = 10 * RATE_UNIT
# Of one loan: with RATE_MAX and a span of 365 years, products below stay within 63 bits.
AMOUNT_MINOR_MAX = 10_000_000_000_000

# A product's rules, one row of int64 each: the columns of `Loans.rules`.
RULES = (
    "order_0",
    "order_1",
    "order_2",
    "order_3",
    "by_component",
    "advance",
    "base_has_interest",
    "compound_every_days",
    "late_fee_minor",
    "late_fee_share",
    "late_fee_floor_minor",
    "all_in_rate",
    "grace_stops_clock",
    "settlement_interest",
    "settlement_fee_share",
)
(
    ORDER,
    _ORDER_1,
    _ORDER_2,
    _ORDER_3,
    BY_COMPONENT,
    ADVANCE,
    BASE_HAS_INTEREST,
    COMPOUND_EVERY,
    LATE_FEE,
    LATE_FEE_SHARE,
    LATE_FEE_FLOOR,
    ALL_IN,
    GRACE_STOPS_CLOCK,
    SETTLE_INTEREST,
    SETTLE_FEE,
) = range(len(RULES))
# A loan's terms, one row of int64 each: the columns of `Loans.terms`. They follow the rule.
TERMS = ("penalty_rate", "grace_days", "tolerance_minor", "day_count", "opened_day")
TERMS_END = len(RULES) + len(TERMS)
RATE, GRACE, TOLERANCE, DAY_COUNT, OPENED = range(len(RULES), TERMS_END)


class Loans(NamedTuple):
    """One entry per loan; the starts have one more: rows of loan n are [start[n], start[n + 1])."""

    rules: Int64s  # products x RULES
    rule: Int32s  # the loan's row of `rules`
    terms: Int64s  # loans x TERMS
    instalment_start: Int64s
    event_start: Int64s
    pause_start: Int64s


class Instalments(NamedTuple):
    """The schedule: a loan's rows together, oldest first; due by contract, and in effect."""

    due: Int32s
    effective: Int32s
    principal: Int64s
    interest: Int64s
    fee: Int64s


class Events(NamedTuple):
    """What happened, a loan's rows together in order of time.

    `detail` is a waiver's component or NONE, an extension's instalment counted from 0; an
    extension's `amount` is the new effective due day.
    """

    day: Int32s
    kind: Int8s
    amount: Int64s
    detail: Int32s


class Pauses(NamedTuple):
    """Days [since, until) on which a clock stands, merged; of the DPD clock, or of the penalty."""

    since: Int32s
    until: Int32s
    of_penalty: Int8s


class Columns(NamedTuple):
    """All that a fold reads."""

    loans: Loans
    instalments: Instalments
    events: Events
    pauses: Pauses


def read_only(columns: Columns) -> Columns:
    """The same columns, none of which can be written to.

    Compiled code is made anew for arrays that can be written to and those that cannot, as they come
    out of frames: so it is made once.
    """
    loans, instalments, events, pauses = columns
    return Columns(
        Loans(*map(frozen, loans)),
        Instalments(*map(frozen, instalments)),
        Events(*map(frozen, events)),
        Pauses(*map(frozen, pauses)),
    )


def frozen(column: object) -> npt.NDArray[Any]:
    """A view of a column that cannot be written to."""
    view = np.ascontiguousarray(np.asarray(column)).view()
    view.flags.writeable = False
    return view


class Rows(NamedTuple):
    """The answer per instalment; `paid` has one row per component.

    `effective` and `waived` may be empty where no event can change them.
    """

    effective: Int32s
    penalty: Int64s
    paid: Int64s
    waived: Int64s
    paid_in_advance: Int64s
    paid_late: Int64s
    settled: Int32s
    outstanding: Int64s
    days_past_due: Int32s


# The answer per loan: the columns of an int64 table.
FIGURES = (
    "days_past_due",
    "past_due",
    "outstanding",
    "principal",
    "penalty",
    "oldest_due",
    "next_due",
    "next_due_amount",
    "cost_of_one_more_day",
    "overpaid",
    "amount_to_clear",
    "settlement_amount",
    "charged_off",
    "recovered",
)
(
    DPD,
    PAST_DUE,
    OUTSTANDING,
    PRINCIPAL_LEFT,
    PENALTY_LEFT,
    OLDEST_DUE,
    NEXT_DUE,
    NEXT_AMOUNT,
    ONE_MORE_DAY,
    OVERPAID,
    TO_CLEAR,
    SETTLEMENT,
    CHARGED_OFF,
    RECOVERED,
) = range(len(FIGURES))
