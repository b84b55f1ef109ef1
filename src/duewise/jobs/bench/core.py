"""The pure stages: a plan, texts and their parts, sealing."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from datetime import date

import polars as pl
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from duewise.engine.compose import STAND_IN
from duewise.engine.partition import Tables, plan_partition
from duewise.frames import empty
from duewise.jobs.bench.book import Task, reachable
from duewise.jobs.bench.figure import (
    Figure,
    forget_peak,
    in_turns,
    peak_rss_mib,
    prove_same,
    rates,
)
from duewise.jobs.operations import CASES, CONTACTS
from duewise.message.parts import measure, measure_column
from duewise.message.syntax import environment
from duewise.message.template import render_column
from duewise.money import Money
from duewise.sim.lender import synthetic_lender
from duewise.store.seal import KEY_BYTES

BORROWERS_PER_PARTITION = 50_000
TEMPLATE = "zh.m1_day1.neutral"
_PEER_SHARE = 20  # the slow peers do one in so many


def plan(task: Task) -> list[Figure]:
    """Borrowers a second through ledger, score, decision and first gate, and the memory it took.

    In a process of its own, partition by partition, as `duewise plan` does it.
    """
    borrowers = task.sizes.borrowers
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as process:
        seconds, base_mib, peak_mib = process.submit(_plan_all, task).result()
    partitions = -(-borrowers // BORROWERS_PER_PARTITION)
    note = f"{partitions} partitions; {base_mib} MiB of it were held before the first plan"
    return [
        rates("plan", "borrowers/s", borrowers, [(each, None) for each in seconds]),
        Figure("plan", borrowers, "MiB at most", ours=peak_mib, note=note),
    ]


def render(task: Task) -> list[Figure]:
    """Texts written and their parts counted a second, beside Liquid writing one after the other."""
    template, sender = task.tenant.templates[TEMPLATE], task.tenant.sender
    rows = _messages(task.sizes.messages, as_of=task.as_of)
    values = [
        row | asdict(sender) | {"amount": Money(row["amount_minor"], row["currency"])}
        for row in rows.head(max(1, rows.height // _PEER_SHARE)).iter_rows(named=True)
    ]
    parsed = environment(template.language).from_string(template.text)

    def ours() -> pl.DataFrame:
        text = render_column(template, rows, sender=sender)
        return measure_column(text).with_columns(text)

    def peer() -> list[tuple[str, int]]:
        texts = [parsed.render(**each) for each in values]
        return [(text, measure(text).parts) for text in texts]

    written = ours().select("text", "parts").head(len(values)).rows()
    prove_same(written, peer(), bench="render")
    # The peer's seconds are those of the whole, by the share it did.
    seconds = [
        (own, its * rows.height / len(values) if its else None)
        for own, its in in_turns(ours, peer, turns=task.sizes.turns, timer=task.timer)
    ]
    return [rates("render", "messages/s", rows.height, seconds, peer_name="python-liquid")]


def seal(task: Task) -> list[Figure]:
    """Fields sealed a second, beside a bare AES-GCM call a field: no context, no key number."""
    keyring, count = task.tenant.keyring, task.sizes.fields
    borrower_ids = [f"B{n:07d}" for n in range(count)]
    texts = [f"+86138{n:08d}" for n in range(count)]
    cipher = AESGCM(keyring.random_bytes(KEY_BYTES))

    def ours() -> list[bytes | None]:
        return keyring.seal_column(texts, column="phone", borrower_ids=borrower_ids)

    def peer() -> list[tuple[bytes, bytes]]:
        nonces = [keyring.random_bytes(12) for _ in texts]
        return [
            (nonce, cipher.encrypt(nonce, text.encode(), None))
            for nonce, text in zip(nonces, texts, strict=True)
        ]

    opened = keyring.unseal_column(ours(), column="phone", borrower_ids=borrower_ids)
    prove_same(opened, [cipher.decrypt(*each, None).decode() for each in peer()], bench="seal")
    seconds = in_turns(ours, peer, turns=task.sizes.turns, timer=task.timer)
    return [rates("seal", "fields/s", count, seconds, peer_name="one AES-GCM call each")]


def _plan_all(task: Task) -> tuple[list[float], int, int]:
    """Seconds of each turn, memory before the first and the most, in a process of its own."""
    context, sizes = task.context, task.sizes
    lender = synthetic_lender(sizes.borrowers, seed=sizes.seed, start=task.as_of)
    whole = Tables(
        borrowers=lender.borrowers,
        loans=lender.loans,
        instalments=lender.instalments,
        payments=lender.payments,
        addresses=reachable(lender.borrowers),
        contacts=empty(CONTACTS),
        cases=empty(CASES),
    )
    partitions = [
        _part(whole, lender.borrowers.slice(start, BORROWERS_PER_PARTITION))
        for start in range(0, sizes.borrowers, BORROWERS_PER_PARTITION)
    ]
    base_mib = forget_peak()

    def run() -> None:
        for tables in partitions:
            plan_partition(tables, context=context)

    seconds = in_turns(run, None, turns=task.sizes.turns, timer=task.timer)
    return [own for own, _ in seconds], base_mib, peak_rss_mib()


def _part(tables: Tables, borrowers: pl.DataFrame) -> Tables:
    """The rows of some of the borrowers."""
    ids = borrowers.select("borrower_id")
    names = ("loans", "instalments", "payments", "addresses")
    return replace(
        tables,
        borrowers=borrowers,
        **{name: getattr(tables, name).join(ids, on="borrower_id", how="semi") for name in names},
    )


def _messages(count: int, *, as_of: date) -> pl.DataFrame:
    """What `TEMPLATE` needs to know, no two rows alike."""
    n = pl.int_range(count, eager=True).alias("n").to_frame()
    return n.select(
        salutation=pl.lit(STAND_IN),
        loan_tail=pl.format("L{}", pl.col("n").cast(pl.String).str.zfill(7)),
        as_of=pl.lit(as_of),
        due_date=pl.lit(as_of) - pl.duration(days=pl.col("n") % 30 + 1),
        days_past_due=(pl.col("n") % 30 + 1).cast(pl.Int32),
        amount_minor=10_000 + pl.col("n") * 7,
        currency=pl.lit("CNY"),
    )
