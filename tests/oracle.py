"""The ledger by another way: one loan, day by day, in Python's exact integers. Slow and plain.

It follows the words of docs/reference/ledger.md and shares no line with `duewise.book`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

COMPONENTS = ("penalty", "fee", "interest", "principal")
WHOLE = 100_000_000  # of a rate a year
WHOLE_SHARE = 1_000_000


@dataclass(frozen=True)
class Terms:
    """Money in minor units, rates in hundred-millionths a year, shares in millionths, days as numbers."""

    order: tuple[str, ...] = COMPONENTS
    by: str = "instalment"
    advance: str = "next"
    on: str = "principal"
    compound_every_days: int = 0
    rate: int = 0
    all_in: int | None = None
    late_fee: int | None = None
    late_fee_share: int | None = None
    late_fee_floor: int = 0
    grace_days: int = 0
    grace_stops_clock: bool = False
    tolerance: int = 0
    day_count: int = 360
    settlement_interest: str = "accrued"
    settlement_fee: int = 0
    opened: int = 0


@dataclass(frozen=True)
class Event:
    """`what`: a waiver's component, or an extension's instalment (from 0)."""

    day: int
    kind: str
    amount: int
    what: str | int | None = None


@dataclass(frozen=True)
class Pause:
    """[since, until) of the `clock` or the `penalty`."""

    since: int
    until: int
    what: str


@dataclass
class Line:
    """One instalment as it stands."""

    due: int
    effective: int
    charged: dict[str, int]
    paid: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, 0))
    waived: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, 0))
    before: int = 0
    accrued: int = 0  # of a minor unit, in parts of WHOLE times day_count
    allowed: int = 0
    capital: int = 0
    fee: int | None = None
    early: int = 0
    late: int = 0
    settled: int | None = None

    def unpaid(self, component: str) -> int:
        return self.charged[component] - self.paid[component] - self.waived[component]

    @property
    def scheduled(self) -> int:
        return self.owed - self.unpaid("penalty")

    @property
    def owed(self) -> int:
        met = sum(self.paid.values()) + sum(self.waived.values())
        return sum(self.charged.values()) - met


def half_up(value: int, of: int) -> int:
    return (2 * value + of) // (2 * of)


class Account:
    """One loan that lives through its days."""

    def __init__(self, terms: Terms, schedule: Sequence[Line], pauses: Iterable[Pause]) -> None:
        self.terms, self.lines, self.pauses = terms, list(schedule), tuple(pauses)
        self.credit = 0
        self.off_day: int | None = None
        self.off_amount = self.recovered = 0
        self.paused = {
            what: {day for p in self.pauses if p.what == what for day in range(p.since, p.until)}
            for what in ("clock", "penalty")
        }

    # ---- time ----------------------------------------------------------------------------------

    def live(self, first: int, last: int, events: Sequence[Event]) -> None:
        """From the day after `first` to `last`: the day's penalty, held money, then its events."""
        of_day: dict[int, list[Event]] = {}
        for event in events:
            of_day.setdefault(event.day, []).append(event)
        for day in range(first + 1, last + 1):
            self.pass_day(day)
            self.release(day)
            for event in of_day.get(day, ()):
                self.happen(event)

    def is_paused(self, what: str, day: int) -> bool:
        return day in self.paused[what]

    def pass_day(self, day: int) -> None:
        if self.off_day is None or day <= self.off_day:
            for line in self.lines:
                if day > line.effective and (line.settled is None or line.fee is None or line.owed):
                    self.pass_line(line, day)

    def pass_line(self, line: Line, day: int) -> None:
        terms = self.terms
        if not line.owed and line.fee is not None:
            return  # nothing can come of it
        if line.scheduled > terms.tolerance and not self.is_paused("penalty", day):
            base = line.unpaid("principal") + line.capital
            if terms.on == "principal_and_interest":
                base += line.unpaid("interest")
            line.accrued += base * terms.rate
            if terms.all_in is not None:
                line.allowed += line.unpaid("principal") * terms.all_in
        grace_end = line.effective + terms.grace_days
        if day <= grace_end:
            return
        if line.fee is None:
            line.fee = self.late_fee(line) if day == grace_end + 1 else 0
            if self.is_paused("penalty", day) and day == grace_end + 1:
                line.fee = 0
        line.charged["penalty"] = line.before + self.penalty(line)
        every = terms.compound_every_days
        if every and (day - line.effective) % every == 0 and line.scheduled > terms.tolerance:
            line.capital = line.unpaid("penalty")

    def penalty(self, line: Line) -> int:
        unit = WHOLE * self.terms.day_count
        charge = half_up(line.accrued, unit) + (line.fee or 0)
        return charge if self.terms.all_in is None else min(charge, line.allowed // unit)

    def late_fee(self, line: Line) -> int:
        terms = self.terms
        if line.scheduled <= terms.tolerance:
            return 0
        options = [] if terms.late_fee is None else [terms.late_fee]
        if terms.late_fee_share is not None:
            options.append(half_up(line.scheduled * terms.late_fee_share, WHOLE_SHARE))
        return max(min(options), terms.late_fee_floor) if options else 0

    # ---- events --------------------------------------------------------------------------------

    def happen(self, event: Event) -> None:
        if event.kind == "payment":
            self.recovered += event.amount if self.off_day is not None else 0
            self.credit += event.amount
            self.pay_due(event.day)
            if self.terms.advance != "hold":
                self.pay_ahead(event.day)
        elif event.kind == "chargeback":
            self.recovered -= event.amount if self.off_day is not None else 0
            self.charge_back(event)
        elif event.kind == "waiver":
            self.waive(event)
        elif event.kind == "charge_off":
            if self.off_day is None:
                self.off_day, self.off_amount = event.day, sum(line.owed for line in self.lines)
        else:
            self.extend(event)

    def release(self, day: int) -> None:
        if self.credit:
            self.pay_due(day)

    def pay_due(self, day: int) -> None:
        due = [line for line in self.lines if line.effective <= day]
        if self.terms.by == "instalment":
            turns = [(line, component) for line in due for component in self.terms.order]
        else:
            turns = [(line, component) for component in self.terms.order for line in due]
        for line, component in turns:
            self.pay(line, component, day)

    def pay_ahead(self, day: int) -> None:
        ahead = [line for line in self.lines if line.effective > day]
        for line in ahead if self.terms.advance == "next" else reversed(ahead):
            for component in self.terms.order:
                self.pay(line, component, day)

    def pay(self, line: Line, component: str, day: int) -> None:
        paid = min(line.unpaid(component), self.credit)
        if paid:
            self.credit -= paid
            line.paid[component] += paid
            line.early += paid if day < line.effective else 0
            line.late += paid if day > line.effective else 0
            self.close(line, day)

    def charge_back(self, event: Event) -> None:
        amount = event.amount - min(self.credit, event.amount)
        self.credit -= event.amount - amount
        order = self.terms.order
        if self.terms.by == "instalment":
            turns = [(line, component) for line in self.lines for component in order]
        else:
            turns = [(line, component) for component in order for line in self.lines]
        for line, component in reversed(turns):
            back = min(line.paid[component], amount)
            if back:
                amount -= back
                line.paid[component] -= back
                line.late -= min(line.late, back)
                line.early = min(line.early, sum(line.paid.values()) - line.late)
                self.close(line, event.day)

    def waive(self, event: Event) -> None:
        amount = event.amount
        for line in self.lines:
            for component in self.terms.order:
                if event.what in (None, component):
                    off = min(line.unpaid(component), amount)
                    if off:
                        amount -= off
                        line.waived[component] += off
                        self.close(line, event.day)

    def extend(self, event: Event) -> None:
        assert isinstance(event.what, int)
        line = self.lines[event.what]
        self.forget(line)
        line.before, line.fee = line.charged["penalty"], None
        line.effective = event.amount

    def close(self, line: Line, day: int) -> None:
        if line.owed > self.terms.tolerance:
            line.settled = None
        elif line.settled is None:
            line.settled = day
        is_in_grace = day <= line.effective + self.terms.grace_days
        if is_in_grace and line.scheduled <= self.terms.tolerance:
            self.forget(line)
        line.capital = min(line.capital, line.unpaid("penalty"))

    def forget(self, line: Line) -> None:
        line.accrued = line.allowed = line.capital = 0

    # ---- reading -------------------------------------------------------------------------------

    def days_past_due(self, line: Line, day: int) -> int:
        since = line.effective
        since += self.terms.grace_days if self.terms.grace_stops_clock else 0
        if line.owed <= self.terms.tolerance:
            return 0
        return sum(not self.is_paused("clock", each) for each in range(since + 1, day + 1))

    def figures(self, day: int) -> dict[str, int | None]:
        lines, tolerance = self.lines, self.terms.tolerance
        late = [line for line in lines if line.effective < day and line.owed > tolerance]
        credit, ahead = self.credit, []
        for line in lines:
            if line.effective >= day and line.owed:
                covered = min(credit, line.owed)
                credit -= covered
                if line.owed - covered > tolerance:
                    ahead.append((line.effective, line.owed - covered))
        first = min(ahead, key=lambda pair: pair[0]) if ahead else (None, 0)
        return {
            "days_past_due": max((self.days_past_due(line, day) for line in late), default=0),
            "past_due": sum(line.owed for line in lines if line.effective < day) if late else 0,
            "outstanding": sum(line.owed for line in lines),
            "principal": sum(line.unpaid("principal") for line in lines),
            "penalty": sum(line.unpaid("penalty") for line in lines),
            "oldest_due": min((line.effective for line in late), default=None),
            "next_due": first[0],
            "next_due_amount": first[1],
            "overpaid": self.credit,
            "amount_to_clear": sum(line.owed for line in lines if line.effective <= day),
            "settlement_amount": self.settlement(day),
            "charged_off": self.off_amount,
            "recovered": self.recovered,
        }

    def settlement(self, day: int) -> int:
        starts = [self.terms.opened, *(line.due for line in self.lines)]
        total = ahead = 0
        for start, line in zip(starts, self.lines, strict=False):
            if line.effective <= day:
                total += line.owed
                continue
            ahead += line.unpaid("principal")
            met = line.paid["interest"] + line.waived["interest"]
            total += self.earned(line, start, day) - met
        return max(
            total + ahead + half_up(ahead * self.terms.settlement_fee, WHOLE_SHARE) - self.credit, 0
        )

    def earned(self, line: Line, start: int, day: int) -> int:
        interest, rule = line.charged["interest"], self.terms.settlement_interest
        if rule == "all" or line.due <= start or day >= line.due:
            return interest
        if day <= start:
            return 0
        if rule == "period":
            return interest
        return half_up(interest * (day - start), line.due - start)
