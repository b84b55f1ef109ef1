"""Laws of the guard: rows do not touch each other, ignorance never helps, waiting does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.guard.cap import EVENTS
from duewise.guard.facts import FACTS
from duewise.guard.judge import judge
from duewise.guard.profile import load_rulebook
from duewise.guard.rule import Cap, Outcome, Rulebook, Window

RULEBOOKS = {
    name: load_rulebook(list(name.split("+"))) for name in ("CN+HOUSE", "US-REGF", "PH+ID")
}
SEVERITY = {outcome.word: outcome for outcome in Outcome}
START = datetime(2026, 8, 10, tzinfo=UTC)
LISTS = ["sender_identity", "amount_or_pointer", "due_date", "overdue_fact", "pay_route"]
# An amount or a link that is not quoted is known not to be there: `absent` and `present` ask.
MAY_BE_ABSENT = {"msg.amount", "msg.url"}

instants = st.integers(0, 14 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "now": instants,
    "msg.stage": st.sampled_from(["pre_due", "due_day", "overdue", "statutory", "marketing"]),
    "msg.channel": st.sampled_from(["sms", "push", "email", "voice_human", "voice_notice"]),
    "msg.text": st.sampled_from(["请还款", "后果自负", "电话13812345678", "final warning"]),
    "msg.port": st.sampled_from(["fi_dedicated", "service"]),
    "to.role": st.sampled_from(["debtor", "heir", "spouse"]),
    "to.number": st.sampled_from(["n1", "n2"]),
    "to.number_state": st.sampled_from(["valid", "empty"]),
    "to.tz": st.lists(
        st.sampled_from(["Asia/Shanghai", "America/New_York", "Asia/Kolkata"]),
        max_size=2,
        unique=True,
    ),
    "acct.debt": st.sampled_from(["k1", "k2"]),
    "acct.due_date": st.integers(-30, 20).map(lambda days: date(2026, 8, 10) + timedelta(days)),
    "acct.due_roll": st.sampled_from(["default", "none"]),
    "acct.lender_class": st.sampled_from(["bank", "private"]),
    "case.plan": st.sampled_from(["none", "active"]),
    "case.bankruptcy": st.sampled_from(["none", "accepted"]),
}
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "text": st.sampled_from(["none", "other"]),
    "set": st.lists(st.sampled_from(LISTS), unique=True),
    "amount": st.sampled_from([0, 32050]),
    "number": st.sampled_from([0.0, 1.5, 24.0, 400.0]),
}
messages = st.fixed_dictionaries(
    {
        name: VALUES.get(name, KINDS.get(fact.kind, st.none()))
        for name, fact in FACTS.items()
        if not name.startswith("d.") and name != "history"
    }
)
events = st.fixed_dictionaries(
    {
        "borrower_id": st.sampled_from(["Li", "Wang"]),
        "at": instants,
        "channel": st.sampled_from(["sms", "voice_human", "voice_notice"]),
        "dir": st.sampled_from(["out", "in"]),
        "outcome": st.sampled_from([None, "no_answer", "conversation"]),
        "stage": st.sampled_from([None, "overdue", "pre_due"]),
        "actor": st.sampled_from([None, "own", "agency_a"]),
        "number": st.sampled_from([None, "n1", "n2"]),
        "debt": st.sampled_from([None, "k1", "k2"]),
        "flags": st.sampled_from([None, [], ["to_attorney"]]),
    }
)
rulebooks = st.sampled_from(sorted(RULEBOOKS)).map(RULEBOOKS.__getitem__)
logs = st.lists(events, max_size=25).map(lambda rows: pl.DataFrame(rows, schema=EVENTS))


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The messages to Li and Wang in turn."""
    columns = {
        name: pl.Series([row[name] for row in rows], dtype=FACTS[name].dtype) for name in rows[0]
    }
    borrowers = [("Li", "Wang")[n % 2] for n in range(len(rows))]
    return pl.DataFrame({"borrower_id": borrowers, **columns})


def clocks_of(rulebook: Rulebook) -> Rulebook:
    """Only the windows and caps, so that nothing else hides what they say."""
    clocks = tuple(rule for rule in rulebook.rules if isinstance(rule.body, Window | Cap))
    return replace(rulebook, rules=clocks, content_hash=f"{rulebook.content_hash} clocks")


@settings(max_examples=25, deadline=None)
@given(rulebooks, st.lists(messages, min_size=2, max_size=5), logs)
def test_it_judges_a_frame_as_it_judges_its_rows_one_by_one(
    rulebook: Rulebook, rows: list[dict[str, Any]], log: pl.DataFrame
) -> None:
    together = frame(rows)
    alone = [judge(together[n], log, rulebook=rulebook) for n in range(len(rows))]
    assert judge(together, log, rulebook=rulebook).equals(pl.concat(alone))


@settings(max_examples=25, deadline=None)
@given(rulebooks, messages, logs)
def test_it_never_grows_milder_when_a_fact_is_taken_away(
    rulebook: Rulebook, message: dict[str, Any], log: pl.DataFrame
) -> None:
    names = [name for name in message if name not in MAY_BE_ABSENT]
    rows = [message, *({**message, name: None} for name in names)]
    # All are messages to one borrower, so that the contact log is the same for each.
    judged = judge(frame(rows).with_columns(borrower_id=pl.lit("Li")), log, rulebook=rulebook)
    first, *others = [SEVERITY[outcome] for outcome in judged["outcome"]]
    known, *fewer = (set(rules) for rules in judged["rules"])
    for name, outcome, rules in zip(names, others, fewer, strict=True):
        assert outcome >= first, name
        assert rules >= known, name


@settings(max_examples=40, deadline=None)
@given(rulebooks, st.lists(messages, min_size=1, max_size=40), logs)
def test_it_passes_windows_and_caps_when_it_said_and_not_a_minute_before(
    rulebook: Rulebook, rows: list[dict[str, Any]], log: pl.DataFrame
) -> None:
    clocks = clocks_of(rulebook)
    judged = judge(frame(rows), log, rulebook=clocks)
    waiting = judged.filter(pl.col("next_allowed_at").is_not_null())
    for early, outcome in ((timedelta(0), "allow"), (timedelta(minutes=1), "defer")):
        again = waiting.with_columns(now=pl.col("next_allowed_at") - early)
        again = again.filter(again["now"] >= waiting["now"])
        assert set(judge(again, log, rulebook=clocks)["outcome"]) <= {outcome}
