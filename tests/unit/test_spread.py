"""Hours that know what their routes carry: urgent messages stay, others move, none is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.lender import AS_OF, NOW, context, strategy, tables

from duewise.engine.partition import Plan, plan_partition
from duewise.engine.spread import SpreadOut, at_their_hours, leaving, spread_out
from duewise.strategy.spread import Asked, fitted

HOURS = [int(hour) for hour in range(24)]


@pytest.mark.parametrize("rate", [1, 3, 40])
def test_it_fits_every_hour_and_keeps_the_urgent_where_they_are(rate: int) -> None:
    seeded = np.random.default_rng(7)
    count = 500
    opens = seeded.integers(8, 18, count)
    asked = Asked(
        hour=np.minimum(opens + seeded.integers(0, 2, count), 20),
        opens=opens,
        closes=seeded.integers(19, 22, count),
        lane=seeded.integers(0, 3, count),
        units=seeded.integers(1, 4, count),
        draw=seeded.random(count),
    )
    room = np.full(24, 3.0 * rate)
    found = fitted(asked, room, seeded.random(24))
    used = np.bincount(found.hour[found.has_room], asked.units[found.has_room], minlength=24)
    assert (used <= room).all()
    moved = found.hour != asked.hour
    assert ((found.hour >= asked.opens) & (found.hour < asked.closes))[moved].all()
    assert (found.has_room | ~moved).all()
    shares = [found.has_room[asked.lane == lane].mean() for lane in range(3)]
    assert shares == sorted(shares, reverse=True)
    for one in np.flatnonzero(~found.has_room):  # nowhere in its window is there much room
        window = slice(asked.opens[one], asked.closes[one])
        assert (room - used)[window].max() < asked.units.max()


def _planned(names: tuple[str, ...]) -> Plan:
    late = {"Chen": 1, "Li": 0, "Wang": 7, "Zhao": 1}  # seven days: required; today: urgent
    given = tables(*({"borrower": n, "due": [AS_OF - timedelta(days=late[n])]} for n in names))
    return plan_partition(given, context=CONTEXT)


CONTEXT = context(strategy=strategy(hold_out_bp=0))


def _spread(plans: list[Plan], rate: float, **changes: Any) -> tuple[pl.DataFrame, SpreadOut]:
    asked = replace(CONTEXT, rates={"sms": rate}, **changes)
    found = spread_out([leaving(p.rows.lazy(), asked).collect() for p in plans], asked)
    rows = [at_their_hours(p.rows, m) for p, m in zip(plans, found.moved, strict=True)]
    return pl.concat(rows).sort("borrower_id"), found


def test_it_moves_what_the_routes_cannot_carry_and_says_what_fits_nowhere() -> None:
    names = ("Chen", "Li", "Wang", "Zhao")
    plan = _planned(names)
    parts = int(plan.rows["parts"].sum()) / 4
    assert (plan.rows["parts"] == parts).all()
    wide, (load,) = _spread([plan], 100.0)[0], _spread([plan], 100.0)[1].loads
    assert (load.messages, load.moved, load.left_over) == (4, 0, 0)
    assert wide.equals(plan.rows)
    one_an_hour = parts / 3_600
    rows, found = _spread([plan], one_an_hour, paid_by_hour={"loan": tuple(HOURS)})
    local = rows["not_before"].dt.convert_time_zone("Asia/Shanghai").dt.hour()
    assert local.n_unique() == 4
    assert found.loads[0].left_over == 0
    stays = rows.filter(borrower_id="Wang")  # it is required
    assert stays["not_before"].equals(plan.rows.filter(borrower_id="Wang")["not_before"])
    assert (rows["not_before"] >= NOW).all()
    assert (rows["not_before"] < rows["valid_until"]).all()
    (short,) = _spread([plan], one_an_hour / 100)[1].loads
    assert (short.left_over, short.moved) == (4, 0)


def test_it_moves_the_same_however_the_book_is_divided() -> None:
    names = ("Chen", "Li", "Wang", "Zhao")
    together, _ = _spread([_planned(names)], 0.001)
    divided, found = _spread([_planned((name,)) for name in names], 0.001)
    assert divided.equals(together)
    assert len(found.moved) == 4
