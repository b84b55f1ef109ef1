"""From profile files to a rulebook: the front of the compiler. Schema jp/1, see docs/compliance.md.

A name is looked for in the given folders first and among the profiles shipped here last; word lists
of a folder replace those of the same name, calendars replace the years they name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from duewise.book.calendar import ROLLS, Calendar, chinese_calendar
from duewise.document import Node, parse, parse_file
from duewise.errors import BadInput
from duewise.guard.derived import DERIVED
from duewise.guard.lexicon import relaxed
from duewise.guard.predicate import read_predicate
from duewise.guard.read_rule import WEEKDAYS, read_rule
from duewise.guard.rule import Lexicon, Lint, Outcome, Pattern, Rule, Rulebook

SCHEMA = "jp/1"
HOLIDAY_DAYS_MAX = 60
CALENDAR_LIBRARIES: Mapping[str, Callable[[], Calendar]] = {"cn": chinese_calendar}
_HEAD = ("schema", "version")
_PROFILE_KEYS = (
    *(*_HEAD, "profile", "tz_default", "calendar", "due", "optout_keywords", "rules"),
    *("retention", "overlays", "applies_if"),
)


@dataclass(frozen=True)
class _Library:
    """What lies in the folders: profiles by code, calendars and word lists by name."""

    profiles: dict[str, Node]
    calendars: dict[str, list[Node]]  # the nearest folder's first
    lexicons: dict[str, Node]
    common: Node


def load_rulebook(names: Sequence[str], *, directories: Sequence[Path] = ()) -> Rulebook:
    """The rules of those profiles together; where several speak, the worst effect wins.

    The first profile that names a zone, a calendar or a roll clause decides it for all. Raises
    BadInput with file, line and what to do about it.

    >>> load_rulebook(["CN", "HOUSE"]).rules[-1].id
    'DW-OPT-01'
    """
    library = _library(directories)
    nodes = [_profile_node(library, name) for name in names]
    if not nodes:
        raise BadInput("no profile is named", mend=f"name one of {_codes(library)}")
    profiles = [_read_profile(node, library) for node in nodes]
    rules = tuple(rule for profile in profiles for rule in profile.rules)
    _refuse_doubles(rules, {p.names[0]: n.source for p, n in zip(profiles, nodes, strict=True)})
    first = profiles[0]
    calendar_name = next((p.calendar_name for p in profiles if p.calendar_name), None)
    used = tuple(
        name
        for name in library.lexicons
        if any(isinstance(rule.body, Lint) and name in rule.body.lexicons for rule in rules)
    )
    content = [
        *nodes,
        library.common,
        *(library.lexicons[name] for name in used),
    ]
    calendar = read_calendar(*library.calendars[calendar_name]) if calendar_name else None
    return replace(
        first,
        names=tuple(name for profile in profiles for name in profile.names),
        rules=rules,
        derived=_derived(library.common),
        lexicons=tuple(read_lexicon(name, library.lexicons[name]) for name in used),
        calendar_name=calendar_name,
        calendar=calendar,
        tz_default=next((p.tz_default for p in profiles if p.tz_default), None),
        roll_default=next((p.roll_default for p in profiles if p.roll_default != "none"), "none"),
        optout_keywords=_joined(profile.optout_keywords for profile in profiles),
        overlays=_joined(profile.overlays for profile in profiles),
        retention=tuple(pair for profile in profiles for pair in profile.retention),
        version=" + ".join(profile.version for profile in profiles),
        content_hash=_hash([*(node.plain() for node in content), _calendar_content(calendar)]),
    )


def with_calendars(rulebook: Rulebook, calendars: Mapping[str, Node]) -> Rulebook:
    """The rulebook with its calendar replaced where a calendar of that name is given."""
    node = calendars.get(rulebook.calendar_name or "")
    if node is None:
        return rulebook
    return replace(
        rulebook,
        calendar=read_calendar(node),
        content_hash=_hash([rulebook.content_hash, node.plain()]),
    )


def profile_names(directories: Sequence[Path] = ()) -> tuple[str, ...]:
    """The codes of all profiles that can be loaded, in alphabetical order."""
    return tuple(sorted(_library(directories).profiles))


def read_calendar(*layers: Node) -> Calendar:
    """A calendar: holidays as dates or `first/last` spans, make-up working days, weekly rest.

    Of several layers the first that names a year decides it; the years that none names come from
    the maintained library that a layer names (`library: cn`). So a new notice is added as data.
    """
    read = [_calendar_layer(node) for node in layers]
    given = [calendar for calendar, _ in read]
    given += [library for _, library in read if library is not None][:1]
    years: dict[int, Calendar] = {}
    for calendar in given:
        for year in sorted(calendar.years or ()):
            years.setdefault(year, calendar)
    return Calendar(
        holidays=_of_years(years, "holidays"),
        workdays=_of_years(years, "workdays"),
        weekly_rest=next((each.weekly_rest for each in given if each.weekly_rest), frozenset()),
        years=frozenset(years) if years else None,
    )


def _calendar_layer(node: Node) -> tuple[Calendar, Calendar | None]:
    """What is written at the node, and the library it names."""
    members = node.known(("holidays", "workdays", "weekly_rest", "library"), what="a calendar")
    rest, library = members.get("weekly_rest"), members.get("library")
    if library is not None and library.text() not in CALENDAR_LIBRARIES:
        library.refuse(
            f"no library {library.text()!r}", mend=f"use {', '.join(CALENDAR_LIBRARIES)}"
        )
    holidays = frozenset(_days(members.get("holidays")))
    workdays = frozenset(_days(members.get("workdays")))
    if twice := holidays & workdays:
        node.refuse(
            f"{min(twice)} is a holiday and a working day", mend="keep it in one of the two lists"
        )
    written = Calendar(
        holidays,
        workdays,
        frozenset(_weekday(day) for day in rest.items()) if rest else frozenset(),
        frozenset(day.year for day in holidays | workdays),
    )
    return written, CALENDAR_LIBRARIES[library.text()]() if library is not None else None


def _of_years(years: Mapping[int, Calendar], name: str) -> frozenset[date]:
    return frozenset(
        day
        for year, calendar in years.items()
        for day in getattr(calendar, name)
        if day.year == year
    )


def read_lexicon(name: str, node: Node) -> Lexicon:
    """A word list; every pattern must be a regular expression of Python."""
    return Lexicon(name, tuple(_pattern(entry) for entry in node.items()))


def _library(directories: Sequence[Path]) -> _Library:
    library = _Library({}, {}, {}, _head(_shipped("common.yaml")))
    folder = resources.files("duewise.guard") / "profiles"
    shipped = [_shipped(entry.name) for entry in sorted(folder.iterdir(), key=lambda e: e.name)]
    own = [
        parse_file(path)
        for directory in reversed(directories)
        for path in sorted(directory.glob("*.yaml"))
    ]
    for node in [*shipped, *own]:
        members = node.entries()
        if "profile" in members:
            library.profiles[members["profile"].text().upper()] = node
        for kind in {"calendars", "lexicons"} & members.keys():
            entries = _head(node).known((*_HEAD, kind), what="this file")[kind].entries()
            if kind == "lexicons":
                library.lexicons.update(entries)
            else:
                for name, entry in entries.items():
                    library.calendars.setdefault(name, []).insert(0, entry)
    return library


def _shipped(name: str) -> Node:
    text = (resources.files("duewise.guard") / "profiles" / name).read_text(encoding="utf-8")
    return parse(text, source=f"profiles/{name}")


def _head(node: Node) -> Node:
    (schema,) = node.required(node.entries(), "schema")
    if schema.text() != SCHEMA:
        schema.refuse(f"schema {schema.text()!r} is not known", mend=f"write `schema: {SCHEMA}`")
    return node


def _profile_node(library: _Library, name: str) -> Node:
    if name.upper() not in library.profiles:
        raise BadInput(f"no profile {name!r}", mend=f"name one of {_codes(library)}")
    return _head(library.profiles[name.upper()])


def _codes(library: _Library) -> str:
    return ", ".join(sorted(library.profiles))


def _read_profile(node: Node, library: _Library) -> Rulebook:
    """One profile by itself; its lexicons and calendar are joined in by the caller."""
    members = node.known(_PROFILE_KEYS, what="a profile")
    code, version, rules = node.required(members, "profile", "version", "rules")
    if "applies_if" in members:
        read_predicate(members["applies_if"])
    due = members["due"].entries() if "due" in members else {}
    retention = members["retention"].entries() if "retention" in members else {}
    return Rulebook(
        names=(code.text(),),
        rules=tuple(
            read_rule(rule, profile=code.text(), lexicons=library.lexicons)
            for rule in rules.items()
        ),
        derived=(),
        lexicons=(),
        calendar_name=_calendar_name(members.get("calendar"), library),
        calendar=None,
        tz_default=_zone(members.get("tz_default")),
        roll_default=_roll(due.get("roll_default")),
        optout_keywords=_texts(members.get("optout_keywords")),
        overlays=_texts(members.get("overlays")),
        retention=tuple((key, value.text()) for key, value in retention.items()),
        version=f"{code.text()} {version.text()}",
        content_hash="",
    )


def _refuse_doubles(rules: Iterable[Rule], source: Mapping[str, str]) -> None:
    """A rule that changed stands twice, each time with its dates; never twice on one day."""
    seen: dict[str, list[Rule]] = {}
    for rule in rules:
        if any(_overlap(rule, other) for other in seen.setdefault(rule.id, [])):
            raise BadInput(
                f"rule {rule.id} comes twice",
                source=source[rule.profile],
                line=rule.line,
                mend="give every rule an id of its own, or let valid_to end before valid_from",
            )
        seen[rule.id].append(rule)


def _overlap(one: Rule, other: Rule) -> bool:
    starts = max(one.valid_from or date.min, other.valid_from or date.min)
    return starts <= min(one.valid_to or date.max, other.valid_to or date.max)


def _derived(common: Node) -> tuple[tuple[str, str], ...]:
    """The derived facts as common.yaml states them. They are computed by `derived`, not read."""
    members = common.entries()
    (effects,) = common.required(members, "effects")
    if effects.texts() != tuple(outcome.word for outcome in reversed(Outcome)):
        effects.refuse("another order of effects", mend="the order is part of schema jp/1")
    stated = members["derived"].entries()
    for name, node in stated.items():
        if DERIVED.get(name) != node.text():
            node.refuse(f"{name} is defined otherwise", mend=f"write {DERIVED.get(name)!r}")
    return tuple((name, node.text()) for name, node in stated.items())


def _pattern(node: Node) -> Pattern:
    members = node.known(("re", "p", "ok_if"), what="a pattern")
    pattern, phrase = node.required(members, "re", "p")
    try:
        re.compile(pattern.text())
        pl.Series([""]).str.contains(relaxed(pattern.text()))
    except (re.error, pl.exceptions.ComputeError) as error:
        reason = str(error).splitlines()[0]
        pattern.refuse(f"not a regular expression: {reason}", mend="use plain Python syntax")
    ok_if = members["ok_if"].text() if "ok_if" in members else None
    return Pattern(pattern.text(), phrase.text(), ok_if)


def _days(node: Node | None) -> Iterable[date]:
    for entry in node.items() if node else ():
        first, _, last = entry.text().partition("/")
        try:
            start, end = date.fromisoformat(first), date.fromisoformat(last or first)
        except ValueError:
            entry.refuse(f"{entry.text()!r} is not a date or span", mend="write first/last")
        if not 0 <= (end - start).days < HOLIDAY_DAYS_MAX:
            entry.refuse("the span is empty or too long", mend="write first/last, in that order")
        yield from (start + timedelta(days=n) for n in range((end - start).days + 1))


def _weekday(node: Node) -> int:
    if node.text() not in WEEKDAYS:
        node.refuse(f"unknown day {node.text()!r}", mend=f"use {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(node.text()) + 1


def _calendar_name(node: Node | None, library: _Library) -> str | None:
    if node is None or node.plain() is None:
        return None
    if node.text() not in library.calendars:
        known = ", ".join(sorted(library.calendars))
        node.refuse(f"unknown calendar {node.text()!r}", mend=f"use one of {known}")
    return node.text()


def _zone(node: Node | None) -> str | None:
    if node is None or node.plain() is None:
        return None
    try:
        return ZoneInfo(node.text()).key
    except (OSError, ValueError, KeyError):
        node.refuse(f"unknown zone {node.text()!r}", mend="write an IANA name or null")


def _roll(node: Node | None) -> str:
    if node is None:
        return "none"
    if node.text() not in ROLLS:
        node.refuse(f"unknown roll clause {node.text()!r}", mend=f"use {', '.join(ROLLS)}")
    return node.text()


def _texts(node: Node | None) -> tuple[str, ...]:
    return node.texts() if node else ()


def _joined(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for words in lists for word in words))


def _calendar_content(calendar: Calendar | None) -> object:
    """The days themselves: with another library they may be others."""
    if calendar is None:
        return None
    days = (sorted(map(str, days)) for days in (calendar.holidays, calendar.workdays))
    return [*days, sorted(calendar.weekly_rest), sorted(calendar.years or ())]


def _hash(content: list[object]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
