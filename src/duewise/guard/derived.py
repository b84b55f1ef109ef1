"""Facts that follow from other facts, computed once before the rules.

`common.yaml` states the definitions in words; a profile that states another is refused, for they
are computed here. `first_date` and `last_date` are the local dates of `now`: one date in the
profile's zone, or, where that is not given, the span over all candidate zones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_

import polars as pl

from duewise.book.calendar import roll_table
from duewise.guard.rule import Rulebook
from duewise.guard.zones import Zones, local_date

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
# What each derived fact is built on, so that only those asked for are computed.
STEPS: Mapping[str, tuple[str, ...]] = {
    "d.due_eff": ("d.due_eff",),
    "d.shortfall": ("d.shortfall",),
    "d.dpd": ("d.due_eff", "d.dpd"),
    "d.is_overdue": ("d.due_eff", "d.shortfall", "d.is_overdue"),
    "d.msg_amount_ok": ("d.shortfall", "d.msg_amount_ok"),
    "d.local_hm": ("d.local_hm",),
}


def with_derived(
    facts: pl.DataFrame, wanted: tuple[str, ...], *, rulebook: Rulebook, zones: Zones
) -> pl.DataFrame:
    """The fact frame with `first_date`, `last_date` and the wanted derived facts."""
    steps = {step for name in wanted for step in STEPS[name]}
    facts = facts.with_columns(*_dates(rulebook.tz_default, zones))
    if "d.due_eff" in steps:
        facts = _with_due_eff(facts, rulebook)
    if "d.shortfall" in steps:
        shortfall = pl.col("acct.amount_due") - pl.col("acct.paid")
        facts = facts.with_columns(shortfall.alias("d.shortfall"))
    rest = {
        "d.dpd": _days_past_due(),
        "d.is_overdue": _is_overdue(),
        "d.msg_amount_ok": pl.col("msg.amount").is_null()
        | (pl.col("msg.amount") == pl.col("d.shortfall")),
        "d.local_hm": _local_hm(rulebook.tz_default),
    }
    return facts.with_columns(rest[name].alias(name) for name in rest if name in steps)


def _dates(tz_default: str | None, zones: Zones) -> list[pl.Expr]:
    if tz_default:
        day = local_date("now", tz_default)
        return [day.alias("first_date"), day.alias("last_date")]
    days = [pl.when(zones.has(zone)).then(local_date("now", zone)) for zone in zones.names]
    nothing = pl.lit(None, dtype=pl.Date)
    return [
        pl.when(zones.all_known).then(pl.min_horizontal(nothing, *days)).alias("first_date"),
        pl.when(zones.all_known).then(pl.max_horizontal(nothing, *days)).alias("last_date"),
    ]


def _with_due_eff(facts: pl.DataFrame, rulebook: Rulebook) -> pl.DataFrame:
    table = roll_table(
        facts["acct.due_date"], calendar=rulebook.calendar, roll_default=rulebook.roll_default
    ).rename({"due_eff": "d.due_eff"})
    return facts.join(
        table,
        left_on=["acct.due_date", "acct.due_roll"],
        right_on=["day", "roll"],
        how="left",
        maintain_order="left",
    )


# Where zones disagree about the date, the earlier one counts: nobody is overdue before midnight
# everywhere.
def _days_past_due() -> pl.Expr:
    days = (pl.col("first_date") - pl.col("d.due_eff")).dt.total_days()
    return days.clip(lower_bound=0).cast(pl.Float64)


def _is_overdue() -> pl.Expr:
    days = (pl.col("first_date") - pl.col("d.due_eff")).dt.total_days()
    known = ("first_date", "d.due_eff", "acct.grace_days", "d.shortfall", "acct.tolerance")
    return pl.when(reduce(and_, (pl.col(name).is_not_null() for name in known))).then(
        (days > pl.col("acct.grace_days")) & (pl.col("d.shortfall") > pl.col("acct.tolerance"))
    )


def _local_hm(tz_default: str | None) -> pl.Expr:
    if tz_default is None:
        return pl.lit(None, dtype=pl.String)
    return pl.col("now").dt.convert_time_zone(tz_default).dt.strftime("%H:%M")
