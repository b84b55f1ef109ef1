"""The candidate time zones of an addressee and the clocks in them, as columns of a fact frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import and_
from zoneinfo import ZoneInfo

import polars as pl

from duewise.frames import INSTANT

_ZONE, _CLOCK = "zone:", "clock:"
_FEW = 4_000  # instants that are asked one by one
_MINUTE_US = 60_000_000
_WHOLE_MINUTES_SINCE = 3 * 365 * 24 * 60  # in minutes since 1970: the end of 1972


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
    every = facts.select(pl.col("to.tz").explode().drop_nulls().unique())
    named = every.to_series().to_list()
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
    names = tuple(dict.fromkeys((*zones.names, *([home] if home else []))))
    shown = local_times(facts["now"], names)
    return facts.hstack([column.alias(f"{_CLOCK}{column.name}") for column in shown])


def clock(zone: str) -> pl.Expr:
    """What the clock of a zone shows at `now`: a time without zone."""
    return pl.col(f"{_CLOCK}{zone}")


def zones_in(frame: pl.DataFrame) -> tuple[str, ...]:
    """The zones for which a frame has a column."""
    return tuple(name[len(_ZONE) :] for name in frame.columns if name.startswith(_ZONE))


def local_times(instants: pl.Series, names: Sequence[str]) -> pl.DataFrame:
    """A column a zone: the time without zone that a clock there shows at each of the instants.

    Clocks change at a whole minute, and have since 1973: of many instants in few minutes only the
    minutes are asked what is shown.
    """
    if len(instants) < _FEW:
        return _shown(instants, names)
    minute = instants.to_physical() // _MINUTE_US
    first, last = minute.min(), minute.max()
    if not isinstance(first, int) or not isinstance(last, int):
        return _shown(instants, names)
    if first < _WHOLE_MINUTES_SINCE or last - first > len(instants):
        return _shown(instants, names)
    minutes = pl.int_range(first, last + 1, eager=True) * _MINUTE_US
    shown, which = _shown(minutes.cast(INSTANT), names), minute - first
    return pl.DataFrame(
        [
            (instants.to_physical() + (column.to_physical() - minutes).gather(which))
            .cast(column.dtype)
            .alias(column.name)
            for column in shown.get_columns()
        ]
    )


def _shown(instants: pl.Series, names: Sequence[str]) -> pl.DataFrame:
    at = pl.col(instants.name)
    return instants.to_frame().select(
        at.dt.convert_time_zone(zone).dt.replace_time_zone(None).alias(zone) for zone in names
    )


@cache
def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        return False
    return True
