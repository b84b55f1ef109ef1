"""What a rule is: plain frozen values, as the profile wrote them and nothing more."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date
from enum import IntEnum
from typing import TypeAlias

from duewise.book.calendar import Calendar
from duewise.guard.predicate import Predicate


class Outcome(IntEnum):
    """What a verdict may say; the order is the severity."""

    ALLOW, REDACT, DEFER, REVIEW, BLOCK = range(5)

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Must:
    """A condition for sending."""

    predicate: Predicate


@dataclass(frozen=True)
class Window:
    """Local hours of contact, in microseconds since midnight; `days` are ISO weekdays 1 to 7."""

    start_us: int
    end_us: int
    end_inclusive: bool
    days: tuple[int, ...]
    exclude_holidays: bool


@dataclass(frozen=True)
class Cap:
    """Most contacts in a span; `unit` is calendar_day, consecutive_days or hours, `n` of them."""

    count: tuple[tuple[str, tuple[str, ...]], ...]
    per: str
    unit: str
    n: int
    max: int
    include_agencies: bool


@dataclass(frozen=True)
class Lint:
    """Word lists of which the rendered text may hold nothing."""

    lexicons: tuple[str, ...]


@dataclass(frozen=True)
class Duty:
    """A timer for another component; it never gates a send."""

    trigger: str
    action: str
    within: str
    repeat: str | None


Body: TypeAlias = Must | Window | Cap | Lint | Duty


@dataclass(frozen=True)
class Rule:
    """One question of a profile. `valid_to` is the last local date on which it is in force."""

    id: str
    profile: str
    scope: tuple[tuple[str, tuple[str, ...]], ...]
    applies_if: Predicate | None
    unless: Predicate | None
    body: Body
    effect: Outcome | None
    basis: str
    conf: str
    src: tuple[str, ...]
    valid_from: date | None = None
    valid_to: date | None = None
    reviewed_by: str | None = None
    line: int = field(default=0, compare=False)

    def is_in_force(self, day: date) -> bool:
        """Whether the rule holds on that local date."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day <= self.valid_to
        )


@dataclass(frozen=True)
class Pattern:
    """A forbidden wording: Python regular expression, the phrase it stands for, its only excuse."""

    re: str
    phrase: str
    ok_if: str | None = None


@dataclass(frozen=True)
class Lexicon:
    """A named list of forbidden wordings."""

    name: str
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Rulebook:
    """The ordered rules of one or more profiles. Two rulebooks are equal if their content is."""

    names: tuple[str, ...] = field(compare=False)
    rules: tuple[Rule, ...] = field(compare=False, repr=False)
    derived: tuple[tuple[str, str], ...] = field(compare=False, repr=False)
    lexicons: tuple[Lexicon, ...] = field(compare=False, repr=False)
    calendar_name: str | None = field(compare=False)
    calendar: Calendar | None = field(compare=False, repr=False)
    tz_default: str | None = field(compare=False)
    roll_default: str = field(compare=False)
    optout_keywords: tuple[str, ...] = field(compare=False, repr=False)
    overlays: tuple[str, ...] = field(compare=False, repr=False)
    retention: tuple[tuple[str, str], ...] = field(compare=False, repr=False)
    version: str = field(compare=False)
    content_hash: str

    def on(self, day: date) -> Rulebook:
        """The rules in force on that day, for messages of any day: was, or is, it lawful then.

        They no longer ask for the date. A rulebook without dated rules is its own answer on every
        day; days with the same rules have equal rulebooks.
        """
        rules = tuple(rule for rule in self.rules if rule.is_in_force(day))
        if not any(rule.valid_from or rule.valid_to for rule in self.rules):
            return self
        stated = "\n".join([self.content_hash, *(f"{rule.id}:{rule.line}" for rule in rules)])
        return replace(
            self,
            rules=tuple(replace(rule, valid_from=None, valid_to=None) for rule in rules),
            content_hash=hashlib.sha256(stated.encode()).hexdigest(),
        )
