"""The guard once more, row by row in plain Python: the benchmark's peer, and the tests' oracle.

It shares with the guard the rules as values and the facts, and no line of how they are judged: no
frame, no expression, no three-valued column. None is a fact that is not known.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from zoneinfo import ZoneInfo

import opencc

from duewise.guard.predicate import AllOf, AnyOf, Atom, Not, Predicate, Ref
from duewise.guard.rule import Cap, Duty, Lexicon, Lint, Must, Outcome, Rule, Rulebook, Window

Facts = Mapping[str, Any]
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
_SCOPES = {"stage": "msg.stage", "channel": "msg.channel", "role": "to.role"}
_KEYS = {"number": ("to.number", "number"), "debt": ("acct.debt", "debt")}
_HAN = r"[\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_GAP = re.compile(rf"(?<={_HAN})([^\w]|_)+(?={_HAN})")
_US = timedelta(microseconds=1)


@dataclass(frozen=True)
class RowJudge:
    """One rulebook, asked for one message after the other."""

    rulebook: Rulebook

    def __call__(
        self, facts: Facts, events: Sequence[Facts]
    ) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Outcome, every rule that fired, and the deciding ones. `events`: the borrower's own."""
        known = {**facts, **_derived(facts, self.rulebook)}
        fired = [rule for rule in self.rulebook.rules if self._fires(rule, known, events)]
        worst = max((rule.effect for rule in fired if rule.effect), default=Outcome.ALLOW)
        names = tuple(dict.fromkeys(rule.id for rule in fired))
        deciding = (rule.id for rule in fired if rule.effect is worst)
        return worst.word, names, tuple(dict.fromkeys(deciding))

    def _fires(self, rule: Rule, facts: Facts, events: Sequence[Facts]) -> bool:
        if isinstance(rule.body, Duty) or not _is_concerned(rule, facts):
            return False
        return self._holds(rule, facts, events) is not True

    def _holds(self, rule: Rule, facts: Facts, events: Sequence[Facts]) -> bool | None:
        match rule.body:
            case Must(predicate):
                return _truth(predicate, facts)
            case Window():
                return _is_open(rule.body, facts, self.rulebook)
            case Cap():
                return _has_room(rule.body, facts, events, self.rulebook)
            case Lint(lexicons):
                return _is_clean(facts["msg.text"], lexicons, self.rulebook.lexicons)
        return None


def _is_concerned(rule: Rule, facts: Facts) -> bool:
    for key, values in rule.scope:
        value = facts[_SCOPES[key]]
        if value is not None and value not in values:
            return False
    first, last = facts["dates"] or (None, None)
    if rule.valid_from and last is not None and last < rule.valid_from:
        return False
    if rule.valid_to and first is not None and first > rule.valid_to:
        return False
    if rule.applies_if and _truth(rule.applies_if, facts) is False:
        return False
    return not (rule.unless and _truth(rule.unless, facts) is True)


def _truth(predicate: Predicate, facts: Facts) -> bool | None:
    match predicate:
        case AllOf(members):
            truths = [_truth(member, facts) for member in members]
            return False if False in truths else None if None in truths else True
        case AnyOf(members):
            truths = [_truth(member, facts) for member in members]
            return True if True in truths else None if None in truths else False
        case Not(member):
            truth = _truth(member, facts)
            return None if truth is None else not truth
        case Atom(fact, "present" | "absent" as op, _):
            return (facts[fact] is not None) is (op == "present")
        case Atom(fact, op, value):
            other = facts[value.fact] if isinstance(value, Ref) else value
            if facts[fact] is None or other is None:
                return None
            return _compare(op, facts[fact], other)


def _compare(op: str, one: Any, other: Any) -> bool:  # noqa: ANN401 -- a fact of any kind
    match op:
        case "in":
            return one in other
        case "nin":
            return one not in other
        case "subset":
            return set(one) <= set(other)
        case "superset":
            return set(one) >= set(other)
        case "overlaps":
            return not set(one).isdisjoint(other)
    return _COMPARE[op](one, float(other) if isinstance(other, Decimal) else other)


def _derived(facts: Facts, rulebook: Rulebook) -> dict[str, Any]:
    dates = _dates(facts, rulebook)
    due = _due(facts["acct.due_date"], facts["acct.due_roll"], rulebook)
    amount_due, paid = facts["acct.amount_due"], facts["acct.paid"]
    shortfall = None if amount_due is None or paid is None else amount_due - paid
    late = None if dates is None or due is None else (dates[0] - due).days
    grace, tolerance, quoted = (
        facts[name] for name in ("acct.grace_days", "acct.tolerance", "msg.amount")
    )
    unknown = None in (late, grace, shortfall, tolerance)
    return {
        "dates": dates,
        "d.due_eff": due,
        "d.shortfall": shortfall,
        "d.dpd": None if late is None else max(0, late),
        "d.is_overdue": None if unknown else late > grace and shortfall > tolerance,
        "d.msg_amount_ok": True
        if quoted is None
        else None
        if shortfall is None
        else quoted == shortfall,
        "d.local_hm": _local_hm(facts["now"], rulebook.tz_default),
    }


def _dates(facts: Facts, rulebook: Rulebook) -> tuple[date, date] | None:
    """The earliest and the latest local date of `now`."""
    zones = [rulebook.tz_default] if rulebook.tz_default else _zones(facts)
    if facts["now"] is None or zones is None:
        return None
    dates = [facts["now"].astimezone(_zone(zone)).date() for zone in zones]
    return min(dates), max(dates)


def _due(day: date | None, clause: str | None, rulebook: Rulebook) -> date | None:
    roll = rulebook.roll_default if clause == "default" else clause
    if day is None or roll not in ("none", "statutory_only", "statutory_and_weekly_rest"):
        return None
    calendar, first = rulebook.calendar, day
    while calendar and roll != "none" and day not in calendar.workdays:
        is_weekly = roll != "statutory_only" and day.isoweekday() in calendar.weekly_rest
        if day not in calendar.holidays and not is_weekly:
            break
        day += timedelta(days=1)
    years = calendar.years if calendar and roll != "none" else None
    return day if years is None or {first.year, day.year} <= years else None


def _local_hm(now: datetime | None, zone: str | None) -> str | None:
    return None if now is None or zone is None else f"{now.astimezone(_zone(zone)):%H:%M}"


def _is_open(window: Window, facts: Facts, rulebook: Rulebook) -> bool | None:
    zones = _zones(facts)
    if facts["now"] is None or zones is None:
        return None
    return all(
        _is_open_at(window, facts["now"].astimezone(_zone(zone)), rulebook) for zone in zones
    )


def _is_open_at(window: Window, local: datetime, rulebook: Rulebook) -> bool:
    since_midnight = local.replace(tzinfo=None) - datetime.combine(
        local.date(), datetime.min.time()
    )
    time_us = since_midnight // _US
    if time_us < window.start_us or time_us > window.end_us:
        return False
    if time_us == window.end_us and not window.end_inclusive:
        return False
    calendar = rulebook.calendar if window.exclude_holidays else None
    if calendar and local.date() in calendar.holidays:
        return False
    if calendar and calendar.years is not None and local.year not in calendar.years:
        return False
    return local.isoweekday() in window.days


def _has_room(cap: Cap, facts: Facts, events: Sequence[Facts], rulebook: Rulebook) -> bool | None:
    now, zones = facts["now"], [rulebook.tz_default] if rulebook.tz_default else _zones(facts)
    fact, key = _KEYS.get(cap.per, ("borrower_id", "borrower_id"))
    if None in (now, facts["history"], facts[fact]) or (zones is None and cap.unit != "hours"):
        return None
    count = sum(
        event[key] == facts[fact] and _counts(cap, event) and _is_within(cap, event, now, zones)
        for event in events
    )
    return bool(count < cap.max)


def _counts(cap: Cap, event: Facts) -> bool:
    for key, values in cap.count:
        if key == "not_flags":
            if not set(event["flags"] or ()).isdisjoint(values):
                return False
        elif event[key] not in values:
            return False
    return cap.include_agencies or event["actor"] in (None, "own")


def _is_within(cap: Cap, event: Facts, now: datetime, zones: Sequence[str] | None) -> bool:
    at = event["at"]
    if at is None or at > now:
        return False
    if cap.unit == "hours":
        return bool(now - at < timedelta(hours=cap.n))
    return any(
        0 <= (now.astimezone(_zone(zone)).date() - at.astimezone(_zone(zone)).date()).days < cap.n
        for zone in zones or ()
    )


def _is_clean(text: str | None, names: Sequence[str], lexicons: Sequence[Lexicon]) -> bool | None:
    if text is None:
        return None
    plain = _plain(text)
    return not any(
        pattern.search(plain)
        for lexicon in lexicons
        if lexicon.name in names
        for pattern in _patterns(lexicon)
    )


def _plain(text: str) -> str:
    simple = _simplifier().convert(unicodedata.normalize("NFKC", text)).lower()
    return _GAP.sub("", simple)


@cache
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


@cache
def _patterns(lexicon: Lexicon) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern.re) for pattern in lexicon.patterns)


def _zones(facts: Facts) -> list[str] | None:
    """The candidate zones; None if there is none, or one that does not exist."""
    zones = facts["to.tz"]
    return zones if zones and all(_zone(zone) for zone in zones) else None


@cache
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return None
