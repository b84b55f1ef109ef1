"""The guard's figures: a plan's messages, and the batches that are about to leave."""

from __future__ import annotations

import multiprocessing
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

import polars as pl

from duewise.engine.compose import compose
from duewise.engine.facts import CaseFacts, message_facts
from duewise.engine.partition import plan_partition
from duewise.frames import completed, conform
from duewise.guard.facts import FACTS
from duewise.guard.judge import judge
from duewise.guard.rule import Rulebook
from duewise.jobs.bench.book import Task, tables_of
from duewise.jobs.bench.figure import Figure, in_turns, prove_same, rates
from duewise.jobs.bench.guard_rows import RowJudge
from duewise.jobs.operations import CONTACTS
from duewise.jobs.worker_environment import for_workers

Rows: TypeAlias = Sequence[Mapping[str, Any]]
Pair: TypeAlias = tuple[float, float | None]
PROCESSES = 2
BATCH = 500
BATCHES = 10
PEER = "the same rules row by row in plain Python"
_PEER_SHARE = 20  # the peer does one in so many
_FINDINGS = ("outcome", "rules", "deciding")
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"


def guard(task: Task) -> list[Figure]:
    """Messages judged a second by the whole rulebook, and milliseconds for a claimed batch.

    The facts are given. A plan is judged by worker processes, one a core, as `duewise plan` does
    it; ours and the peer's seconds are those of one process each.
    """
    spawned = multiprocessing.get_context("spawn")
    with (
        for_workers(PROCESSES),
        ProcessPoolExecutor(PROCESSES, mp_context=spawned) as processes,
    ):
        shares = [(replace(task, as_of=task.as_of), n) for n in range(PROCESSES)]
        taken = list(processes.map(_judge_share, *zip(*shares, strict=True)))
        batches = processes.submit(_batches, task).result()
    rules = len(task.tenant.rulebook.rules)
    each = [
        rates("guard", "verdicts/s", size, pairs, peer_name=PEER, note=f"{rules} rules, history")
        for size, pairs in taken
    ]
    whole = replace(
        each[0],
        size=sum(figure.size for figure in each),
        ours=sum(figure.ours for figure in each),
        peer=sum(figure.peer or 0.0 for figure in each),
        ratio=statistics.median(figure.ratio or 0.0 for figure in each),
    )
    ours_ms, peer_ms = (statistics.median(each) * 1_000 for each in batches)
    ratio = peer_ms / ours_ms
    wire = Figure("guard", BATCH, "ms p50", ours_ms, peer_ms, PEER, ratio, note="at the wire")
    return [whole, wire]


def _judge_share(task: Task, number: int) -> tuple[int, list[Pair]]:
    """Rows, and seconds of each turn, in one of the processes."""
    rulebook = task.tenant.rulebook
    facts = judged_facts(task).gather_every(PROCESSES, offset=number)
    log = contact_log(facts)
    ours, peer = _ours(facts, log, rulebook), _peer(facts, log, rulebook)
    prove_same(ours(), peer(), bench="guard")
    pairs = [
        (own, its * _PEER_SHARE if its else None)
        for own, its in in_turns(
            lambda: judge(facts, log, rulebook=rulebook),
            peer,
            turns=task.sizes.turns,
            timer=task.timer,
        )
    ]
    return facts.height, pairs


def _batches(task: Task) -> tuple[list[float], list[float]]:
    """Seconds for one claimed batch after the other, no two alike: ours, and the peer's.

    A sender judges alone, batch after batch: the machine's other core is the database's and the
    gateway's. So ten batches are a turn.
    """
    facts = judged_facts(task)
    log = contact_log(facts)
    # Taken from all over: before the due date all go, after it some wait for a cap.
    count = min(max(1, facts.height // BATCH), BATCHES * task.sizes.turns)
    batches = [facts.slice(facts.height * n // count, BATCH) for n in range(count)]
    claimed = [(batch, log.join(batch, on="borrower_id", how="semi")) for batch in batches]
    rulebook, one = task.tenant.rulebook, RowJudge(task.tenant.rulebook)
    ours: list[float] = []
    peer: list[float] = []
    for turn in range(0, len(claimed), BATCHES):
        for batch, known in claimed[turn : turn + BATCHES]:
            ours += [_seconds(partial(judge, batch, known, rulebook=rulebook), task.timer)]
        for batch, known in claimed[turn : turn + BATCHES]:
            by_row = partial(_row_by_row, one, _rows(batch), _by_borrower(known))
            peer += [_seconds(by_row, task.timer)]
    return ours, peer


def _row_by_row(one: RowJudge, rows: Rows, log: Mapping[str, Rows]) -> object:
    return [one(row, log[row["borrower_id"]]) for row in rows]


def _seconds(run: Callable[[], object], timer: Callable[[], float]) -> float:
    start = timer()
    run()
    return timer() - start


def judged_facts(task: Task) -> pl.DataFrame:
    """The facts of what plans propose on two days: before, on and after the due date."""
    days = (task, replace(task, as_of=task.as_of + timedelta(days=1)))
    return pl.concat([_facts_of(day, count=task.sizes.judged // 2, first=task) for day in days])


def _facts_of(task: Task, *, count: int, first: Task) -> pl.DataFrame:
    tenant = task.tenant
    tables = tables_of(count, as_of=first.as_of, first=0 if task is first else count)
    proposed = plan_partition(tables, context=task.context).rows.filter(decision="proposed")
    name = pl.int_range(pl.len()) % len(_SURNAMES)
    surname = pl.lit(pl.Series(list(_SURNAMES))).gather(name)
    composed = compose(
        proposed.with_columns(salutation=pl.format("{}*女士", surname)),
        templates=tenant.templates,
        sender=tenant.sender,
        as_of=task.as_of,
    )
    return message_facts(
        composed.with_columns(now=pl.col("not_before"), paid_minor=pl.lit(0, pl.Int64)),
        addresses=tables.addresses,
        cases=CaseFacts(tables.cases),
        templates=tenant.templates,
        sender=tenant.sender,
        lender=tenant.lender,
        ledger_age=timedelta(),
    )


def contact_log(facts: pl.DataFrame) -> pl.DataFrame:
    """Two earlier notices to each borrower, or one: today's cap is full for a few."""
    told = facts.with_row_index("n").select(
        *("n", "borrower_id", "now"),
        channel=pl.lit("sms"),
        dir=pl.lit("out"),
        stage=pl.col("msg.stage"),
        actor=pl.lit("own"),
        number=pl.col("to.number"),
        debt=pl.col("acct.debt"),
        outcome=pl.lit(None, pl.String),
        flags=pl.lit([], pl.List(pl.String)),
    )
    ago_h = [pl.when(pl.col("n") % 50 == 0).then(1).otherwise(30), pl.lit(100)]
    earlier = [told.with_columns(at=pl.col("now") - pl.duration(hours=hours)) for hours in ago_h]
    return conform(pl.concat(earlier), CONTACTS, name="contacts")


def _ours(facts: pl.DataFrame, log: pl.DataFrame, rulebook: Rulebook) -> Callable[[], object]:
    """Our findings on the peer's share, as it tells them."""
    share = facts.gather_every(_PEER_SHARE)

    def run() -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        found = judge(share, log, rulebook=rulebook).select(_FINDINGS).iter_rows()
        return [(outcome, tuple(rules), tuple(deciding)) for outcome, rules, deciding in found]

    return run


def _peer(facts: pl.DataFrame, log: pl.DataFrame, rulebook: Rulebook) -> Callable[[], object]:
    rows, by_borrower = _rows(facts.gather_every(_PEER_SHARE)), _by_borrower(log)
    one = RowJudge(rulebook)

    def run() -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        return [one(row, by_borrower[row["borrower_id"]]) for row in rows]

    return run


def _rows(facts: pl.DataFrame) -> list[dict[str, Any]]:
    """Every fact of each row as a mapping, laid out before any time is taken."""
    lacking = {name: fact.dtype for name, fact in FACTS.items() if name != "history"}
    whole = completed(facts, lacking).with_columns(history=pl.lit(value=True))
    return whole.to_dicts()


def _by_borrower(log: pl.DataFrame) -> Mapping[str, list[Mapping[str, Any]]]:
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for event in log.iter_rows(named=True):
        found[event["borrower_id"]].append(event)
    return found
