"""Facts that follow from other facts, computed once before the rules.

`common.yaml` states the definitions in words; a profile that states another is refused, for they
are computed here. The local date of `now` is that of the profile's zone, or, where that is not
given, a span of dates over all candidate zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache

import polars as pl

from duewise.book.calendar import roll_table
from duewise.guard.rule import Rulebook
from duewise.guard.zones import Zones, clock

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
_CLOCK_FACE = pl.Series([f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(60)])


def derived_columns(wanted: Iterable[str], *, rulebook: Rulebook, zones: Zones) -> list[pl.Expr]:
    """The wanted derived facts as expressions over the facts, `d.due_eff` and the clocks."""
    home = rulebook.tz_default
    rules = {
        "d.shortfall": _shortfall(),
        "d.dpd": _days_late(home, zones).clip(lower_bound=0).cast(pl.Float64),
        "d.is_overdue": _is_overdue(home, zones),
        "d.msg_amount_ok": pl.col("msg.amount").is_null() | (pl.col("msg.amount") == _shortfall()),
        "d.local_hm": _local_hm(home),
    }
    return [rules[name].alias(name) for name in wanted if name in rules]


def with_due_eff(facts: pl.DataFrame, rulebook: Rulebook) -> pl.DataFrame:
    """The fact frame with the due date as the clause of the contract moves it."""
    days = facts["acct.due_date"].unique().sort().to_list()
    return facts.join(
        _rolled(tuple(days), rulebook),
        left_on=["acct.due_date", "acct.due_roll"],
        right_on=["day", "roll"],
        how="left",
        maintain_order="left",
    )


@lru_cache(maxsize=64)
def _rolled(days: tuple[date | None, ...], rulebook: Rulebook) -> pl.DataFrame:
    """Batch after batch is about the same few due dates."""
    return roll_table(
        pl.Series(days, dtype=pl.Date),
        calendar=rulebook.calendar,
        roll_default=rulebook.roll_default,
    ).rename({"due_eff": "d.due_eff"})


def local_dates(home: str | None, zones: Zones) -> tuple[pl.Expr, pl.Expr]:
    """The earliest and the latest local date of `now`; null where the zones are not known."""
    if home:
        day = clock(home).dt.date()
        return day, day
    days = [pl.when(zones.has(zone)).then(clock(zone).dt.date()) for zone in zones.names]
    nothing = pl.lit(None, dtype=pl.Date)
    return (
        pl.when(zones.all_known).then(pl.min_horizontal(nothing, *days)),
        pl.when(zones.all_known).then(pl.max_horizontal(nothing, *days)),
    )


def _shortfall() -> pl.Expr:
    return pl.col("acct.amount_due") - pl.col("acct.paid")


# Where zones disagree about the date, the earlier one counts: nobody is overdue before midnight
# everywhere.
def _days_late(home: str | None, zones: Zones) -> pl.Expr:
    return (local_dates(home, zones)[0] - pl.col("d.due_eff")).dt.total_days()


def _is_overdue(home: str | None, zones: Zones) -> pl.Expr:
    late, grace, tolerance = _days_late(home, zones), "acct.grace_days", "acct.tolerance"
    known = (late, pl.col(grace), _shortfall(), pl.col(tolerance))
    return pl.when(pl.all_horizontal(fact.is_not_null() for fact in known)).then(
        (late > pl.col(grace)) & (_shortfall() > pl.col(tolerance))
    )


def _local_hm(home: str | None) -> pl.Expr:
    if home is None:
        return pl.lit(None, dtype=pl.String)
    minute = clock(home).to_physical() // _MINUTE_US % len(_CLOCK_FACE)
    return pl.lit(_CLOCK_FACE).gather(minute)
