"""A plan for a whole book: read each partition, ask the core, write; on as many cores as allowed.

`plan.parquet` and `plan.json` in the plan's folder are the whole result. Memory is bounded by the
partitions in flight; a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import Connection

from duewise.engine import share_out
from duewise.engine.partition import PlanContext, Tables
from duewise.engine.share_out import SharedOut, with_arms, within_budgets
from duewise.engine.spread import Load
from duewise.errors import BadInput
from duewise.frames import empty
from duewise.jobs.approvals import as_recorded
from duewise.jobs.operations import (
    addresses_of,
    cases_of,
    contacts_of,
    feed_complete_until,
    payments_of,
    promises_of,
    sent_of,
)
from duewise.jobs.plan_crew import planners
from duewise.jobs.plan_file import write_plan
from duewise.jobs.plan_hours import at_hours
from duewise.jobs.plan_part import (
    OFFERED,
    OTHERS,
    PLANNED,
    UNREAD,
    Known,
    read_part,
)
from duewise.jobs.risk_serve import served_hazard, served_models
from duewise.jobs.tenant import Tenant
from duewise.money import Money
from duewise.risk.serve import told
from duewise.store.files import write_atomically
from duewise.strategy.cascade import SENT
from duewise.strategy.plan import Strategy
from duewise.strategy.timing import HOURS, PaidByHour

if TYPE_CHECKING:
    from duewise.store.book import Book, BookTables

MANIFEST = "plan.json"

Progress = Callable[[int, int], None]

# What a plan's manifest says of it, and operations keep.
PLAN_COLUMNS = (
    "plan_id",
    "as_of",
    "planned_at",
    "strategy",
    "strategy_hash",
    "rulebook_hash",
    "template_hash",
    "borrowers",
    "proposals",
    "held_out",
)


@dataclass(frozen=True)
class PlanSummary:
    """What a plan came to. `by_step`: step, decision, outcome, reason, rows.

    `budgets` is None where the strategy has none.
    `risk` says by which models the risk is known, or by what else; `unread`, of how many borrowers
    they took a value of the lender's own column for missing, as they cannot read it. `loads`: what
    the day asks of the routes of each channel whose rate is limited.
    """

    plan_id: str
    as_of: date
    planned_at: datetime
    borrowers: int
    proposals: int
    held_out: int
    by_step: pl.DataFrame
    risk: str
    budgets: SharedOut | None = None
    unread: Mapping[str, int] = field(default_factory=dict)
    loads: tuple[Load, ...] = ()


def context_for(
    conn: Connection[Any], tenant: Tenant, book: Book, *, as_of: date, now: datetime
) -> PlanContext:
    """The frozen rest of a plan. Its id is a hash of everything it was decided by."""
    complete_until = feed_complete_until(conn)
    if complete_until is None:
        raise BadInput(
            "nobody has said yet how far the payments are complete",
            mend='POST /api/v1/feeds/payments/watermark, or set [ledger] feed = "replay"',
        )
    tenant = as_recorded(conn, tenant)
    models, hazard = served_models(tenant.workspace), served_hazard(tenant.workspace)
    parts = (
        told(models, hazard),
        tenant.strategy.content_hash,
        tenant.rulebook.content_hash,
        tenant.template_hash,
        tenant.products.content_hash,
        book.content_hash,
        repr(tenant.sender),
        repr(tenant.lender),
        as_of.isoformat(),
        now.isoformat(),
        complete_until.isoformat(),
        repr(tenant.price_per_part_minor),
        *(each.content_hash for each in tenant.earlier),
        *sorted(name for name, each in tenant.templates.items() if not each.is_approved),
        *(f"{channel} {rate}" for channel, rate in sorted(tenant.rates.items())),
    )
    return PlanContext(
        plan_id=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16],
        as_of=as_of,
        now=now,
        strategy=tenant.strategy,
        templates=tenant.templates,
        sender=tenant.sender,
        rulebook=tenant.rulebook,
        lender=tenant.lender,
        products=tenant.products,
        ledger_complete_until=complete_until,
        paid_by_hour=_paid_by_hour(book, tenant.strategy, now=now),
        part_price=Money(tenant.price_per_part_minor, tenant.currency),
        models=models,
        earlier=tenant.earlier,
        hazard=hazard,
        rates=tenant.rates,
    )


def _paid_by_hour(book: Book, strategy: Strategy, *, now: datetime) -> PaidByHour | None:
    """The book's payments known by now, by product and local hour, if the strategy learns hours."""
    if strategy.send_time != "learned":
        return None
    counted = book.payments_by_hour(until=now, zone=strategy.timezone)
    found = {product: [0] * HOURS for product in counted["product"].unique()}
    for product, hour, payments in counted.iter_rows():
        found[product][hour] = payments
    return {product: tuple(counts) for product, counts in found.items()}


def plan_book(
    conn: Connection[Any],
    book: Book,
    tenant: Tenant,
    *,
    as_of: date,
    now: datetime,
    out: Path,
    workers: int = 1,
    progress: Progress | None = None,
) -> PlanSummary:
    """Plan every borrower of the book into `out`. The same input gives byte-identical files."""
    context = context_for(conn, tenant, book, as_of=as_of, now=now)
    (out / MANIFEST).unlink(missing_ok=True)  # an earlier plan's: this one is not finished yet
    summary = plan_parts(
        lambda number: partial(
            read_part, book, number, _known(conn, book.borrower_ids(number), tenant, now=now)
        ),
        context,
        partitions=book.partitions,
        out=out,
        workers=workers,
        progress=progress,
    )
    write_manifest(out, summary, context, tenant)
    for left_over in out.glob("parts-*"):  # ours, and those of runs that were given up
        shutil.rmtree(left_over)
    return summary


def plan_parts(
    reader_of: Callable[[int], Callable[[], Tables]],
    context: PlanContext,
    *,
    partitions: int,
    out: Path,
    workers: int = 1,
    progress: Progress | None = None,
) -> PlanSummary:
    """Plan the partitions that are not planned yet, share the budgets out, write `plan.parquet`.

    `reader_of` a partition is called here and picklable; what it gives reads it in the process that
    plans it.
    """
    parts = out / f"parts-{context.plan_id}"
    parts.mkdir(parents=True, exist_ok=True)
    targets = [parts / f"{number:04d}{PLANNED}" for number in range(partitions)]
    missing = [number for number, path in enumerate(targets) if not path.exists()]
    done = len(targets) - len(missing)
    tasks = ((reader_of(number), targets[number]) for number in missing)
    meanwhile = share_out.get_ready if context.strategy.budgets else None
    workers = min(workers, len(missing))
    with planners(context, workers=workers, meanwhile=meanwhile) as run:
        for done_now, _ in enumerate(run(tasks), start=done + 1):
            if progress:
                progress(done_now, len(targets))
        shared = _share_out(targets, context)
        planned, loads = at_hours(targets, list(_within_budgets(targets, shared)), context)
        write_plan(planned, out / "plan.parquet")
        summary = summarise(out / "plan.parquet", context)
    return replace(summary, budgets=shared, unread=_all_unread(targets), loads=loads)


def _all_unread(targets: list[Path]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for path in (target.with_suffix(UNREAD) for target in targets):
        found.update(json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
    return dict(sorted(found.items()))


def tables_of(conn: Connection[Any], found: BookTables, tenant: Tenant, *, now: datetime) -> Tables:
    """A group's rows of the book joined by what operations know of the same borrowers."""
    return _known(conn, found.borrowers["borrower_id"].to_list(), tenant, now=now).joined(found)


def _known(
    conn: Connection[Any], borrower_ids: list[str], tenant: Tenant, *, now: datetime
) -> Known:
    asks = any(each.remembers for each in (tenant.strategy, *tenant.earlier))
    return Known(
        payments=payments_of(conn, borrower_ids, known_at=now),
        addresses=addresses_of(conn, borrower_ids),
        contacts=contacts_of(conn, borrower_ids, now=now),
        cases=cases_of(conn, borrower_ids, now=now),
        sent=sent_of(conn, borrower_ids, now=now) if asks else empty(SENT),
        promises=promises_of(conn, borrower_ids, now=now),
    )


def summarise(path: Path, context: PlanContext) -> PlanSummary:
    """Counts of a written plan."""
    by_step = (
        pl.scan_parquet(path)
        .group_by("step", "stage", "decision", "outcome", "reason")
        .agg(rows=pl.len())
        .sort("step", "decision", "outcome", "reason", nulls_last=True)
        .collect()
    )

    def count(decision: str) -> int:
        return int(by_step.filter(pl.col("decision") == decision)["rows"].sum())

    return PlanSummary(
        plan_id=context.plan_id,
        as_of=context.as_of,
        planned_at=context.now,
        borrowers=int(by_step["rows"].sum()),
        proposals=count("proposed"),
        held_out=count("held_out"),
        by_step=by_step,
        risk=told(context.models, context.hazard),
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The `plan.json` of a plan folder. Raises BadInput where there is none."""
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        finished = {name: manifest[name] for name in PLAN_COLUMNS}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            "no finished plan in this folder", source=str(path), mend="run `duewise plan` first"
        ) from error
    return manifest | finished


def _share_out(targets: list[Path], context: PlanContext) -> SharedOut | None:
    """The budgets shared out over all partitions, on all cores."""
    if not context.strategy.budgets:
        return None
    asked = [pl.read_parquet(target.with_suffix(OFFERED)) for target in targets]
    currency = context.part_price.currency
    with ThreadPoolExecutor() as threads:
        return share_out.share_out(asked, context.strategy, currency=currency, each=threads.map)


def _within_budgets(targets: list[Path], shared: SharedOut | None) -> Iterator[pl.LazyFrame]:
    """The partitions' plans as they go out: without what the budgets had no room for."""
    planned = [pl.scan_ipc(target) for target in targets]
    if shared is None:
        return iter(planned)
    others = [target.with_suffix(OTHERS) for target in targets]
    chosen = (
        with_arms(rows, pl.scan_ipc(path), arms.lazy()) if path.exists() else rows
        for rows, path, arms in zip(planned, others, shared.arms, strict=True)
    )
    return map(within_budgets, chosen, shared.cut)


def write_manifest(
    folder: Path, summary: PlanSummary, context: PlanContext, tenant: Tenant
) -> None:
    """Write `plan.json`: by its being there a plan is known to be finished."""
    manifest = {
        "schema": "plan/1",
        "plan_id": summary.plan_id,
        "as_of": summary.as_of.isoformat(),
        "planned_at": summary.planned_at.isoformat(),
        "ledger_complete_until": context.ledger_complete_until.isoformat(),
        "strategy": f"{tenant.strategy.name} v{tenant.strategy.version}",
        "strategy_hash": tenant.strategy.content_hash,
        "rulebook_hash": tenant.rulebook.content_hash,
        "template_hash": tenant.template_hash,
        "borrowers": summary.borrowers,
        "proposals": summary.proposals,
        "held_out": summary.held_out,
        "risk": summary.risk,
    }
    if summary.unread:
        manifest["unread"] = dict(summary.unread)
    if summary.budgets:
        manifest["budgets"] = [asdict(use) for use in summary.budgets.uses]
        manifest["budgets_gap"] = summary.budgets.gap
    if summary.loads:
        manifest["loads"] = [asdict(load) for load in summary.loads]
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    write_atomically(folder / MANIFEST, text.encode())
