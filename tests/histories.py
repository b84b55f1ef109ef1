"""Random histories of a loan: terms, schedule, events and pauses, as the oracle knows them.

Made from one seeded generator, so that a history can be told by its seed.
"""

from __future__ import annotations

import random  # noqa: TID251 -- always seeded: a history is named by its seed
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tests.oracle import COMPONENTS, Event, Line, Pause, Terms

from duewise.book.columns import (
    ADVANCES,
    EVENTS,
    NONE,
    SETTLEMENTS,
    Columns,
    Events,
    Instalments,
    Loans,
    Pauses,
    read_only,
)

DAY_0 = 20_000  # 2024-10-04
HORIZON = 280
STRAIGHT = 0.4  # the share of those that the fold can take the short way


@dataclass(frozen=True)
class History:
    """What an account is made of. `schedule`: (due, effective, principal, interest, fee)."""

    terms: Terms
    schedule: tuple[tuple[int, int, int, int, int], ...]
    events: tuple[Event, ...]
    pauses: tuple[Pause, ...]
    as_of: int

    def lines(self) -> list[Line]:
        return [
            Line(
                due,
                effective,
                {"penalty": 0, "principal": principal, "interest": interest, "fee": fee},
            )
            for due, effective, principal, interest, fee in self.schedule
        ]


def history_of(seed: int) -> History:
    return history(random.Random(seed))


def history(chance: random.Random) -> History:
    schedule = _schedule(chance)
    made = History(
        terms=_terms(chance),
        schedule=schedule,
        events=_events(chance, schedule),
        pauses=_pauses(chance),
        as_of=DAY_0 + chance.randrange(1, HORIZON),
    )
    return _straight(chance, made) if chance.random() < STRAIGHT else made


def _straight(chance: random.Random, made: History) -> History:
    """The same as most loans are: money goes straight on, and mostly nothing but payments came."""
    usual = replace(made.terms, by="instalment", advance="next", compound_every_days=0)
    events = [e for e in made.events if e.kind == "payment" or chance.random() < 0.03]
    for _, effective, *amounts in made.schedule[: chance.randrange(9)]:
        early = chance.choice([0, 0, 1, 5, -2])
        events.append(Event(max(effective - early, DAY_0), "payment", sum(amounts), None))
    return replace(
        made,
        terms=replace(usual, late_fee=None, late_fee_share=None),
        events=tuple(sorted((e for e in events if e.amount), key=lambda event: event.day)),
        pauses=(),
    )


def _terms(chance: random.Random) -> Terms:
    order = chance.choice([COMPONENTS, tuple(chance.sample(COMPONENTS, 4))])
    return Terms(
        order=order,
        by=chance.choice(["instalment", "component"]),
        advance=chance.choice(["next", "last", "hold"]),
        on=chance.choice(["principal", "principal_and_interest"]),
        compound_every_days=chance.choice([0, 0, 0, 1, 7, 30]),
        rate=chance.choice([0, 18_250_000, 32_400_000, 36_000_001, 7_777_777]),
        all_in=chance.choice([None, None, 24_000_000, 10_000_000]),
        late_fee=chance.choice([None, None, 0, 2_500]),
        late_fee_share=chance.choice([None, 50_000, 33_333]),
        late_fee_floor=chance.choice([0, 0, 1_000]),
        grace_days=chance.choice([0, 0, 1, 3, 10]),
        grace_stops_clock=chance.random() < 0.3,
        tolerance=chance.choice([0, 0, 1, 100, 1_500]),
        day_count=chance.choice([360, 365]),
        settlement_interest=chance.choice(["accrued", "period", "all"]),
        settlement_fee=chance.choice([0, 30_000]),
        opened=DAY_0 - chance.randrange(1, 40),
    )


def _schedule(chance: random.Random) -> tuple[tuple[int, int, int, int, int], ...]:
    due = DAY_0 + chance.randrange(0, 40)
    found: list[tuple[int, int, int, int, int]] = []
    principal = chance.choice([0, 1_000, 83_333, 1_000_000, 99_999_999])
    for _ in range(chance.randrange(1, 9)):
        effective = due + chance.choice([0, 0, 0, 1, 2, 8])
        found.append(
            (
                due,
                max(effective, found[-1][1] if found else 0),
                max(principal + chance.randrange(-900, 900), 0),
                chance.choice([0, 1, principal // 50, 1_234]),
                chance.choice([0, 0, 500]),
            )
        )
        due += chance.choice([7, 14, 30, 31, 31])
    return tuple(found)


def _events(
    chance: random.Random, schedule: tuple[tuple[int, int, int, int, int], ...]
) -> tuple[Event, ...]:
    whole = sum(row[2] + row[3] + row[4] for row in schedule)
    one = max(whole // len(schedule), 1)
    events = []
    for _ in range(chance.choice([0, 1, 3, 6, 10])):
        row = chance.choice(schedule)
        day = chance.choice(
            [row[1], row[1] + chance.randrange(-5, 12), DAY_0 + chance.randrange(0, HORIZON)]
        )
        kind = chance.choices(
            ["payment", "chargeback", "waiver", "charge_off", "extension"], [14, 2, 2, 0.3, 1]
        )[0]
        amount = chance.choice([one, row[2] + row[3] + row[4], one // 2, 1, 777, whole, 3 * one])
        what: str | int | None = None
        if kind == "waiver":
            what = chance.choice([None, *COMPONENTS])
        elif kind == "extension":
            what = chance.randrange(len(schedule))
            amount = max(day, schedule[what][1]) + chance.randrange(1, 60)
        if amount > 0:
            events.append(Event(max(day, DAY_0), kind, amount, what))
    return tuple(sorted(events, key=lambda event: event.day))


def _pauses(chance: random.Random) -> tuple[Pause, ...]:
    pauses = []
    for what in ("clock", "penalty"):
        day = DAY_0
        for _ in range(chance.choice([0, 0, 0, 1, 2])):
            day += chance.randrange(1, 120)
            until = day + chance.randrange(1, 30)
            pauses.append(Pause(day, until, what))
            day = until
    return tuple(pauses)


def columns(histories: Sequence[History]) -> Columns:
    """The histories as the compiled fold takes them."""
    terms = [each.terms for each in histories]
    schedule = [row for each in histories for row in each.schedule]
    events = [event for each in histories for event in each.events]
    pauses = [pause for each in histories for pause in each.pauses]
    loans = Loans(
        rules=np.array([_rule(each) for each in terms], np.int64),
        rule=np.arange(len(terms), dtype=np.int32),
        terms=np.array(
            [(t.rate, t.grace_days, t.tolerance, t.day_count, t.opened) for t in terms], np.int64
        ),
        instalment_start=_starts([len(each.schedule) for each in histories]),
        event_start=_starts([len(each.events) for each in histories]),
        pause_start=_starts([len(each.pauses) for each in histories]),
    )
    due, effective, principal, interest, fee = zip(*schedule, strict=True)
    made = Columns(
        loans,
        Instalments(
            np.array(due, np.int32),
            np.array(effective, np.int32),
            np.array(principal, np.int64),
            np.array(interest, np.int64),
            np.array(fee, np.int64),
        ),
        Events(
            np.array([event.day for event in events], np.int32),
            np.array([EVENTS.index(event.kind) for event in events], np.int8),
            np.array([event.amount for event in events], np.int64),
            np.array([_detail(event) for event in events], np.int32),
        ),
        Pauses(
            np.array([pause.since for pause in pauses], np.int32),
            np.array([pause.until for pause in pauses], np.int32),
            np.array([pause.what == "penalty" for pause in pauses], np.int8),
        ),
    )
    return read_only(made)


def _rule(terms: Terms) -> list[int]:
    def given(value: int | None) -> int:
        return NONE if value is None else value

    return [
        *(COMPONENTS.index(component) for component in terms.order),
        terms.by == "component",
        ADVANCES.index(terms.advance),
        terms.on == "principal_and_interest",
        terms.compound_every_days,
        given(terms.late_fee),
        given(terms.late_fee_share),
        terms.late_fee_floor,
        given(terms.all_in),
        terms.grace_stops_clock,
        SETTLEMENTS.index(terms.settlement_interest),
        terms.settlement_fee,
    ]


def _detail(event: Event) -> int:
    if isinstance(event.what, str):
        return COMPONENTS.index(event.what)
    return NONE if event.what is None else event.what


def _starts(counts: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
