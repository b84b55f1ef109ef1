"""The stages that store: release, and a payment's hold."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import polars as pl
from psycopg import Connection, sql

from duewise.channels.base import Channel
from duewise.engine.partition import plan_partition
from duewise.jobs.bench.book import Task, tables_of
from duewise.jobs.bench.figure import Figure, in_turns, prove_same, rates
from duewise.jobs.bench.senders import Opened
from duewise.jobs.deliver import Connect
from duewise.jobs.ingest import Payment, add_accounts, complete_feed, record_payments
from duewise.jobs.operations import addresses_of, rows
from duewise.jobs.plan_day import summarise, write_manifest
from duewise.jobs.release import release_plan
from duewise.money import Money
from duewise.store.people import upsert_people
from duewise.times import Clock

LINGER_S = 30.0
_MS = 1_000
_READY = "FROM envelope WHERE state = 'ready'"
CLEAR = "UPDATE envelope SET state = 'cancelled', reason = 'bench' WHERE state IN ('ready', 'held')"
_HOLD = "UPDATE envelope SET state = 'held' WHERE borrower_id = %(borrower_id)s AND state = 'ready'"
ALL_DUE = "UPDATE envelope SET not_before = created_at WHERE state = 'ready'"
# Who pays, in an order that has nothing to do with that of writing.
_SAMPLE: LiteralString = """
SELECT borrower_id, loan_id FROM envelope WHERE state = 'ready' ORDER BY md5(key) LIMIT %(count)s
"""
_ACCOUNTS: LiteralString = """
INSERT INTO account (loan_id, borrower_id, currency)
SELECT loan_id, borrower_id, currency FROM envelope WHERE loan_id = ANY(%(loan_ids)s)
ON CONFLICT DO NOTHING
"""
# Rows, and a hash over all that is in them.
_CONTENT = "SELECT count(*), md5(string_agg(e::text, '' ORDER BY envelope_id)) AS hash FROM "


@dataclass(frozen=True)
class Desk:
    """A migrated database of our own, and the command that starts a gateway as a process.

    `opened` gives a sender at noon all it needs, in this process or another one.
    """

    task: Task
    conn: Connection[Any]
    connect: Connect
    channel_at: Callable[[int, Clock], Channel]
    opened: Opened
    gateway: Sequence[str]


def release(desk: Desk) -> list[Figure]:
    """Envelopes released a second, beside PostgreSQL's COPY of the same rows to a bare table."""
    sizes = desk.task.sizes
    desk.conn.execute(CLEAR)
    count = release_of(desk, admit(desk, sizes.envelopes))
    with desk.conn.cursor() as cursor:
        cursor.execute("CREATE TABLE bare_envelope (LIKE envelope)")
        with cursor.copy(f"COPY (SELECT * {_READY}) TO STDOUT") as copy:
            copied = b"".join(bytes(block) for block in copy)

    def peer() -> None:
        with desk.conn.cursor() as cursor, cursor.copy("COPY bare_envelope FROM STDIN") as copy:
            copy.write(copied)

    peer()
    prove_same(
        rows(desk.conn, f"{_CONTENT} bare_envelope AS e", {}),
        rows(desk.conn, f"{_CONTENT} (SELECT * {_READY}) AS e", {}),
        bench="release",
    )
    seconds = []
    for folder in [admit(desk, sizes.envelopes) for _ in range(sizes.turns)]:
        ours = partial(release_of, desk, folder)
        seconds += in_turns(ours, peer, turns=1, timer=desk.task.timer)
    note = "each with text, seal, second gate, two verdicts and a change"
    desk.conn.execute("DROP TABLE bare_envelope")
    return [rates("release", "envelopes/s", count, seconds, peer_name="bare COPY", note=note)]


def hold(desk: Desk) -> list[Figure]:
    """Milliseconds from a payment to its hold on what is unsent, beside the bare UPDATE.

    So many envelopes as asked for wait meanwhile, each for a borrower of its own.
    """
    task = desk.task
    desk.conn.execute(CLEAR)
    release_of(desk, admit(desk, max(task.sizes.envelopes, 3 * task.sizes.payments)))
    if task.sizes.waiting:
        _let_wait(desk.conn, task.sizes.waiting)
    sample = {"count": 2 * task.sizes.payments}
    ready = rows(desk.conn, _SAMPLE, sample)
    desk.conn.execute(_ACCOUNTS, {"loan_ids": [row["loan_id"] for row in ready]})
    ours, peer = [], []
    for paid, bare in zip(ready[::2], ready[1::2], strict=True):
        payment = Payment(
            payment_id=f"bench-{paid['loan_id']}",
            loan_id=paid["loan_id"],
            paid_at=task.noon,
            amount=Money(100, task.tenant.currency).major,
        )
        began = task.timer()
        held = record_payments(desk.conn, [payment], now=task.noon).held
        between = task.timer()
        updated = desk.conn.execute(_HOLD, bare).rowcount
        ended = task.timer()
        prove_same(held, updated, bench="hold")
        ours.append((between - began) * _MS)
        peer.append((ended - between) * _MS)
    waits = counted(desk, _READY)
    return [
        replace(_percentile(ours, peer, percent), note=f"{waits:,} envelopes wait")
        for percent in (50, 99)
    ]


def _let_wait(conn: Connection[Any], count: int) -> None:
    """Copies of one envelope, for borrowers that exist nowhere else; no change is recorded."""
    name = sql.SQL("'waits' || n")
    fresh = {
        "envelope_id": sql.SQL("nextval(pg_get_serial_sequence('envelope', 'envelope_id'))"),
        **dict.fromkeys(("key", "borrower_id", "loan_id"), name),
    }
    found = conn.execute("SELECT * FROM envelope LIMIT 0").description or ()
    names = [column.name for column in found]
    copied = sql.SQL(
        "INSERT INTO envelope ({}) SELECT {} FROM envelope e, generate_series(1, {}) AS n"
        " WHERE e.envelope_id = (SELECT min(envelope_id) FROM envelope WHERE state = 'ready')"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(fresh.get(each, sql.Identifier("e", each)) for each in names),
        sql.Literal(count),
    )
    conn.execute("ALTER TABLE envelope DISABLE TRIGGER envelope_added")
    conn.execute(copied)
    conn.execute("ALTER TABLE envelope ENABLE TRIGGER envelope_added")
    conn.execute("ANALYZE envelope")


def admit(desk: Desk, borrowers: int) -> Path:
    """New people, their accounts, and a plan in which nearly each of them gets a message."""
    task, tenant = desk.task, desk.task.tenant
    first = counted(desk, "FROM person")
    tables = tables_of(borrowers, as_of=task.as_of, first=first)
    people = tables.borrowers.select(
        "borrower_id",
        "locale",
        "timezone",
        salutation=pl.lit("李*先生"),
        phone=pl.format("+86138{}", pl.col("borrower_id").str.slice(1).str.zfill(8)),
    )
    upsert_people(desk.conn, people, keyring=tenant.keyring)
    add_accounts(desk.conn, tables.loans)
    complete_feed(desk.conn, task.noon)
    known = addresses_of(desk.conn, tables.borrowers["borrower_id"].to_list())
    context = replace(task.context, plan_id=f"bench-{first}")
    planned = plan_partition(replace(tables, addresses=known), context=context)
    folder = tenant.workspace / "plans" / context.plan_id
    folder.mkdir(parents=True)
    planned.rows.write_parquet(folder / "plan.parquet")
    write_manifest(folder, summarise(folder / "plan.parquet", context), context, tenant)
    return folder


def _percentile(ours: list[float], peer: list[float], percent: int) -> Figure:
    own, its = (statistics.quantiles(times, n=100)[percent - 1] for times in (ours, peer))
    return Figure(
        "hold",
        len(ours),
        f"ms p{percent}",
        ours=own,
        peer=its,
        peer_name="bare UPDATE",
        ratio=its / own,
    )


def release_of(desk: Desk, folder: Path) -> int:
    """Release the plan; how many envelopes are ready."""
    task = desk.task
    return release_plan(desk.conn, folder, task.tenant, now=task.morning)["ready"]


def counted(desk: Desk, what: LiteralString) -> int:
    """How many rows there are FROM … WHERE …."""
    return int(rows(desk.conn, f"SELECT count(*) AS n {what}", {})[0]["n"])
