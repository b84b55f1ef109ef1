"""An instalment while it is worked on, in the processor's registers; compiled.

The same arithmetic as on the desk of `accrual`, for terms without late fee, compounding and pauses.
Each step makes a new value of whole numbers, which costs nothing: no memory is behind it.
"""

from __future__ import annotations

from typing import NamedTuple

from duewise.book.accrual import added, rounded
from duewise.book.columns import (
    ALL_IN,
    BASE_HAS_INTEREST,
    DAY_COUNT,
    FEE,
    GRACE,
    INTEREST,
    NEVER,
    NONE,
    ORDER,
    PENALTY,
    RATE,
    RULES,
    TOLERANCE,
    Int64s,
)
from duewise.book.compiled import inlined

_FROM = len(RULES)  # the number of a loan's first own term


class Terms(NamedTuple):
    """What a loan's rule and terms say of lateness."""

    rate: int
    all_in: int
    day_count: int
    has_interest: int
    grace: int
    tolerance: int


class Work(NamedTuple):
    """What is unpaid of an instalment by component, and what the desk has in columns so named."""

    due: int  # in effect
    penalty: int
    fee: int
    interest: int
    principal: int
    own: int
    own_rest: int
    cap: int
    cap_rest: int
    charged: int
    accrued_to: int
    early: int
    late: int
    settled: int


@inlined
def terms_of(rules: Int64s, r: int, terms: Int64s, k: int) -> Terms:
    """The terms of loan `k`, whose rule is `r`."""
    return Terms(
        terms[k, RATE - _FROM],
        rules[r, ALL_IN],
        terms[k, DAY_COUNT - _FROM],
        rules[r, BASE_HAS_INTEREST],
        terms[k, GRACE - _FROM],
        terms[k, TOLERANCE - _FROM],
    )


@inlined
def begun(due: int, fee: int, interest: int, principal: int) -> Work:
    """An instalment as agreed."""
    return Work(due, 0, fee, interest, principal, 0, 0, 0, 0, 0, due, 0, 0, NEVER)


@inlined
def owed(work: Work) -> int:
    """What is unpaid of it, all components."""
    return work.fee + work.interest + work.principal + work.penalty


@inlined
def accrued(work: Work, terms: Terms, day: int) -> Work:
    """The instalment with its penalty brought up to the end of the day."""
    own, own_rest, cap, cap_rest = work.own, work.own_rest, work.cap, work.cap_rest
    accrued_to, penalty, charged = work.accrued_to, work.penalty, work.charged
    if day > accrued_to:
        if work.fee + work.interest + work.principal > terms.tolerance:
            days = day - accrued_to
            base = work.principal + work.interest * terms.has_interest
            own, own_rest = added(own, own_rest, base * days, terms.rate)
            if terms.all_in != NONE:
                cap, cap_rest = added(cap, cap_rest, work.principal * days, terms.all_in)
        accrued_to = day
        if day > work.due + terms.grace:
            now = rounded(own, own_rest, terms.day_count)
            if terms.all_in != NONE:
                now = min(now, cap // terms.day_count)
            penalty += now - charged
            charged = now
    return Work(
        work.due,
        penalty,
        work.fee,
        work.interest,
        work.principal,
        own,
        own_rest,
        cap,
        cap_rest,
        charged,
        accrued_to,
        work.early,
        work.late,
        work.settled,
    )


@inlined
def paid(work: Work, terms: Terms, rules: Int64s, r: int, money: int, day: int) -> Work:
    """The instalment after money came, at most what it owes."""
    penalty, fee, interest, principal = _in_order(work, rules, r, money)
    scheduled, settled = fee + interest + principal, work.settled
    if scheduled + penalty > terms.tolerance:
        settled = NEVER
    elif settled == NEVER:
        settled = day
    own, own_rest, cap, cap_rest = work.own, work.own_rest, work.cap, work.cap_rest
    if scheduled <= terms.tolerance and day <= work.due + terms.grace:
        own = own_rest = cap = cap_rest = 0
    return Work(
        work.due,
        penalty,
        fee,
        interest,
        principal,
        own,
        own_rest,
        cap,
        cap_rest,
        work.charged,
        work.accrued_to,
        work.early + money * (day < work.due),
        work.late + money * (day > work.due),
        settled,
    )


@inlined
def _in_order(work: Work, rules: Int64s, r: int, money: int) -> tuple[int, int, int, int]:
    """What is left of penalty, fee, interest and principal after money, as the rule orders them."""
    penalty, fee, interest, principal = work.penalty, work.fee, work.interest, work.principal
    if money == owed(work):
        return 0, 0, 0, 0
    for c in range(4):
        component = rules[r, ORDER + c]
        if component == PENALTY:
            part = min(money, penalty)
            penalty -= part
        elif component == FEE:
            part = min(money, fee)
            fee -= part
        elif component == INTEREST:
            part = min(money, interest)
            interest -= part
        else:
            part = min(money, principal)
            principal -= part
        money -= part
    return penalty, fee, interest, principal
