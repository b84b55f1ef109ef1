"""Plan two whole books by the shipped strategy, day by day, and have every message read twice.

`python tools/plan_books.py FOLDER` prints the tables for docs/benchmarks.md. FOLDER holds the
public files of SuperLender; beside it stands the simulator's lender. Each day's messages count as
contacts of the next. The guard judges each proposal as in any plan, the linter each text of its
own: a finding of either is told by its rule, and ends the tool with 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from duewise.app import demo_app
from duewise.book.mapping import load_mapping
from duewise.engine.compose import STAND_IN, compose
from duewise.engine.days import plan_days
from duewise.engine.facts import LenderFacts
from duewise.engine.partition import PlanContext, Tables
from duewise.frames import empty
from duewise.jobs.bench.book import reachable
from duewise.jobs.operations import CASES, CONTACTS
from duewise.jobs.tenant import Tenant
from duewise.message.lint import lint
from duewise.sim.lender import synthetic_lender
from duewise.store.book import import_book, open_book

DAYS = 28
BORROWERS = 2_000  # borrowers of the simulator's
SUPERLENDER_FROM = date(2017, 6, 1)
SIMULATED_FROM = date(2026, 8, 3)
PLAN_AT = time(8, 30)


@dataclass(frozen=True)
class Found:
    """What came of the days of a book; counts by the guard's outcome, and by rule."""

    outcomes: Counter[str]
    stopped_by: Counter[str]
    flaws: Counter[str]
    steps: Counter[str]


def main(arguments: list[str]) -> int:
    """Print what became of both books; 1 where anything was found."""
    with tempfile.TemporaryDirectory(prefix="duewise-books-") as place:
        tenant = demo_app(Path(place) / "workspace", SIMULATED_FROM).tenant
        superlender = _superlender(Path(arguments[0]), Path(place) / "book")
        books = {
            "SuperLender": (superlender, SUPERLENDER_FROM, "micro_loan"),
            "simulator": (simulated(), SIMULATED_FROM, tenant.lender.licence),
        }
        found = {
            name: read_days(tables, _context(tenant, first, licence=licence), days=DAYS)
            for name, (tables, first, licence) in books.items()
        }
    for name, each in found.items():
        _tell(name, books[name][0], each)
    return int(any(each.flaws or each.stopped_by for each in found.values()))


def read_days(tables: Tables, context: PlanContext, *, days: int) -> Found:
    """The plans of so many days, every proposal read by the guard and its text by the linter."""
    lexicons = {
        lexicon.name: [pattern.re for pattern in lexicon.patterns]
        for lexicon in context.rulebook.lexicons
    }
    found = Found(Counter(), Counter(), Counter(), Counter())
    for day in plan_days([lambda: tables], context=context, days=days):
        proposals = day.rows.filter(decision="proposed")
        found.steps.update(proposals["step"])
        found.outcomes.update(proposals["outcome"])
        stopped = proposals.filter(~pl.col("outcome").is_in(["allow", "redact"]))
        found.stopped_by.update(stopped["rules"].explode().drop_nulls())
        found.flaws.update(_flaws(proposals, context, lexicons))
    return found


def _flaws(
    proposals: pl.DataFrame, context: PlanContext, lexicons: Mapping[str, list[str]]
) -> Iterator[str]:
    """The rule of each finding of the linter in the texts."""
    texts = compose(
        proposals.with_columns(salutation=pl.lit(STAND_IN)),
        templates=context.templates,
        sender=context.sender,
        as_of=proposals["as_of"].max() or context.as_of,  # type: ignore[arg-type]
    )
    for text, name in texts.select("text", "template").iter_rows():
        template = context.templates[name]
        if text is None:
            yield "nothing to send"
            continue
        asked = {"stage": template.stage, "channel": template.channel, "locale": template.locale}
        yield from (each.rule for each in lint(text, lexicons=lexicons, **asked))


def _context(tenant: Tenant, first: date, *, licence: str) -> PlanContext:
    """The shipped strategy on the morning of the first day."""
    now = datetime.combine(first, PLAN_AT, ZoneInfo(tenant.strategy.timezone)).astimezone(UTC)
    lender: LenderFacts = replace(tenant.lender, licence=licence)
    return PlanContext(
        plan_id="books",
        as_of=first,
        now=now,
        strategy=tenant.strategy,
        templates=tenant.templates,
        sender=tenant.sender,
        rulebook=tenant.rulebook,
        lender=lender,
        products=tenant.products,
        ledger_complete_until=now,
    )


def _superlender(folder: Path, into: Path) -> Tables:
    imported_at = datetime(2020, 1, 1, tzinfo=UTC)
    import_book(folder, load_mapping("superlender"), into, imported_at=imported_at)
    book = open_book(into)
    parts = [book.read(number) for number in range(book.partitions)]
    names = ("borrowers", "loans", "instalments", "payments")
    return _tables({name: pl.concat(getattr(part, name) for part in parts) for name in names})


def simulated(borrowers: int = BORROWERS) -> Tables:
    """The simulator's lender on SIMULATED_FROM."""
    lender = synthetic_lender(borrowers, seed=1, start=SIMULATED_FROM)
    names = ("borrowers", "loans", "instalments", "payments")
    return _tables({name: getattr(lender, name) for name in names})


def _tables(frames: Mapping[str, pl.DataFrame]) -> Tables:
    """Everybody can be reached, and nobody has a case."""
    return Tables(
        **frames,
        addresses=reachable(frames["borrowers"]),
        contacts=empty(CONTACTS),
        cases=empty(CASES),
    )


def _tell(name: str, tables: Tables, found: Found) -> None:
    print(f"{name}: {tables.borrowers.height} borrowers, {tables.loans.height} loans, {DAYS} days")
    for what in ("outcomes", "stopped_by", "flaws", "steps"):
        counts: Counter[str] = getattr(found, what)
        said = ", ".join(f"{key} {count}" for key, count in counts.most_common())
        print(f"  {what.replace('_', ' ')}: {said or 'none'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
