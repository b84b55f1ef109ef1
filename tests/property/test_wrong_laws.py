"""A notice is listed as wrong if, and only if, the oracle knows better, by all that is known now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import polars as pl
import pytest
from tests.compared import told
from tests.histories import History, history_of
from tests.history_frames import FAR_AHEAD, ZONE, day_of, flat, products, tables

from duewise.book.align import LoanTables
from duewise.book.ledger import asked_for, ledger
from duewise.book.wrong import SAID, as_notices, before_leaving, wrong_notices

BLOCK = 40


def last_moment_before(day: int) -> datetime:
    """A payment of midnight itself is of the day."""
    midnight = datetime.combine(day_of(day), time(), ZONE).astimezone(UTC)
    return midnight - timedelta(microseconds=1)


def notice(envelope: int, said: History, *, leaves_on: int) -> dict[str, object]:
    """What a notice says that is written on a history, and leaves as that day begins."""
    figures, _ = told(said)
    late = figures["days_past_due"]
    due = figures["oldest_due"] if late else figures["next_due"]
    return {
        "envelope_id": envelope,
        "borrower_id": "Li",
        "loan_id": "L00000",
        "as_of": day_of(said.as_of),
        "judged_at": last_moment_before(leaves_on),
        "cut_at": last_moment_before(leaves_on),
        "state": "delivered",
        "currency": "CNY",
        "amount_minor": figures["past_due"] if late else figures["next_due_amount"],
        "days_past_due": late,
        "bucket": None,
        "due_date": None if due is None else day_of(due),
    }


def listed(history: History, said: pl.DataFrame) -> set[int]:
    found, zone = tables([history]), ZONE.key
    copies = LoanTables(
        as_notices(said, found.loans),
        as_notices(said, found.instalments),
        before_leaving(said, found.payments, zone=zone),
        as_notices(said, found.pauses),
        before_leaving(said, found.extensions, zone=zone, at="agreed_at"),
    )
    now = ledger(
        copies, products([history]), as_of=day_of(history.as_of), known_at=FAR_AHEAD, zone=zone
    )
    wrong = wrong_notices(said, now.loans.with_columns(asked_for()))
    return set(wrong["envelope_id"])


def until(history: History, day: int) -> History:
    return replace(history, events=tuple(e for e in history.events if e.day < day))


@pytest.mark.parametrize("first", range(0, 160, BLOCK))
def test_it_lists_a_notice_if_the_oracle_knows_better_and_no_other(first: int) -> None:
    wrong = right = 0
    for seed in range(first, first + BLOCK):
        history = flat(history_of(seed))
        leaves = (history.as_of + 1, history.as_of - 40)
        known = [until(history, day) for day in leaves]
        heard = [replace(each, events=each.events[::2]) for each in known]
        rows = [
            notice(number, each, leaves_on=day)
            for number, (each, day) in enumerate(
                [*zip(heard, leaves, strict=True), *zip(known, leaves, strict=True)]
            )
        ]
        said = pl.DataFrame(rows, schema=dict(SAID))
        true = [notice(0, each, leaves_on=0) for each in known] * 2
        compared = ("amount_minor", "days_past_due", "due_date")
        expected = {
            number
            for number, (row, fact) in enumerate(zip(rows, true, strict=True))
            if any(row[name] != fact[name] for name in compared)
        }
        assert listed(history, said) == expected, seed
        wrong, right = wrong + len(expected), right + len(rows) - len(expected)
    assert wrong > BLOCK // 8
    assert right > BLOCK


def test_it_takes_a_reversal_off_once_for_each_notice() -> None:
    history = flat(replace(history_of(1), events=()))
    day = history.schedule[0][1]
    given = tables([history], reversed_payment=(day, 1_000))
    rows = [notice(n, replace(history, as_of=day + 1), leaves_on=day + 1) for n in (1, 2)]
    found = before_leaving(pl.DataFrame(rows, schema=dict(SAID)), given.payments, zone=ZONE.key)
    assert found["payment_id"].n_unique() == found.height == 4
    names = found.filter(pl.col("kind") == "reversal")["reverses"]
    assert set(names) == set(found.filter(pl.col("kind") == "payment")["payment_id"])
