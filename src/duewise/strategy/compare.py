"""How two strategy files differ, in words: what came, what went, what changed, what moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from duewise.strategy.plan import Arm, Strategy

_NOT_COMPARED = ("content_hash", "steps", "budgets", "arms", "line", "name")


@dataclass(frozen=True)
class Change:
    """One difference. `was` or `now` is None where there was, or is, no such thing."""

    where: str
    was: str | None
    now: str | None

    def __str__(self) -> str:
        if self.was is None:
            return f"+ {self.where}: {self.now}"
        if self.now is None:
            return f"- {self.where}: {self.was}"
        return f"~ {self.where}: {self.was} → {self.now}"


def changes(old: Strategy, new: Strategy) -> list[Change]:
    """Every difference but comments and layout, in the new file's order.

    >>> one = Strategy("s", 1, "Asia/Shanghai", 500, 6, (), "")
    >>> two = Strategy("s", 2, "Asia/Shanghai", 500, None, (), "")
    >>> [str(each) for each in changes(one, two)]
    ['~ version: 1 → 2', '- fatigue_28d: 6']
    """
    return [
        *_fields("", asdict(old), asdict(new)),
        *_named("budget", _by_name(old.budgets), _by_name(new.budgets)),
        *_steps(old, new),
    ]


def _steps(old: Strategy, new: Strategy) -> Iterator[Change]:
    were, are = _by_name(old.steps), _by_name(new.steps)
    yield from _named("step", were, are)
    for name in (each for each in are if each in were):
        was, now = _arms(were[name]["arms"]), _arms(are[name]["arms"])
        yield from _named(f"step {name}, arm", was, now)
    order = [name for name in were if name in are], [name for name in are if name in were]
    if order[0] != order[1]:
        yield Change("order of steps", ", ".join(order[0]), ", ".join(order[1]))


def _named(
    kind: str, were: Mapping[str, dict[str, Any]], are: Mapping[str, dict[str, Any]]
) -> Iterator[Change]:
    """What went, what came, and what is otherwise among things that have names."""
    for name, was in were.items():
        if name not in are:
            yield Change(f"{kind} {name}", _said(was), None)
    for name, now in are.items():
        if name in were:
            yield from _fields(f"{kind} {name}, ", were[name], now)
        else:
            yield Change(f"{kind} {name}", None, _said(now))


def _fields(where: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    for key in now:
        if key not in _NOT_COMPARED and was[key] != now[key]:
            yield Change(f"{where}{key}", _text(was[key]), _text(now[key]))


def _by_name(things: Sequence[Any]) -> dict[str, dict[str, Any]]:
    return {each.name: asdict(each) for each in things}


def _arms(arms: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return _by_name([Arm(**arm) for arm in arms])


def _said(thing: Mapping[str, Any]) -> str:
    told = {key: value for key, value in thing.items() if key not in _NOT_COMPARED}
    if not told.get("then"):
        told.pop("stop", None)
    if not told.get("sticky"):
        told.pop("sticky", None)
    if not told.get("by_budget"):
        told.pop("by_budget", None)
    left_out = (None, ())
    return ", ".join(f"{key} {_text(each)}" for key, each in told.items() if each not in left_out)


def _text(value: object) -> str | None:
    """As it is written in the file, more or less; None for what is not there."""
    match value:
        case None | ():
            return None
        case tuple() | list() if all(isinstance(each, dict) for each in value):
            return "; ".join(_said(each) for each in value)
        case tuple() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
        case _:
            return str(value)
