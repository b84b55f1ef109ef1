"""The penalty of a traced loan as sums to check: from, to, on what, how many days, at what rate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from duewise.book.columns import (
    BASE_HAS_INTEREST,
    CHARGE_OFF,
    COMPOUND_EVERY,
    DAY_COUNT,
    EXTENSION,
    GRACE,
    INTEREST,
    PENALTY,
    PRINCIPAL,
    RATE,
    RATE_UNIT,
    TOLERANCE,
    Columns,
)
from duewise.book.trace import Standing

_TERMS = RATE  # a loan's terms are counted from here


@dataclass(frozen=True)
class Accrual:
    """Days (after, until] of one base: base x days x rate / day count, in fractions.

    `base_minor` holds `capital_minor`, the unpaid penalty that bears penalty. `charged_minor` is
    what the ledger charged by `until`: rounded half-up over all days since the instalment was last
    due, so single lines may be a fraction of a cent apart. `other_minor` is what of it the rate
    does not explain: a late fee, or less because the all-in cap cut it.
    """

    place: int
    after: int
    until: int
    days: int
    paused_days: int
    base_minor: int
    capital_minor: int
    charged_minor: int
    other_minor: int


@dataclass
class _Account:
    """One instalment on its way; `accrued` in parts of RATE_UNIT x day count of a minor unit."""

    capital: int = 0
    accrued: int = 0
    before: int = 0
    other: int = 0


def accruals(columns: Columns, standing: Standing) -> list[Accrual]:
    """The sums of every instalment in turn; those of days on one base are one."""
    found: list[Accrual] = []
    for place in range(len(columns.instalments.due)):
        found += _of_instalment(columns, standing, place)
    return found


def _of_instalment(columns: Columns, standing: Standing, place: int) -> list[Accrual]:
    account, found = _Account(), []  # type: tuple[_Account, list[Accrual]]
    stop = _stop(columns)
    for step in range(1, len(standing.day)):
        before, day = step - 1, int(standing.day[step])
        since = max(int(standing.day[before]), int(standing.effective[before, place]))
        until = min(day, stop)
        scheduled = int(standing.left[before, PENALTY + 1 :, place].sum())
        if until > since and scheduled > _term(columns, TOLERANCE):
            line = _line(columns, standing, account, (before, place, since, until))
            found = _with(found, line)
        _move_on(columns, standing, account, (step, place, stop))
    return found


def _line(
    columns: Columns, standing: Standing, account: _Account, at: tuple[int, int, int, int]
) -> Accrual:
    before, place, since, until = at
    base = int(standing.left[before, PRINCIPAL, place]) + account.capital
    if columns.loans.rules[columns.loans.rule[0], BASE_HAS_INTEREST]:
        base += int(standing.left[before, INTEREST, place])
    paused = _paused(columns, since, until)
    days = until - since - paused
    account.accrued += base * days * _term(columns, RATE)
    total = int(standing.penalty[before + 1, place])
    other = 0
    if until > int(standing.effective[before, place]) + _term(columns, GRACE):
        unit = RATE_UNIT * _term(columns, DAY_COUNT)
        by_rate = (2 * account.accrued + unit) // (2 * unit)
        other = total - account.before - by_rate - account.other
        account.other += other
    charged = total - int(standing.penalty[before, place])
    return Accrual(place, since, until, days, paused, base, account.capital, charged, other)


def _with(found: list[Accrual], line: Accrual) -> list[Accrual]:
    """The lines and one more, which goes on where the last one ended on the same base."""
    last = found[-1] if found else None
    is_more = (
        last is not None
        and last.until == line.after
        and (last.base_minor, last.capital_minor) == (line.base_minor, line.capital_minor)
    )
    if last is None or not is_more:
        return [*found, line]
    more = replace(
        last,
        until=line.until,
        days=last.days + line.days,
        paused_days=last.paused_days + line.paused_days,
        charged_minor=last.charged_minor + line.charged_minor,
        other_minor=last.other_minor + line.other_minor,
    )
    return [*found[:-1], more]


def _move_on(
    columns: Columns, standing: Standing, account: _Account, at: tuple[int, int, int]
) -> None:
    """What a moment makes of the account: penalty turns into capital, or what accrued is forgot."""
    step, place, stop = at
    day, event = int(standing.day[step]), int(standing.event[step])
    effective = int(standing.effective[step, place])
    left = standing.left[step, :, place]
    is_settled = int(left[PENALTY + 1 :].sum()) <= _term(columns, TOLERANCE)
    every = int(columns.loans.rules[columns.loans.rule[0], COMPOUND_EVERY])
    grace_end = effective + _term(columns, GRACE)
    is_turn = every and event < 0 and grace_end < day <= stop and (day - effective) % every == 0
    if is_turn and not is_settled:
        account.capital = int(left[PENALTY])
    account.capital = min(account.capital, int(left[PENALTY]))
    events = columns.events
    is_extended = (
        event >= 0 and events.kind[event] == EXTENSION and int(events.detail[event]) == place
    )
    if is_extended:
        account.before, account.other = int(standing.penalty[step, place]), 0
    if is_extended or (is_settled and day <= grace_end):
        account.capital = account.accrued = 0


def _stop(columns: Columns) -> int:
    off = columns.events.day[columns.events.kind == CHARGE_OFF]
    return int(off[0]) if len(off) else 1 << 30


def _paused(columns: Columns, after: int, until: int) -> int:
    """Days of (after, until] on which no penalty accrues."""
    since, end, of_penalty = columns.pauses
    return sum(
        max(min(until + 1, int(end[p])) - max(after + 1, int(since[p])), 0)
        for p in range(len(since))
        if of_penalty[p]
    )


def _term(columns: Columns, name: int) -> int:
    return int(columns.loans.terms[0, name - _TERMS])
