"""The columns and the rows judge alike: random messages of every profile, against plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from duewise.guard.cap import EVENTS
from duewise.guard.facts import FACTS, Fact
from duewise.guard.judge import judge
from duewise.guard.profile import load_rulebook, profile_names
from duewise.guard.rule import Rulebook
from duewise.jobs.bench.guard_rows import RowJudge

SEED = 20261123
ROWS = 100_000
CLAIMED = 500  # rows of a block at the wire
START = datetime(2026, 8, 10, tzinfo=UTC)
BORROWERS = ROWS // 100
FINDINGS = ("outcome", "rules", "deciding")
# Two that share no hour of the day are left to the tests of deferral: they walk for a month.
ZONES: tuple[list[str], ...] = (
    *(["Asia/Shanghai"], ["Asia/Shanghai"], ["America/New_York"], ["Pacific/Chatham"], []),
    *(["Asia/Shanghai", "Asia/Kolkata"], ["Asia/Kolkata", "Europe/Berlin"], ["Mars/Olympus"]),
    *(["America/New_York", "America/St_Johns"], ["Asia/Shanghai", "Mars/Olympus"]),
)
TEXTS = (
    *(
        "【示例】请还款",
        "后 果 自 負",
        "电话13812345678",
        "电话12345678901",
        "this is the final warning",
    ),
    *("当心骗子来电", "你是骗子", "卡号6222 0212 3456 7890 123", "请还款8.40元", "请还款9.71元"),
)
LABELS = (
    *("sender_identity", "amount_or_pointer", "due_date", "overdue_fact", "pay_route"),
    *("official_contact", "dispute_or_help_route", "sms", "email", "optout_notice"),
)
CHOICES: dict[str, tuple[Any, ...]] = {
    "msg.stage": ("pre_due", "due_day", "overdue", "overdue", "statutory", "marketing", "service"),
    "msg.channel": ("sms", "sms", "push", "email", "voice_human", "voice_notice"),
    "msg.text": TEXTS,
    "msg.port": ("fi_dedicated", "service", "marketing"),
    "to.role": ("debtor", "debtor", "heir", "spouse", "guarantor"),
    "to.number": ("n1", "n2"),
    "to.number_state": ("valid", "valid", "empty"),
    "acct.debt": ("k1", "k2"),
    "acct.due_roll": ("default", "none", "statutory_only", "statutory_and_weekly_rest", "odd"),
    "acct.lender_class": ("bank", "private", "consumer_finance"),
    "case.plan": ("none", "active"),
    "case.bankruptcy": ("none", "none", "accepted"),
    "case.breathing_space": ("none", "standard"),
    "case.life_event": ("none", "wedding"),
}
KINDS: dict[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "text": ("none", "other", "CCA1974"),
    "amount": (0, 840, 32050, 100_000),
    "number": (0.0, 1.5, 14.0, 24.0, 300.0, 400.0),
    "date": tuple(date(2026, 8, 10) + timedelta(days=n) for n in range(-40, 20)),
}


def rows_of(count: int, *, seed: int) -> pl.DataFrame:
    """Random messages; a tenth of each fact is not known."""
    chance = np.random.default_rng(seed)
    borrowers = pl.Series("borrower_id", [f"B{n}" for n in chance.integers(0, BORROWERS, count)])
    facts = [_column(fact, count, chance) for fact in FACTS.values() if fact.supplier != "guard"]
    return pl.DataFrame([borrowers, *facts])


def _column(fact: Fact, count: int, chance: np.random.Generator) -> pl.Series:
    choices: Sequence[Any] = CHOICES.get(fact.name, KINDS.get(fact.kind, (None,)))
    if fact.name == "to.tz":
        choices = ZONES
    elif fact.kind == "set":
        choices = [
            [LABELS[i] for i in chance.permutation(len(LABELS))[: chance.integers(0, len(LABELS))]]
            for _ in range(40)
        ]
    elif fact.name == "now":
        choices = [START + timedelta(minutes=n) for n in range(20_160)]
    drawn = chance.integers(0, len(choices), count)
    values = pl.Series(fact.name, [*choices, None], dtype=fact.dtype)
    return values.gather(np.where(chance.random(count) < 0.1, len(choices), drawn))


def log_of(count: int, *, seed: int) -> pl.DataFrame:
    """Random contacts; what an event does not say is null."""
    chance = np.random.default_rng(seed)
    told: dict[str, tuple[Any, ...]] = {
        "channel": ("sms", "sms", "voice_human", "voice_notice", "push", None),
        "dir": ("out", "out", "in", None),
        "outcome": (None, "no_answer", "busy", "conversation", "connected"),
        "stage": ("overdue", "overdue", "pre_due", "due_day", None),
        "actor": (None, "own", "agency_a"),
        "number": ("n1", "n2", None),
        "debt": ("k1", "k2", None),
        "flags": (None, [], ["to_attorney"], ["direct_consent_7d", "other"]),
    }
    rows = [
        {
            "borrower_id": f"B{chance.integers(0, BORROWERS)}",
            "at": START + timedelta(minutes=int(chance.integers(-20_000, 20_160))),
            **{key: values[chance.integers(0, len(values))] for key, values in told.items()},
        }
        for _ in range(count)
    ]
    return pl.DataFrame(rows, schema=EVENTS)


@pytest.fixture(scope="module")
def messages() -> pl.DataFrame:
    return rows_of(ROWS, seed=SEED)


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return log_of(BORROWERS * 12, seed=SEED)


def share(name: str, messages: pl.DataFrame) -> tuple[Rulebook, pl.DataFrame]:
    """A profile, and its share of all rows: each profile judges others."""
    names = profile_names()
    rows = messages.gather_every(len(names), offset=names.index(name))
    rulebook = load_rulebook([name] if name == "HOUSE" else [name, "HOUSE"])
    return rulebook, rows


@pytest.mark.parametrize("name", profile_names())
def test_it_finds_in_a_frame_what_a_row_by_row_judge_finds(
    name: str, messages: pl.DataFrame, log: pl.DataFrame
) -> None:
    rulebook, rows = share(name, messages)
    judged = judge(rows, log, rulebook=rulebook)
    by_borrower = defaultdict(list)
    for event in log.iter_rows(named=True):
        by_borrower[event["borrower_id"]].append(event)
    one = RowJudge(rulebook)
    expected = [one(row, by_borrower[row["borrower_id"]]) for row in rows.iter_rows(named=True)]
    found = [
        (outcome, tuple(rules), tuple(deciding))
        for outcome, rules, deciding in judged.select(FINDINGS).iter_rows()
    ]
    wrong = [n for n in range(len(found)) if found[n] != expected[n]]
    assert not wrong, (SEED, wrong[0], rows.row(wrong[0], named=True), found[wrong[0]])
    gates = {rule.id for rule in rulebook.rules if rule.effect is not None}
    spoke = {rule for _, rules, _ in found for rule in rules}
    assert len(spoke) > len(gates) / 2


@pytest.mark.parametrize("name", profile_names())
def test_it_finds_at_the_wire_what_it_found_in_the_plan(
    name: str, messages: pl.DataFrame, log: pl.DataFrame
) -> None:
    rulebook, rows = share(name, messages)
    planned = judge(rows, log, rulebook=rulebook)
    blocks = [rows.slice(start, CLAIMED) for start in range(0, rows.height, CLAIMED)]
    on_the_wire = [
        judge(block, log.join(block, on="borrower_id", how="semi"), rulebook=rulebook)
        for block in blocks
    ]
    assert pl.concat(on_the_wire).equals(planned)
