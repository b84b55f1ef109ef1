"""A strategy tried out before it is in force: a borrower's next days, a book's last ones.

A replay plans past days under the strategy in force and under another, from the book, the payments
as they became known, and today's addresses and cases; each strategy's own messages count as the
contacts that its later days see. What it found is kept under the strategy's content hash, and a
strategy without it is not published.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from psycopg import Connection

from duewise.engine.days import MAY_GO, plan_days, unpaid
from duewise.engine.partition import PlanContext, Tables
from duewise.errors import BadInput
from duewise.jobs.plan_day import context_for, tables_of
from duewise.jobs.tenant import Tenant
from duewise.jobs.versions import keep_version
from duewise.money import Money
from duewise.store.book import Book
from duewise.store.files import write_atomically
from duewise.strategy.plan import Strategy

FOLDER = "replays"
_KEPT: tuple[str, ...] = ("borrower_id", "as_of", "step", "arm", "template", "channel", "decision")
_KEPT += ("reason", "outcome", "rules", "parts")


@dataclass(frozen=True)
class Side:
    """What one strategy came to. `rules` and `reasons`: how often each stopped a message."""

    strategy: str
    content_hash: str
    messages: int
    parts: int
    cost: str
    by_step: dict[str, int]
    rules: dict[str, int]
    reasons: dict[str, int]


@dataclass(frozen=True)
class Replay:
    """Two strategies on the same days.

    `more`, `fewer`: borrowers who would get more messages under the new one, or fewer; `other`: as
    many, but not the same; `alike`: the same.
    """

    from_day: date
    days: int
    borrowers: int
    old: Side
    new: Side
    more: int
    fewer: int
    other: int
    alike: int


def preview(
    conn: Connection[Any],
    book: Book,
    tenant: Tenant,
    *,
    borrower_id: str,
    as_of: date,
    now: datetime,
    days: int,
) -> pl.DataFrame:
    """The plan's rows of a borrower for the next days, if nothing is paid. Raises BadInput."""
    tables = tables_of(conn, book.read_borrowers([borrower_id]), tenant, now=now)
    if tables.loans.is_empty():
        raise BadInput(f"no loan of borrower {borrower_id!r} in the book", source="--borrower")
    context = context_for(conn, tenant, book, as_of=as_of, now=now)
    return pl.concat(plan_days(unpaid(tables, context=context), context=context, days=days))


def replay(
    conn: Connection[Any],
    book: Book,
    tenant: Tenant,
    other: Strategy,
    *,
    from_day: date,
    from_at: datetime,
    days: int,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Plan those days of the book under the tenant's strategy and under another."""
    given = context_for(conn, tenant, book, as_of=from_day, now=from_at)
    sides: list[list[pl.DataFrame]] = [[], []]
    both = replace(tenant, strategy=other) if other.remembers else tenant
    for number in range(book.partitions):
        tables = _as_it_was(tables_of(conn, book.read(number), both, now=now), from_at)
        for side, strategy in zip(sides, (tenant.strategy, other), strict=True):
            side.append(_days(tables, replace(given, strategy=strategy), days))
        if progress:
            progress(number + 1, book.partitions)
    old, new = (pl.concat(side) for side in sides)
    return Replay(
        from_day,
        days,
        new["borrower_id"].n_unique(),
        _side(old, tenant.strategy, tenant),
        _side(new, other, tenant),
        **_who(old, new),
    )


def keep(workspace: Path, found: Replay) -> Path:
    """Write a replay down under the content hash of the strategy that was tried."""
    path = _path(workspace, found.new.content_hash)
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(asdict(found), default=str, ensure_ascii=False, indent=2)
    write_atomically(path, f"{text}\n".encode())
    return path


def publish(workspace: Path, strategy: Strategy, *, source: Path, target: Path) -> None:
    """Put a strategy in force: its file becomes the workspace's, byte for byte.

    Raises BadInput where this very content was not replayed.
    """
    if not _path(workspace, strategy.content_hash).exists():
        raise BadInput(
            "this content was not replayed, so nobody knows what it would do",
            source=str(source),
            mend=f"duewise strategy replay {source} --from DAY --to DAY",
        )
    if target.exists():
        keep_version(workspace, target.read_bytes(), but=strategy.content_hash)
    write_atomically(target, source.read_bytes())


def _path(workspace: Path, content_hash: str) -> Path:
    return workspace / FOLDER / f"{content_hash}.json"


def _as_it_was(tables: Tables, at: datetime) -> Tables:
    """Without the contacts that were made later, and the messages."""
    contacts, sent = (each.filter(pl.col("at") < at) for each in (tables.contacts, tables.sent))
    return replace(tables, contacts=contacts, sent=sent)


def _days(tables: Tables, context: PlanContext, days: int) -> pl.DataFrame:
    return pl.concat(rows.select(_KEPT) for rows in plan_days(tables, context=context, days=days))


def _going(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter((pl.col("decision") == "proposed") & pl.col("outcome").is_in(MAY_GO))


def _side(rows: pl.DataFrame, strategy: Strategy, tenant: Tenant) -> Side:
    going = _going(rows)
    parts = int(going["parts"].sum())
    stopped = rows.filter((pl.col("decision") == "proposed") & ~pl.col("outcome").is_in(MAY_GO))
    return Side(
        strategy=f"{strategy.name} v{strategy.version}",
        content_hash=strategy.content_hash,
        messages=going.height,
        parts=parts,
        cost=f"{tenant.currency} "
        f"{Money(parts * tenant.price_per_part_minor, tenant.currency).major:,}",
        by_step=_counted(going["step"]),
        rules=_counted(stopped["rules"].explode()),
        reasons=_counted(rows.filter(pl.col("decision") != "proposed")["reason"]),
    )


def _counted(values: pl.Series) -> dict[str, int]:
    counts = values.drop_nulls().value_counts(sort=False, name="rows").sort(values.name)
    return dict(counts.iter_rows())


def _who(old: pl.DataFrame, new: pl.DataFrame) -> dict[str, int]:
    """Borrowers by whether they would get more messages, fewer, others, or the same."""
    each = [
        _going(rows)
        .with_columns(message=pl.format("{} {} {}", "as_of", "template", "channel"))
        .group_by("borrower_id")
        .agg(pl.len().alias(f"count_{name}"), pl.col("message").sort().alias(f"said_{name}"))
        for name, rows in (("old", old), ("new", new))
    ]
    both = (
        new.select("borrower_id")
        .unique()
        .join(each[0], on="borrower_id", how="left")
        .join(each[1], on="borrower_id", how="left")
        .with_columns(pl.col("count_old", "count_new").fill_null(0).cast(pl.Int64))
    )
    more = pl.col("count_new") > pl.col("count_old")
    fewer = pl.col("count_new") < pl.col("count_old")
    other = ~more & ~fewer & (pl.col("said_old") != pl.col("said_new"))
    counts = both.select(
        more=more.sum(), fewer=fewer.sum(), other=other.fill_null(value=False).sum()
    ).row(0, named=True)
    return {**counts, "alike": both.height - sum(counts.values())}
