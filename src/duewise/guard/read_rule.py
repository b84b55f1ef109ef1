"""From a YAML node to a Rule: every key, fact, operator, effect and word list is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date

from duewise.document import Node
from duewise.guard.facts import FACTS
from duewise.guard.predicate import Predicate, facts_of, read_predicate
from duewise.guard.rule import Body, Cap, Duty, Lint, Must, Outcome, Rule, Window

DAY_US = 86_400_000_000
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EFFECTS = {outcome.word: outcome for outcome in Outcome if outcome is not Outcome.ALLOW}
BASES = ("law", "reg", "std", "self", "carrier", "contract", "policy")
SCOPES = {"stage": "msg.stage", "channel": "msg.channel", "role": "to.role"}
# A misspelt stage would be a rule that never speaks. Roles are open: whoever is none of ours is a
# third party.
SCOPE_WORDS: Mapping[str, tuple[str, ...]] = {
    "stage": (
        *("pre_due", "due_day", "overdue", "statutory", "service", "marketing"),
        *("contact_restore", "optout_confirm", "bureau_report", "enforcement_start"),
    ),
    "channel": (
        *("sms", "push", "wechat", "email", "voice_human", "voice_ai", "voice_notice"),
        *("visit", "internal", "social_public"),
    ),
}
COUNTED = ("channel", "dir", "outcome", "stage", "not_flags")
PER = ("debtor", "number", "debt")
UNITS = ("calendar_day", "consecutive_days", "hours")
_KEYS = (
    *("id", "for", "if", "unless", "must", "window", "cap", "lint", "duty", "else"),
    *("basis", "conf", "src", "valid_from", "valid_to", "reviewed_by"),
)


def read_rule(node: Node, *, profile: str, lexicons: Iterable[str]) -> Rule:
    """The rule of a profile at this node. Raises BadInput with file, line and mend."""
    members = node.known(_KEYS, what="a rule")
    name, basis, conf, src = node.required(members, "id", "basis", "conf", "src")
    body = _body(node, members, lexicons)
    return Rule(
        id=name.text(),
        profile=profile,
        scope=_scope(members.get("for")),
        applies_if=_condition(members.get("if")),
        unless=_condition(members.get("unless")),
        body=body,
        effect=_effect(node, members, body),
        basis=_one_of(basis, BASES),
        conf=_one_of(conf, ("H", "M", "L")),
        src=src.texts(),
        **_in_force(members),
        reviewed_by=members["reviewed_by"].text() if "reviewed_by" in members else None,
        line=node.line,
    )


def predicates_of(rule: Rule) -> tuple[Predicate, ...]:
    """Its condition, its exemption and what it asks, as far as there are any."""
    asked = rule.body.predicate if isinstance(rule.body, Must) else None
    return tuple(each for each in (rule.applies_if, rule.unless, asked) if each is not None)


def rule_facts(rule: Rule) -> frozenset[str]:
    """Every fact the rule asks for, the derived ones by their own names."""
    body: tuple[str, ...] = ()
    match rule.body:
        case Window():
            body = ("now", "to.tz")
        case Cap(per=per):
            keys = {"number": ("to.number",), "debt": ("acct.debt",)}
            body = ("now", "to.tz", "history", *keys.get(per, ()))
        case Lint():
            body = ("msg.text",)
    asked = (fact for predicate in predicates_of(rule) for fact in facts_of(predicate))
    scope = (SCOPES[key] for key, _ in rule.scope)
    in_force = ("now", "to.tz") if rule.valid_from or rule.valid_to else ()
    return frozenset((*asked, *scope, *body, *in_force))


def _body(node: Node, members: Mapping[str, Node], lexicons: Iterable[str]) -> Body:
    found = [key for key in _BODIES if key in members] + ["lint"] * ("lint" in members)
    if len(found) != 1:
        node.refuse(
            f"a rule has one body, this one has {len(found)} ({', '.join(found) or 'none'})",
            mend="keep one of must, window, cap, lint, duty; split the rule if both are needed",
        )
    body = members[found[0]]
    return _lint(body, lexicons) if found[0] == "lint" else _BODIES[found[0]](body)


def _must(node: Node) -> Must:
    return Must(read_predicate(node))


def _window(node: Node) -> Window:
    members = node.known(
        ("start", "end", "end_inclusive", "days", "exclude_holidays"), what="a window"
    )
    start, end = node.required(members, "start", "end")
    start_us, end_us = _time_us(start), _time_us(end)
    if start_us >= end_us:
        node.refuse("the window ends before it starts", mend="split it in two at midnight")
    days = members.get("days")
    return Window(
        start_us,
        end_us,
        end_inclusive=_flag(members.get("end_inclusive")),
        days=tuple(WEEKDAYS.index(_one_of(day, WEEKDAYS)) + 1 for day in days.items())
        if days
        else tuple(range(1, 8)),
        exclude_holidays=_flag(members.get("exclude_holidays")),
    )


def _cap(node: Node) -> Cap:
    members = node.known(("count", "per", "window", "max", "include_agencies"), what="a cap")
    count, per, window, most = node.required(members, "count", "per", "window", "max")
    span = window.known(("type", "n"), what="a cap's window")
    (unit,) = window.required(span, "type")
    unit_name = _one_of(unit, UNITS)
    if (unit_name == "calendar_day") == ("n" in span):
        window.refuse(
            f"{unit_name} {'takes no' if 'n' in span else 'needs an'} `n`",
            mend="write {type: calendar_day} or {type: consecutive_days, n: 7}",
        )
    counted = count.known(COUNTED, what="what a cap counts")
    return Cap(
        count=tuple((key, values.texts()) for key, values in counted.items()),
        per=_one_of(per, PER),
        unit=unit_name,
        n=_positive(span["n"]) if "n" in span else 1,
        max=_positive(most),
        include_agencies=_flag(members.get("include_agencies")),
    )


def _lint(node: Node, lexicons: Iterable[str]) -> Lint:
    known = tuple(lexicons)
    return Lint(tuple(_one_of(member, known, what="lexicon") for member in node.items()))


def _duty(node: Node) -> Duty:
    members = node.known(("trigger", "action", "within", "repeat"), what="a duty")
    trigger, action, within = node.required(members, "trigger", "action", "within")
    repeat = members["repeat"].text() if "repeat" in members else None
    return Duty(trigger.text(), action.text(), within.text(), repeat)


_BODIES: dict[str, Callable[[Node], Body]] = {
    "must": _must,
    "window": _window,
    "cap": _cap,
    "duty": _duty,
}


def _scope(node: Node | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if node is None:
        return ()
    scope = node.known(tuple(SCOPES), what="the scope `for`")
    for key, values in scope.items():
        for value in values.items():
            if key in SCOPE_WORDS:
                _one_of(value, SCOPE_WORDS[key], what=key)
    return tuple((key, values.texts()) for key, values in scope.items())


def _condition(node: Node | None) -> Predicate | None:
    return read_predicate(node) if node else None


def _effect(node: Node, members: Mapping[str, Node], body: Body) -> Outcome | None:
    if isinstance(body, Duty):
        if "else" in members:
            members["else"].refuse("a duty gates nothing", mend="remove `else`")
        return None
    (effect,) = node.required(members, "else")
    return EFFECTS[_one_of(effect, tuple(EFFECTS), what="effect")]


def _in_force(members: Mapping[str, Node]) -> dict[str, date | None]:
    dates = {key: _date(members.get(key)) for key in ("valid_from", "valid_to")}
    if dates["valid_from"] and dates["valid_to"] and dates["valid_to"] < dates["valid_from"]:
        members["valid_to"].refuse("it ends before it begins", mend="exchange the two dates")
    return dates


def _one_of(node: Node, allowed: tuple[str, ...], *, what: str = "word") -> str:
    text = node.text()
    if text not in allowed:
        node.refuse(f"unknown {what} {text!r}", mend=f"use one of {', '.join(allowed)}")
    return text


def _time_us(node: Node) -> int:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?|(24):00", node.text())
    if not found:
        node.refuse(f"{node.text()!r} is not a time of day", mend='write "08:00" to "24:00"')
    hour, minute, second, midnight = found.groups()
    if midnight:
        return DAY_US
    return ((int(hour) * 60 + int(minute)) * 60 + int(second or 0)) * 1_000_000


def _flag(node: Node | None) -> bool:
    if node is None:
        return False
    return _one_of(node, ("true", "false")) == "true"


def _positive(node: Node) -> int:
    if not node.text().isdecimal() or int(node.text()) < 1:
        node.refuse(f"{node.text()!r} is not a count", mend="write a whole number from 1")
    return int(node.text())


def _date(node: Node | None) -> date | None:
    if node is None:
        return None
    try:
        return date.fromisoformat(node.text())
    except ValueError:
        node.refuse(f"{node.text()!r} is not a date", mend="write it as 2026-11-23")


assert set(SCOPES.values()) <= set(FACTS), "a scope asks for facts that exist"
