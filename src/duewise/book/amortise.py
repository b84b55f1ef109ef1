"""The kernel of schedules: what each instalment repays, in whole minor units and nothing else.

Compiled with Numba and imported only where schedules are made; `schedule` says what the rules are.
A period's interest is `balance * units * rate_numerator / denominator`, rounded half-up. Products
that do not fit into 64 bits are worked out bit by bit, so no result is ever an approximation.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numba import njit

from duewise.book.day_count import Bools, Int64s

EQUAL_INSTALMENT, EQUAL_PRINCIPAL, INTEREST_ONLY, BULLET, REVOLVING = range(5)
ONE = 1 << 48  # the fixed point of discount factors; ONE * TERM_MAX * 3 stays below 2 ** 63
FITS = 1 << 62


@njit(cache=True, nogil=True)
def times(amount: int, numerator: int, denominator: int) -> tuple[int, int]:
    """`amount * numerator` divided by `denominator`: quotient and rest, exact; none is negative."""
    whole, rest = amount // denominator, amount % denominator
    quotient = whole * numerator
    if rest == 0 or numerator <= FITS // rest:
        return quotient + rest * numerator // denominator, rest * numerator % denominator
    bits, left = 0, 0
    for place in range(62, -1, -1):
        bits, left = bits << 1, left << 1
        if (numerator >> place) & 1:
            left += rest
        while left >= denominator:
            left -= denominator
            bits += 1
    return quotient + bits, left


@njit(cache=True, nogil=True)
def times_half_up(amount: int, numerator: int, denominator: int) -> int:
    """`amount * numerator / denominator` as a whole number, rounded half-up."""
    quotient, rest = times(amount, numerator, denominator)
    return quotient + (2 * rest >= denominator)


@njit(cache=True, nogil=True)
def shares_half_up(amounts: Int64s, numerators: Int64s, denominator: int) -> Int64s:
    """The same for two columns."""
    shares = np.zeros(len(amounts), np.int64)
    for i in range(len(amounts)):
        shares[i] = times_half_up(amounts[i], numerators[i], denominator)
    return shares


@njit(cache=True, nogil=True)
def level_amounts(  # noqa: PLR0917 -- a kernel takes columns, not a record
    principal: Int64s,
    is_level: Bools,
    starts: Int64s,
    units: Int64s,
    numerator: Int64s,
    denominator: Int64s,
) -> tuple[Int64s, Bools]:
    """The level instalment of each loan that has one, and whether its rounding is certain.

    It is the principal divided by the sum of the discount factors. A factor in fixed point is too
    large by less than its number of periods in the last place, which bounds the sum: where both
    bounds round to the same amount, that is the exact one. The others are for `exact_level`.
    """
    amounts = np.zeros(len(principal), np.int64)
    is_sure = np.ones(len(principal), np.bool_)
    for loan in np.flatnonzero(is_level):
        factor, total, excess = ONE, 0, 0
        for row in range(starts[loan], starts[loan + 1]):
            interest = units[row] * numerator[loan]
            factor -= times(factor, interest, denominator[loan] + interest)[0]
            total += factor
            excess += row - starts[loan] + 1
        amounts[loan] = times_half_up(principal[loan], ONE, total)
        upper = times_half_up(principal[loan], ONE, total - excess) if total > excess else -1
        is_sure[loan] = upper == amounts[loan]
    return amounts, is_sure


def exact_level(principal: int, units: Int64s, numerator: int, denominator: int) -> int:
    """The level instalment of one loan by fractions, rounded half-up.

    >>> exact_level(1_200_000, np.full(12, 30, np.int64), 27, 125 * 360)  # 21.6 % a year
    112082
    """
    factor, total = Fraction(1), Fraction(0)
    for unit in units.tolist():
        factor /= 1 + Fraction(unit * numerator, denominator)
        total += factor
    return int(principal / total + Fraction(1, 2))


@njit(cache=True, nogil=True)
def amortise(  # noqa: PLR0917 -- a kernel takes columns, not a record
    principal: Int64s,
    method: Int64s,
    starts: Int64s,
    units: Int64s,
    numerator: Int64s,
    denominator: Int64s,
    level: Int64s,
    is_residue_first: Bools,
    minimum: tuple[Int64s, int, Int64s],
) -> tuple[Int64s, Int64s]:
    """Principal and interest of every row; `starts` has one entry more than there are loans.

    `minimum` is a revolving loan's: share (numerators), their denominator, floor.
    """
    paid = np.zeros(len(units), np.int64)
    interest = np.zeros(len(units), np.int64)
    for loan in range(len(principal)):
        first, end = starts[loan], starts[loan + 1]
        rate = (numerator[loan], denominator[loan])
        share = (minimum[0][loan], minimum[1], minimum[2][loan])
        kind, amount = method[loan], level[loan]
        if kind == EQUAL_PRINCIPAL:
            amount = times_half_up(principal[loan], 1, end - first)
        is_planned = is_residue_first[loan] and kind in (EQUAL_INSTALMENT, EQUAL_PRINCIPAL)
        if is_planned:
            _plan_backwards(paid[first:end], kind, amount, units[first:end], rate)
        balance = principal[loan]
        for row in range(first, end):
            charged = times_half_up(balance, units[row] * rate[0], rate[1])
            repaid = balance
            if is_planned:
                repaid = balance - min(paid[row], balance)
            elif row < end - 1:
                repaid = _repaid(kind, amount, balance, charged, share)
            paid[row], interest[row] = repaid, charged
            balance -= repaid
    return paid, interest


@njit(cache=True, nogil=True)
def _repaid(
    kind: int, amount: int, balance: int, interest: int, share: tuple[int, int, int]
) -> int:
    """What a row before the last repays of the principal, the last taking the residue."""
    if kind == EQUAL_INSTALMENT:
        return min(max(amount - interest, 0), balance)
    if kind == EQUAL_PRINCIPAL:
        return min(amount, balance)
    if kind == REVOLVING:
        part = times_half_up(balance, share[0], share[1])
        return min(max(part, share[2] - interest), balance)
    return 0


@njit(cache=True, nogil=True)
def _plan_backwards(
    left: Int64s, kind: int, amount: int, units: Int64s, rate: tuple[int, int]
) -> None:
    """Write into `left` what is to be owed after each row, so that the first takes the residue.

    Before a row the balance is the largest that its amount still repays together with its interest,
    rounded half-up: the largest b with b + half_up(b * n / d) <= amount + left.
    """
    left[-1] = 0
    for row in range(len(units) - 1, 0, -1):
        left[row - 1] = left[row] + amount
        if kind == EQUAL_INSTALMENT:
            interest = units[row] * rate[0]
            most, rest = times(2 * left[row - 1] + 1, rate[1], 2 * (rate[1] + interest))
            left[row - 1] = most - (rest == 0)
