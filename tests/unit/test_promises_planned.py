"""What a promise changes in a plan: silence until its day, then thanks, a reminder or a clear word."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
from tests.unit.lender import AS_OF, NOW, TEMPLATES, context, tables

from duewise.engine.compose import compose
from duewise.engine.partition import plan_partition
from duewise.strategy.promise import PROMISES


def promised(borrower: str, made: int, day: int, said: int | None = None) -> dict[str, Any]:
    """A promise made so many days from `AS_OF`, for such a day."""
    at = datetime.combine(AS_OF + timedelta(days=made), time(4), UTC)
    told = {"promise_id": ord(borrower[0]), "borrower_id": borrower, "made_at": at}
    return told | {"loan_id": f"{borrower}-1001", "day": ahead(day), "amount_minor": said}


def ahead(days: int) -> date:
    return AS_OF + timedelta(days=days)


def paid(days: int, minor: int) -> tuple[datetime, int]:
    return datetime.combine(ahead(days), time(4), UTC), minor


def planned(*loans: dict[str, Any], promises: list[dict[str, Any]], **more: Any) -> pl.DataFrame:
    given = tables(*loans, promises=pl.DataFrame(promises, schema=dict(PROMISES)))
    return plan_partition(given, context=context(**more)).rows


def loan(borrower: str, days_late: int, *payments: tuple[datetime, int]) -> dict[str, Any]:
    return {"borrower": borrower, "due": [ahead(-days_late)], "paid": payments}


def test_it_follows_a_promise_from_its_making_to_its_end() -> None:
    rows = planned(
        loan("Chen", 15),  # promised three days ago for next week: left alone
        loan("Li", 15),  # promised yesterday
        loan("Wang", 15),  # promised today
        loan("Zhao", 15),  # broke it yesterday
        promises=[
            promised("Chen", -3, 6),
            promised("Li", -1, 6),
            promised("Wang", -3, 0),
            promised("Zhao", -3, -1, 50_000),
        ],
    )
    told = rows.select("step", "reason", "promise", "promised_minor", "broken_promises_90d")
    owed = rows["amount_minor"].to_list()
    assert told.rows() == [
        ("m1_day15", "promise_open", "open", owed[0], 0),
        ("promise_made", "", "open", owed[1], 0),
        ("promise_day", "", "due", owed[2], 0),
        ("promise_broken", "", "broken", 50_000, 1),
    ]
    assert rows["outcome"].to_list() == [None, "allow", "allow", "allow"]


def test_it_thanks_who_kept_it_and_says_what_was_paid() -> None:
    rows = planned(
        loan("Li", 15, paid(-1, 100_000)),
        loan("Zhao", 7),
        promises=[promised("Li", -3, 2), promised("Zhao", -3, 2)],
    )
    assert rows["step"].to_list() == ["promise_kept", "m1_day7"]  # what is required goes
    assert rows["reason"].to_list() == ["", ""]
    said = rows.head(1).with_columns(salutation=pl.lit("李*先生"))
    sender = context().sender
    text = compose(said, templates=TEMPLATES, sender=sender, as_of=AS_OF)["text"][0]
    assert "您如约还款1,000.00元" in text


def test_it_speaks_clearly_to_who_breaks_promises_and_leaves_none_alone_for_ever() -> None:
    too_far = planned(loan("Li", 15), promises=[promised("Li", -1 - 15, 6)])
    assert too_far["reason"].to_list() == [""]
    not_yet = planned(loan("Li", 15), promises=[promised("Li", 1, 6)])  # as a replay sees it
    assert not_yet.select("promise", "reason").row(0) == (None, "")
    asked = context(as_of=ahead(2), now=NOW + timedelta(days=2))
    early = {"as_of": asked.as_of, "now": asked.now, "ledger_complete_until": NOW}
    unknown = planned(loan("Li", 13), promises=[promised("Li", -3, 1)], **early)
    assert unknown["promise"].to_list() == ["open"]  # that day's payments are not all told
