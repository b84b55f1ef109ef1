"""What a strategy file leaves to wonder about: steps nobody reaches, overlaps, gaps, empty cells.

The conditions are evaluated at every point of a grid: each day from DAYS, and for every other
column that the file names each value it names, the nearest on both sides, and the ends. That is
exact for conditions that compare a column with a value; one column compared with another is judged
at those points only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from math import prod
from typing import Any

import polars as pl

from duewise.book.delinquency import bucket
from duewise.strategy.cascade import Link
from duewise.strategy.conditions import COLUMNS, GRACE, condition
from duewise.strategy.plan import DAY_STAGES, SERVICE, Arm, Strategy

DAYS = (-60, 180)  # days past due that are looked at, and those the file names
OF_DAYS = ("dpd", "days_past_due", "bucket")  # these three are one: the day
RISK = "probability_of_default"
RISKS = {"low": 0.05, "medium": 0.2, "high": 0.5}  # a borrower of each, for the cells
GRID_MAX = 3_000_000
_CENT = 0.01
_HOURS = 24


@dataclass(frozen=True)
class Finding:
    """Something about a strategy. `level`: `error` is wrong, `note` may be meant."""

    level: str
    about: str
    line: int
    message: str
    mend: str


def findings(strategy: Strategy, *, tones: Mapping[str, str]) -> list[Finding]:
    """All there is to say, in the file's order. `tones` tells each template's tone."""
    points = _grid(strategy)
    if points is None:
        return [
            Finding("note", "grid", 0, "too many columns and values to look at all", "name fewer")
        ]
    holds = points.select(
        condition(step.when).alias(str(n)) for n, step in enumerate(strategy.steps)
    )
    numbers = [pl.when(str(n)).then(n) for n in range(len(strategy.steps))]
    taken = points.with_columns(step=holds.select(pl.coalesce(numbers)).to_series())
    found = [
        *_unreachable(strategy, holds, taken["step"]),
        *_of_another_stage(strategy, taken),
        *_overlaps(strategy, holds, taken),
        *_always_waiting(strategy, taken),
        *_too_late(strategy, taken),
    ]
    return [
        *sorted(found, key=lambda each: each.line),
        *_gaps(taken),
        *_empty_cells(strategy, taken, tones),
    ]


def _grid(strategy: Strategy) -> pl.DataFrame | None:
    """Every combination of the values that matter; None where they are too many."""
    texts = [text for step in strategy.steps for text in (step.when, step.wait) if text]
    named = {name for text in texts for name in condition(text).meta.root_names()}
    numbers = sorted({float(each) for text in texts for each in _numbers(text)})
    words = sorted({each for text in texts for each in re.findall(r"'([^']*)'", text)})
    days = range(DAYS[0], DAYS[1] + 1)
    values: dict[str, Sequence[Any]] = {
        "dpd": sorted({*days, *(int(n) + near for n in numbers for near in (-1, 0, 1))})
    }
    for name in sorted((named | {RISK}) - set(OF_DAYS)):
        values[name] = _values(name, numbers, words)
    if prod(len(each) for each in values.values()) > GRID_MAX:
        return None
    points = pl.DataFrame({"dpd": values.pop("dpd")}, schema={"dpd": pl.Int32})
    for name, each in values.items():
        points = points.join(pl.DataFrame({name: each}, schema={name: COLUMNS[name]}), how="cross")
    late = points.with_columns(days_past_due=pl.col("dpd").clip(0))
    return late.with_columns(bucket=bucket(pl.col("days_past_due")))


def _numbers(text: str) -> list[str]:
    return re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", re.sub(r"'[^']*'", "", text))


def _values(name: str, numbers: Sequence[float], words: Sequence[str]) -> list[Any]:
    kind = COLUMNS[name]
    if kind == pl.Boolean:
        return [False, True]
    if kind == pl.String:
        return [*words, "another"]
    if name.startswith("probability_"):
        inside = {n + d for n in numbers if 0 < n < 1 for d in (-1e-6, 0, 1e-6)}
        return sorted({0.0, 1.0, *RISKS.values(), *inside})
    step = 1.0 if kind == pl.Int32 else _CENT
    near = {max(0.0, n + d) for n in numbers for d in (-step, 0, step)}
    return [int(n) for n in sorted(near | {1.0})] if kind == pl.Int32 else sorted(near | {0.0})


def _unreachable(strategy: Strategy, holds: pl.DataFrame, taken: pl.Series) -> Iterator[Finding]:
    reached = set(taken.unique().to_list())
    for n, step in enumerate(strategy.steps):
        if n in reached:
            continue
        before = [
            other.name
            for m, other in enumerate(strategy.steps[:n])
            if (holds[str(m)] & holds[str(n)]).any()
        ]
        why = f"it is always preceded by {', '.join(before)}" if before else "it never holds"
        yield Finding(
            "error",
            step.name,
            step.line,
            f"step {step.name!r} is never reached: {why}",
            "move it up, or narrow those before it" if before else "mend its `when`",
        )


def _of_another_stage(strategy: Strategy, taken: pl.DataFrame) -> Iterator[Finding]:
    stage = pl.col("dpd").sign() + 1  # before, on, after the due date: as DAY_STAGES are ordered
    for n, step in enumerate(strategy.steps):
        in_grace = step.stage == "due_day" and GRACE in condition(step.when).meta.root_names()
        if step.stage == SERVICE or in_grace:
            continue
        own = DAY_STAGES.index(step.stage)
        days = taken.filter((pl.col("step") == n) & (stage != own))["dpd"]
        if len(days):
            yield Finding(
                "error",
                step.name,
                step.line,
                f"step {step.name!r} is for {step.stage} and holds on day {_days(days)}",
                "bound its `when` by dpd",
            )


def _overlaps(strategy: Strategy, holds: pl.DataFrame, taken: pl.DataFrame) -> Iterator[Finding]:
    for n, step in enumerate(strategy.steps):
        lost = taken.filter(holds[str(n)] & (taken["step"] < n))
        first = [strategy.steps[m].name for m in lost["step"].unique().sort().to_list()]
        if first and (taken["step"] == n).any():
            yield Finding(
                "note",
                step.name,
                step.line,
                f"step {step.name!r} overlaps on day {_days(lost['dpd'])} with"
                f" {', '.join(first)}, which comes first",
                "none, if it is meant so",
            )


def _always_waiting(strategy: Strategy, taken: pl.DataFrame) -> Iterator[Finding]:
    for n, step in enumerate(strategy.steps):
        mine = taken.filter(step=n)
        if step.wait and mine.height and mine.select(condition(step.wait).all()).item():
            yield Finding(
                "error",
                step.name,
                step.line,
                f"step {step.name!r} always waits: its `wait` holds wherever it is taken",
                "narrow its `wait`",
            )


def _too_late(strategy: Strategy, taken: pl.DataFrame) -> Iterator[Finding]:
    """Links of a cascade whose hours are over only when the step no longer holds."""
    for n, step in enumerate(strategy.steps):
        days = taken.filter(step=n)["dpd"]
        if not step.then or days.is_empty():
            continue
        lasts_h = _HOURS * (1 + int(days.max()) - int(days.min()))  # type: ignore[arg-type]
        waited = list(accumulate(link.after_h for link in step.then))
        late = [number for number, hours in enumerate(waited, start=1) if hours >= lasts_h]
        if late:
            yield Finding(
                "error",
                step.name,
                step.line,
                f"step {step.name!r} holds for {lasts_h} hours at most;"
                f" link {late[0]} of its `then` comes after {waited[late[0] - 1]}",
                "widen its `when`, or wait less",
            )


def _gaps(taken: pl.DataFrame) -> Iterator[Finding]:
    """Days on which some borrowers get a step and others none."""
    is_none = pl.col("step").is_null()
    days = taken.group_by("dpd").agg(some=(~is_none).any(), none=is_none.any())
    left_out = taken.join(days.filter("some", "none"), on="dpd", how="semi").filter(is_none)
    columns = [name for name in taken.columns if name not in (*OF_DAYS, "step")]
    for example in (
        left_out.unique("dpd", keep="first")
        .group_by(columns)
        .agg("dpd")
        .sort(pl.col("dpd").list.min())
        .iter_rows(named=True)
    ):
        days_of = pl.Series(example.pop("dpd"))
        like = ", ".join(f"{name} = {value}" for name, value in example.items())
        yield Finding(
            "note",
            "gap",
            0,
            f"on day {_days(days_of)} some get no step, such as {like}",
            "add a step without that condition, if it is not meant so",
        )


def _empty_cells(
    strategy: Strategy, taken: pl.DataFrame, tones: Mapping[str, str]
) -> Iterator[Finding]:
    """Cells of stage, risk, tone and channel that no arm fills."""
    spoken: list[Arm | Link] = []
    for step in strategy.steps:
        spoken += [*step.arms, *step.then]
    said = {tones.get(each.template, "?") for each in spoken}
    channels = {each.channel for each in spoken}
    reached = taken.filter(pl.col("step").is_not_null()).select("step", RISK).unique()
    filled = {
        (step.stage, risk, tones.get(arm.template, "?"), arm.channel)
        for risk, probability in RISKS.items()
        for n in reached.filter(pl.col(RISK) == probability)["step"].unique().sort().to_list()
        for step in (strategy.steps[n],)
        for arm in (*(arm for arm in step.arms if arm.share_bp), *step.then)
    }
    for stage, risk in product(DAY_STAGES, RISKS):
        empty = [
            f"{tone} {channel}"
            for tone, channel in product(sorted(said), sorted(channels))
            if (stage, risk, tone, channel) not in filled
        ]
        if empty:
            yield Finding(
                "note",
                "cell",
                0,
                f"{stage}, {risk} risk: no {', no '.join(empty)}",
                "add an arm, if it is wanted",
            )


def _days(days: pl.Series) -> str:
    """Days as ranges.

    >>> _days(pl.Series([3, 1, 2, 7]))
    '1 to 3, 7'
    """
    frame = days.unique().sort().rename("day").to_frame()
    run = pl.col("day") - pl.int_range(pl.len())
    runs = frame.group_by(run, maintain_order=True).agg(
        first=pl.col("day").min(), last=pl.col("day").max()
    )
    return ", ".join(
        f"{first}" if first == last else f"{first} to {last}"
        for first, last in runs.select("first", "last").iter_rows()
    )
