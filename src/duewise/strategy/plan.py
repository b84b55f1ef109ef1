"""The strategy file: parsed, checked against what exists, frozen. Not the deciding (`decide`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duewise.errors import BadInput
from duewise.strategy.budget import WORTH, Budget, read_budgets, read_worth
from duewise.strategy.cascade import AFTER_HOURS_MAX, LINKS_MAX, STOPS, Link, read_stop
from duewise.strategy.conditions import COLUMNS, condition
from duewise.strategy.reading import WHOLE_BP, Reader, read_mapping

STEPS_MAX = 64
ARMS_MAX = 16
DAY_STAGES = ("pre_due", "due_day", "overdue")
SERVICE = "service"  # thanks and confirmations: on any day
STAGES = (*DAY_STAGES, SERVICE)
CHANNELS = ("sms", "push", "wechat", "email")
SEND_TIMES = ("even", "learned")
BY_BUDGET = "budget"
TOP = {"strategy", "version", "timezone", "hold_out", "fatigue", "steps"}
TOP |= {"worth", "budgets", "send_time", "quiet"}
STEP = {"name", "stage", "when", "arms", "choose", "required", "wait", "then", "stop", "sticky"}
MESSAGE = {"channel", "template", "hours"}
ARM = MESSAGE | {"worth"}
QUIET_DAYS_MAX = 28
PROMISE_DAYS_MAX = 62  # an open promise silences nobody for longer


@dataclass(frozen=True)
class Arm:
    """One treatment variant of a step. `hours` are local, end exclusive; `share_bp` of 10,000.

    `worth`, where budgets choose between arms, is what this one is worth if not the strategy's.
    """

    name: str
    channel: str
    template: str
    hours: tuple[int, int]
    share_bp: int
    worth: str | None = None


@dataclass(frozen=True)
class Step:
    """One position in the cadence: when it applies, and what may then be done.

    Where `wait` holds, the borrower is left alone for now: it probably takes no message. `then`
    follows the arm's message until something of `stop` has come to pass. Who has entered a `sticky`
    step under one version of the file stays on that version until the due date is another. With
    `by_budget` the arms are alternatives, and the budgets of the strategy choose among them.
    """

    name: str
    stage: str
    when: str
    arms: tuple[Arm, ...]
    required: bool = False
    wait: str | None = None
    then: tuple[Link, ...] = ()
    stop: tuple[str, ...] = STOPS
    sticky: bool = False
    by_budget: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Strategy:
    """A strategy file, checked. `content_hash` is the SHA-256 of its text.

    `worth` is what a message is worth, in major units, as an expression over the columns; where
    `budgets` are short, the messages worth most are sent. `send_time` is one of SEND_TIMES. For
    `quiet_days` after a part payment nothing optional goes, nor until a promised day that is at
    most `quiet_promise_days` after the promise was made.
    """

    name: str
    version: int
    timezone: str
    hold_out_bp: int
    fatigue_28d: int | None
    steps: tuple[Step, ...]
    content_hash: str
    worth: str = WORTH
    budgets: tuple[Budget, ...] = ()
    send_time: str = "even"
    quiet_days: int | None = None
    quiet_promise_days: int | None = None

    @property
    def remembers(self) -> bool:
        """Whether a decision hangs on what became of the step's messages before."""
        return any(step.then or step.sticky for step in self.steps)


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
    reader, top = read_mapping(text, source=source, what="a strategy")
    reader.only(top, TOP, "a strategy")
    steps = reader.sequence(top, "steps", 1, STEPS_MAX)
    parsed = tuple(_step(reader, step, templates) for step in steps)
    names = [step.name for step in parsed]
    for index, name in enumerate(names):
        if name in names[:index]:
            reader.fail(
                steps[index], f"step {name!r} is named twice", "give each step its own name"
            )
    chosen = [step.line for step in parsed if step.by_budget]
    if chosen and not top.get("budgets"):
        raise reader.error(
            {"__line__": chosen[0]}, "a step is chosen by budget, and there is none", "add budgets:"
        )
    return Strategy(
        name=reader.text(top, "strategy"),
        version=reader.whole(top, "version", 1, 1_000_000),
        timezone=reader.text(top, "timezone"),
        hold_out_bp=_hold_out(reader, top),
        fatigue_28d=_fatigue(reader, top),
        steps=parsed,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        worth=read_worth(reader, top),
        budgets=read_budgets(reader, top, CHANNELS),
        send_time=reader.choice({"send_time": "even"} | top, "send_time", SEND_TIMES),
        **_quiet(reader, top),
    )


def _step(reader: Reader, raw: object, templates: Mapping[str, str]) -> Step:
    step = reader.mapping(raw, "a step")
    reader.only(step, STEP, "a step")
    name = reader.text(step, "name")
    stage = reader.choice(step, "stage", STAGES)
    when = _condition(reader, step, "when")
    required = reader.flag(step, "required")
    wait = _condition(reader, step, "wait") if "wait" in step else None
    if wait is not None and required:
        reader.fail(step, f"step {name!r} is required and waits", "leave out one of the two")
    arms = reader.mapping(step.get("arms"), f"the arms of step {name!r}", near=step)
    found = [(key, value) for key, value in arms.items() if key != "__line__"]
    if not 1 <= len(found) <= ARMS_MAX:
        reader.fail(step, f"step {name!r} has {len(found)} arms", f"give it 1 to {ARMS_MAX}")
    shares = _shares(reader, step, [str(key) for key, _ in found])
    by_budget = _by_budget(reader, step, [value for _, value in found])
    return Step(
        line=step["__line__"],
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
        required=required,
        wait=wait,
        then=_links(reader, step, stage=stage, templates=templates),
        stop=read_stop(reader, step),
        sticky=reader.flag(step, "sticky"),
        by_budget=by_budget,
    )


def _links(
    reader: Reader, step: dict[str, Any], *, stage: str, templates: Mapping[str, str]
) -> tuple[Link, ...]:
    """What follows the arm's message, in order."""
    if "then" not in step:
        return ()
    links = []
    for raw in reader.sequence(step, "then", 1, LINKS_MAX):
        link = reader.mapping(raw, "a link of `then`", near=step)
        reader.only(link, {"after_h", *MESSAGE}, "a link of `then`")
        channel, template, hours = _message(reader, link, stage=stage, templates=templates)
        after_h = reader.whole(link, "after_h", 1, AFTER_HOURS_MAX)
        links.append(Link(after_h, channel, template, hours))
    return tuple(links)


def _condition(reader: Reader, step: dict[str, Any], key: str) -> str:
    """A condition over COLUMNS that stands under `key`."""
    written = reader.text(step, key)
    try:
        condition(written)
    except ValueError as error:
        name = step.get("name")
        reader.fail(step, f"step {name!r}, {key}: {error}", f"columns: {', '.join(COLUMNS)}")
    return written


def _arm(
    reader: Reader,
    name: str,
    raw: object,
    *,
    stage: str,
    templates: Mapping[str, str],
    share_bp: int,
) -> Arm:
    arm = reader.mapping(raw, f"arm {name!r}")
    reader.only(arm, ARM, f"arm {name!r}")
    channel, template, hours = _message(reader, arm, stage=stage, templates=templates)
    worth = read_worth(reader, arm) if "worth" in arm else None
    return Arm(name, channel, template, hours, share_bp, worth)


def _message(
    reader: Reader, arm: dict[str, Any], *, stage: str, templates: Mapping[str, str]
) -> tuple[str, str, tuple[int, int]]:
    """Channel, template and hours of an arm or of a link."""
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
    return reader.choice(arm, "channel", CHANNELS), template, (hours[0], hours[1])


def _shares(reader: Reader, step: dict[str, Any], arms: Sequence[str]) -> dict[str, int]:
    """Basis points by arm: `fixed` gives all to the first, `random: {a: 50%, b: 50%}` divides.

    So does `budget`, until the budgets are shared out.
    """
    choose = step.get("choose", "fixed")
    if choose in ("fixed", BY_BUDGET):
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
        step,
        f"choose {choose!r} is not known",
        "write fixed, budget, or random: {arm: 50%, other: 50%}",
    )


def _by_budget(reader: Reader, step: dict[str, Any], arms: Sequence[Any]) -> bool:
    """Whether the budgets choose among the arms."""
    name = step.get("name")
    if step.get("choose") != BY_BUDGET:
        if any(isinstance(arm, dict) and "worth" in arm for arm in arms):
            reader.fail(step, f"an arm of step {name!r} has a worth", "write `choose: budget`")
        return False
    for other in ("required", "then", "sticky"):
        if step.get(other):
            said = f"step {name!r} is chosen by budget and has `{other}`"
            reader.fail(step, said, "leave out one of the two")
    return True


def _hold_out(reader: Reader, top: dict[str, Any]) -> int:
    raw = top.get("hold_out")
    if raw is None:
        raise reader.error(
            top, "the strategy has no hold_out", "add hold_out: {share: 5%, of: optional}"
        )
    hold_out = reader.mapping(raw, "hold_out")
    reader.only(hold_out, {"share", "of"}, "hold_out")
    reader.choice(hold_out, "of", ("optional",))
    return reader.basis_points(hold_out, hold_out.get("share"))


def _fatigue(reader: Reader, top: dict[str, Any]) -> int | None:
    if top.get("fatigue") is None:
        return None
    fatigue = reader.mapping(top["fatigue"], "fatigue")
    reader.only(fatigue, {"messages_28d"}, "fatigue")
    return reader.whole(fatigue, "messages_28d", 1, 1_000)


def _quiet(reader: Reader, top: dict[str, Any]) -> dict[str, int]:
    """What `quiet` says, by the field of a strategy that keeps it."""
    if top.get("quiet") is None:
        return {}
    quiet = reader.mapping(top["quiet"], "quiet")
    limits = {
        "after_part_payment_d": ("quiet_days", QUIET_DAYS_MAX),
        "until_promise_d": ("quiet_promise_days", PROMISE_DAYS_MAX),
    }
    reader.only(quiet, set(limits), "quiet")
    return {
        field: reader.whole(quiet, key, 1, most)
        for key, (field, most) in limits.items()
        if key in quiet
    }
