"""Loans whose money goes straight on from one instalment to the next; compiled.

Where the next instalment comes next, due or not, and nothing but payments happened, an instalment
is done with before the next one is begun: it is read once and written once. Most loans are such, or
all. Whatever else a loan has sends it the long way, over the desk: `reading`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from duewise.book.accrual import earned, settlement_fee
from duewise.book.columns import (
    ADVANCE,
    BY_COMPONENT,
    COMPOUND_EVERY,
    DPD,
    FEE,
    FIGURES,
    GRACE_STOPS_CLOCK,
    INTEREST,
    LATE_FEE,
    LATE_FEE_SHARE,
    NEVER,
    NEXT,
    NEXT_AMOUNT,
    NEXT_DUE,
    NONE,
    OLDEST_DUE,
    ONE_MORE_DAY,
    OPENED,
    OUTSTANDING,
    OVERPAID,
    PAST_DUE,
    PAYMENT,
    PENALTY,
    PENALTY_LEFT,
    PRINCIPAL,
    PRINCIPAL_LEFT,
    RULES,
    SETTLE_FEE,
    SETTLE_INTEREST,
    SETTLEMENT,
    TO_CLEAR,
    Columns,
    Events,
    Instalments,
    Int32s,
    Int64s,
    Rows,
)
from duewise.book.compiled import inlined, uncounted
from duewise.book.working import Terms, Work, accrued, begun, owed, paid, terms_of

_OPENED = OPENED - len(RULES)


class Till(NamedTuple):
    """The next event, and what remains of the payment before it: so much, of that day."""

    event: int
    money: int
    day: int


@uncounted
def fold_straight(
    columns: Columns, as_of: Int32s, rows: Rows, figures: Int64s, others: Int64s
) -> int:
    """Fold the loans that go straight on, as `fold_loans` does.

    How many do not, whose places are put into `others`.
    """
    loans, schedule = columns.loans, columns.instalments
    count = 0
    for k in range(len(as_of)):
        others[count] = k
        first, end = loans.instalment_start[k], loans.instalment_start[k + 1]
        is_straight = _is_usual(loans.rules, int(np.int64(loans.rule[k])))
        is_straight &= loans.pause_start[k] == loans.pause_start[k + 1]
        if is_straight and _is_in_order(schedule.effective, first, end):
            day, last = int(np.int64(as_of[k])), loans.event_start[k + 1]
            event = _fold_one(columns, k, day, rows, figures)
            # What happened and is no payment stopped it: then all was for nothing.
            count -= event == last or columns.events.day[event] > day
        count += 1
    return count


@inlined
def _is_usual(rules: Int64s, r: int) -> bool:
    """Whether by this rule money goes straight on, and lateness has a rate and a cap, no more."""
    return bool(
        (rules[r, ADVANCE] == NEXT)
        & (rules[r, BY_COMPONENT] == 0)
        & (rules[r, COMPOUND_EVERY] == 0)
        & (rules[r, LATE_FEE] == NONE)
        & (rules[r, LATE_FEE_SHARE] == NONE)
    )


@inlined
def _is_in_order(effective: Int32s, first: int, end: int) -> bool:
    falls = False
    for row in range(first + 1, end):
        falls |= effective[row] < effective[row - 1]
    return not falls


@inlined
def _fold_one(columns: Columns, k: int, day: int, rows: Rows, figures: Int64s) -> int:
    """Fold a loan; the event that it came to."""
    loans, schedule, events = columns.loans, columns.instalments, columns.events
    rules, r = loans.rules, int(np.int64(loans.rule[k]))
    terms, rule = terms_of(rules, r, loans.terms, k), rules[r, SETTLE_INTEREST]
    first, end, last = (
        loans.instalment_start[k],
        loans.instalment_start[k + 1],
        loans.event_start[k + 1],
    )
    row, till, later = first, Till(loans.event_start[k], 0, NEVER), 0
    for figure in range(len(FIGURES)):
        figures[k, figure] = 0
    figures[k, OLDEST_DUE] = figures[k, NEXT_DUE] = NEVER
    while True:
        if till.money == 0:
            row, event = _pay_in_time(schedule, events, row, end, till.event, last, day, rows)
            till = Till(event, 0, NEVER)
        is_over = till.money == 0 and (till.event == last or events.day[till.event] > day)
        if row == end or (is_over and schedule.effective[row] > day):
            break
        work, till = _work(schedule, events, row, till, last, day, terms, rules, r)
        _write(work, schedule, row, rows)
        rows.days_past_due[row] = _read(work, terms, day, rules[r, GRACE_STOPS_CLOCK], k, figures)
        if work.due > day:
            since = schedule.due[row - 1] if row > first else loans.terms[k, _OPENED]
            asked = earned(rule, schedule.interest[row], since, schedule.due[row], day)
            figures[k, SETTLEMENT] += asked - schedule.interest[row] + work.interest
            later += work.principal
        row += 1
    since = schedule.due[row - 1] if row > first else loans.terms[k, _OPENED]
    later += _leave(schedule, row, end, since, day, rule, terms.tolerance, rows, k, figures)
    till = _rest(events, till, last, day)
    if figures[k, OLDEST_DUE] == NEVER:
        figures[k, PAST_DUE] = 0
    figures[k, OVERPAID] = till.money
    asked = figures[k, SETTLEMENT] + later + settlement_fee(rules[r, SETTLE_FEE], later)
    figures[k, SETTLEMENT] = max(figures[k, TO_CLEAR] + asked - till.money, 0)
    return till.event


@inlined
def _pay_in_time(
    schedule: Instalments,
    events: Events,
    row: int,
    end: int,
    event: int,
    last: int,
    day: int,
    rows: Rows,
) -> tuple[int, int]:
    """Instalments that fell due and were paid in time, exactly and at once; what comes next."""
    while row < end and event < last:
        due, on = schedule.effective[row], events.day[event]
        fee, interest, principal = (
            schedule.fee[row],
            schedule.interest[row],
            schedule.principal[row],
        )
        whole = fee + interest + principal
        is_other = (events.amount[event] != whole) | (events.kind[event] != PAYMENT) | (whole == 0)
        if is_other | (due > day) | (on > due):
            break
        rows.penalty[row] = rows.outstanding[row] = rows.paid_late[row] = 0
        rows.paid_in_advance[row], rows.settled[row] = whole * (on < due), on
        rows.paid[PENALTY, row], rows.paid[FEE, row] = 0, fee
        rows.paid[INTEREST, row], rows.paid[PRINCIPAL, row] = interest, principal
        rows.days_past_due[row] = 0
        row += 1
        event += 1
    return row, event


@inlined
def _work(
    schedule: Instalments,
    events: Events,
    row: int,
    till: Till,
    last: int,
    day: int,
    terms: Terms,
    rules: Int64s,
    r: int,
) -> tuple[Work, Till]:
    """An instalment as of the day: paid until nothing is owed, or nothing more was paid."""
    work = begun(
        int(np.int64(schedule.effective[row])),
        schedule.fee[row],
        schedule.interest[row],
        schedule.principal[row],
    )
    while owed(work):
        if till.money == 0:
            if not _is_paid(events, till.event, last, day):
                break
            on = int(np.int64(events.day[till.event]))
            till = Till(till.event + 1, events.amount[till.event], on)
        work = accrued(work, terms, till.day)
        money = min(till.money, owed(work))
        work = paid(work, terms, rules, r, money, till.day)
        till = Till(till.event, till.money - money, till.day)
    if work.due < day and owed(work):
        work = accrued(work, terms, day)
    return work, till


@inlined
def _is_paid(events: Events, event: int, last: int, day: int) -> bool:
    """Whether what comes next is a payment up to the day."""
    return bool(event < last and events.day[event] <= day and events.kind[event] == PAYMENT)


@inlined
def _rest(events: Events, till: Till, last: int, day: int) -> Till:
    """What was paid when nothing was owed any more."""
    while _is_paid(events, till.event, last, day):
        till = Till(till.event + 1, till.money + events.amount[till.event], till.day)
    return till


@inlined
def _write(work: Work, schedule: Instalments, row: int, rows: Rows) -> None:
    rows.penalty[row], rows.outstanding[row] = work.charged, owed(work)
    rows.paid_in_advance[row], rows.paid_late[row] = work.early, work.late
    rows.settled[row] = work.settled
    rows.paid[PENALTY, row] = work.charged - work.penalty
    rows.paid[FEE, row] = schedule.fee[row] - work.fee
    rows.paid[INTEREST, row] = schedule.interest[row] - work.interest
    rows.paid[PRINCIPAL, row] = schedule.principal[row] - work.principal


@inlined
def _read(work: Work, terms: Terms, day: int, stops: int, k: int, figures: Int64s) -> int:
    """Add an instalment to the loan's figures; its days past due."""
    left, days = owed(work), 0
    if left == 0:
        return 0
    if work.due < day:
        figures[k, PAST_DUE] += left
        if left > terms.tolerance:
            days = max(day - work.due - terms.grace * stops, 0)
            figures[k, DPD] = max(figures[k, DPD], days)
            if figures[k, OLDEST_DUE] == NEVER:
                figures[k, OLDEST_DUE] = work.due
    elif figures[k, NEXT_DUE] == NEVER and left > terms.tolerance:
        figures[k, NEXT_DUE], figures[k, NEXT_AMOUNT] = work.due, left
    if work.due <= day:
        figures[k, TO_CLEAR] += left
        figures[k, ONE_MORE_DAY] += accrued(work, terms, day + 1).charged - work.charged
    figures[k, OUTSTANDING] += left
    figures[k, PRINCIPAL_LEFT] += work.principal
    figures[k, PENALTY_LEFT] += work.penalty
    return days


@inlined
def _leave(
    schedule: Instalments,
    first: int,
    end: int,
    since: int,
    day: int,
    rule: int,
    tolerance: int,
    rows: Rows,
    k: int,
    figures: Int64s,
) -> int:
    """Instalments that are not due, and nobody has paid anything for; their principal."""
    owing = later = unearned = 0
    for row in range(first, end):
        interest, principal = schedule.interest[row], schedule.principal[row]
        whole, due = schedule.fee[row] + interest + principal, schedule.due[row]
        rows.penalty[row] = rows.paid_in_advance[row] = rows.paid_late[row] = 0
        rows.paid[PENALTY, row] = rows.paid[FEE, row] = 0
        rows.paid[INTEREST, row] = rows.paid[PRINCIPAL, row] = 0
        rows.settled[row], rows.outstanding[row], rows.days_past_due[row] = NEVER, whole, 0
        unearned += earned(rule, interest, since, due, day)
        since = due
        owing += whole
        later += principal
        if figures[k, NEXT_DUE] == NEVER and whole > tolerance:
            figures[k, NEXT_DUE], figures[k, NEXT_AMOUNT] = schedule.effective[row], whole
    figures[k, OUTSTANDING] += owing
    figures[k, PRINCIPAL_LEFT] += later
    figures[k, SETTLEMENT] += unearned
    return later
