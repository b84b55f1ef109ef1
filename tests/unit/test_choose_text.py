"""The text a borrower gets: their language first, then the nearest tone, never a firmer one first."""

from __future__ import annotations

import polars as pl
import pytest

from duewise.errors import BadInput
from duewise.message.choose import NEAREST, PENALTY, choose, choose_column, stages_of
from duewise.message.template import TONES, load_templates
from duewise.strategy.tone import TONES as LADDER_TONES

TEMPLATES = load_templates()

# named, tone, channel, locale -> chosen
CHOSEN = [
    ("zh.m1_day1.gentle", "urgent", "sms", "zh-CN", "zh.m1_day1.gentle"),
    ("zh.m1_day1.gentle", "urgent", "sms", "en-SG", "en.m1_day1.gentle"),
    ("zh.m1_day1.gentle", "urgent", "sms", "zh-Hant-HK", "zh.m1_day1.gentle"),
    ("zh.m1_day1.gentle", "urgent", "sms", "fr-FR", "en.m1_day1.gentle"),
    ("zh.m1_day25.help", "help", "sms", "en", "zh.m1_day25.help"),
    ("zh.m1_day1", "help", "sms", "zh-CN", "zh.m1_day1.help"),
    ("zh.m1_day1", "urgent", "push", "zh-CN", "zh.m1_day1.urgent.push"),
    ("zh.m1_day1", "clear", "sms", "zh-CN", "zh.m1_day1.neutral"),
    ("zh.m1_day1", "thank", "sms", "en", "en.m1_day1.gentle"),
    ("zh.before_due", "thank", "sms", "zh_CN", "zh.before_due.thank"),
    ("zh.before_due", "clear", "wechat", "zh-CN", "zh.before_due.neutral.wechat"),
]


@pytest.mark.parametrize(("named", "tone", "channel", "locale", "chosen"), CHOSEN)
def test_it_chooses_the_text(named: str, tone: str, channel: str, locale: str, chosen: str) -> None:
    found = choose(named, tone=tone, channel=channel, locale=locale, templates=TEMPLATES)
    assert found == chosen


def test_it_says_what_text_is_lacking() -> None:
    with pytest.raises(BadInput, match=r"no text for 'zh.promise_kept' by email.*promise_kept.<t"):
        choose("zh.promise_kept", tone="thank", channel="email", locale="zh", templates=TEMPLATES)


def test_it_chooses_for_a_column_as_for_each() -> None:
    schema = ["template", "tone", "channel", "locale"]
    rows = pl.DataFrame([case[:4] for case in CHOSEN], schema=schema, orient="row")
    nobody = pl.DataFrame([(None,) * 4], schema=rows.schema, orient="row")
    asked = pl.concat([rows, nobody]).with_columns(is_several=pl.lit(value=False))
    found = choose_column(asked, TEMPLATES)
    assert found.to_list() == [*(case[4] for case in CHOSEN), None]


@pytest.mark.parametrize(
    ("named", "tone", "locale", "chosen"),
    [
        ("zh.m1_day1.gentle", "urgent", "zh-CN", "zh.m1_day1.gentle.several"),
        ("zh.m1_day1", "help", "zh-CN", "zh.m1_day1.help.several"),
        ("zh.m1_day1", "help", "en", "en.m1_day1.help"),
        ("zh.m2", "clear", "zh-CN", "zh.m2.clear"),
    ],
)
def test_it_tells_of_several_loans_at_once_where_there_is_such_a_text(
    named: str, tone: str, locale: str, chosen: str
) -> None:
    found = choose(
        named, tone=tone, channel="sms", locale=locale, templates=TEMPLATES, is_several=True
    )
    assert found == chosen


def test_it_knows_what_a_strategy_may_name() -> None:
    stages = stages_of(TEMPLATES)
    assert (stages["zh.m1_day1"], stages["en.before_due"]) == ("overdue", "pre_due")
    assert stages["zh.m1_day1.gentle"] == "overdue"
    assert "zh.paid" not in stages


def test_it_has_a_next_word_for_every_tone_and_urges_nobody_who_needs_help() -> None:
    assert {*NEAREST} == {*TONES} == {*LADDER_TONES}
    assert "urgent" not in NEAREST["help"]
    for tone, others in NEAREST.items():
        assert tone not in others


@pytest.mark.parametrize(
    ("named", "locale", "chosen"),
    [
        ("zh.m1_day15.urgent", "zh-CN", "zh.m1_day15.help"),
        ("zh.m1_day15", "en", "en.m1_day15.help"),
        ("zh.m1_day1.neutral", "zh-CN", "zh.m1_day1.neutral"),
    ],
)
def test_it_claims_no_penalty_where_the_contract_has_none(
    named: str, locale: str, chosen: str
) -> None:
    asked = {"tone": "urgent", "channel": "sms", "locale": locale, "templates": TEMPLATES}
    assert choose(named, untrue=[PENALTY], **asked) == chosen  # type: ignore[arg-type]
