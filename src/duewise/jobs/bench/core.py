"""The pure stages: texts and their parts, sealing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import date
from importlib.util import find_spec
from typing import TypeAlias

import polars as pl
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from duewise.engine.compose import STAND_IN
from duewise.jobs.bench.book import Task
from duewise.jobs.bench.figure import (
    Figure,
    in_turns,
    prove_same,
    rates,
)
from duewise.message.parts import measure, measure_column
from duewise.message.syntax import environment
from duewise.message.template import Template, render_column
from duewise.money import Money
from duewise.store.seal import KEY_BYTES

TEMPLATE = "zh.m1_day1.neutral"
THREADS = 2
Write: TypeAlias = Callable[..., str]
_PEER_SHARE = 20  # the slow peers do one in so many


def render(task: Task) -> list[Figure]:
    """Texts written and their parts counted a second, beside engines that write one by one."""
    template, sender = task.tenant.templates[TEMPLATE], task.tenant.sender
    rows = _messages(task.sizes.messages, as_of=task.as_of)
    values = [
        row | asdict(sender) | {"amount": Money(row["amount_minor"], row["currency"])}
        for row in rows.head(max(1, rows.height // _PEER_SHARE)).iter_rows(named=True)
    ]
    pool = ThreadPoolExecutor(THREADS)
    parts = list(rows.iter_slices(-(-rows.height // THREADS)))

    def written(part: pl.DataFrame) -> pl.DataFrame:
        text = render_column(template, part, sender=sender)
        return measure_column(text).with_columns(text)

    def ours() -> pl.DataFrame:
        return pl.concat(pool.map(written, parts))

    firsts = ours().select("text", "parts").head(len(values)).rows()
    figures = []
    for name, write in _writers(template).items():

        def peer(write: Write = write) -> list[tuple[str, int]]:
            return [(text, measure(text).parts) for text in (write(**each) for each in values)]

        prove_same(firsts, peer(), bench="render")
        # The peer's seconds are those of the whole, by the share it did.
        seconds = [
            (own, its * rows.height / len(values) if its else None)
            for own, its in in_turns(ours, peer, turns=task.sizes.turns, timer=task.timer)
        ]
        note = f"on {THREADS} threads; the peer on one"
        named = {"peer_name": name, "note": note}
        figures.append(rates("render", "messages/s", rows.height, seconds, **named))
    pool.shutdown()
    return figures


def _writers(template: Template) -> dict[str, Write]:
    """The peers by name, each with the parsed template; Jinja2 where it is installed."""
    liquid = environment(template.language)
    writers: dict[str, Write] = {"python-liquid": liquid.from_string(template.text).render}
    if find_spec("jinja2"):
        from jinja2 import StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        jinja = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        jinja.filters.update(liquid.filters)
        writers["Jinja2, sandboxed"] = jinja.from_string(template.text).render
    return writers


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
