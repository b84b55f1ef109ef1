"""The desk a loan is worked on, and what its instalments accrue when they are late; compiled.

The desk is small and stays in the nearest cache. An instalment's penalty is brought up to a day
only when something asks for it; what has accrued is kept in fractions of a minor unit and rounded
half-up where it is charged. So it makes no difference how often anybody looked, or how a day's
payments were cut. What the terms mean: docs/reference/ledger.md.
"""

from __future__ import annotations

from duewise.book.columns import (
    ACCRUED,
    ALL,
    ALL_IN,
    BASE_HAS_INTEREST,
    COMPOUND_EVERY,
    DAY_COUNT,
    FEE,
    GRACE,
    GRACE_STOPS_CLOCK,
    INTEREST,
    LATE_FEE,
    LATE_FEE_FLOOR,
    LATE_FEE_SHARE,
    NEVER,
    NONE,
    PENALTY,
    PRINCIPAL,
    RATE,
    RATE_UNIT,
    RULES,
    SHARE_UNIT,
    TERMS,
    TERMS_END,
    TOLERANCE,
    Int8s,
    Int32s,
    Int64s,
)
from duewise.book.compiled import inlined, uncounted

# The desk: a row per instalment. The first three have a column per component.
LEFT = 0
WAIVED = 4
CHARGED = 8  # its penalty up to ACCRUED_TO
(
    DUE,
    EFFECTIVE,
    ACCRUED_TO,
    OWN,  # accrued, in whole day_count-ths of a minor unit …
    OWN_REST,  # … and the RATE_UNITths of one below
    CAP,  # the same: the most that the all-in cap allows
    CAP_REST,
    CAPITAL,  # unpaid penalty that bears penalty itself
    FLAT,  # the late fee, or NONE while it is not decided
    EARLY,  # paid before the effective due date
    LATE,  # paid after it
    SETTLED,
    BEFORE,  # penalty charged before the instalment was extended
    DAYS_LATE,
) = range(12, 26)
DESK_WIDTH = 26

# What is known of the loan as a whole: its product's rule and its terms, how it stands, and at the
# end its pauses, three entries each: since, until, and whether it is the penalty's.
(
    N,
    FIRST,  # every instalment before it owes nothing
    IS_IN_ORDER,  # effective due days do not fall
    CREDIT,
    STOP,  # the day it was charged off: nothing accrues after it
    OFF_AMOUNT,
    OFF_RECEIVED,
    EVENT,  # the next one
    TODAY,  # of the last one
    PAUSES_END,
    PAUSES,
) = range(TERMS_END, TERMS_END + 11)
END_OF_TIME = 1 << 30
USUAL = 360  # days of a year of penalty


# ---- one loan ----------------------------------------------------------------------------------


@inlined
def lay_terms(loan: Int64s, rule: Int64s, terms: Int64s, n: int, event: int) -> None:
    """Put a loan's rule and terms on the desk; `n` instalments, its first event is `event`."""
    for column in range(len(RULES)):
        loan[column] = rule[column]
    for column in range(len(TERMS)):
        loan[len(RULES) + column] = terms[column]
    loan[N], loan[EVENT] = n, event
    loan[FIRST], loan[IS_IN_ORDER], loan[CREDIT], loan[STOP] = 0, 1, 0, END_OF_TIME
    loan[OFF_AMOUNT], loan[OFF_RECEIVED], loan[TODAY] = 0, 0, NEVER


@inlined
def lay_out(
    desk: Int64s,
    loan: Int64s,
    first: int,
    due: Int32s,
    effective: Int32s,
    principal: Int64s,
    interest: Int64s,
    fee: Int64s,
) -> None:
    """Lay a loan of N instalments, whose rows begin at `first`, out on the desk as agreed."""
    for i in range(loan[N]):
        row = first + i
        lay_instalment(desk, i, due[row], effective[row], principal[row], interest[row], fee[row])
        if i and desk[i, EFFECTIVE] < desk[i - 1, EFFECTIVE]:
            loan[IS_IN_ORDER] = 0


@inlined
def lay_instalment(
    desk: Int64s, i: int, due: int, effective: int, principal: int, interest: int, fee: int
) -> None:
    """Lay an instalment out as agreed."""
    for column in range(DESK_WIDTH):
        desk[i, column] = 0
    desk[i, CHARGED + PRINCIPAL] = desk[i, LEFT + PRINCIPAL] = principal
    desk[i, CHARGED + INTEREST] = desk[i, LEFT + INTEREST] = interest
    desk[i, CHARGED + FEE] = desk[i, LEFT + FEE] = fee
    desk[i, DUE], desk[i, FLAT], desk[i, SETTLED] = due, NONE, NEVER
    desk[i, EFFECTIVE] = desk[i, ACCRUED_TO] = effective


@inlined
def lay_pauses(
    loan: Int64s, first: int, end: int, since: Int32s, until: Int32s, of_penalty: Int8s
) -> None:
    """Put the loan's pauses, rows [first, end), behind what is known of it."""
    place = PAUSES
    for p in range(first, end):
        loan[place], loan[place + 1], loan[place + 2] = since[p], until[p], of_penalty[p]
        place += 3
    loan[PAUSES_END] = place


@inlined
def scheduled_left(desk: Int64s, i: int) -> int:
    """What is unpaid of an instalment as it was scheduled, without penalty."""
    return int(desk[i, LEFT + FEE] + desk[i, LEFT + INTEREST] + desk[i, LEFT + PRINCIPAL])


@inlined
def left(desk: Int64s, i: int) -> int:
    """What is unpaid of an instalment, all components."""
    return scheduled_left(desk, i) + int(desk[i, LEFT + PENALTY])


# ---- penalty ---------------------------------------------------------------------------------


@inlined
def paused_days(loan: Int64s, after: int, until: int, of_penalty: int) -> int:
    """Days of (after, until] on which that clock stands."""
    days = 0
    for p in range(PAUSES, loan[PAUSES_END], 3):
        if loan[p + 2] == of_penalty:
            days += max(min(until + 1, loan[p + 1]) - max(after + 1, loan[p]), 0)
    return days


@inlined
def added(whole: int, rest: int, base_days: int, rate: int) -> tuple[int, int]:
    """An accumulator, `whole` and RATE_UNITths of one, with rate x (base x days) added, exactly."""
    high, low = divmod(base_days, RATE_UNIT)
    product = low * rate + rest
    return whole + high * rate + product // RATE_UNIT, product % RATE_UNIT


@inlined
def _add(desk: Int64s, i: int, whole: int, base_days: int, rate: int) -> None:
    """The same to the accumulator at column `whole`."""
    desk[i, whole], desk[i, whole + 1] = added(desk[i, whole], desk[i, whole + 1], base_days, rate)


@inlined
def rounded(whole: int, rest: int, day_count: int) -> int:
    """What has accrued in whole minor units, half-up."""
    twice = 2 * whole + day_count + 2 * rest // RATE_UNIT
    # A divisor that the compiler knows costs a tenth of one that it does not.
    return int(twice // (2 * USUAL) if day_count == USUAL else twice // (2 * day_count))


@inlined
def _penalty(desk: Int64s, loan: Int64s, i: int) -> int:
    """What has been charged as penalty up to ACCRUED_TO: half-up, and the cap rounded down."""
    charged = rounded(desk[i, OWN], desk[i, OWN_REST], loan[DAY_COUNT]) + max(desk[i, FLAT], 0)
    if loan[ALL_IN] != NONE:
        charged = min(charged, desk[i, CAP] // loan[DAY_COUNT])
    return int(desk[i, BEFORE] + charged)


@inlined
def accrue(desk: Int64s, loan: Int64s, i: int, day: int) -> None:
    """Bring an instalment's penalty up to the end of `day`, on what was unpaid until then."""
    if day > desk[i, ACCRUED_TO]:
        _accrue(desk, loan, i, day)


@uncounted
def _accrue(desk: Int64s, loan: Int64s, i: int, day: int) -> None:
    end = min(day, loan[STOP])
    if end <= desk[i, ACCRUED_TO]:
        return
    if scheduled_left(desk, i) > loan[TOLERANCE]:
        _accrue_to(desk, loan, i, end)
    desk[i, ACCRUED_TO] = end
    if end > desk[i, EFFECTIVE] + loan[GRACE]:
        if desk[i, FLAT] == NONE:
            desk[i, FLAT] = _late_fee(desk, loan, i)
        charged = _penalty(desk, loan, i)
        desk[i, LEFT + PENALTY] += charged - desk[i, CHARGED + PENALTY]
        desk[i, CHARGED + PENALTY] = charged


@uncounted
def _accrue_to(desk: Int64s, loan: Int64s, i: int, end: int) -> None:
    """Accrue over the days up to `end`, stopping where unpaid penalty turns into capital."""
    every, since = loan[COMPOUND_EVERY], desk[i, ACCRUED_TO]
    while since < end:
        until = end
        if every:
            turn = desk[i, EFFECTIVE] + every * ((since - desk[i, EFFECTIVE]) // every + 1)
            until = min(end, turn)
        days = until - since - paused_days(loan, since, until, 1)
        principal = desk[i, LEFT + PRINCIPAL]
        base = principal + desk[i, CAPITAL]
        if loan[BASE_HAS_INTEREST]:
            base += desk[i, LEFT + INTEREST]
        _add(desk, i, OWN, base * days, loan[RATE])
        if loan[ALL_IN] != NONE:
            _add(desk, i, CAP, principal * days, loan[ALL_IN])
        if every and until == turn and until > desk[i, EFFECTIVE] + loan[GRACE]:
            if desk[i, FLAT] == NONE:
                desk[i, FLAT] = _late_fee(desk, loan, i)
            unpaid = _penalty(desk, loan, i) - desk[i, CHARGED + PENALTY] + desk[i, LEFT + PENALTY]
            desk[i, CAPITAL] = max(unpaid, 0)
        since = until


@uncounted
def _late_fee(desk: Int64s, loan: Int64s, i: int) -> int:
    """The fixed fee for an instalment that is unpaid when its grace ends; 0 if it is not."""
    unpaid, charged_on = scheduled_left(desk, i), desk[i, EFFECTIVE] + loan[GRACE] + 1
    is_free = unpaid <= loan[TOLERANCE] or charged_on > loan[STOP]
    if is_free or paused_days(loan, charged_on - 1, charged_on, 1):
        return 0
    fee = loan[LATE_FEE]
    if loan[LATE_FEE_SHARE] != NONE:
        share = (2 * unpaid * loan[LATE_FEE_SHARE] + SHARE_UNIT) // (2 * SHARE_UNIT)
        fee = share if fee == NONE else min(fee, share)
    return 0 if fee == NONE else int(max(fee, loan[LATE_FEE_FLOOR]))


@inlined
def forget(desk: Int64s, i: int) -> None:
    """What has accrued and is not charged yet is not owed: paid within the grace, or extended."""
    for column in (OWN, OWN_REST, CAP, CAP_REST, CAPITAL):
        desk[i, column] = 0


# ---- what a day makes of it --------------------------------------------------------------------


@inlined
def days_past_due(desk: Int64s, loan: Int64s, i: int, day: int) -> int:
    """Days since the effective due date, without those on which the clock stood."""
    since = desk[i, EFFECTIVE]
    if loan[GRACE_STOPS_CLOCK]:
        since += loan[GRACE]
    if day <= since:
        return 0
    return int(day - since - paused_days(loan, since, day, 0))


@inlined
def earned(rule: int, interest: int, since: int, due: int, day: int) -> int:
    """Of the interest of a period (since, due], what early settlement asks for."""
    days, past = due - since, day - since
    if rule == ALL or days <= 0 or past >= days:
        return int(interest)
    if past <= 0:
        return 0
    if rule == ACCRUED:
        return int((2 * interest * past + days) // (2 * days))
    return int(interest)


@inlined
def settlement_fee(share: int, principal: int) -> int:
    """What early settlement asks for principal that is not due yet."""
    return int((2 * principal * share + SHARE_UNIT) // (2 * SHARE_UNIT))
