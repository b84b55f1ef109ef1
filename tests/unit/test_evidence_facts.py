"""What a gate saw comes back from a record as it was: every fact, every kind, every event."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from duewise.guard.cap import EVENTS
from duewise.guard.evidence import canonical
from duewise.guard.evidence_facts import (
    PERSONAL,
    facts_frame,
    facts_texts,
    history_frame,
    history_texts,
)
from duewise.guard.facts import FACTS, Kind

AT = datetime(2026, 8, 14, 11, 55, 0, 7, tzinfo=UTC)
SAMPLES: dict[Kind, list[Any]] = {
    Kind.BOOL: [True, False, None],
    Kind.TEXT: ["sms", '李*先生 "quoted"\n', None],
    Kind.SET: [["b", "a"], [], None],
    Kind.AMOUNT: [86_840, -1, None],
    Kind.NUMBER: [21.6, 1.0, None],
    Kind.INSTANT: [AT, AT.replace(microsecond=0), None],
    Kind.DATE: [date(2026, 8, 14), date(2024, 2, 29), None],
}


def all_facts() -> pl.DataFrame:
    columns = {
        fact.name: pl.Series(SAMPLES[fact.kind], dtype=fact.dtype) for fact in FACTS.values()
    }
    return pl.DataFrame({"key": ["1", "2", "3"], "borrower_id": ["Li", "Wang", "Li"], **columns})


def records(facts: list[str], history: list[str]) -> list[dict[str, Any]]:
    return [
        {"verdict": n, "facts": json.loads(seen), "history": json.loads(events)}
        for n, (seen, events) in enumerate(zip(facts, history, strict=True), start=1)
    ]


def test_it_gives_back_every_fact_as_it_was() -> None:
    facts = all_facts()
    told = records(facts_texts(facts), ["[]"] * 3)
    back = facts_frame(told, facts[PERSONAL].to_list())
    names = ["key", *(name for name in FACTS if name != "history")]
    assert back.select(names).equals(facts.select(names))


def test_it_never_tells_the_text_and_says_null_where_nothing_is_known() -> None:
    told = facts_texts(all_facts())
    assert PERSONAL not in json.loads(told[0])
    assert set(json.loads(told[2]).values()) == {None}
    assert [canonical(json.loads(text)).decode() for text in told] == told


def test_it_gives_each_verdict_the_contacts_of_its_borrower() -> None:
    event = dict.fromkeys(EVENTS) | {"channel": "sms", "dir": "out", "flags": ["x"]}
    log = pl.DataFrame(
        [
            event | {"borrower_id": "Li", "at": AT},
            event | {"borrower_id": "Li", "at": AT.replace(hour=1), "debt": "L-1"},
            event | {"borrower_id": "Zhao", "at": AT},
        ],
        schema=EVENTS,
    )
    told = records(["{}"] * 3, history_texts(["Li", "Wang", "Li"], log))
    back = history_frame(told)
    assert back.schema == log.schema
    assert back["borrower_id"].to_list() == ["1", "1", "3", "3"]
    own = back.filter(pl.col("borrower_id") == "1").drop("borrower_id")
    assert own.equals(log.filter(pl.col("borrower_id") == "Li").drop("borrower_id").sort("at"))
    assert history_frame(records(["{}"], ["[]"])).equals(pl.DataFrame(schema=EVENTS))
