"""A rule in words: what it asks of whom, as a compliance officer reads it in a table."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from duewise.guard.facts import FACTS, MINOR_PER_MAJOR, Kind
from duewise.guard.predicate import AllOf, AnyOf, Atom, Not, Predicate, Ref
from duewise.guard.rule import Cap, Duty, Lint, Must, Rule, Window

_MINUTE_US = 60_000_000
_DAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def asked_of(rule: Rule) -> str:
    """The messages a rule speaks about; `all` if it is every one."""
    return "; ".join(f"{key}: {', '.join(values)}" for key, values in rule.scope) or "all"


def asks(rule: Rule) -> str:
    """What a rule asks, its condition and its exemption with it.

    >>> from duewise.guard.profile import load_rulebook
    >>> rules = {rule.id: rule for rule in load_rulebook(["CN"]).rules}
    >>> asks(rules["CN-FEE-02"]).partition(": ")[2]
    'acct.apr_total <= 24'
    >>> asks(rules["CN-CAP-05"])
    'fewer than 3 in 7 consecutive days per debt (channel sms; dir out; stage overdue)'
    """
    return "".join(_clauses(rule))


def in_force(rule: Rule) -> str:
    """From when to when, if the profile says so.

    >>> from duewise.guard.profile import load_rulebook
    >>> rules = {rule.id: rule for rule in load_rulebook(["US-REGF"]).rules}
    >>> in_force(rules["US-OPT-03"]), in_force(rules["US-OPT-02"])
    ('from 2024-04-04', '')
    """
    ends = (("from", rule.valid_from), ("to", rule.valid_to))
    return " ".join(f"{word} {day.isoformat()}" for word, day in ends if day)


def _clauses(rule: Rule) -> Iterator[str]:
    if rule.applies_if:
        yield f"if {predicate_words(rule.applies_if)}: "
    yield _body(rule)
    if rule.unless:
        yield f", unless {predicate_words(rule.unless)}"


def _body(rule: Rule) -> str:
    match rule.body:
        case Must(predicate):
            return predicate_words(predicate)
        case Window():
            return _window(rule.body)
        case Cap():
            return _cap(rule.body)
        case Lint(lexicons):
            return f"nothing of {', '.join(lexicons)} in the text"
        case Duty(trigger, action, within, repeat):
            again = f", again every {repeat}" if repeat else ""
            return f"timer: {action} within {within} of {trigger}{again}"


def _window(window: Window) -> str:
    end = " inclusive" if window.end_inclusive else ""
    days = ", ".join(_DAYS[day] for day in window.days)
    only = "" if len(window.days) == len(_DAYS) - 1 else f" on {days}"
    rest = ", never on a holiday" if window.exclude_holidays else ""
    return f"{_clock(window.start_us)} to {_clock(window.end_us)}{end}{only}{rest}, local time"


def _cap(cap: Cap) -> str:
    span = "one calendar day" if cap.unit == "calendar_day" else f"{cap.n} {cap.unit}"
    counted = "; ".join(f"{key} {', '.join(values)}" for key, values in cap.count)
    agencies = ", agencies' with ours" if cap.include_agencies else ""
    return f"fewer than {cap.max} in {span.replace('_', ' ')} per {cap.per} ({counted}{agencies})"


def _clock(time_us: int) -> str:
    hour, minute = divmod(time_us // _MINUTE_US, 60)
    return f"{hour:02d}:{minute:02d}"


def predicate_words(predicate: Predicate) -> str:
    """The condition as a profile would write it, on one line."""
    match predicate:
        case AllOf(members):
            return " and ".join(map(_within, members))
        case AnyOf(members):
            return " or ".join(map(_within, members))
        case Not(member):
            return f"not {_within(member)}"
        case Atom(fact, op, value):
            return " ".join(filter(None, (fact, op, _value(fact, value))))


def _within(predicate: Predicate) -> str:
    words = predicate_words(predicate)
    return words if isinstance(predicate, Atom | Not) else f"({words})"


def _value(fact: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"[{', '.join(_value(fact, member) for member in value)}]"
    if isinstance(value, Ref):
        return value.fact
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal) and FACTS[fact].kind is Kind.AMOUNT:
        return str(value / MINOR_PER_MAJOR)
    return str(value)
