"""A lender that never was: its book on a day, and how each further day is lived.

A borrower pays the oldest unpaid instalment of a loan with a hazard that depends on kind, days to
or past the due date, and the messages of the last days (proportional hazards). Luck is a draw by
seed, loan, day and purpose, never by what happened before, so worlds that differ only in their
messages share their luck (common random numbers): the first payment of a loan is never later for a
message, and the difference between two worlds is the effect of the messages alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from duewise.book.columns import RATE_UNIT
from duewise.book.schema import LOANS, PAYMENTS
from duewise.book.synth import people, phone_numbers
from duewise.errors import BadInput
from duewise.frames import INSTANT, Schema, conform
from duewise.ids import draws
from duewise.sim.borrowers import (
    DAY_COUNT,
    HABITS,
    TIMEZONE,
    Bools,
    Float64s,
    Int64s,
    instalments,
    latent,
    loans,
    new_borrowers,
)
from duewise.sim.replies import replies

DELIVERED: Schema = {
    "borrower_id": pl.String(),
    "loan_id": pl.String(),
    "at": INSTANT,
    "stage": pl.String(),
    "tone": pl.String(),
    "hour": pl.Int32(),
}
# How the readiness to pay by the due date is spread over the days -5 to 0 (judgement).
RISE = np.array((0.06, 0.08, 0.11, 0.15, 0.20, 0.40))
AHEAD_DAYS = len(RISE) - 1
# Who has not paid for a month pays at a lower hazard (judgement; the sheet's roll rates are lower).
STALE_DAYS, STALE = 30, 0.7
MESSAGE_DAYS_MAX = 4
HALF_LIFE_H = 18  # of the effect of a message (S24, S25 of the evidence: hours to two days)
SECOND_MESSAGE = 0.4
EVENING_HOUR, EVENING = 18, 1.08  # S17
PAID_FROM_H, PAID_UNTIL_H = 7, 23
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Traits:
    """What decides a loan's payments, one array element for each loan."""

    loan_hash: pl.Series
    borrower: Int64s  # row in the borrowers frame
    is_autopay: Bools
    urge: Float64s  # hazard of paying by the due date, summed over its days
    habits: dict[str, Float64s]


class Standing:
    """What each loan still owes. It has a life: `live_day` moves it on by a day.

    `row` is the oldest unpaid instalment of each loan (in the instalments frame), `rest_minor` what
    that one still owes without penalty; `today` is the day to live next. Penalty is that of the
    product PRODUCT: on what is left of the principal, which interest goes before, and paid last.
    """

    def __init__(self, instalments: pl.DataFrame, loans: pl.DataFrame, *, today: date) -> None:
        loan = instalments["loan_id"].rle_id().to_numpy().astype(np.int64)
        amounts = instalments.select(pl.sum_horizontal("^(principal|interest|fee)_minor$"))
        self.today = today
        self.due = instalments["due_date"].to_physical().to_numpy().astype(np.int64)
        self.amount_minor = amounts.to_series().to_numpy()
        self.row = np.flatnonzero(np.diff(loan, prepend=-1))
        self.end = np.append(self.row[1:], len(loan))[: len(self.row)]
        self.rest_minor = self.amount_minor[self.row]
        self.principal_minor = instalments["principal_minor"].to_numpy()
        rate = loans.select(
            (pl.col("annual_rate") * pl.col("penalty_multiplier") * RATE_UNIT).round()
        )
        self.rate_units = rate.to_series().cast(pl.Int64).to_numpy()
        self.accrued = np.zeros(len(self.row), np.int64)  # in parts of RATE_UNIT * DAY_COUNT
        self.accrued_to = self.due[self.row]

    def copy(self) -> Standing:
        """The same state, with a life of its own."""
        twin = object.__new__(Standing)
        vars(twin).update(vars(self) | {"row": self.row.copy()})
        for name in ("rest_minor", "accrued", "accrued_to"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def days_late(self, loans: Int64s, day: date) -> Int64s:
        """Days from the due date of each loan's oldest unpaid instalment; negative before it."""
        return (day - _EPOCH).days - self.due[self.row[loans]]

    def is_past_due(self, loans: Int64s, day: date) -> Bools:
        """Whether a due date before `day` is unpaid."""
        is_open = self.row[loans] < self.end[loans]
        due = self.due[np.minimum(self.row[loans], len(self.due) - 1)]
        return is_open & (due < (day - _EPOCH).days)

    def open_loans(self, day: date) -> Int64s:
        """The loans with an instalment that may be paid on `day`."""
        unpaid = np.flatnonzero(self.row < self.end)
        return unpaid[self.days_late(unpaid, day) >= -AHEAD_DAYS]

    def penalty_minor(self, loans: Int64s, day: date) -> Int64s:
        """What the oldest unpaid instalment of each loan has been charged by the end of the day."""
        unit = RATE_UNIT * DAY_COUNT
        charged: Int64s = (2 * self._accrued(loans, day) + unit) // (2 * unit)
        return charged

    def _accrued(self, loans: Int64s, day: date) -> Int64s:
        base = np.minimum(self.rest_minor[loans], self.principal_minor[self.row[loans]])
        days = np.maximum((day - _EPOCH).days - self.accrued_to[loans], 0)
        accrued: Int64s = self.accrued[loans] + base * days * self.rate_units[loans]
        return accrued

    def settle(self, loans: Int64s, amount_minor: Int64s, day: date) -> None:
        """Take a payment of each loan's rest, or a part of it; with all of it goes the penalty."""
        self.accrued[loans] = self._accrued(loans, day)
        self.accrued_to[loans] = np.maximum(self.accrued_to[loans], (day - _EPOCH).days)
        self.rest_minor[loans] -= amount_minor
        done = loans[self.rest_minor[loans] == 0]
        self.row[done] += 1
        done = done[self.row[done] < self.end[done]]
        self.rest_minor[done] = self.amount_minor[self.row[done]]
        self.accrued[done], self.accrued_to[done] = 0, self.due[self.row[done]]


@dataclass(frozen=True)
class Lender:
    """The frames of a lender on the day it starts, in the book's form, and its living state.

    `payments` are those before the start; `latent` is what no lender sees (kind and habits).
    """

    borrowers: pl.DataFrame
    loans: pl.DataFrame
    instalments: pl.DataFrame
    payments: pl.DataFrame
    people: pl.DataFrame
    latent: pl.DataFrame
    traits: Traits
    standing: Standing

    def twin(self) -> Lender:
        """The same lender at the same point of its life, to live on under other messages."""
        return replace(self, standing=self.standing.copy())


@dataclass(frozen=True)
class DayEvents:
    """What happened on a day: payments in the book's form; replies as borrower_id, at, text."""

    payments: pl.DataFrame
    replies: pl.DataFrame


def synthetic_lender(borrowers: int, *, seed: int, start: date) -> Lender:
    """A Chinese instalment lender with its history up to the day before `start`.

    The same arguments give the same bytes. In the history nobody was reminded. Raises BadInput
    without at least one borrower.
    """
    if borrowers < 1:
        raise BadInput(f"a lender of {borrowers} borrowers", mend="ask for at least one")
    owers = new_borrowers(borrowers)
    habits = latent(owers, seed=seed)
    book = loans(owers, seed=seed, start=start)
    schedule = instalments(book)
    opened = book["opened_date"].min()
    standing = Standing(schedule, book, today=opened if isinstance(opened, date) else start)
    lender = Lender(
        borrowers=owers,
        loans=conform(book, LOANS, name="loans"),
        instalments=schedule,
        payments=conform(pl.DataFrame(schema=dict(PAYMENTS)), PAYMENTS, name="payments"),
        people=people(owers, phone_numbers(owers["borrower_hash"])),
        latent=habits,
        traits=_traits(book, owers, habits),
        standing=standing,
    )
    return replace(lender, payments=_history(lender, seed=seed, start=start))


def live_day(lender: Lender, *, day: date, delivered: pl.DataFrame, seed: int) -> DayEvents:
    """Live one day, the next in the lender's life, and move its standing on.

    `delivered` (columns of DELIVERED, any order of rows) are the messages that reached borrowers in
    the four days before `day`; the effect on the day of delivery itself is part of the next day's.
    A message counts for all loans of its borrower; those of stage "service" ask for nothing and
    move nobody.
    """
    standing = lender.standing
    assert day == standing.today, f"the next day to live is {standing.today}, not {day}"
    messages = _messages(lender, delivered, day)
    push = _push(messages, len(lender.borrowers))
    paid = _pay(lender, day, push, seed)
    standing.today = day + timedelta(days=1)
    return DayEvents(
        payments=_payments(lender, [(day, *paid)], seed),
        replies=_replies(lender, messages, day, seed),
    )


def _history(lender: Lender, *, seed: int, start: date) -> pl.DataFrame:
    """The payments of all days before `start`, in the book's order."""
    standing, silence = lender.standing, np.zeros((2, len(lender.borrowers)))
    days = []
    while standing.today < start:
        days.append((standing.today, *_pay(lender, standing.today, silence, seed)))
        standing.today += timedelta(days=1)
    order = ("borrower_id", "loan_id", "paid_at", "payment_id")
    return _payments(lender, days, seed).sort(order)


def _pay(lender: Lender, day: date, push: Float64s, seed: int) -> tuple[Int64s, Int64s]:
    """Which loans are paid on `day`, and what each pays; the standing takes it in."""
    traits, standing = lender.traits, lender.standing
    loans = standing.open_loans(day)
    loans = loans[_luck(traits, loans, seed, day, "pay") < _probability(lender, loans, day, push)]
    rest = standing.rest_minor[loans]
    part = 30 + (_luck(traits, loans, seed, day, "part") * 41).astype(np.int64)
    is_part = _luck(traits, loans, seed, day, "partial") < traits.habits["partial"][loans]
    is_part &= ~traits.is_autopay[loans] & (rest > 1)
    amount = np.where(
        is_part, np.maximum(rest * part // 100, 1), rest + standing.penalty_minor(loans, day)
    )
    standing.settle(loans, np.minimum(amount, rest), day)
    place = np.flatnonzero(~is_part)  # who pays in full also pays what fell due since
    while (place := place[standing.is_past_due(loans[place], day)]).size:
        payers = loans[place]
        amount[place] += standing.rest_minor[payers] + standing.penalty_minor(payers, day)
        standing.settle(payers, standing.rest_minor[payers], day)
    return loans, amount


def _probability(lender: Lender, loans: Int64s, day: date, push: Float64s) -> Float64s:
    """The probability of each loan to be paid on `day`. `push`: two rows, a column a borrower."""
    traits, late = lender.traits, lender.standing.days_late(loans, day)
    habits = {name: values[loans] for name, values in traits.habits.items()}
    is_ahead = late <= 0
    base = np.where(
        is_ahead,
        traits.urge[loans] * RISE[np.clip(late + AHEAD_DAYS, 0, AHEAD_DAYS)],
        habits["cure"] * np.where(late > STALE_DAYS, STALE, 1.0),
    )
    calm, urgent = push[:, traits.borrower[loans]]
    told = np.where(is_ahead, habits["reminded"], habits["dunned"])
    hazard = base * (1 + told * (calm + urgent * habits["urgency"]))
    by_autopay = np.where(late == 0, 1 - habits["no_funds"], 0.0)
    return np.where(traits.is_autopay[loans] & is_ahead, by_autopay, 1 - np.exp(-hazard))


def _messages(lender: Lender, delivered: pl.DataFrame, day: date) -> pl.DataFrame:
    """The messages as they weigh on `day`: borrower (row), days_ago, is_urgent, weight."""
    frame = conform(delivered, DELIVERED, name="delivered")
    on = pl.col("at").dt.convert_time_zone(TIMEZONE).dt.date()
    days_ago = (pl.lit(day) - on).dt.total_days()
    left = 0.5 ** ((pl.col("days_ago") - 1) * 24 / HALF_LIFE_H)
    used = left - 0.5 ** (pl.col("days_ago") * 24 / HALF_LIFE_H)
    is_evening = pl.col("hour") >= EVENING_HOUR
    rows = lender.borrowers.select("borrower_id").with_row_index("borrower")
    return (
        frame.with_columns(days_ago=days_ago, is_urgent=pl.col("tone") == "urgent")
        .filter(pl.col("days_ago").is_between(1, MESSAGE_DAYS_MAX), pl.col("stage") != "service")
        .with_columns(weight=used * pl.when(is_evening).then(EVENING).otherwise(1.0))
        .join(rows, on="borrower_id")
        .sort("borrower", "weight", "is_urgent", descending=[False, True, False])
        .with_columns(
            weight=pl.col("weight")
            * pl.when(pl.col("borrower").is_first_distinct()).then(1.0).otherwise(SECOND_MESSAGE)
        )
    )


def _push(messages: pl.DataFrame, borrowers: int) -> Float64s:
    """What the messages add up to for each borrower: a row in calm tones, a row in urgent tone."""
    push = np.zeros((2, borrowers))
    place = messages["is_urgent"].cast(pl.Int64).to_numpy(), messages["borrower"].to_numpy()
    np.add.at(push, place, messages["weight"].to_numpy())
    return push


def _payments(lender: Lender, days: list[tuple[date, Int64s, Int64s]], seed: int) -> pl.DataFrame:
    """The payments of some days in the book's form, each day's in order of time."""
    traits, frames = lender.traits, []
    names = lender.loans.select("loan_id", "borrower_id")
    for day, payers, amount in days:
        at = PAID_FROM_H * 3600 + _luck(traits, payers, seed, day, "hour") * 3600 * (
            PAID_UNTIL_H - PAID_FROM_H
        )
        paid_at = _day_starts(day) + at.astype(np.int64) * 1_000_000
        frames.append(
            pl.DataFrame({"loan": payers, "paid_at": paid_at, "amount_minor": amount}).with_columns(
                day=pl.lit(day.strftime("%Y%m%d"))
            )
        )
    rows = pl.concat(frames)
    frame = names[rows["loan"]].with_columns(
        ("P" + names["loan_id"].gather(rows["loan"]) + "-" + rows["day"]).alias("payment_id"),
        rows["paid_at"].cast(INSTANT),
        rows["amount_minor"],
        kind=pl.lit("payment"),
        reverses=pl.lit(None, pl.String),
        component=pl.lit(None, pl.String),
        source=pl.lit("core"),
    )
    return conform(frame, PAYMENTS, name="payments").sort("paid_at", "payment_id")


def _replies(lender: Lender, messages: pl.DataFrame, day: date, seed: int) -> pl.DataFrame:
    """The replies to the messages of the day before."""
    standing, borrower_of = lender.standing, lender.traits.borrower
    unpaid = np.flatnonzero(standing.row < standing.end)
    owes = np.zeros(len(lender.borrowers), dtype=np.bool_)
    owes[borrower_of[unpaid[standing.days_late(unpaid, day) >= 0]]] = True
    rows = messages.filter(pl.col("days_ago") == 1)["borrower"].unique().sort()
    messaged = lender.borrowers.select("borrower_id", "borrower_hash")[rows]
    messaged = messaged.with_columns(pl.Series("owes", owes[rows.to_numpy()]))
    return replies(messaged, seed=seed, day=day, day_starts=_day_starts(day))


def _traits(book: pl.DataFrame, owers: pl.DataFrame, habits: pl.DataFrame) -> Traits:
    row = owers["borrower_id"].search_sorted(book["borrower_id"]).to_numpy().astype(np.int64)
    by_loan = {name: habits[name].to_numpy()[row] for name in HABITS}
    return Traits(
        loan_hash=book["loan_hash"],
        borrower=row,
        is_autopay=book["autopay"].to_numpy(),
        urge=-np.log(by_loan["late"]),
        habits=by_loan,
    )


def _luck(traits: Traits, loans: Int64s, seed: int, day: date, what: str) -> Float64s:
    return draws(f"sim/{seed}/{day.isoformat()}/{what}", traits.loan_hash.gather(loans)).to_numpy()


def _day_starts(day: date) -> int:
    """Local midnight, in microseconds since 1970 UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(TIMEZONE))
    return int(midnight.timestamp()) * 1_000_000
