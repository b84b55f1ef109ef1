"""The ledger beside what one would write instead: DuckDB, streaming Polars and pandas.

From a book's Parquet to the ledger's Parquet, with penalty. The peers settle first in, first out by
running sums, which cannot follow what a late payment paid of the penalty: so they are compared,
cell by cell, on the loans that have no late payment, and timed on all. They write whole minor
units, which is less work than our decimals. The limits are to read the columns and write as many:
by streaming Polars in its own way, and by our readers and writers, as many bytes as the ledger.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from duewise.book.align import align
from duewise.book.ledger import Room, ledger_of
from duewise.book.product import shipped_products
from duewise.errors import IntegrityBroken
from duewise.jobs.bench.big_book import write_book
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import Figure, forget_peak, in_turns, peak_rss_mib, rates
from duewise.jobs.bench.ledger_peers import PEERS, Peer
from duewise.jobs.ledger_files import (
    IN_FLIGHT,
    bare_ledger_of_part,
    end_of,
    ledger_writers,
    write_ledger,
)
from duewise.jobs.ledger_tables import Decimals, tables_of
from duewise.store.book import Book

KERNEL_TURNS = 20
COMPARED = ("principal_paid", "interest_paid", "penalty", "outstanding", "days_past_due")


@dataclass(frozen=True)
class _Scene:
    """Where the book lies and what is asked of it."""

    book: Book
    as_of: date
    out: Path

    @property
    def known_at(self) -> datetime:
        return end_of(self.as_of, self.book.timezone)


def ledger(task: Task) -> list[Figure]:
    """Loans a second: the fold alone on one core, and from Parquet to Parquet beside the peers."""
    with TemporaryDirectory(prefix="duewise-bench-") as folder:
        book = write_book(Path(folder) / "book", task.sizes.loans, as_of=task.as_of)
        scene = _Scene(book, task.as_of, Path(folder) / "out")
        return [_kernel(scene, task), *_files(scene, task)]


def _kernel(scene: _Scene, task: Task) -> Figure:
    """The compiled fold over one partition's columns, again and again, into the same memory."""
    products = shipped_products()
    tables = scene.book.bare_tables(0)
    aligned = align(tables, products, known_at=scene.known_at, zone=scene.book.timezone)

    room = Room()

    def run() -> None:
        ledger_of(aligned, products, as_of=scene.as_of, room=room)

    run()
    seconds = in_turns(run, None, turns=KERNEL_TURNS, timer=task.timer)
    best = [min(seconds)] * 3
    count = aligned.loans.height
    note = f"one core, {count:,} loans in memory, best of {KERNEL_TURNS}"
    return rates("ledger fold", "loans/s", count, best, note=note)


def _files(scene: _Scene, task: Task) -> Iterator[Figure]:
    count, products = task.sizes.loans, shipped_products()

    def ours() -> None:
        shutil.rmtree(scene.out, ignore_errors=True)
        write_ledger(scene.book, products, as_of=scene.as_of, out=scene.out)

    copy = _copy_of(scene)
    before = forget_peak()
    ours()
    peak = peak_rss_mib()
    for peer in PEERS:
        theirs = scene.out.parent / peer.name

        def run(peer: Peer = peer, theirs: Path = theirs) -> None:
            shutil.rmtree(theirs, ignore_errors=True)
            theirs.mkdir()
            peer.run(scene.book.path, theirs, scene.as_of, scene.known_at)

        run()
        same = _prove_same(scene.out, theirs, peer.name) if peer.has_figures else ""
        turns = task.sizes.turns if peer.is_quick else 1
        seconds = in_turns(ours, run, turns=turns, timer=task.timer)
        figure = rates("ledger", "loans/s", count, seconds, peer_name=peer.name)
        yield replace(figure, note=f"{same}{peak} MiB at most, {before} before")
    copy()
    seconds = in_turns(ours, copy, turns=task.sizes.turns, timer=task.timer)
    yield rates("ledger", "loans/s", count, seconds, peer_name="our files read and written alone")


def _copy_of(scene: _Scene) -> Callable[[], None]:
    """The limit: read what the ledger reads, and write the first partition's answer as often."""
    book, products, out = scene.book, shipped_products(), scene.out.with_name("copied")
    found = bare_ledger_of_part(book, products, 0, as_of=scene.as_of)
    tables = tables_of(found, Decimals(book.currency))

    def read(number: int) -> None:
        book.bare_tables(number)

    def run() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        with ExitStack() as files, ThreadPoolExecutor(IN_FLIGHT) as reading:
            writers = ledger_writers(out, files)
            writing = files.enter_context(ThreadPoolExecutor(len(writers)))
            for _ in reading.map(read, range(book.partitions)):
                written = [writing.submit(writers[name].write, tables[name]) for name in writers]
                for future in written:
                    future.result()

    return run


def _prove_same(ours: Path, theirs: Path, name: str) -> str:
    """Compare every instalment of the loans without a late payment; how many loans that were."""
    mine = pl.read_parquet(ours / "instalments.parquet")
    late = mine.group_by("loan_id").agg(pl.col("paid_late").sum()).filter(pl.col("paid_late") == 0)
    key = ["loan_id", "number"]
    money = [name for name in COMPARED if name != "days_past_due"]
    mine = (
        mine.join(late, on="loan_id", how="semi")
        .with_columns((pl.col(name) * 100).cast(pl.Int64) for name in money)
        .select(*key, pl.col(*COMPARED).cast(pl.Int64))
        .sort(key)
    )
    other = (
        pl.read_parquet(theirs / "instalments.parquet")
        .join(late, on="loan_id", how="semi")
        .select(*key, pl.col(*COMPARED).cast(pl.Int64))
        .sort(key)
    )
    if not mine.equals(other):
        raise IntegrityBroken(f"bench ledger: {name} says something else; nothing was timed")
    overdue = mine.filter(pl.col("days_past_due") > 0)["loan_id"].n_unique()
    return f"the same on {late.height:,} loans, {overdue:,} of them past due; "
