"""A promise is kept or broken by the ledger, whichever day one looks at it, and by nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from duewise.frames import INSTANT
from duewise.strategy.promise import PROMISES, broken_lately, judge_promises, latest

MADE = date(2026, 8, 14)
DAY = date(2026, 8, 20)
OWED = 86_840


def at(day: date, hour: int = 4) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def promise(number: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {"promise_id": number, "borrower_id": "Li", "loan_id": "Li-1001", "made_at": at(MADE)}
    return plain | {"day": DAY, "amount_minor": None} | changes


def judged(
    *promises: dict[str, Any],
    due: tuple[date, ...] = (date(2026, 8, 10),),
    settled: tuple[date | None, ...] = (None,),
    paid: tuple[tuple[date, int], ...] = (),
    as_of: date = DAY + timedelta(days=1),
    complete_until: date | None = None,
) -> pl.DataFrame:
    instalments = pl.DataFrame(
        {
            "borrower_id": "Li",
            "loan_id": "Li-1001",
            "effective_due_date": due,
            "settled_date": settled,
        },
        schema_overrides={"settled_date": pl.Date},
    )
    payments = pl.DataFrame(
        [("Li", "Li-1001", at(day), minor) for day, minor in paid],
        schema={
            "borrower_id": pl.String,
            "loan_id": pl.String,
            "paid_at": INSTANT,
            "amount_minor": pl.Int64,
        },
        orient="row",
    )
    return judge_promises(
        pl.DataFrame(promises, schema=dict(PROMISES)),
        instalments,
        payments,
        as_of=as_of,
        complete_until=complete_until or as_of,
        zone="Asia/Shanghai",
    )


def days(after: int) -> date:
    return MADE + timedelta(days=after)


@pytest.mark.parametrize(
    ("given", "said", "found"),
    [
        ({"as_of": DAY}, None, ("open", "day_not_over", MADE)),
        ({"complete_until": DAY}, None, ("open", "payments_not_complete", MADE)),
        ({}, None, ("broken", "nothing_paid", DAY)),
        ({"paid": ((days(2), 10_000),)}, None, ("broken", "paid_in_part", DAY)),
        (
            {"paid": ((days(2), OWED),), "settled": (days(2),)},
            None,
            ("kept", "paid_by_day", days(2)),
        ),
        ({"settled": (days(7),)}, None, ("broken", "paid_late", DAY)),
        ({"settled": (days(-1),)}, None, ("kept", "nothing_owed", MADE)),
        ({"paid": ((days(1), 30_000), (days(6), 20_000))}, 50_000, ("kept", "amount_paid", DAY)),
        ({"paid": ((days(1), 30_000), (days(7), 20_000))}, 50_000, ("broken", "paid_in_part", DAY)),
        ({"paid": ((days(-1), 50_000),)}, 50_000, ("broken", "nothing_paid", DAY)),
    ],
)
def test_it_is_told_by_what_was_paid_from_its_making_to_its_day(
    given: dict[str, Any], said: int | None, found: tuple[str, str, date]
) -> None:
    told = judged(promise(amount_minor=said), **given)
    assert told.select("state", "why", "since").row(0) == found


def test_it_is_of_what_was_past_due_and_else_of_the_instalment_that_came_next() -> None:
    late, ahead, later = date(2026, 8, 10), date(2026, 8, 18), date(2026, 9, 18)
    paid = ((days(2), OWED),)
    overdue = judged(promise(), due=(late, ahead), settled=(days(2), None), paid=paid)
    coming = judged(promise(), due=(ahead, later), settled=(days(2), None), paid=paid)
    missed = judged(promise(), due=(ahead, later), settled=(None, None))
    assert [each["state"][0] for each in (overdue, coming, missed)] == ["kept", "kept", "broken"]


def test_it_counts_neither_the_withdrawn_nor_the_long_forgotten() -> None:
    withdrawn = {"cancelled_at": at(days(1)), "cancel_reason": "replaced"}
    told = judged(
        promise(1, **withdrawn),
        promise(2),
        promise(3, loan_id=None, made_at=at(days(1))),
        as_of=DAY + timedelta(days=1),
    )
    assert told["state"].to_list() == ["cancelled", "broken", "broken"]
    assert broken_lately(told, as_of=DAY + timedelta(days=1)).rows() == [("Li", 2)]
    assert broken_lately(told, as_of=DAY + timedelta(days=91)).is_empty()
    assert latest(told)["promise_id"].to_list() == [2, 3]
