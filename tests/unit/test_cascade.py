"""What follows a message that brought nothing, and who stays on the version they entered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from tests.unit.lender import (
    AS_OF,
    NOW,
    STRATEGY_TEXT,
    TEMPLATES,
    addresses,
    context,
    strategy,
    tables,
)

from duewise.engine.days import plan_days
from duewise.engine.partition import plan_partition
from duewise.errors import BadInput
from duewise.frames import INSTANT
from duewise.strategy.cascade import SENT
from duewise.strategy.check import Finding, findings
from duewise.strategy.compare import changes
from duewise.strategy.plan import Strategy

DUE = AS_OF + timedelta(days=2)
STEP = """
  - name: app_first
    stage: pre_due
    when: dpd between -3 and -1
    arms:
      app: {channel: push, template: zh.before_due, hours: [9, 12]}
    then:
      - {after_h: 20, channel: sms, template: zh.before_due, hours: [9, 20]}
      - {after_h: 30, channel: wechat, template: zh.before_due, hours: [9, 20]}
"""
TEXT = STRATEGY_TEXT.replace("steps:", f"steps:{STEP}", 1)
YESTERDAY = datetime(2026, 8, 13, 2, tzinfo=UTC)  # ten in the morning there
TONES = {name: template.tone for name, template in TEMPLATES.items()}


def on(*channels: str, who: str = "Li") -> pl.DataFrame:
    plain = addresses(who)
    return pl.concat([plain.with_columns(channel=pl.lit(each)) for each in channels])


def sent(
    link: int = 0, at: datetime = YESTERDAY, state: str = "accepted", **more: Any
) -> pl.DataFrame:
    row = {"borrower_id": "Li", "step": "app_first", "due_date": DUE, "link": link, "at": at}
    return pl.DataFrame([{**row, "state": state, **more}], schema=dict(SENT))


def tried(text: str = TEXT) -> Strategy:
    file: Strategy = strategy(text, hold_out_bp=0)
    return file


def planned(sent_before: pl.DataFrame | None = None, **more: Any) -> dict[str, Any]:
    given = {"addresses": on("push", "sms", "wechat"), **more}
    paid = given.pop("paid", ())
    changed = {name: given.pop(name) for name in ("strategy", "earlier", "now") if name in given}
    if sent_before is not None:
        given["sent"] = sent_before
    asked = context(**{"strategy": tried(), **changed})
    loan = {"borrower": "Li", "due": [DUE], "paid": paid}
    (row,) = plan_partition(tables(loan, **given), context=asked).rows.to_dicts()
    return row


def test_it_begins_with_the_arm_and_follows_link_by_link() -> None:
    first = planned()
    assert (first["channel"], first["key"]) == ("push", f"Li|app_first|{AS_OF}")
    second = planned(sent())
    assert (second["channel"], second["arm"]) == ("sms", "app")
    assert second["key"] == f"Li|app_first+1|{AS_OF}"
    third = planned(pl.concat([sent(at=YESTERDAY - timedelta(days=1)), sent(1)]))
    assert (third["channel"], third["not_before"]) == ("wechat", YESTERDAY + timedelta(hours=30))
    last = pl.concat([sent(at=YESTERDAY - timedelta(days=2)), sent(1), sent(2)])
    assert planned(last)["reason"] == "cascade_over"
    of_another_due_date = sent().with_columns(due_date=pl.lit(AS_OF - timedelta(days=20)))
    assert planned(of_another_due_date)["channel"] == "push"


def test_it_waits_its_hours_and_not_for_what_never_got_out() -> None:
    lately = NOW - timedelta(hours=1)
    assert planned(sent(at=lately))["reason"] == "cascade_waiting"
    assert planned(sent(at=lately, state="failed"))["channel"] == "sms"
    today = planned(sent(at=NOW - timedelta(hours=16)))
    assert today["not_before"] >= NOW + timedelta(hours=4)


def test_it_passes_over_a_channel_that_does_not_reach() -> None:
    by_sms = planned(addresses=on("sms"))
    assert (by_sms["channel"], by_sms["key"]) == ("sms", f"Li|app_first+1|{AS_OF}")
    assert planned(addresses=on("email"))["reason"] == "no_address"
    gone = on("push", "sms").with_columns(opted_out=pl.col("channel") == "push")
    assert planned(addresses=gone)["channel"] == "sms"


@pytest.mark.parametrize(
    ("came", "stop"),
    [
        ({"state": "delivered"}, "delivered"),
        ({"seen_at": YESTERDAY}, "seen"),
        ({"replied_at": YESTERDAY}, "reply"),
        ({}, "paid"),
    ],
)
def test_it_stops_at_what_the_step_names_and_at_nothing_else(
    came: dict[str, Any], stop: str
) -> None:
    paid = [(YESTERDAY + timedelta(hours=1), 100)] if stop == "paid" else []
    assert planned(sent(**came), paid=paid)["reason"] == "cascade_stopped"
    others = [each for each in ("delivered", "seen", "reply", "paid") if each != stop]
    text = TEXT.replace("    then:", f"    stop: [{', '.join(others)}]\n    then:", 1)
    assert planned(sent(**came), paid=paid, strategy=tried(text))["channel"] == "sms"


def test_it_looks_ahead_as_if_nobody_answered() -> None:
    loan = {"borrower": "Li", "due": [AS_OF + timedelta(days=3)]}
    given = tables(loan, addresses=on("push", "sms", "wechat"))
    asked = context(strategy=tried())
    rows = pl.concat(day.rows for day in plan_days([lambda: given], context=asked, days=4))
    assert rows["channel"].to_list()[:2] == ["push", "sms"]
    assert rows["key"].str.contains(r"\+1\|")[1]


STICKY = TEXT.replace("    then:", "    sticky: true\n    then:", 1)


def test_it_keeps_a_borrower_on_the_version_he_entered() -> None:
    old = tried(STICKY)
    new = tried(STICKY.replace("after_h: 20, channel: sms", "after_h: 20, channel: wechat"))
    on_old = sent(strategy_hash=old.content_hash)
    on_new = sent(strategy_hash=new.content_hash)
    assert planned(on_new, strategy=new, earlier=(old,))["channel"] == "wechat"
    assert planned(on_old, strategy=new, earlier=(old,))["channel"] == "sms"
    without = tried(STRATEGY_TEXT)  # the step itself is gone
    assert planned(on_old, strategy=without, earlier=(old,))["step"] == "app_first"
    assert planned(on_old, strategy=without)["step"] == "before_due"
    loose = tried(TEXT)  # a step that did not ask for it
    assert planned(sent(strategy_hash=loose.content_hash), strategy=new, earlier=(loose,))[
        "channel"
    ] == ("wechat")


def wrongs(file: Strategy) -> list[Finding]:
    found = findings(file, tones=TONES)
    return [each for each in found if each.level == "error" and each.about == "app_first"]


def test_it_finds_a_link_that_never_comes_and_says_what_changed() -> None:
    late = tried(TEXT.replace("after_h: 30", "after_h: 60"))
    (wrong,) = wrongs(late)
    assert "link 2 of its `then` comes after 80" in wrong.message
    assert not wrongs(tried())
    told = [str(each) for each in changes(tried(), late)]
    assert len(told) == 1
    assert "then: after_h 20, channel sms" in told[0]
    assert any("+ step app_first" in str(each) for each in changes(strategy(), tried()))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("after_h: 20, ", "", "after_h None is not a whole number"),
        ("channel: wechat", "channel: pigeon", "channel 'pigeon' is not known"),
        ("    then:", "    stop: [opened]\n    then:", "stop 'opened' is not known"),
        ("after_h: 30", "after_d: 30", "a link of `then` has no key 'after_d'"),
    ],
)
def test_it_refuses_a_cascade_that_does_not_hold(old: str, new: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        strategy(TEXT.replace(old, new, 1))


def test_it_keeps_a_record_of_the_types_it_promises() -> None:
    assert sent().schema == SENT
    assert SENT["at"] == INSTANT
