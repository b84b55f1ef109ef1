"""Facts that follow from other facts, computed once before the rules.

`common.yaml` states the definitions in words; a profile that states another is refused, for they
are computed here. The local date of `now` is that of the profile's zone, or, where that is not
given, a span of dates over all candidate zones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache, reduce
from operator import and_, eq, gt

import numpy as np
import numpy.typing as npt

from duewise.book.calendar import rolled_if_known
from duewise.guard.columns import Columns, Numbers, Words
from duewise.guard.rule import Rulebook
from duewise.guard.truth import Bits, Truth, known, packed, unpacked
from duewise.guard.zones import Clock, Zones

DERIVED: Mapping[str, str] = {
    "d.due_eff": "roll(acct.due_date, acct.due_roll, profile.calendar)",
    "d.shortfall": "acct.amount_due - acct.paid",
    "d.dpd": "max(0, local_date(now) - d.due_eff)",
    "d.is_overdue": (
        "local_date(now) > d.due_eff + acct.grace_days and d.shortfall > acct.tolerance"
    ),
    "d.msg_amount_ok": "msg.amount absent or abs(msg.amount - d.shortfall) <= 0.005",
    "d.local_hm": "HH:MM of now in profile.tz_default",
}
NEEDS: Mapping[str, tuple[str, ...]] = {
    "d.due_eff": ("acct.due_date", "acct.due_roll"),
    "d.shortfall": ("acct.amount_due", "acct.paid"),
    "d.dpd": ("now", "to.tz", "acct.due_date", "acct.due_roll"),
    "d.is_overdue": (
        *("now", "to.tz", "acct.due_date", "acct.due_roll", "acct.grace_days"),
        *("acct.amount_due", "acct.paid", "acct.tolerance"),
    ),
    "d.msg_amount_ok": ("msg.amount", "acct.amount_due", "acct.paid"),
    "d.local_hm": ("now",),
}
# The facts that move with the clock by themselves, at a local midnight.
MOVING = frozenset({"d.dpd", "d.is_overdue"})
_MINUTE_US = 60_000_000
_EPOCH = date(1970, 1, 1)
_DAYS_MAX = (date.max - _EPOCH).days
_NOT_KNOWN = np.iinfo(np.int64).min  # no day
_CLOCK_FACE = tuple(f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(60))


def put_derived(columns: Columns, rulebook: Rulebook, zones: Zones) -> None:
    """The derived facts beside the given ones; each is made when the first rule asks for it."""
    columns.derive("d.due_eff", lambda: _due_eff(columns, rulebook))
    columns.derive("d.shortfall", lambda: _shortfall(columns))
    columns.derive("d.dpd", lambda: _dpd(columns, zones))
    columns.derive("d.is_overdue", lambda: _is_overdue(columns, zones))
    columns.derive("d.msg_amount_ok", lambda: _is_amount_right(columns))
    if zones.home:
        clock = zones.clocks[zones.home]
        columns.derive("d.local_hm", lambda: _local_hm(clock))


def local_dates(zones: Zones, height: int) -> tuple[Numbers, Numbers]:
    """The earliest and the latest local date of `now`; not known where the zones are not."""
    if zones.home:
        day = zones.clocks[zones.home].day
        return day, day
    days = [(zones.clocks[name].day, has) for name, has in zones.of.items()]
    where = reduce(and_, (day.known for day, _ in days), zones.known)
    earliest = _over_zones(np.minimum, days, _DAYS_MAX, height)
    latest = _over_zones(np.maximum, days, -_DAYS_MAX, height)
    return Numbers(earliest, where), Numbers(latest, where)


def _over_zones(
    choose: np.ufunc, days: Sequence[tuple[Numbers, Bits]], nothing: int, height: int
) -> npt.NDArray[np.int64]:
    """The first, or the last, of each row's dates; `nothing` where it has none."""
    each = (np.where(unpacked(has, height), day.values, nothing) for day, has in days)
    return reduce(choose, each, np.full(height, nothing, dtype=np.int64))


def _due_eff(columns: Columns, rulebook: Rulebook) -> Numbers:
    """The due date as the clause of the contract moves it; few days and fewer clauses occur."""
    due, clause = columns.numbers("acct.due_date"), columns.words("acct.due_roll")
    if not columns.height:
        return due
    first = int(due.values.min())
    place = due.values - first
    occurs = np.flatnonzero(np.bincount(place))
    rolled = np.full((len(clause.labels), int(occurs[-1]) + 1), _NOT_KNOWN, dtype=np.int64)
    for row, label in enumerate(clause.labels):
        rolled[row, occurs] = [_rolled(first + int(day), label, rulebook) for day in occurs]
    values = rolled[clause.codes, place]
    return Numbers(values, due.known & clause.known & packed(values != _NOT_KNOWN))


@lru_cache(maxsize=1 << 16)
def _rolled(day: int, clause: str, rulebook: Rulebook) -> int:
    due = _EPOCH + timedelta(days=day)
    roll = rulebook.roll_default if clause == "default" else clause
    effective = rolled_if_known(due, roll, rulebook.calendar)
    return _NOT_KNOWN if effective is None else (effective - _EPOCH).days


def _shortfall(columns: Columns) -> Numbers:
    due, paid = columns.numbers("acct.amount_due"), columns.numbers("acct.paid")
    return Numbers(due.values - paid.values, due.known & paid.known)


# Where zones disagree about the date, the earlier one counts: nobody is overdue before midnight
# everywhere.
def _days_late(columns: Columns, zones: Zones) -> Numbers:
    day, due = local_dates(zones, columns.height)[0], columns.numbers("d.due_eff")
    return Numbers(day.values - due.values, day.known & due.known)


def _dpd(columns: Columns, zones: Zones) -> Numbers:
    late = _days_late(columns, zones)
    return Numbers(np.maximum(late.values, 0), late.known)


def _is_overdue(columns: Columns, zones: Zones) -> Truth:
    late, shortfall = _days_late(columns, zones), columns.numbers("d.shortfall")
    is_late = late.compared(gt, columns.numbers("acct.grace_days"))
    is_short = shortfall.compared(gt, columns.numbers("acct.tolerance"))
    return known((is_late & is_short).yes, is_late.known & is_short.known)


def _is_amount_right(columns: Columns) -> Truth:
    said = columns.numbers("msg.amount")
    is_unsaid = known(~columns.known("msg.amount"), columns.all)
    return is_unsaid | said.compared(eq, columns.numbers("d.shortfall"))


def _local_hm(clock: Clock) -> Words:
    return Words(clock.time_us.values // _MINUTE_US, _CLOCK_FACE, clock.time_us.known)
