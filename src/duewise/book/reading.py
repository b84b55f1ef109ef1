"""What is read off a loan on a day, once everything up to it has happened; compiled.

`fold_loans` reads every loan once, in full, most of them the short way of `straight`; `fold_dates`
reads a few figures on many days in one pass. What the figures mean: docs/reference/ledger.md.
"""

from __future__ import annotations

import numpy as np

from duewise.book.accrual import (
    CHARGED,
    CREDIT,
    DAYS_LATE,
    DESK_WIDTH,
    DUE,
    EARLY,
    EFFECTIVE,
    FIRST,
    IS_IN_ORDER,
    LATE,
    LEFT,
    OFF_AMOUNT,
    OFF_RECEIVED,
    PAUSES,
    SETTLED,
    WAIVED,
    N,
    accrue,
    days_past_due,
    earned,
    lay_out,
    lay_pauses,
    lay_terms,
    left,
    settlement_fee,
)
from duewise.book.columns import (
    CHARGED_OFF,
    DPD,
    FEE,
    INTEREST,
    NEVER,
    NEXT_AMOUNT,
    NEXT_DUE,
    OLDEST_DUE,
    ONE_MORE_DAY,
    OPENED,
    OUTSTANDING,
    OVERPAID,
    PAST_DUE,
    PENALTY,
    PENALTY_LEFT,
    PRINCIPAL,
    PRINCIPAL_LEFT,
    RECOVERED,
    SETTLE_FEE,
    SETTLE_INTEREST,
    SETTLEMENT,
    TO_CLEAR,
    TOLERANCE,
    Columns,
    Int32s,
    Int64s,
    Rows,
)
from duewise.book.compiled import compiled, inlined, uncounted
from duewise.book.fold import advance
from duewise.book.straight import fold_straight


@compiled
def fold_loans(columns: Columns, as_of: Int32s, rows: Rows, figures: Int64s) -> None:
    """Fold each loan up to its own day of `as_of`; fill `rows` and `figures` (loans x FIGURES)."""
    if len(rows.effective):
        rows.effective[:] = columns.instalments.effective
    rows.waived[:] = 0
    others = np.empty(len(as_of), np.int64)
    count = fold_straight(columns, as_of, rows, figures, others)
    desk, loan = _desk(columns.loans.instalment_start, columns.loans.pause_start)
    _fold_any(columns, others[:count], as_of, rows, figures, desk, loan)


@uncounted
def _fold_any(
    columns: Columns,
    places: Int64s,
    as_of: Int32s,
    rows: Rows,
    figures: Int64s,
    desk: Int64s,
    loan: Int64s,
) -> None:
    """The same for the loans at those places, whatever happened to them."""
    loans, schedule, events, pauses = columns
    rules, rule, terms, instalment_start, event_start, pause_start = loans
    due, effective, principal, interest, fee = schedule
    event_day, event_kind, event_amount, event_detail = events
    since, until, of_penalty = pauses
    in_effect, penalty, paid, waived, in_advance, late, settled, outstanding, past_due = rows
    penalty_paid, fee_paid = paid[PENALTY], paid[FEE]
    interest_paid, principal_paid = paid[INTEREST], paid[PRINCIPAL]
    for k in places:
        day, first = int(np.int64(as_of[k])), instalment_start[k]
        lay_terms(loan, rules[rule[k]], terms[k], instalment_start[k + 1] - first, event_start[k])
        lay_out(desk, loan, first, due, effective, principal, interest, fee)
        lay_pauses(loan, pause_start[k], pause_start[k + 1], since, until, of_penalty)
        end = event_start[k + 1]
        advance(desk, loan, event_day, event_kind, event_amount, event_detail, end, day)
        read_loan(desk, loan, day, k, figures)
        for i in range(loan[N]):
            row = first + i
            penalty[row], outstanding[row] = desk[i, CHARGED + PENALTY], left(desk, i)
            in_advance[row], late[row] = desk[i, EARLY], desk[i, LATE]
            settled[row], past_due[row] = desk[i, SETTLED], desk[i, DAYS_LATE]
            penalty_paid[row] = desk[i, CHARGED + PENALTY] - desk[i, LEFT + PENALTY]
            fee_paid[row] = desk[i, CHARGED + FEE] - desk[i, LEFT + FEE]
            interest_paid[row] = desk[i, CHARGED + INTEREST] - desk[i, LEFT + INTEREST]
            principal_paid[row] = desk[i, CHARGED + PRINCIPAL] - desk[i, LEFT + PRINCIPAL]
        if len(in_effect):
            for i in range(loan[N]):
                in_effect[first + i] = desk[i, EFFECTIVE]
        if len(waived):
            for i in range(loan[N]):
                waived[first + i] = 0
                for c in range(4):
                    paid[c, first + i] -= desk[i, WAIVED + c]
                    waived[first + i] += desk[i, WAIVED + c]
        figures[k, ONE_MORE_DAY] = _cost_of_one_more_day(desk, loan, day)


@compiled
def fold_dates(columns: Columns, dates: Int32s, figures: Int64s) -> None:
    """Read each loan on each of the rising `dates`; fill `figures` (loans * dates x FIGURES)."""
    # An array that is taken out of a tuple is counted each time: so once here, and not per loan.
    loans, schedule, events, pauses = columns
    rules, rule, terms, instalment_start, event_start, pause_start = loans
    due, effective, principal, interest, fee = schedule
    event_day, event_kind, event_amount, event_detail = events
    since, until, of_penalty = pauses
    desk, loan = _desk(instalment_start, pause_start)
    for k in range(len(rule)):
        first, end = instalment_start[k], event_start[k + 1]
        lay_terms(loan, rules[rule[k]], terms[k], instalment_start[k + 1] - first, event_start[k])
        lay_out(desk, loan, first, due, effective, principal, interest, fee)
        lay_pauses(loan, pause_start[k], pause_start[k + 1], since, until, of_penalty)
        for d in range(len(dates)):
            day = int(np.int64(dates[d]))
            advance(desk, loan, event_day, event_kind, event_amount, event_detail, end, day)
            read_loan(desk, loan, day, k * len(dates) + d, figures)


@compiled
def _desk(instalment_start: Int64s, pause_start: Int64s) -> tuple[Int64s, Int64s]:
    longest = most = 1
    for k in range(len(instalment_start) - 1):
        longest = max(longest, instalment_start[k + 1] - instalment_start[k])
        most = max(most, pause_start[k + 1] - pause_start[k])
    return np.zeros((longest, DESK_WIDTH), np.int64), np.zeros(PAUSES + 3 * most, np.int64)


@inlined
def read_loan(desk: Int64s, loan: Int64s, day: int, k: int, figures: Int64s) -> None:
    """Fill row `k` of the figures as of the end of `day`, and each instalment's DAYS_LATE."""
    outstanding = principal = penalty = to_clear = arrears = next_amount = worst = 0
    oldest = next_due = NEVER
    credit, tolerance = loan[CREDIT], loan[TOLERANCE]
    for i in range(loan[FIRST], loan[N]):
        desk[i, DAYS_LATE] = 0
        owed, due = left(desk, i), desk[i, EFFECTIVE]
        if owed == 0:
            continue
        if due < day:
            accrue(desk, loan, i, day)
            owed = left(desk, i)
            arrears += owed
            if owed > tolerance:
                days = days_past_due(desk, loan, i, day)
                desk[i, DAYS_LATE] = days
                worst = max(worst, days)
                oldest = due if oldest == NEVER else min(oldest, due)
        else:
            covered = min(credit, owed)
            credit -= covered
            if owed - covered > tolerance and (next_due == NEVER or due < next_due):
                next_due, next_amount = due, owed - covered
        if due <= day:
            to_clear += owed
        outstanding += owed
        principal += desk[i, LEFT + PRINCIPAL]
        penalty += desk[i, LEFT + PENALTY]
    figures[k, DPD], figures[k, OUTSTANDING] = worst, outstanding
    figures[k, PAST_DUE] = arrears if oldest != NEVER else 0
    figures[k, PRINCIPAL_LEFT], figures[k, PENALTY_LEFT] = principal, penalty
    figures[k, OLDEST_DUE], figures[k, NEXT_DUE] = oldest, next_due
    figures[k, NEXT_AMOUNT], figures[k, TO_CLEAR] = next_amount, to_clear
    figures[k, OVERPAID] = loan[CREDIT]
    figures[k, SETTLEMENT] = max(to_clear + _not_due_yet(desk, loan, day) - loan[CREDIT], 0)
    figures[k, CHARGED_OFF], figures[k, RECOVERED] = loan[OFF_AMOUNT], loan[OFF_RECEIVED]


@inlined
def _not_due_yet(desk: Int64s, loan: Int64s, day: int) -> int:
    """What early settlement asks beyond what is due: principal, its fee, interest as agreed.

    Interest that was paid in advance and is not earned is given back.
    """
    interest = principal = 0
    for step in range(loan[N]):
        i = loan[N] - 1 - step
        if desk[i, EFFECTIVE] <= day:
            if loan[IS_IN_ORDER]:
                break
            continue
        period_start = desk[i - 1, DUE] if i else loan[OPENED]
        charged = desk[i, CHARGED + INTEREST]
        asked = earned(loan[SETTLE_INTEREST], charged, period_start, desk[i, DUE], day)
        interest += asked - charged + desk[i, LEFT + INTEREST]
        principal += desk[i, LEFT + PRINCIPAL]
    return int(interest + principal + settlement_fee(loan[SETTLE_FEE], principal))


@inlined
def _cost_of_one_more_day(desk: Int64s, loan: Int64s, day: int) -> int:
    """What is charged tomorrow if nothing is paid: a day's penalty, and what grace held back."""
    cost = 0
    for i in range(loan[FIRST], loan[N]):
        if desk[i, EFFECTIVE] > day:
            if loan[IS_IN_ORDER]:
                break
        elif left(desk, i):
            before = desk[i, CHARGED + PENALTY]
            accrue(desk, loan, i, day + 1)
            cost += desk[i, CHARGED + PENALTY] - before
    return int(cost)
