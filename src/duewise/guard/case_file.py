"""Case files of the guard, schema cg-cases/1: read and checked; nothing is judged here.

Amounts in a case file are decimals of major units. A fact that no rule knows is not an error: a
misspelt fact leaves the right one missing, and what is missing fails closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

from duewise.document import Node, parse, parse_file
from duewise.guard.cap import EVENTS
from duewise.guard.facts import FACTS, MINOR_PER_MAJOR, Kind
from duewise.guard.profile import read_calendar
from duewise.guard.rule import Outcome
from duewise.times import parse_instant

SCHEMA = "cg-cases/1"
_FILE_KEYS = (
    *("schema", "version", "calendars", "bases", "cases"),
    *("sms_length_vectors", "lint_must_pass", "lint_must_block"),
)
_EXPECT_KEYS = ("decision", "rules", "next_allowed_at")


@dataclass(frozen=True)
class Expected:
    """What a check says of its verdict; None is not compared. `rules` are the deciding ones."""

    decision: str | None
    rules: tuple[str, ...] | None
    next_allowed_at: datetime | None


@dataclass(frozen=True)
class Check:
    """One verdict to be reached: the facts that are known, and what is expected of them."""

    case: str
    number: int
    jurisdiction: str
    facts: Mapping[str, object]
    history: Sequence[Mapping[str, object]] | None
    now: datetime | None
    expected: Expected
    line: int


@dataclass(frozen=True)
class CaseFile:
    """All checks of a file in their order, and the calendars that replace others of that name."""

    source: str
    checks: tuple[Check, ...]
    calendars: Mapping[str, Node]


def load_cases(path: Path) -> CaseFile:
    """The case file at a path. Raises BadInput with its line."""
    return _case_file(parse_file(path))


def read_cases(text: str, *, source: str) -> CaseFile:
    """The case file in a text."""
    return _case_file(parse(text, source=source))


def _case_file(root: Node) -> CaseFile:
    members = root.known(_FILE_KEYS, what="a case file")
    schema, cases = root.required(members, "schema", "cases")
    if schema.text() != SCHEMA:
        schema.refuse(f"schema {schema.text()!r} is not known", mend=f"write `schema: {SCHEMA}`")
    bases = _entries(members.get("bases"))
    calendars = _entries(members.get("calendars"))
    for calendar in calendars.values():
        read_calendar(calendar)
    checks = tuple(check for case in cases.items() for check in _case(case, bases))
    return CaseFile(root.source, checks, calendars)


def _case(node: Node, bases: Mapping[str, Node]) -> list[Check]:
    members = node.known(("id", "title", "base", "set", "checks", "note"), what="a case")
    name, checks = node.required(members, "id", "checks")
    facts: dict[str, Node] = {}
    if "base" in members:
        base = members["base"]
        if base.text() not in bases:
            base.refuse(f"no base {base.text()!r}", mend=f"name one of {', '.join(bases)}")
        facts |= bases[base.text()].entries()
    facts |= _entries(members.get("set"))
    return [
        _check(check, name.text(), number, facts) for number, check in enumerate(checks.items(), 1)
    ]


def _check(node: Node, case: str, number: int, facts: Mapping[str, Node]) -> Check:
    members = node.known(("set", "expect", "note"), what="a check")
    facts = {**facts, **_entries(members.get("set"))}
    if "jur" not in facts:
        node.refuse("the check names no profile", mend="set `jur`, for example `jur: CN`")
    known = {name: _fact(name, value) for name, value in facts.items() if name in FACTS}
    history = facts.get("history")
    return Check(
        case,
        number,
        jurisdiction=facts["jur"].text(),
        facts=known | {"history": True if _is_given(history) else None},
        history=[_event(event) for event in history.items()]
        if history is not None and _is_given(history)
        else None,
        now=_offset_kept(facts["now"]) if _is_given(facts.get("now")) else None,
        expected=_expected(members.get("expect")),
        line=node.line,
    )


def _expected(node: Node | None) -> Expected:
    members = {} if node is None else node.known(_EXPECT_KEYS, what="`expect`")
    decision, rules, at = (members.get(key) for key in _EXPECT_KEYS)
    words = tuple(outcome.word for outcome in Outcome)
    if decision is not None and decision.text() not in words:
        decision.refuse("no such decision", mend=f"use one of {', '.join(words)}")
    return Expected(
        decision.text() if decision is not None else None,
        rules.texts() if rules is not None else None,
        _instant(at) if at is not None and _is_given(at) else None,
    )


def _event(node: Node) -> dict[str, object]:
    names = [name for name in EVENTS if name != "borrower_id"]
    members = node.known(names, what="a history event")
    (at,) = node.required(members, "at")
    event: dict[str, object] = dict.fromkeys(names)
    for name, value in members.items():
        if _is_given(value):
            event[name] = list(value.texts()) if name == "flags" else value.text()
    return event | {"at": _instant(at)}


def _fact(name: str, node: Node) -> object:
    if name == "history" or not _is_given(node):
        return None
    return _READ[FACTS[name].kind](node)


def _bool(node: Node) -> bool:
    if node.text() not in ("true", "false"):
        node.refuse(f"{node.text()!r} is neither true nor false", mend="write true or false")
    return node.text() == "true"


def _number(node: Node) -> Decimal:
    try:
        number = Decimal(node.text())
    except InvalidOperation:
        node.refuse(f"{node.text()!r} is not a number", mend="write a decimal such as 868.40")
    if not number.is_finite():
        node.refuse(f"{node.text()!r} is not a number", mend="write a finite decimal")
    return number


def _amount(node: Node) -> int:
    minor = (_number(node) * MINOR_PER_MAJOR).quantize(Decimal(1), ROUND_HALF_UP)
    return int(minor)


def _instant(node: Node) -> datetime:
    try:
        return parse_instant(node.text())
    except ValueError as error:
        node.refuse(f"not an instant: {error}", mend="write 2026-08-10T09:20:00+08:00")


def _offset_kept(node: Node) -> datetime:
    _instant(node)
    return datetime.fromisoformat(node.text())


def _date(node: Node) -> date:
    try:
        return date.fromisoformat(node.text())
    except ValueError:
        node.refuse(f"{node.text()!r} is not a date", mend="write 2026-08-10")


_READ: Mapping[Kind, Callable[[Node], object]] = {
    Kind.BOOL: _bool,
    Kind.TEXT: Node.text,
    Kind.SET: lambda node: list(node.texts()),
    Kind.AMOUNT: _amount,
    Kind.NUMBER: lambda node: float(_number(node)),
    Kind.INSTANT: _instant,
    Kind.DATE: _date,
}


def _entries(node: Node | None) -> dict[str, Node]:
    return node.entries() if node is not None and _is_given(node) else {}


def _is_given(node: Node | None) -> bool:
    return node is not None and not (node.is_scalar and node.plain() is None)
