"""What a borrower's past says on a day, read off the folded book in one pass; compiled.

`read_history` goes through the borrowers once. It sees only what the fold let happen, so nothing
after the day can reach a feature. What each name means: features.csv beside this file, whose names
are the fields of `row`; a name that is not there does not compile.

Long because compiled code is kept on disk under its file's name and date: what one file of it calls
in another could be yesterday's.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from duewise.book.columns import (
    CHARGEBACK,
    CHARGED_OFF,
    DPD,
    EXTENSION,
    NEVER,
    NONE,
    OUTSTANDING,
    PAYMENT,
    PENALTY,
    PRINCIPAL,
    TERMS,
    Columns,
    Int64s,
    Rows,
)
from duewise.book.compiled import compiled, inlined, uncounted

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

# The past: a row per instalment that fell due before the day or is settled, oldest first.
DUE, DELAY, IS_OPEN, ASKED = range(4)
EARLIEST, LATEST = -30, 90  # days late beyond these count as these in a mean
SEVEN, THIRTY, QUARTER, HALF_YEAR = 7, 30, 90, 180
PRIOR_LATE, PRIOR = 0.6, 4.0  # risk.model's: 15 % late, worth four instalments
FEW = 3
THURSDAY, SATURDAY = 3, 5  # counted from Monday; 1970-01-01 was the former
MONTH_DAYS = 365.25 / 12
OPENED_ON = TERMS.index("opened_day")


class Borrowers(NamedTuple):
    """Places of loans, borrower by borrower: those of b are `loan[start[b] : start[b + 1]]`."""

    start: Int64s
    loan: Int64s


class Months(NamedTuple):
    """Where in its month each day from `first` on lies, as a point on a circle."""

    first: int
    cosine: Float64s
    sine: Float64s


class Folded(NamedTuple):
    """A book as of a day: what the fold read, and what it found."""

    columns: Columns
    rows: Rows
    figures: Int64s
    day: int


class Sheet(NamedTuple):
    """What is filled: `out` has a row per feature, and a column per open loan."""

    row: Any  # one record with a float32 field per feature: where a loan's column is made up
    out: Float32s
    loan: Int64s  # its place
    following: Int64s  # the row of its next instalment, or NONE


@compiled
def read_history(
    book: Folded,
    borrowers: Borrowers,
    months: Months,
    sheet: Sheet,
) -> int:
    """Fill a column of the sheet per open loan; how many there are."""
    desk, found = np.zeros((_longest(book, borrowers), 4), np.int64), 0
    row, flat = sheet.row[0], sheet.row.view(np.float32)
    for b in range(len(borrowers.start) - 1):
        loans = borrowers.loan[borrowers.start[b] : borrowers.start[b + 1]]
        is_wanted = False
        for k in loans:
            is_wanted |= _is_open(book, k)
        if not is_wanted:
            continue
        flat[:] = np.nan
        past = desk[: _gather(book, loans, desk)]
        _lateness(row, past, book.day)
        _habits(row, past)
        angle = _payments(row, book, loans, months, past)
        _tenure(row, book, loans)
        owed = _owed(row, book, loans)
        for k in loans:
            if _is_open(book, k):
                following = _loan(row, book, loans, k, past)
                _payday(row, book, months, following, angle)
                _burden(row, book, following, owed)
                sheet.loan[found], sheet.following[found] = k, following
                sheet.out[:, found] = flat
                found += 1
    return found


@inlined
def _is_open(book: Folded, k: int) -> bool:
    """Whether a loan was made by the day, owes something, and is not written off."""
    is_made = book.columns.loans.terms[k, OPENED_ON] <= book.day
    return bool(is_made and book.figures[k, OUTSTANDING] > 0 and book.figures[k, CHARGED_OFF] == 0)


@uncounted
def _longest(book: Folded, borrowers: Borrowers) -> int:
    start, first, loan = book.columns.loans.instalment_start, borrowers.start, borrowers.loan
    most = 1
    for b in range(len(first) - 1):
        n = 0
        for k in loan[first[b] : first[b + 1]]:
            n += start[k + 1] - start[k]
        most = max(most, n)
    return most


@uncounted
def _gather(book: Folded, loans: Int64s, past: Int64s) -> int:
    """Lay out what is known of the borrower's instalments by due day; how many there are."""
    effective, settled = book.rows.effective, book.rows.settled
    outstanding, schedule = book.rows.outstanding, book.columns.instalments
    principal, interest, fee = schedule.principal, schedule.interest, schedule.fee
    start, terms = book.columns.loans.instalment_start, book.columns.loans.terms
    day, n = book.day, 0
    for k in loans:
        if terms[k, OPENED_ON] > day:
            continue
        for i in range(start[k], start[k + 1]):
            is_settled, due = settled[i] != NEVER, effective[i]
            if not is_settled and (due >= day or outstanding[i] == 0):
                continue
            place = n
            while place and past[place - 1, DUE] > due:
                for column in range(past.shape[1]):  # a row at once would be copied twice
                    past[place, column] = past[place - 1, column]
                place -= 1
            past[place, DUE] = due
            past[place, DELAY] = (settled[i] if is_settled else day) - due
            past[place, IS_OPEN] = not is_settled
            past[place, ASKED] = principal[i] + interest[i] + fee[i]
            n += 1
    return n


@inlined
def _clipped(delay: int) -> int:
    return int(min(max(delay, EARLIEST), LATEST))


# ---- late, and how ------------------------------------------------------------------------------


@uncounted
def _lateness(row: Any, past: Int64s, day: int) -> None:
    """How often, how long, how lately."""
    n = len(past)
    late = late_7 = late_30 = open_late = cured = cure_days = 0
    in_90 = in_180 = worst = 0
    weight = heavy = total = squares = 0.0
    for i in range(n):
        delay, age = past[i, DELAY], day - past[i, DUE]
        share = 0.5 ** (max(age, 0) / HALF_YEAR)
        weight += share
        total += _clipped(delay)
        squares += _clipped(delay) ** 2
        if delay > 0:
            late += 1
            late_7 += delay >= SEVEN
            late_30 += delay >= THIRTY
            in_90 += age <= QUARTER
            in_180 += age <= HALF_YEAR
            heavy += share
            worst = max(worst, delay)
            open_late += past[i, IS_OPEN]
            cured += 1 - past[i, IS_OPEN]
            cure_days += delay * (1 - past[i, IS_OPEN])
            row.days_since_late = age
            if delay >= SEVEN:
                row.days_since_late_7 = age
    row.past_count, row.late_count, row.late_7_count, row.late_30_count = n, late, late_7, late_30
    row.late_count_90d, row.late_count_180d, row.late_open_count = in_90, in_180, open_late
    row.late_share_shrunk = (late + PRIOR_LATE) / (n + PRIOR)
    if n:
        mean = total / n
        row.late_share, row.late_7_share, row.late_share_decayed = (
            late / n,
            late_7 / n,
            heavy / weight,
        )
        row.delay_mean, row.delay_max = mean, worst
        row.delay_std = math.sqrt(max(squares / n - mean * mean, 0.0))
    if cured:
        row.cure_days_mean = cure_days / cured


@uncounted
def _habits(row: Any, past: Int64s) -> None:
    """Runs of late and on time, the last few against those before, and how early."""
    run = late_run = best = worst = early = on_day = days_early = on_time = 0
    n = len(past)
    for i in range(n):
        delay = past[i, DELAY]
        run, late_run = (0, late_run + 1) if delay > 0 else (run + 1, 0)
        best, worst = max(best, run), max(worst, late_run)
        if delay <= 0:
            early += delay < 0
            on_day += delay == 0
            days_early -= _clipped(delay)
            on_time += 1
            row.days_early_last = -_clipped(delay)
    row.on_time_streak, row.late_streak = run, late_run
    row.on_time_streak_max, row.late_streak_max = best, worst
    if n == 0:
        return
    row.early_share, row.due_day_share = early / n, on_day / n
    row.late_last, row.delay_last = past[n - 1, DELAY] > 0, _clipped(past[n - 1, DELAY])
    row.delay_first = _clipped(past[0, DELAY])
    row.late_share_3, row.delay_mean_3 = _last(past, n, FEW)
    row.late_share_6, _ = _last(past, n, 2 * FEW)
    row.late_share_12, row.delay_mean_12 = _last(past, n, 4 * FEW)
    if n > 1:
        row.delay_before_last = _clipped(past[n - 2, DELAY])
    if n > FEW:
        share, delay = _last(past, n - FEW, n)
        row.late_trend, row.delay_trend = row.late_share_3 - share, row.delay_mean_3 - delay
    if on_time:
        row.days_early_mean = days_early / on_time


@uncounted
def _last(past: Int64s, n: int, count: int) -> tuple[float, float]:
    """Of the last `count` of n: the share that came late, and the mean delay."""
    late = delay = 0
    for i in range(max(n - count, 0), n):
        late += past[i, DELAY] > 0
        delay += _clipped(past[i, DELAY])
    return late / min(n, count), delay / min(n, count)


# ---- money --------------------------------------------------------------------------------------


@uncounted
def _payments(row: Any, book: Folded, loans: Int64s, months: Months, past: Int64s) -> float:
    """How the money came; the usual place in the month as an angle, or nan."""
    start, today, (days, kinds, amounts, _) = (
        book.columns.loans.event_start,
        book.day,
        book.columns.events,
    )
    cosines, sines, since = months.cosine, months.sine, months.first
    count = in_90 = weekend = back = longer = paid = paid_90 = 0
    cosine = sine = 0.0
    first = last = NEVER
    for k in loans:
        for e in range(start[k], start[k + 1]):
            day, kind = days[e], kinds[e]
            if day > today:
                break
            back += kind == CHARGEBACK
            longer += kind == EXTENSION
            if kind != PAYMENT:
                continue
            count += 1
            paid += amounts[e]
            first = day if first == NEVER else min(first, day)
            last = max(last, day)
            weekend += (day + THURSDAY) % 7 >= SATURDAY
            cosine += cosines[day - since]
            sine += sines[day - since]
            if day > today - QUARTER:
                in_90 += 1
                paid_90 += amounts[e]
    row.payment_count, row.payment_count_90d = count, in_90
    row.chargeback_count, row.extension_count = back, longer
    row.paid_90d = paid_90
    asked = asked_90 = 0
    for i in range(len(past)):
        asked += past[i, ASKED]
        asked_90 += past[i, ASKED] * (past[i, DUE] > today - QUARTER)
    if asked:
        row.paid_to_asked, row.payments_per_instalment = paid / asked, count / len(past)
    if asked_90:
        row.paid_to_asked_90d = paid_90 / asked_90
    if count == 0:
        return math.nan
    row.days_since_payment, row.weekend_share = today - last, weekend / count
    row.payday_regularity = math.sqrt(cosine * cosine + sine * sine) / count
    if count > 1:
        row.payment_interval_mean = (last - first) / (count - 1)
    return math.atan2(sine, cosine)


@uncounted
def _owed(row: Any, book: Folded, loans: Int64s) -> tuple[int, int]:
    """What of the money was late, early or penalty; owed in all, and within the next month."""
    effective, _, parts, waivers, early, tardy, _, outstanding, _ = book.rows
    start, terms, day = book.columns.loans.instalment_start, book.columns.loans.terms, book.day
    paid = late = ahead = penalty = waived = owed = soon = 0
    for k in loans:
        if terms[k, OPENED_ON] > day:
            continue
        for i in range(start[k], start[k + 1]):
            for component in range(4):
                paid += parts[component, i]
            late, ahead = late + tardy[i], ahead + early[i]
            penalty += parts[PENALTY, i]
            waived += waivers[i]
            owed += outstanding[i]
            if effective[i] <= day + THIRTY:
                soon += outstanding[i]
    if paid:
        row.paid_late_share, row.paid_ahead_share = late / paid, ahead / paid
        row.penalty_share = penalty / paid
        row.waived_share = waived / (paid + waived)
    return owed, soon


@uncounted
def _burden(row: Any, book: Folded, following: int, owed: tuple[int, int]) -> None:
    """What is owed against what has been paid; `following` is the next instalment's row."""
    paid_month = row.paid_90d / FEW
    if paid_month > 0:
        row.due_30d_to_paid = owed[1] / paid_month
        row.owed_to_paid = owed[0] / paid_month
        if following != NONE:
            row.next_to_paid = book.rows.outstanding[following] / paid_month


# ---- loans --------------------------------------------------------------------------------------


@uncounted
def _tenure(row: Any, book: Folded, loans: Int64s) -> None:
    """How long the borrower is known, and by how many loans."""
    made = closed = still = in_180 = days_past_due = 0
    first = NEVER
    for k in loans:
        opened = book.columns.loans.terms[k, OPENED_ON]
        if opened <= book.day:
            made += 1
            closed += book.figures[k, OUTSTANDING] == 0
            still += book.figures[k, OUTSTANDING] > 0
            in_180 += opened > book.day - HALF_YEAR
            days_past_due = max(days_past_due, book.figures[k, DPD])
            first = opened if first == NEVER else min(first, opened)
    row.loan_count, row.closed_loan_count, row.open_loan_count = made, closed, still
    row.loan_count_180d, row.tenure_days = in_180, book.day - first
    row.borrower_days_past_due = days_past_due


@uncounted
def _loan(row: Any, book: Folded, loans: Int64s, k: int, past: Int64s) -> int:
    """The loan itself and its next instalment, whose row is returned, or NONE."""
    start, day, principal = (
        book.columns.loans.instalment_start,
        book.day,
        book.columns.instalments.principal,
    )
    effective, _, paid, _, _, _, settled, outstanding, _ = book.rows
    size = left = count = late = to_come = 0
    following, row.period_days, row.delay_loan = NONE, math.nan, math.nan
    for i in range(start[k], start[k + 1]):
        size += principal[i]
        left += principal[i] - paid[PRINCIPAL, i]
        is_settled = settled[i] != NEVER
        if is_settled or effective[i] < day:
            delay = (settled[i] if is_settled else day) - effective[i]
            count, late = count + 1, late + (delay > 0)
            row.delay_loan = _clipped(delay)
        elif outstanding[i] > 0:
            to_come += 1
            if following == NONE:
                following = i
    row.loan_past_count, row.loan_late_count, row.instalments_left = count, late, to_come
    row.loan_late_share = late / count if count else math.nan
    row.days_past_due = book.figures[k, DPD]
    row.instalment_count = start[k + 1] - start[k]
    row.principal_left_share = left / size if size else math.nan
    row.principal = size
    row.loan_age_days = day - book.columns.loans.terms[k, OPENED_ON]
    _next(row, book, k, following, past)
    _before(row, book, loans, k, size)
    return following


@inlined
def _next(row: Any, book: Folded, k: int, i: int, past: Int64s) -> None:
    """The next instalment: when, how much, how far paid, against what was asked so far."""
    row.days_to_due = row.next_number = row.next_amount = math.nan
    row.next_paid_share = row.next_to_mean = math.nan
    if i == NONE:
        return
    first, schedule = book.columns.loans.instalment_start[k], book.columns.instalments
    asked = schedule.principal[i] + schedule.interest[i] + schedule.fee[i]
    before = book.rows.effective[i - 1] if i > first else book.columns.loans.terms[k, OPENED_ON]
    row.days_to_due, row.next_number = book.rows.effective[i] - book.day, i - first + 1
    row.period_days, row.next_amount = book.rows.effective[i] - before, asked
    if asked:
        row.next_paid_share = 1 - book.rows.outstanding[i] / asked
    total = 0
    for p in range(len(past)):
        total += past[p, ASKED]
    if total:
        row.next_to_mean = asked * len(past) / total


@uncounted
def _before(row: Any, book: Folded, loans: Int64s, k: int, size: int) -> None:
    """The loan beside those the borrower had before."""
    start, principal = book.columns.loans.instalment_start, book.columns.instalments.principal
    terms, settled = book.columns.loans.terms, book.rows.settled
    opened, previous, ended = terms[k, OPENED_ON], NEVER, NEVER
    last = most = 0
    for other in loans:
        made = terms[other, OPENED_ON]
        if other == k or made > opened:
            continue
        its = 0
        for i in range(start[other], start[other + 1]):
            its += principal[i]
            if book.figures[other, OUTSTANDING] == 0 and settled[i] <= opened:
                ended = max(ended, settled[i])
        most = max(most, its)
        if made >= previous:
            previous, last = made, its
    row.days_since_previous_loan = opened - previous if previous != NEVER else math.nan
    row.days_since_closing = opened - ended if ended != NEVER else math.nan
    row.principal_to_previous = size / last if last else math.nan
    row.principal_to_most = size / most if most else math.nan


@inlined
def _payday(row: Any, book: Folded, months: Months, following: int, angle: float) -> None:
    """How many days after the usual day of payment the next due date lies, -15 to 15."""
    row.days_after_payday = math.nan
    if following != NONE and not math.isnan(angle):
        place = book.rows.effective[following] - months.first
        due = math.atan2(months.sine[place], months.cosine[place])
        turn = (due - angle + math.pi) % (2 * math.pi) - math.pi
        row.days_after_payday = turn / (2 * math.pi) * MONTH_DAYS
