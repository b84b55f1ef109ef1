"""Laws of the guard: rows do not touch each other, ignorance never helps, waiting does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duewise.frames import INSTANT
from duewise.guard.cap import EVENTS
from duewise.guard.facts import FACTS
from duewise.guard.judge import judge
from duewise.guard.later import next_start
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


@settings(max_examples=25, deadline=None)
@given(rulebooks, st.lists(messages, min_size=1, max_size=8), logs, st.data())
def test_it_never_grows_milder_when_a_restriction_is_added(
    rulebook: Rulebook, rows: list[dict[str, Any]], log: pl.DataFrame, data: st.DataObject
) -> None:
    kept = data.draw(st.sets(st.sampled_from([rule.id for rule in rulebook.rules])))
    fewer = replace(
        rulebook,
        rules=tuple(rule for rule in rulebook.rules if rule.id in kept),
        content_hash=f"{rulebook.content_hash} {sorted(kept)}",
    )
    before, after = (judge(frame(rows), log, rulebook=each) for each in (fewer, rulebook))
    for mild, strict in zip(before["outcome"], after["outcome"], strict=True):
        assert SEVERITY[strict] >= SEVERITY[mild]
    for few, all_of_them in zip(before["rules"], after["rules"], strict=True):
        assert [rule for rule in all_of_them if rule in kept] == few.to_list()


@settings(max_examples=25, deadline=None)
@given(rulebooks, st.lists(messages, min_size=1, max_size=40), logs, st.integers(1, 86_400))
def test_it_passes_windows_and_caps_when_it_said_and_not_before(
    rulebook: Rulebook, rows: list[dict[str, Any]], log: pl.DataFrame, seconds: int
) -> None:
    assert_minimal(frame(rows), log, clocks_of(rulebook), seconds)


def assert_minimal(
    messages: pl.DataFrame, log: pl.DataFrame, clocks: Rulebook, seconds: int
) -> pl.DataFrame:
    """Allowed at the instant named, refused a second, and so many seconds, earlier."""
    judged = judge(messages, log, rulebook=clocks)
    waiting = judged.filter(pl.col("next_allowed_at").is_not_null())
    assert set(waiting["outcome"]) <= {"defer"}
    for early_s, outcome in ((0, "allow"), (1, "defer"), (seconds, "defer")):
        again = waiting.with_columns(now=pl.col("next_allowed_at") - timedelta(seconds=early_s))
        again = again.filter(again["now"] >= waiting["now"])
        assert set(judge(again, log, rulebook=clocks)["outcome"]) <= {outcome}
    return waiting


# Clocks are put forward or back by an hour or by half of one, at night or at midnight; they differ
# from the full hour by 30 or 45 minutes; a year has a 29 February.
CHANGES = [
    *(("America/New_York", day) for day in ("2026-03-07", "2026-10-31")),
    *(("Australia/Lord_Howe", day) for day in ("2026-10-03", "2026-04-04")),
    *(("America/Havana", day) for day in ("2026-03-07", "2026-10-31")),
    *(("Pacific/Chatham", day) for day in ("2026-04-04", "2026-09-26")),
    *(("Asia/Kolkata", day) for day in ("2028-02-28", "2026-12-31")),
    ("Asia/Shanghai", "2028-02-28"),
]
TIMES = ["00:00", "00:30", "01:30", "01:45", "02:00", "02:30", "03:00", "08:00", "21:00", "24:00"]
windows = st.tuples(st.sampled_from(TIMES), st.sampled_from(TIMES)).filter(lambda w: w[0] < w[1])
CAPS = [
    "{count: {channel: [sms]}, per: debtor, window: {type: calendar_day}, max: 1}",
    "{count: {channel: [sms]}, per: debtor, window: {type: consecutive_days, n: 3}, max: 2}",
    "{count: {channel: [sms]}, per: debtor, window: {type: hours, n: 5}, max: 1}",
]


def rulebook_of(spans: list[tuple[str, str]], caps: list[str], folder: Path) -> Rulebook:
    """Windows and caps in the addressee's own zones."""
    bodies = [f'window: {{start: "{start}", end: "{end}"}}' for start, end in spans]
    bodies += [f"cap: {cap}" for cap in caps]
    rules = [
        f"- {{id: X-{n}, {body}, else: defer, basis: policy, conf: L, src: [X]}}"
        for n, body in enumerate(bodies)
    ]
    text = "\n".join(["schema: jp/1", "version: 1", "profile: X", "rules:", *rules])
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    return load_rulebook(["X"], directories=[folder])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(
        st.lists(windows, min_size=1, max_size=2),
        st.lists(st.sampled_from(CAPS), max_size=2, unique=True),
    ),
    st.lists(st.sampled_from(CHANGES), min_size=1, max_size=2),
    st.lists(st.integers(0, 200_000), min_size=1, max_size=12),
    st.lists(st.integers(-90_000, 200_000), max_size=6),
    st.integers(1, 90_000),
)
def test_it_names_the_first_second_that_all_allow_whatever_clocks_do(
    bodies: tuple[list[tuple[str, str]], list[str]],
    places: list[tuple[str, str]],
    starts_s: list[int],
    events_s: list[int],
    seconds: int,
) -> None:
    day = datetime.fromisoformat(places[0][1]).replace(tzinfo=ZoneInfo(places[0][0]))
    zones = list(dict.fromkeys(zone for zone, _ in places))
    messages = pl.DataFrame(
        {
            "borrower_id": ["Li"] * len(starts_s),
            "now": [day.astimezone(UTC) + timedelta(seconds=s) for s in starts_s],
            "to.tz": [zones] * len(starts_s),
        },
        schema_overrides={"now": INSTANT},
    )
    log = pl.DataFrame(
        {
            "borrower_id": ["Li"] * len(events_s),
            "at": [day.astimezone(UTC) + timedelta(seconds=s) for s in events_s],
            "channel": ["sms"] * len(events_s),
        },
        schema_overrides={"borrower_id": pl.String, "at": INSTANT, "channel": pl.String},
    )
    with TemporaryDirectory() as folder:
        clocks = rulebook_of(*bodies, Path(folder))
    assert_minimal(messages, log, clocks, seconds)


@pytest.mark.parametrize(
    ("zone", "now", "start", "said"),
    [
        ("America/New_York", "2026-03-08T01:00:00-05:00", "02:30", "2026-03-08T03:00:00-04:00"),
        ("America/New_York", "2026-11-01T01:50:00-04:00", "01:30", "2026-11-01T01:30:00-05:00"),
        ("America/Havana", "2026-03-07T23:00:00-05:00", "00:00", "2026-03-08T01:00:00-04:00"),
        ("Australia/Lord_Howe", "2026-10-04T01:00:00+10:30", "02:15", "2026-10-04T02:30:00+11:00"),
        ("Pacific/Apia", "2011-12-29T23:00:00-10:00", "08:00", "2011-12-31T00:00:00+14:00"),
        ("Asia/Kathmandu", "2028-02-28T23:00:00+05:45", "00:00", "2028-02-29T00:00:00+05:45"),
    ],
)
def test_it_knows_when_clocks_skip_or_repeat_a_time(
    zone: str, now: str, start: str, said: str
) -> None:
    hour, minute = map(int, start.split(":"))
    start_us = (hour * 60 + minute) * 60_000_000
    found = next_start(datetime.fromisoformat(now).astimezone(UTC), zone, start_us)
    assert found.astimezone(ZoneInfo(zone)).isoformat() == said
