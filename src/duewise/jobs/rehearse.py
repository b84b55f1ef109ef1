"""A strategy tried out before it is in force: a borrower's next days, a book's last ones.

A replay plans past days under the strategy in force and under another, from the book, the payments
as they became known, and today's addresses and cases; each strategy's own messages count as the
contacts that its later days see, and its budgets are shared out over the whole book each day, as a
plan does. What it found is kept under the strategy's content hash, and a strategy without it is not
published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import polars as pl
from psycopg import Connection

from duewise.engine.days import MAY_GO, Day, plan_days, unpaid
from duewise.engine.partition import Tables
from duewise.engine.share_out import BudgetUse, SharedOut, at_prices, priced, uncut
from duewise.errors import BadInput
from duewise.jobs.plan_day import context_for, read_manifest, tables_of
from duewise.jobs.tenant import Tenant
from duewise.jobs.versions import keep_version
from duewise.money import Money
from duewise.store.book import Book
from duewise.store.files import write_atomically
from duewise.strategy.plan import Strategy
from duewise.strategy.reason import Reason

FOLDER = "replays"
_KEPT: tuple[str, ...] = ("borrower_id", "as_of", "step", "arm", "template", "channel", "decision")
_KEPT += ("reason", "outcome", "rules", "parts")


@dataclass(frozen=True)
class BudgetDays:
    """A budget over some days: `limit` of each, `used` of all together.

    One more unit was worth something on `short_days` of them: `price` a day in the middle of all,
    `price_most` on the dearest, in major units.
    """

    name: str
    of: str
    limit: int
    used: float
    short_days: int
    price: float
    price_most: float


@dataclass(frozen=True)
class Side:
    """What one strategy came to. `rules` and `reasons`: how often each stopped a message.

    `cut`: messages of each step that the budgets had no room for; `by_arm`: `step.arm` of the steps
    that leave the choice to them. `gap`: the share of the best worth at most missed on any day.
    """

    strategy: str
    content_hash: str
    messages: int
    parts: int
    cost: str
    by_step: dict[str, int]
    rules: dict[str, int]
    reasons: dict[str, int]
    cut: dict[str, int] = field(default_factory=dict)
    by_arm: dict[str, int] = field(default_factory=dict)
    budgets: tuple[BudgetDays, ...] = ()
    gap: float = 0.0


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
    uses: Sequence[BudgetUse] | None = None,
) -> pl.DataFrame:
    """The plan's rows of a borrower for the next days, if nothing is paid. Raises BadInput.

    Where there are budgets with `budgets` (those a message takes of), `worth` and, by the prices of
    `uses`, `price`. Without `uses` nothing is cut, and the first arm that can go does: what is
    shared out over all borrowers cannot be known of one.
    """
    tables = tables_of(conn, book.read_borrowers([borrower_id]), tenant, now=now)
    if tables.loans.is_empty():
        raise BadInput(f"no loan of borrower {borrower_id!r} in the book", source="--borrower")
    context = context_for(conn, tenant, book, as_of=as_of, now=now)
    tables, strategy = unpaid(tables, context=context), tenant.strategy
    currency = tenant.currency
    told = partial(priced, strategy=strategy, uses=uses, currency=currency)
    share = partial(at_prices, strategy=strategy, uses=uses, currency=currency) if uses else uncut
    found = plan_days([lambda: tables], context=context, days=days, share=share)
    return pl.concat(_priced(day, told) for day in found)


def prices_of(folder: Path, strategy: Strategy) -> tuple[BudgetUse, ...]:
    """Use and price of each budget in a finished plan of this very strategy. Raises BadInput."""
    manifest = read_manifest(folder)
    if manifest["strategy_hash"] != strategy.content_hash or "budgets" not in manifest:
        mend = "name a plan's folder made by this very file, with budgets"
        raise BadInput("this plan has no prices of this strategy", source=str(folder), mend=mend)
    return tuple(BudgetUse(**each) for each in manifest["budgets"])


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
    both = replace(tenant, strategy=other) if other.remembers else tenant
    tables = partial(_tables_then, conn, book, both, now=now, at=from_at)
    read = lru_cache(maxsize=1)(tables)  # a partition that stands alone is read once
    reads = [partial(read, number) for number in range(book.partitions)]
    # Budgets are of the whole book together; else a partition after the other is lighter.
    together = tenant.strategy.budgets or other.budgets
    groups = [reads] if together else [[each] for each in reads]
    sides: list[list[_Kept]] = [[], []]
    done, whole = 0, len(groups) * days * len(sides)
    for group in groups:
        for side, strategy in zip(sides, (tenant.strategy, other), strict=True):
            for day in plan_days(group, context=replace(given, strategy=strategy), days=days):
                side.append(_kept(day))
                done += 1
                if progress:
                    progress(done, whole)
    old, new = (pl.concat(rows for rows, _ in side) for side in sides)
    return Replay(
        from_day,
        days,
        new["borrower_id"].n_unique(),
        _side(old, sides[0], tenant.strategy, tenant),
        _side(new, sides[1], other, tenant),
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


def _tables_then(
    conn: Connection[Any], book: Book, tenant: Tenant, number: int, *, now: datetime, at: datetime
) -> Tables:
    """A partition's tables, without contacts and messages that were made after an instant."""
    tables = tables_of(conn, book.read(number), tenant, now=now)
    contacts, sent = (each.filter(pl.col("at") < at) for each in (tables.contacts, tables.sent))
    return replace(tables, contacts=contacts, sent=sent)


_Kept: TypeAlias = tuple[pl.DataFrame, SharedOut | None]


def _kept(day: Day) -> _Kept:
    """What is counted of a day."""
    return day.rows.select(_KEPT), day.shared and replace(day.shared, cut=(), arms=())


def _priced(day: Day, told: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """A borrower's row with what its message takes of the budgets."""
    if day.shared is None:
        return day.rows
    return day.rows.join(told(day.offers), on=["borrower_id", "arm"], how="left")


def _going(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter((pl.col("decision") == "proposed") & pl.col("outcome").is_in(MAY_GO))


def _side(rows: pl.DataFrame, days: Sequence[_Kept], strategy: Strategy, tenant: Tenant) -> Side:
    going = _going(rows)
    parts = int(going["parts"].sum())
    stopped = rows.filter((pl.col("decision") == "proposed") & ~pl.col("outcome").is_in(MAY_GO))
    chosen = going.filter(pl.col("step").is_in([s.name for s in strategy.steps if s.by_budget]))
    shared = [each for _, each in days if each is not None]
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
        cut=_counted(rows.filter(reason=Reason.OVER_BUDGET.value)["step"]),
        by_arm=_counted(chosen.select(arm=pl.format("{}.{}", "step", "arm"))["arm"]),
        budgets=_budget_days(shared),
        gap=max((each.gap for each in shared), default=0.0),
    )


def _budget_days(shared: Sequence[SharedOut]) -> tuple[BudgetDays, ...]:
    """Each budget over all days."""
    found = zip(*(each.uses for each in shared), strict=True)
    return tuple(
        BudgetDays(
            name=uses[0].name,
            of=uses[0].of,
            limit=uses[0].limit,
            used=sum(use.used for use in uses),
            short_days=sum(use.price > 0 for use in uses),
            price=median(use.price for use in uses),
            price_most=max(use.price for use in uses),
        )
        for uses in found
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
