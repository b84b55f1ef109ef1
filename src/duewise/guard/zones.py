"""The candidate time zones of an addressee and the clocks in them, as columns of a fact frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from operator import and_
from zoneinfo import ZoneInfo

import polars as pl

_ZONE, _CLOCK = "zone:", "clock:"


@dataclass(frozen=True)
class Zones:
    """The distinct zones of a frame; rows tell by `zone:NAME` columns which are theirs."""

    names: tuple[str, ...]

    def has(self, zone: str) -> pl.Expr:
        """Whether the addressee may be in that zone."""
        return pl.col(f"{_ZONE}{zone}")

    @property
    def all_known(self) -> pl.Expr:
        """Whether the row names at least one zone, and none that does not exist."""
        return pl.col("zones_known")


def with_zones(facts: pl.DataFrame) -> tuple[pl.DataFrame, Zones]:
    """The fact frame with a column per zone of `to.tz` (nothing is added if that is not asked)."""
    if "to.tz" not in facts.columns:
        return facts.with_columns(zones_known=pl.lit(value=False)), Zones(())
    named = facts["to.tz"].explode().unique().drop_nulls().to_list()
    zones = Zones(tuple(sorted(name for name in named if _exists(name))))
    lists = pl.col("to.tz")
    strangers = [~lists.list.contains(pl.lit(name)) for name in named if name not in zones.names]
    known = reduce(and_, strangers, lists.list.len() > 0).fill_null(value=False)
    return facts.with_columns(
        known.alias("zones_known"),
        *(
            lists.list.contains(pl.lit(zone)).fill_null(value=False).alias(f"{_ZONE}{zone}")
            for zone in zones.names
        ),
    ), zones


def with_clocks(facts: pl.DataFrame, zones: Zones, home: str | None) -> pl.DataFrame:
    """The fact frame with what clocks show at `now` in each zone and at home (`clock:NAME`)."""
    names = dict.fromkeys((*zones.names, *([home] if home else [])))
    shown = {f"{_CLOCK}{zone}": local_time("now", zone) for zone in names}
    return facts.with_columns(**shown)


def clock(zone: str) -> pl.Expr:
    """What the clock of a zone shows at `now`: a time without zone."""
    return pl.col(f"{_CLOCK}{zone}")


def zones_in(frame: pl.DataFrame) -> tuple[str, ...]:
    """The zones for which a frame has a column."""
    return tuple(name[len(_ZONE) :] for name in frame.columns if name.startswith(_ZONE))


def local_time(instant: str, zone: str) -> pl.Expr:
    """The time without zone that a clock in the zone shows at an instant column."""
    return pl.col(instant).dt.convert_time_zone(zone).dt.replace_time_zone(None)


@cache
def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        return False
    return True
