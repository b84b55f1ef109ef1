"""When a deferred message may go: the earliest instant that every window and cap would let it pass.

The waiting rows walk, all at once, from instant to instant, and leave when their windows and caps
hold; derived facts move along with the clock. A closed window does not open before the clock shows
its start, a full cap has no room before midnight or before an event drops out of its span of hours:
so a row steps to the last of these instants over all rules that fire, and skips none at which it
could have passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import polars as pl

from duewise.frames import INSTANT
from duewise.guard.cap import room_again_at
from duewise.guard.compiler import CompiledRule, CompiledRulebook, any_of, lay_out
from duewise.guard.derived import MOVING
from duewise.guard.read_rule import rule_facts
from duewise.guard.rule import Cap, Window
from duewise.guard.window import is_open_in
from duewise.guard.zones import Zones, zones_in

HORIZON_DAYS = 35
STEPS_MAX = 1_000
_NEVER = pl.lit(None, dtype=INSTANT)
_SECOND, _MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)


def next_allowed_at(
    waiting: pl.DataFrame | None, events: pl.DataFrame, book: CompiledRulebook
) -> pl.Series:
    """An instant for each of the laid-out rows; null for a row that cannot pass in time.

    At each of them a window or a cap fires. A row that lacks a fact which one of these needs never
    passes, and is not walked.
    """
    if waiting is None:
        return pl.Series(dtype=INSTANT)
    clocks = book.clocks
    fires = any_of(each.fires for each in clocks.rules).alias("fires")
    lost = any_of(each.applies & each.holds.is_null() for each in clocks.rules)
    found = pl.Series([None], dtype=INSTANT).new_from_index(0, waiting.height)
    laid = (
        waiting.filter(~waiting.select(lost).to_series())
        .drop("row")
        .with_columns(
            place=waiting.select(~lost).to_series().arg_true(),
            until=pl.col("now") + timedelta(days=HORIZON_DAYS),
        )
    )
    events = events.join(laid, on="borrower_id", how="semi")
    for _ in range(STEPS_MAX):
        step = _next_step(laid.with_row_index("row"), events, clocks)
        walking = laid.select("borrower_id", *clocks.facts, "place", "until").with_columns(step)
        walking = walking.filter(pl.col("now") <= pl.col("until"))
        if walking.is_empty():
            break
        laid = lay_out(walking.with_row_index("row"), events, clocks)
        is_free = ~laid.select(fires).to_series()
        found = found.scatter(laid["place"].filter(is_free), laid["now"].filter(is_free))
        laid = laid.filter(~is_free).drop("row")
    return found


def _next_step(laid: pl.DataFrame, events: pl.DataFrame, clocks: CompiledRulebook) -> pl.Series:
    """Per row the earliest instant after `now` at which all that fires could have fallen silent."""
    zones, home = Zones(zones_in(laid)), clocks.rulebook.tz_default
    starts = {0, *(window.start_us for window in clocks.windows)}
    places = dict.fromkeys((*zones.names, *([home] if home else [])))
    ahead = _starts(laid["now"].unique(), places, starts)
    laid = laid.join(ahead, on="now", how="left", maintain_order="left")
    for cap, column in clocks.caps.items():
        if cap.unit == "hours":
            again = room_again_at(laid, events, cap).rename({"out_at": f"out:{column}"})
            laid = laid.join(again, on="row", how="left", maintain_order="left")
    silent = [
        pl.when(each.fires).then(_could_be_silent(each, zones, clocks)) for each in clocks.rules
    ]
    return laid.select(pl.max_horizontal(silent).alias("now")).to_series()


def _could_be_silent(each: CompiledRule, zones: Zones, clocks: CompiledRulebook) -> pl.Expr:
    """No instant before this one satisfies the rule, or takes the row out of its reach."""
    home, body = clocks.rulebook.tz_default, each.rule.body
    days = [(home, pl.lit(value=True))] if home else [(z, zones.has(z)) for z in zones.names]
    midnight = _least(pl.when(is_theirs).then(_start(zone, 0)) for zone, is_theirs in days)
    if isinstance(body, Cap):
        satisfied = pl.col(f"out:{clocks.caps[body]}") if body.unit == "hours" else midnight
    else:
        assert isinstance(body, Window)
        calendar = clocks.rulebook.calendar
        satisfied = pl.max_horizontal(
            _NEVER,
            *(
                pl.when(zones.has(zone) & ~is_open_in(body, zone, calendar)).then(
                    _start(zone, body.start_us)
                )
                for zone in zones.names
            ),
        )
    moves = each.rule.valid_from or each.rule.valid_to or rule_facts(each.rule) & MOVING
    return pl.min_horizontal(satisfied, midnight) if moves else satisfied


def _least(instants: Iterable[pl.Expr]) -> pl.Expr:
    return pl.min_horizontal(_NEVER, *instants)


def _starts(moments: pl.Series, zones: Iterable[str], starts: Iterable[int]) -> pl.DataFrame:
    """The distinct instants (few: many rows share one) and the next starts after each of them."""
    found = {
        f"start:{zone}:{start_us}": [next_start(now, zone, start_us) for now in moments]
        for zone in zones
        for start_us in starts
    }
    return pl.DataFrame({"now": moments, **found}, schema_overrides=dict.fromkeys(found, INSTANT))


def _start(zone: str, start_us: int) -> pl.Expr:
    return pl.col(f"start:{zone}:{start_us}")


@lru_cache(maxsize=1 << 16)
def next_start(now: datetime, zone: str, start_us: int) -> datetime:
    """The next instant after `now` at which the zone's clock shows, or skips, that time of day.

    >>> eight_us = 8 * 3_600 * 1_000_000
    >>> next_start(datetime(2026, 8, 12, 3, tzinfo=UTC), "Asia/Shanghai", eight_us).isoformat()
    '2026-08-13T00:00:00+00:00'
    """
    clock = ZoneInfo(zone)
    today = datetime.combine(now.astimezone(clock).date(), time()) + start_us * _MICROSECOND
    shown = (today + timedelta(days=days) for days in (0, 1))
    return min(at for day in shown for at in _instants(day, clock) if at > now)


def _instants(shown: datetime, clock: ZoneInfo) -> tuple[datetime, datetime]:
    """When the clock shows that time first and last; when it is put forward over it, that instant.

    By PEP 495 a skipped time is read with the offset before the change, or after it: the change
    lies between the two readings.
    """
    first, last = (shown.replace(tzinfo=clock, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= last:
        return first, last
    while first - last > _SECOND:
        middle = last + (first - last) // _SECOND // 2 * _SECOND
        is_past = middle.astimezone(clock).replace(tzinfo=None) >= shown
        first, last = (middle, last) if is_past else (first, middle)
    return first, first
