"""Judging frames: what goes in beside the facts, and what comes out beside the messages."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from duewise.frames import INSTANT
from duewise.guard.judge import judge
from duewise.guard.profile import load_rulebook, profile_names
from duewise.guard.rule import Rulebook

NOON = datetime(2026, 8, 12, 4, tzinfo=UTC)  # in Shanghai
NO_LOG = pl.DataFrame()


def rulebook(folder: Path, *rules: str, head: str = "tz_default: Asia/Shanghai") -> Rulebook:
    """A profile of just these rules."""
    lines = [f"- {{{rule}, basis: policy, conf: L, src: [X]}}" for rule in rules]
    text = "\n".join(["schema: jp/1", "version: 1", "profile: X", head, "rules:", *lines])
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    return load_rulebook(["X"], directories=[folder])


def message(**facts: object) -> pl.DataFrame:
    """One message to Li; `msg_stage` stands for `msg.stage`."""
    named = {name.replace("_", ".", 1): [value] for name, value in facts.items()}
    frame = pl.DataFrame({"borrower_id": ["Li"], **named})
    at = named.get("now", [NOON])
    return frame.with_columns(now=pl.Series(at, dtype=INSTANT))


@pytest.mark.parametrize("name", profile_names())
def test_it_judges_no_message_at_all(name: str) -> None:
    messages = pl.DataFrame(schema={"borrower_id": pl.String, "msg.stage": pl.String})
    judged = judge(messages, NO_LOG, rulebook=load_rulebook([name]))
    assert judged.is_empty()
    assert judged.schema["next_allowed_at"] == INSTANT
    assert judged.schema["rules"] == pl.List(pl.String)


@pytest.mark.parametrize("name", profile_names())
def test_it_lets_nothing_pass_of_which_only_the_stage_is_known(name: str) -> None:
    judged = judge(message(msg_stage="overdue"), NO_LOG, rulebook=load_rulebook([name]))
    assert judged["outcome"].item() != "allow"


def test_it_keeps_the_messages_as_they_are_and_replaces_an_older_verdict(tmp_path: Path) -> None:
    rules = rulebook(tmp_path, "id: X-1, must: 'msg.promo == false', else: review")
    messages = message(msg_promo=True).with_columns(extra=pl.lit(7), outcome=pl.lit("allow"))
    judged = judge(messages, NO_LOG, rulebook=rules)
    assert judged.select("extra", "outcome", "deciding").row(0) == (7, "review", ["X-1"])


def test_it_holds_more_rules_than_a_word_has_bits(tmp_path: Path) -> None:
    rules = rulebook(
        tmp_path,
        *(f"id: X-{n}, must: 'msg.stage in [s{n % 3}]', else: block" for n in range(200)),
    )
    judged = judge(message(msg_stage="s1"), NO_LOG, rulebook=rules)
    assert judged["rules"].item().to_list() == [f"X-{n}" for n in range(200) if n % 3 != 1]


@pytest.mark.parametrize(
    ("dates", "outcome"),
    [
        ("valid_from: 2026-08-12", "block"),
        ("valid_from: 2026-08-13", "allow"),
        ("valid_to: 2026-08-12", "block"),
        ("valid_to: 2026-08-11", "allow"),
        ("valid_from: 2026-08-11, valid_to: 2026-08-13", "block"),
    ],
)
def test_it_asks_a_rule_only_while_it_is_in_force(dates: str, outcome: str, tmp_path: Path) -> None:
    rules = rulebook(tmp_path, f"id: X-1, must: 'msg.promo == false', else: block, {dates}")
    last_minute = datetime(2026, 8, 12, 15, 59, tzinfo=UTC)
    judged = judge(message(msg_promo=True, now=last_minute), NO_LOG, rulebook=rules)
    assert judged["outcome"].item() == outcome


@pytest.mark.parametrize(
    ("hours_ago", "outcome", "wait_h"),
    [
        ([1, 23], "defer", 1),
        ([1, 24], "allow", None),
        ([3, 3], "defer", 21),
        ([30, 2], "allow", None),
    ],
)
def test_it_caps_rolling_hours(
    hours_ago: list[int], outcome: str, wait_h: int | None, tmp_path: Path
) -> None:
    cap = "{count: {channel: [sms]}, per: debtor, window: {type: hours, n: 24}, max: 2}"
    rules = rulebook(tmp_path, f"id: X-1, cap: {cap}, else: defer")
    log = pl.DataFrame(
        {
            "borrower_id": ["Li", "Li", "Wang"],
            "at": pl.Series([NOON - timedelta(hours=h) for h in [*hours_ago, 1]], dtype=INSTANT),
            "channel": ["sms"] * 3,
        }
    )
    judged = judge(message(), log, rulebook=rules)
    assert judged["outcome"].item() == outcome
    expected = NOON + timedelta(hours=wait_h) if wait_h else None
    assert judged["next_allowed_at"].item() == expected


def test_it_names_no_instant_beyond_its_horizon(tmp_path: Path) -> None:
    window = '{start: "08:00", end: "09:00"}'
    rules = rulebook(tmp_path, f"id: X-1, window: {window}, else: defer")
    zones = message().with_columns(pl.lit(pl.Series([["Asia/Shanghai", "UTC"]])).alias("to.tz"))
    judged = judge(zones, NO_LOG, rulebook=rules)
    assert judged.select("outcome", "next_allowed_at").row(0) == ("defer", None)


def test_it_opens_at_eight_by_the_clock_on_the_wall_when_summer_ends(tmp_path: Path) -> None:
    window = '{start: "08:00", end: "21:00"}'
    rules = rulebook(tmp_path, f"id: X-1, window: {window}, else: defer", head="tz_default: null")
    night = datetime(2026, 11, 1, 4, tzinfo=UTC)  # 00:00 in New York, an hour before the change
    zones = message(now=night).with_columns(
        pl.lit(pl.Series([["America/New_York"]])).alias("to.tz")
    )
    judged = judge(zones, NO_LOG, rulebook=rules)
    assert judged["next_allowed_at"].item() == datetime(2026, 11, 1, 13, tzinfo=UTC)


def test_it_knows_the_rules_of_another_day(tmp_path: Path) -> None:
    rules = rulebook(
        tmp_path,
        "id: X-1, must: 'msg.promo == false', else: block, valid_to: 2026-08-11",
        "id: X-2, must: 'msg.promo == false', else: review, valid_from: 2026-08-12",
        "id: X-3, must: 'msg.promo present', else: block",
    )
    days = [date(2026, 8, day) for day in (1, 11, 12, 31)]
    judged = [judge(message(msg_promo=True), NO_LOG, rulebook=rules.on(day)) for day in days]
    assert [each["outcome"].item() for each in judged] == ["block", "block", "review", "review"]
    assert rules.on(days[0]) == rules.on(days[1]) != rules.on(days[2]) == rules.on(days[3])
    undated = rulebook(tmp_path, "id: X-1, must: 'msg.promo == false', else: block")
    assert undated.on(days[0]) is undated
