"""The fold of a loan's events over its schedule: money in, money back, and what is owed on a day.

Compiled; one loan after the other at the desk of `accrual`. The oracle that checks it goes day by
day and stands in the tests. What the terms mean: docs/reference/ledger.md.
"""

from __future__ import annotations

import numpy as np

from duewise.book.accrual import (
    ACCRUED_TO,
    BEFORE,
    CAPITAL,
    CHARGED,
    CREDIT,
    EARLY,
    EFFECTIVE,
    END_OF_TIME,
    EVENT,
    FIRST,
    FLAT,
    IS_IN_ORDER,
    LATE,
    LEFT,
    OFF_AMOUNT,
    OFF_RECEIVED,
    SETTLED,
    STOP,
    TODAY,
    WAIVED,
    N,
    accrue,
    forget,
    left,
    scheduled_left,
)
from duewise.book.columns import (
    ADVANCE,
    BY_COMPONENT,
    CHARGEBACK,
    EXTENSION,
    GRACE,
    HOLD,
    LAST,
    NEVER,
    NEXT,
    NONE,
    ORDER,
    PAYMENT,
    PENALTY,
    TOLERANCE,
    WAIVER,
    Int8s,
    Int32s,
    Int64s,
)
from duewise.book.compiled import inlined, uncounted

# ---- money in ----------------------------------------------------------------------------------


@inlined
def _take(desk: Int64s, i: int, component: int, amount: int, day: int) -> int:
    """Pay a component of an instalment; what remains of the amount."""
    paid = min(desk[i, LEFT + component], amount)
    desk[i, LEFT + component] -= paid
    desk[i, EARLY] += paid * (day < desk[i, EFFECTIVE])
    desk[i, LATE] += paid * (day > desk[i, EFFECTIVE])
    return int(amount - paid)


@inlined
def _close(desk: Int64s, loan: Int64s, i: int, day: int) -> None:
    """After a change: settled or open again, forgiven if in grace, capital at most what is owed."""
    if left(desk, i) > loan[TOLERANCE]:
        desk[i, SETTLED] = NEVER
    elif desk[i, SETTLED] == NEVER:
        desk[i, SETTLED] = day
    is_in_grace = day <= desk[i, EFFECTIVE] + loan[GRACE]
    if is_in_grace and scheduled_left(desk, i) <= loan[TOLERANCE]:
        forget(desk, i)
    desk[i, CAPITAL] = min(desk[i, CAPITAL], desk[i, LEFT + PENALTY])


@inlined
def pay_row(desk: Int64s, loan: Int64s, i: int, amount: int, day: int) -> int:
    """Pay an instalment in the order of its components; what remains."""
    owed = left(desk, i)
    if owed == 0:
        return amount
    if amount >= owed:
        # All of it, as most payments do, in a quarter of the steps.
        for component in range(4):
            desk[i, LEFT + component] = 0
        desk[i, EARLY] += owed * (day < desk[i, EFFECTIVE])
        desk[i, LATE] += owed * (day > desk[i, EFFECTIVE])
        rest = amount - owed
    else:
        rest = amount
        for c in range(4):
            rest = _take(desk, i, loan[ORDER + c], rest, day)
    _close(desk, loan, i, day)
    return int(rest)


@uncounted
def _pay(desk: Int64s, loan: Int64s, amount: int, day: int, until: int) -> int:
    """Pay what is due up to `until`, oldest first; what remains."""
    first = loan[FIRST]
    while first < loan[N] and left(desk, first) == 0:
        first += 1
    loan[FIRST] = first
    if loan[BY_COMPONENT]:
        return _pay_by_component(desk, loan, amount, day)
    for i in range(first, loan[N]):
        if desk[i, EFFECTIVE] > until:
            if loan[IS_IN_ORDER]:
                break
            continue
        accrue(desk, loan, i, day)
        amount = pay_row(desk, loan, i, amount, day)
        if amount == 0:
            break
    return amount


@uncounted
def _pay_by_component(desk: Int64s, loan: Int64s, amount: int, day: int) -> int:
    """Pay the first component of all instalments that are due, then the next one."""
    first = loan[FIRST]
    for i in range(first, loan[N]):
        if desk[i, EFFECTIVE] <= day:
            accrue(desk, loan, i, day)
    for c in range(4):
        for i in range(first, loan[N]):
            if desk[i, EFFECTIVE] <= day and desk[i, LEFT + loan[ORDER + c]] and amount:
                amount = _take(desk, i, loan[ORDER + c], amount, day)
                _close(desk, loan, i, day)
    return amount


@uncounted
def _pay_ahead(desk: Int64s, loan: Int64s, amount: int, day: int) -> int:
    """Pay what is not due yet: the next instalment first, or the last; what remains."""
    for step in range(loan[N]):
        i = loan[N] - 1 - step if loan[ADVANCE] == LAST else step
        if amount and desk[i, EFFECTIVE] > day:
            amount = pay_row(desk, loan, i, amount, day)
    return amount


@uncounted
def _release(desk: Int64s, loan: Int64s, until: int) -> None:
    """Money held in advance pays each instalment on the day it falls due."""
    while loan[CREDIT] > 0:
        due = END_OF_TIME
        for i in range(loan[N]):
            if left(desk, i):
                due = min(due, max(desk[i, EFFECTIVE], loan[TODAY]))
        if due > until:
            return
        loan[CREDIT] = _pay(desk, loan, loan[CREDIT], due, due)


@inlined
def _receive(desk: Int64s, loan: Int64s, amount: int, day: int) -> None:
    """A payment: what is due first, then in advance as the product says, then to the credit."""
    if loan[STOP] != END_OF_TIME:
        loan[OFF_RECEIVED] += amount
    # Where the next instalment comes next anyway, one pass pays what is due and what is not.
    rest = _pay(desk, loan, amount, day, END_OF_TIME if _is_one_pass(loan) else day)
    if rest and loan[ADVANCE] != HOLD:
        rest = _pay_ahead(desk, loan, rest, day)
    loan[CREDIT] += rest


# ---- what else happens -------------------------------------------------------------------------


@uncounted
def _accrue_all(desk: Int64s, loan: Int64s, day: int) -> None:
    for i in range(loan[N]):
        accrue(desk, loan, i, day)


@uncounted
def _charge_back(desk: Int64s, loan: Int64s, amount: int, day: int) -> None:
    """Money that stood until now is taken back: the last that the waterfall paid comes first."""
    if loan[STOP] != END_OF_TIME:
        loan[OFF_RECEIVED] -= amount
    from_credit = min(loan[CREDIT], amount)
    loan[CREDIT] -= from_credit
    amount -= from_credit
    _accrue_all(desk, loan, day)
    n = loan[N]
    for step in range(4 * n):
        if loan[BY_COMPONENT]:
            c, i = 3 - step // n, n - 1 - step % n
        else:
            c, i = 3 - step % 4, n - 1 - step // 4
        component = loan[ORDER + c]
        back = min(_paid(desk, i, component), amount)
        if back:
            amount -= back
            desk[i, LEFT + component] += back
            _give_back(desk, i, back)
            _close(desk, loan, i, day)
    loan[FIRST] = 0


@inlined
def _paid(desk: Int64s, i: int, component: int) -> int:
    return int(
        desk[i, CHARGED + component] - desk[i, LEFT + component] - desk[i, WAIVED + component]
    )


@uncounted
def _give_back(desk: Int64s, i: int, back: int) -> None:
    """Of the money taken back, what was late goes first, and what was early last."""
    desk[i, LATE] -= min(desk[i, LATE], back)
    paid = 0
    for component in range(4):
        paid += _paid(desk, i, component)
    desk[i, EARLY] = min(desk[i, EARLY], paid - desk[i, LATE])


@uncounted
def _waive(desk: Int64s, loan: Int64s, amount: int, component: int, day: int) -> None:
    """The lender lets the borrower off: one component or, in the waterfall's order, all of them."""
    _accrue_all(desk, loan, day)
    for i in range(loan[N]):
        for c in range(4):
            chosen = loan[ORDER + c]
            off = min(desk[i, LEFT + chosen], amount)
            if off and component in (NONE, chosen):
                amount -= off
                desk[i, LEFT + chosen] -= off
                desk[i, WAIVED + chosen] += off
                _close(desk, loan, i, day)


@uncounted
def _charge_off(desk: Int64s, loan: Int64s, day: int) -> None:
    """From here on nothing accrues; what is owed is still owed. Once is enough."""
    if loan[STOP] == END_OF_TIME:
        _accrue_all(desk, loan, day)
        loan[STOP] = day
        for i in range(loan[N]):
            loan[OFF_AMOUNT] += left(desk, i)


@uncounted
def _extend(desk: Int64s, loan: Int64s, i: int, effective: int, day: int) -> None:
    """An instalment falls due on another day from now on; what it was charged so far stays."""
    if 0 <= i < loan[N]:
        accrue(desk, loan, i, day)
        forget(desk, i)
        desk[i, BEFORE], desk[i, FLAT] = desk[i, CHARGED + PENALTY], NONE
        desk[i, EFFECTIVE], desk[i, ACCRUED_TO] = effective, max(effective, day)
        loan[IS_IN_ORDER] = 0


@uncounted
def advance(
    desk: Int64s,
    loan: Int64s,
    day: Int32s,
    kind: Int8s,
    amount: Int64s,
    detail: Int32s,
    end: int,
    until: int,
) -> None:
    """Let everything happen up to the end of the day `until`; events up to row `end`."""
    loan[EVENT] = _pay_in_time(desk, loan, day, kind, amount, end, until)
    while loan[EVENT] < end and day[loan[EVENT]] <= until:
        e = loan[EVENT]
        today, minor, what = int(np.int64(day[e])), amount[e], int(np.int64(detail[e]))
        if loan[CREDIT]:
            _release(desk, loan, today)
        if kind[e] == PAYMENT:
            _receive(desk, loan, minor, today)
        elif kind[e] == CHARGEBACK:
            _charge_back(desk, loan, minor, today)
        elif kind[e] == WAIVER:
            _waive(desk, loan, minor, what, today)
        elif kind[e] == EXTENSION:
            _extend(desk, loan, what, minor, today)
        else:
            _charge_off(desk, loan, today)
        loan[TODAY] = today
        loan[EVENT] = e + 1
    if loan[CREDIT]:
        _release(desk, loan, until)


@inlined
def _pay_in_time(
    desk: Int64s,
    loan: Int64s,
    day: Int32s,
    kind: Int8s,
    amount: Int64s,
    end: int,
    until: int,
) -> int:
    """The first event that is more than the next instalment's exact payment in time.

    Most events of most loans are no more than that, and need none of what follows.
    """
    e, i, n = loan[EVENT], loan[FIRST], loan[N]
    if _is_one_pass(loan) and loan[CREDIT] == 0 and loan[STOP] == END_OF_TIME:
        while e < end and i < n and kind[e] == PAYMENT and day[e] <= until:
            today, owed = int(np.int64(day[e])), left(desk, i)
            if amount[e] != owed or today > desk[i, ACCRUED_TO]:
                break
            for component in range(4):
                desk[i, LEFT + component] = 0
            desk[i, EARLY] += owed * (today < desk[i, EFFECTIVE])
            if desk[i, SETTLED] == NEVER:
                desk[i, SETTLED] = today
            loan[TODAY] = today
            e += 1
            i += 1
        loan[FIRST] = i
    return int(e)


@inlined
def _is_one_pass(loan: Int64s) -> bool:
    """Whether the next instalment comes next, due or not."""
    return bool(loan[ADVANCE] == NEXT and loan[IS_IN_ORDER] and not loan[BY_COMPONENT])
