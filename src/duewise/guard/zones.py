"""The candidate time zones of an addressee, as columns: which row may be in which zone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from operator import and_
from zoneinfo import ZoneInfo

import polars as pl

_PREFIX = "zone:"


@dataclass(frozen=True)
class Zones:
    """The distinct zones of a frame; rows tell by `zone:NAME` columns which are theirs."""

    names: tuple[str, ...]

    def has(self, zone: str) -> pl.Expr:
        """Whether the addressee may be in that zone."""
        return pl.col(f"{_PREFIX}{zone}")

    @property
    def all_known(self) -> pl.Expr:
        """Whether the row names at least one zone, and none that does not exist."""
        return pl.col("zones_known")


def with_zones(facts: pl.DataFrame) -> tuple[pl.DataFrame, Zones]:
    """The fact frame with a column per zone of `to.tz` (nothing is added if that is not asked)."""
    if "to.tz" not in facts.columns:
        return facts.with_columns(zones_known=pl.lit(value=False)), Zones(())
    named = facts["to.tz"].explode().unique().to_list()
    zones = Zones(tuple(sorted(name for name in named if name is not None and _exists(name))))
    lists = pl.col("to.tz")
    strangers = [
        ~lists.list.contains(pl.lit(name, dtype=pl.String)) for name in named if not _exists(name)
    ]
    known = reduce(and_, strangers, lists.list.len() > 0).fill_null(value=False)
    return facts.with_columns(
        known.alias("zones_known"),
        *(
            lists.list.contains(pl.lit(zone)).fill_null(value=False).alias(f"{_PREFIX}{zone}")
            for zone in zones.names
        ),
    ), zones


def zones_in(frame: pl.DataFrame) -> tuple[str, ...]:
    """The zones for which a frame has a column."""
    return tuple(name[len(_PREFIX) :] for name in frame.columns if name.startswith(_PREFIX))


def local_date(instant: str, zone: str) -> pl.Expr:
    """The calendar date of an instant column in a zone."""
    return pl.col(instant).dt.convert_time_zone(zone).dt.date()


@cache
def _exists(zone: str | None) -> bool:
    try:
        ZoneInfo(zone or "")
    except (OSError, ValueError, KeyError):
        return False
    return True
