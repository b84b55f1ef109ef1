"""The strategy file: parsed, checked against what exists, frozen. Not the deciding (`decide`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from duewise.errors import BadInput

STEPS_MAX = 64
WHOLE_BP = 10_000
ARMS_MAX = 16
STAGES = ("pre_due", "due_day", "overdue")
CHANNELS = ("sms",)

# What a `when` may speak of, one row per open loan. Amounts are decimals in major units.
COLUMNS: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "dpd": pl.Int32,
    "days_past_due": pl.Int32,
    "bucket": pl.String,
    "past_due": pl.Decimal(18, 2),
    "amount": pl.Decimal(18, 2),
    "outstanding": pl.Decimal(18, 2),
    "autopay": pl.Boolean,
    "product": pl.String,
    "locale": pl.String,
    "open_loans": pl.Int32,
    "probability_of_default": pl.Float64,
    "probability_late_7": pl.Float64,
    "probability_late_30": pl.Float64,
}


@dataclass(frozen=True)
class Arm:
    """One treatment variant of a step. `hours` are local, end exclusive; `share_bp` of 10,000."""

    name: str
    channel: str
    template: str
    hours: tuple[int, int]
    share_bp: int


@dataclass(frozen=True)
class Step:
    """One position in the cadence: when it applies, and what may then be done."""

    name: str
    stage: str
    when: str
    arms: tuple[Arm, ...]
    required: bool = False


@dataclass(frozen=True)
class Strategy:
    """A strategy file, checked. `content_hash` is the SHA-256 of its text."""

    name: str
    version: int
    timezone: str
    hold_out_bp: int
    fatigue_28d: int | None
    steps: tuple[Step, ...]
    content_hash: str


class _Lines(yaml.SafeLoader):
    """A loader that remembers on which line each mapping starts."""

    def construct_mapping(  # the base class sets this signature
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=deep)
        found["__line__"] = node.start_mark.line + 1
        return found


_Lines.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_strategy(path: Path, *, templates: Mapping[str, str]) -> Strategy:
    """Read and check a strategy file. `templates` maps each known template to its stage.

    Raises BadInput with file, line and mend for anything unknown, missing or contradictory.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput("cannot read the strategy", source=str(path), mend=str(error)) from error
    return parse_strategy(text, source=str(path), templates=templates)


def parse_strategy(text: str, *, source: str, templates: Mapping[str, str]) -> Strategy:
    """`load_strategy` for a text already read."""
    try:
        # S506: the loader derives from SafeLoader.
        document = yaml.load(text, Loader=_Lines)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or "not YAML"
        raise BadInput(
            str(problem), source=source, line=line, mend="check indentation and quotes"
        ) from error
    reader = _Reader(source)
    top = reader.mapping(document, "a strategy")
    reader.only(
        top, {"strategy", "version", "timezone", "hold_out", "fatigue", "steps"}, "a strategy"
    )
    steps = reader.sequence(top, "steps", 1, STEPS_MAX)
    parsed = tuple(_step(reader, step, templates) for step in steps)
    names = [step.name for step in parsed]
    for index, name in enumerate(names):
        if name in names[:index]:
            reader.fail(
                steps[index], f"step {name!r} is named twice", "give each step its own name"
            )
    return Strategy(
        name=reader.text(top, "strategy"),
        version=reader.whole(top, "version", 1, 1_000_000),
        timezone=reader.text(top, "timezone"),
        hold_out_bp=_hold_out(reader, top),
        fatigue_28d=_fatigue(reader, top),
        steps=parsed,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
    )


def condition(when: str) -> pl.Expr:
    """The `when` of a step as one expression over `COLUMNS`. Raises ValueError if it is not one."""
    try:
        expression = pl.sql_expr(when)
        unknown = [name for name in expression.meta.root_names() if name not in COLUMNS]
        if unknown:
            raise ValueError(f"unknown column {unknown[0]!r}")
        pl.DataFrame(schema=dict(COLUMNS)).select(expression.cast(pl.Boolean))
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    return expression.fill_null(value=False)


def _step(reader: _Reader, raw: object, templates: Mapping[str, str]) -> Step:
    step = reader.mapping(raw, "a step")
    reader.only(step, {"name", "stage", "when", "arms", "choose", "required"}, "a step")
    name = reader.text(step, "name")
    stage = reader.choice(step, "stage", STAGES)
    when = reader.text(step, "when")
    try:
        condition(when)
    except ValueError as error:
        reader.fail(step, f"step {name!r}, when: {error}", f"columns: {', '.join(COLUMNS)}")
    arms = reader.mapping(step.get("arms"), f"the arms of step {name!r}", near=step)
    found = [(key, value) for key, value in arms.items() if key != "__line__"]
    if not 1 <= len(found) <= ARMS_MAX:
        reader.fail(step, f"step {name!r} has {len(found)} arms", f"give it 1 to {ARMS_MAX}")
    shares = _shares(reader, step, [str(key) for key, _ in found])
    return Step(
        name=name,
        stage=stage,
        when=when,
        arms=tuple(
            _arm(
                reader,
                str(key),
                value,
                stage=stage,
                templates=templates,
                share_bp=shares[str(key)],
            )
            for key, value in found
        ),
        required=reader.flag(step, "required"),
    )


def _arm(
    reader: _Reader,
    name: str,
    raw: object,
    *,
    stage: str,
    templates: Mapping[str, str],
    share_bp: int,
) -> Arm:
    arm = reader.mapping(raw, f"arm {name!r}")
    reader.only(arm, {"channel", "template", "hours"}, f"arm {name!r}")
    template = reader.text(arm, "template")
    if template not in templates:
        near = ", ".join(sorted(known for known in templates if templates[known] == stage))
        reader.fail(arm, f"unknown template {template!r}", f"templates for {stage}: {near}")
    if templates[template] != stage:
        reader.fail(
            arm,
            f"template {template!r} is for stage {templates[template]}, the step for {stage}",
            "choose a template of the step's stage",
        )
    hours = arm.get("hours", [9, 20])
    if not (
        isinstance(hours, list)
        and len(hours) == 2  # noqa: PLR2004 -- a start and an end
        and all(isinstance(hour, int) and 0 <= hour <= 24 for hour in hours)  # noqa: PLR2004
        and hours[0] < hours[1]
    ):
        reader.fail(arm, f"hours {hours!r} are no window", "write local hours as [9, 20]")
    return Arm(
        name, reader.choice(arm, "channel", CHANNELS), template, (hours[0], hours[1]), share_bp
    )


def _shares(reader: _Reader, step: dict[str, Any], arms: Sequence[str]) -> dict[str, int]:
    """Basis points by arm: `fixed` gives all to the first, `random: {a: 50%, b: 50%}` divides."""
    choose = step.get("choose", "fixed")
    if choose == "fixed":
        return {arm: WHOLE_BP if index == 0 else 0 for index, arm in enumerate(arms)}
    if isinstance(choose, dict) and isinstance(choose.get("random"), dict):
        given = {k: v for k, v in choose["random"].items() if k != "__line__"}
        unknown = [arm for arm in given if arm not in arms]
        if unknown:
            reader.fail(
                step, f"choose names unknown arm {unknown[0]!r}", f"arms: {', '.join(arms)}"
            )
        shares = {arm: reader.basis_points(step, given.get(arm, "0%")) for arm in arms}
        if sum(shares.values()) != WHOLE_BP:
            reader.fail(step, "the shares of the arms do not sum to 100 %", "make them sum to 100%")
        return shares
    raise reader.error(
        step, f"choose {choose!r} is not known", "write fixed, or random: {arm: 50%, other: 50%}"
    )


def _hold_out(reader: _Reader, top: dict[str, Any]) -> int:
    raw = top.get("hold_out")
    if raw is None:
        raise reader.error(
            top, "the strategy has no hold_out", "add hold_out: {share: 5%, of: optional}"
        )
    hold_out = reader.mapping(raw, "hold_out")
    reader.only(hold_out, {"share", "of"}, "hold_out")
    reader.choice(hold_out, "of", ("optional",))
    return reader.basis_points(hold_out, hold_out.get("share"))


def _fatigue(reader: _Reader, top: dict[str, Any]) -> int | None:
    if top.get("fatigue") is None:
        return None
    fatigue = reader.mapping(top["fatigue"], "fatigue")
    reader.only(fatigue, {"messages_28d"}, "fatigue")
    return reader.whole(fatigue, "messages_28d", 1, 1_000)


class _Reader:
    """Typed access to the parsed file that fails with its line."""

    def __init__(self, source: str) -> None:
        self.source = source

    def error(self, near: object, message: str, mend: str) -> BadInput:
        line = near.get("__line__") if isinstance(near, dict) else None
        return BadInput(message, source=self.source, line=line, mend=mend)

    def fail(self, near: object, message: str, mend: str) -> None:
        raise self.error(near, message, mend)

    def mapping(self, raw: object, what: str, near: object = None) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise self.error(near, f"{what} must be a mapping of keys to values", "see the example")
        return raw

    def only(self, found: dict[str, Any], known: set[str], what: str) -> None:
        for key in found:
            if key not in known and key != "__line__":
                self.fail(found, f"{what} has no key {key!r}", f"keys: {', '.join(sorted(known))}")

    def text(self, found: dict[str, Any], key: str) -> str:
        value = found.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(found, f"{key!r} is missing or empty", f"write {key}: and a text")
        return value

    def choice(self, found: dict[str, Any], key: str, values: Sequence[str]) -> str:
        value = found.get(key)
        if value not in values:
            raise self.error(found, f"{key} {value!r} is not known", f"one of {', '.join(values)}")
        return str(value)

    def whole(self, found: dict[str, Any], key: str, low: int, high: int) -> int:
        value = found.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(
                found, f"{key} {value!r} is not a whole number", f"write {low} to {high}"
            )
        return value

    def flag(self, found: dict[str, Any], key: str) -> bool:
        value = found.get(key, False)
        if not isinstance(value, bool):
            raise self.error(found, f"{key} {value!r} is not true or false", f"write {key}: true")
        return value

    def sequence(self, found: dict[str, Any], key: str, low: int, high: int) -> list[Any]:
        value = found.get(key)
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise self.error(found, f"{key} must be a list", f"list {low} to {high} of them")
        return value

    def basis_points(self, near: object, share: object) -> int:
        match = re.fullmatch(r"(\d{1,3})(?:\.(\d{1,2}))?\s*%", str(share).strip())
        points = int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0")) if match else -1
        if not 0 <= points <= WHOLE_BP:
            raise self.error(near, f"share {share!r} is not a percentage", "write it as 5%")
        return points
