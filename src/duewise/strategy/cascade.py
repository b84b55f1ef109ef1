"""What goes after a message that brought nothing: the next link of a step's cascade, and when.

A step's first message is its arm's; the links of `then` follow, each so many hours after the one
before it, until something of `stop` has come to pass. One due date is one run through the cascade.
A channel on which the borrower cannot be reached is passed over at once, and so is waiting for a
message that never got out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.frames import INSTANT, Schema
from duewise.strategy.reading import Reader

Int32s = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
LINKS_MAX = 8  # after the first message
AFTER_HOURS_MAX = 24 * 28  # as far back as messages are remembered
STOPS = ("delivered", "seen", "reply", "paid")
# What was sent of a step: the link (0 for the arm's own message), when it left, what became of it.
SENT: Schema = {
    "borrower_id": pl.String,
    "step": pl.String,
    "due_date": pl.Date,
    "link": pl.Int32,
    "channel": pl.String,
    "at": INSTANT,
    "state": pl.String,
    "seen_at": INSTANT,
    "replied_at": INSTANT,
    "strategy_hash": pl.String,
}
NEVER_OUT = ("failed", "expired", "lapsed")
_EPISODE = ["borrower_id", "step", "due_date"]


@dataclass(frozen=True)
class Link:
    """A later message of a step: `after_h` hours after the one before; `hours` as an arm's."""

    after_h: int
    channel: str
    template: str
    hours: tuple[int, int]


def read_stop(reader: Reader, step: Mapping[str, Any]) -> tuple[str, ...]:
    """The `stop` of a step; all of STOPS where it has none."""
    if "stop" not in step:
        return STOPS
    if not step.get("then"):
        reader.fail(step, "`stop` without `then`: nothing follows", "leave it out, or add then:")
    found = reader.sequence(dict(step), "stop", 1, len(STOPS))
    for each in found:
        reader.choice(dict(step) | {"stop": each}, "stop", STOPS)
    return tuple(dict.fromkeys(found))


def whereabouts(
    rows: pl.DataFrame,
    sent: pl.DataFrame,
    paid: pl.DataFrame,
    *,
    thens: Mapping[str, Sequence[Link]],
    stops: Mapping[str, Sequence[str]],
) -> pl.DataFrame:
    """Per row (borrower_id, step, due_date, in their order) where its cascade stands.

    `sent` is SENT, `paid` has borrower_id and paid_at. Columns: `next` (Int32, the link to come),
    `ready_at` (null: at once), `is_stopped`, `is_over`.
    """
    asked = rows.select(*_EPISODE)
    done = (
        sent.sort("link", "at")
        .group_by(_EPISODE, maintain_order=True)
        .agg(
            first_at=pl.col("at").min(),
            last=pl.col("link").last(),
            last_at=pl.col("at").last(),
            last_state=pl.col("state").last(),
            delivered=(pl.col("state") == "delivered").any(),
            seen=pl.col("seen_at").is_not_null().any(),
            reply=pl.col("replied_at").is_not_null().any(),
        )
    )
    money = paid.group_by("borrower_id").agg(pl.col("paid_at").max())
    found = (
        asked.join(done, on=_EPISODE, how="left", maintain_order="left")
        .join(money, on="borrower_id", how="left", maintain_order="left")
        .with_columns(paid=pl.col("paid_at") > pl.col("first_at"))
    )
    has_stopped = pl.any_horizontal(
        pl.col(stop) & pl.col("step").is_in([step for step in stops if stop in stops[step]])
        for stop in STOPS
    )
    waits = {
        f"{step} {number}": link.after_h
        for step, links in thens.items()
        for number, link in enumerate(links)
    }
    hours = pl.format("{} {}", "step", "last").replace_strict(
        waits, default=0, return_dtype=pl.Int64
    )
    got_out = ~pl.col("last_state").is_in(NEVER_OUT)
    count = {step: len(links) for step, links in thens.items()}
    links = pl.col("step").replace_strict(count, default=0, return_dtype=pl.Int32)
    return found.select(
        next=(pl.col("last") + 1).fill_null(0).cast(pl.Int32),
        ready_at=pl.when(got_out).then(pl.col("last_at") + pl.duration(hours=hours)),
        is_stopped=has_stopped.fill_null(value=False),
        is_over=(pl.col("last") >= links).fill_null(value=False),
    )


def reachable_link(following: Int32s, ways: Bools) -> Int32s:
    """Per row the first link from `following` on that reaches the borrower, else `following`.

    `ways` (rows, links) says which links do.

    >>> ways = np.array([[False, True], [True, False]])
    >>> reachable_link(np.array([0, 1], np.int32), ways).tolist()
    [1, 1]
    """
    ahead = ways & (np.arange(ways.shape[1]) >= following[:, None])
    found: Int32s = np.where(ahead.any(axis=1), ahead.argmax(axis=1), following).astype(np.int32)
    return found


def sent_of(rows: pl.DataFrame, *, strategy_hash: str) -> pl.DataFrame:
    """SENT as a plan's proposals would make it, if they all go and nobody answers."""
    link = pl.col("key").str.extract(r"\+(\d+)\|[^|]*$").cast(pl.Int32).fill_null(0)
    values = {
        "link": link,
        "at": pl.max_horizontal("not_before", "next_allowed_at"),
        "state": pl.lit("accepted"),
        "strategy_hash": pl.lit(strategy_hash),
    }
    known = {name: pl.col(name) for name in (*_EPISODE, "channel")}
    return rows.select(
        (known | values).get(name, pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in SENT.items()
    )
