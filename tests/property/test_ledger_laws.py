"""The ledger agrees with a slow one in plain Python, and obeys its laws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.book.delinquency import BUCKETS, bucket
from duewise.book.ledger import instalment_status, loan_status
from duewise.book.schema import INSTALMENTS, LOANS, PAYMENTS

START = date(2026, 1, 1)
DAYS = st.integers(0, 120)


@dataclass(frozen=True)
class Story:
    """Loans with instalments (day, amount), events (loan, day, minor, reverses) and a question."""

    loans: list[list[tuple[int, int]]]
    events: list[tuple[int, int, int, int | None]]
    tolerances: list[int]
    day: int


@st.composite
def stories(draw: st.DrawFn) -> Story:
    schedule = st.lists(st.tuples(DAYS, st.integers(0, 500)), min_size=1, max_size=5)
    schedules = draw(st.lists(schedule, min_size=1, max_size=4))
    count = len(schedules)
    paid = draw(
        st.lists(
            st.tuples(st.integers(0, count - 1), DAYS, st.integers(1, 800)), min_size=0, max_size=8
        )
    )
    events: list[tuple[int, int, int, int | None]] = [(*event, None) for event in paid]
    for number, (loan, day, minor) in enumerate(paid):
        if draw(st.booleans()):
            events.append((loan, day + draw(st.integers(0, 30)), minor, number))
    tolerances = draw(st.lists(st.integers(0, 60), min_size=count, max_size=count))
    return Story(schedules, events, tolerances, draw(DAYS))


def frames(story: Story) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    loans = pl.DataFrame(
        [
            {"loan_id": f"L{n}", "borrower_id": "Li", "opened_date": START, "tolerance_minor": each}
            for n, each in enumerate(story.tolerances)
        ],
        schema_overrides=dict(LOANS),
    )
    instalments = pl.DataFrame(
        [
            {
                "loan_id": f"L{n}",
                "borrower_id": "Li",
                "number": number,
                "due_date": START + timedelta(days=day),
                "principal_minor": minor // 2,
                "interest_minor": minor - minor // 2,
                "fee_minor": 0,
            }
            for n, schedule in enumerate(story.loans)
            for number, (day, minor) in enumerate(schedule, start=1)
        ],
        schema=dict(INSTALMENTS),
    )
    payments = pl.DataFrame(
        [
            {
                "payment_id": f"P{n}",
                "loan_id": f"L{loan}",
                "borrower_id": "Li",
                "paid_at": instant(day),
                "amount_minor": minor,
                "kind": "payment" if reverses is None else "reversal",
                "reverses": None if reverses is None else f"P{reverses}",
                "source": "file",
            }
            for n, (loan, day, minor, reverses) in enumerate(story.events)
        ],
        schema=dict(PAYMENTS),
    )
    return loans, instalments, payments


def instant(day: int) -> datetime:
    return datetime.combine(START + timedelta(days=day), time(12), UTC)


def oracle(story: Story) -> dict[tuple[str, int], tuple[int, int]]:
    """(loan, number) -> (outstanding, days past due), one payment and one instalment at a time."""
    answer = {}
    for n, schedule in enumerate(story.loans):
        pot = 0
        for loan, day, minor, reverses in story.events:
            if loan == n and day <= story.day:
                pot += minor if reverses is None else -minor
        order = sorted(range(len(schedule)), key=lambda k: (schedule[k][0], k))
        for k in order:
            day, minor = schedule[k]
            used = min(max(pot, 0), minor)
            pot -= used
            late = max(story.day - day, 0) if minor - used > 0 else 0
            answer[f"L{n}", k + 1] = (minor - used, late)
    return answer


@settings(max_examples=200, deadline=None)
@given(stories())
def test_it_agrees_with_plain_python(story: Story) -> None:
    loans, instalments, payments = frames(story)
    as_of = START + timedelta(days=story.day)
    status = instalment_status(instalments, payments, as_of=as_of, known_at=instant(story.day))
    expected = oracle(story)
    found = {
        (row["loan_id"], row["number"]): (row["outstanding_minor"], row["days_past_due"])
        for row in status.iter_rows(named=True)
    }
    assert found == expected
    assert (status["paid_minor"] >= 0).all()
    for row in loan_status(loans, status, as_of=as_of).iter_rows(named=True):
        n = int(row["loan_id"][1:])
        rests = sorted(
            (schedule[0], k, expected[row["loan_id"], k + 1][0])
            for k, schedule in enumerate(story.loans[n])
        )
        owed = [(day, rest) for day, _, rest in rests if rest > story.tolerances[n]]
        past = [day for day, _ in owed if day < story.day]
        ahead = [(day, rest) for day, rest in owed if day >= story.day]
        late = sum(rest for day, _, rest in rests if day < story.day)
        assert row["days_past_due"] == (story.day - past[0] if past else 0)
        assert row["past_due_minor"] == (late if past else 0)
        assert row["outstanding_minor"] == sum(rest for _, _, rest in rests)
        assert row["next_due_minor"] == (ahead[0][1] if ahead else None)


@settings(max_examples=50, deadline=None)
@given(stories())
def test_it_grows_by_a_day_falls_on_payment_or_stays_at_none(story: Story) -> None:
    loans, instalments, payments = frames(story)

    def late_on(day: int) -> list[int]:
        as_of = START + timedelta(days=day)
        status = instalment_status(instalments, payments, as_of=as_of, known_at=instant(story.day))
        return loan_status(loans, status, as_of=as_of)["days_past_due"].to_list()

    for today, tomorrow in zip(late_on(story.day), late_on(story.day + 1), strict=True):
        assert tomorrow == today + 1 or (today == 0 and tomorrow == 0)


@settings(max_examples=50, deadline=None)
@given(stories(), st.data())
def test_it_does_not_mind_the_order_of_payments(story: Story, data: st.DataObject) -> None:
    _, instalments, payments = frames(story)
    as_of, known_at = START + timedelta(days=story.day), instant(story.day)
    order = data.draw(st.permutations(range(payments.height)))
    straight = instalment_status(instalments, payments, as_of=as_of, known_at=known_at)
    mixed = instalment_status(instalments, payments[order], as_of=as_of, known_at=known_at)
    assert straight.equals(mixed)


@given(st.integers(-5, 2_000))
def test_it_puts_every_number_of_days_into_one_bucket(days: int) -> None:
    name = pl.select(bucket(pl.lit(days))).item()
    expected = next(b.name for b in BUCKETS if b.days_max is None or days <= b.days_max)
    assert name == expected
