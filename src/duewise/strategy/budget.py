"""Budgets of a plan: what is limited, and what each message takes of it. Not the sharing out.

A budget counts messages, parts or money; over all messages, one channel's, or those of the loans a
condition names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from duewise.strategy.conditions import COLUMNS, amount_of, condition
from duewise.strategy.reading import Reader

KINDS = ("messages", "parts", "money")
BUDGETS_MAX = 32
LIMIT_MAX = 2_000_000_000
# What is expected to be paid late: nobody is worth a message for a sum that comes by itself.
WORTH = "probability_of_default * amount"


@dataclass(frozen=True)
class Budget:
    """At most `limit` of a kind a plan; money in whole major units."""

    name: str
    of: str
    limit: int
    channel: str | None = None
    when: str | None = None

    def takes(self, *, price_minor: int) -> pl.Expr:
        """What a message takes: over `channel`, `parts` and `COLUMNS`; money in minor units."""
        unit = {
            "messages": pl.lit(1, pl.Int32),
            "parts": pl.col("parts"),
            "money": pl.col("parts") * price_minor,
        }[self.of]
        counts = condition(self.when) if self.when else pl.lit(value=True)
        if self.channel:
            counts &= pl.col("channel") == self.channel
        return pl.when(counts).then(unit).otherwise(0).fill_null(0).cast(pl.Int32)


def read_worth(reader: Reader, top: dict[str, Any]) -> str:
    """The `worth` of a strategy file, or the usual one."""
    worth = str(top.get("worth", WORTH))
    try:
        amount_of(worth)
    except ValueError as error:
        reader.fail(top, f"worth: {error}", f"columns: {', '.join(COLUMNS)}")
    return worth


def read_budgets(
    reader: Reader, top: dict[str, Any], channels: Sequence[str]
) -> tuple[Budget, ...]:
    """The `budgets` of a strategy file: `sms: 200000`, or a name and what it limits."""
    if top.get("budgets") is None:
        return ()
    found = reader.mapping(top["budgets"], "budgets", near=top)
    named = [(str(name), raw) for name, raw in found.items() if name != "__line__"]
    if len(named) > BUDGETS_MAX:
        reader.fail(found, f"{len(named)} budgets", f"give it at most {BUDGETS_MAX}")
    return tuple(
        _detailed(reader, name, raw, channels)
        if isinstance(raw, dict)
        else _short(reader, found, name, channels)
        for name, raw in named
    )


def _short(reader: Reader, found: dict[str, Any], name: str, channels: Sequence[str]) -> Budget:
    limit = reader.whole(found, name, 0, LIMIT_MAX)
    if name in channels:
        return Budget(name, "messages", limit, channel=name)
    if name not in KINDS:
        reader.fail(
            found,
            f"budget {name!r} is neither a channel nor messages, parts or money",
            f"write {name}: {{of: messages, limit: {limit}, when: bucket = 'M2'}}",
        )
    return Budget(name, name, limit)


def _detailed(reader: Reader, name: str, raw: dict[str, Any], channels: Sequence[str]) -> Budget:
    reader.only(raw, {"of", "limit", "channel", "when"}, f"budget {name!r}")
    when = reader.text(raw, "when") if "when" in raw else None
    try:
        condition(when or "true")
    except ValueError as error:
        reader.fail(raw, f"budget {name!r}, when: {error}", f"columns: {', '.join(COLUMNS)}")
    return Budget(
        name,
        reader.choice(raw, "of", KINDS),
        reader.whole(raw, "limit", 0, LIMIT_MAX),
        reader.choice(raw, "channel", channels) if "channel" in raw else None,
        when,
    )
