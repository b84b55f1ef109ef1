"""What a channel asks of a template's form, and what a template may not declare falsely."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from duewise.message.form import flaws_of
from duewise.message.template import EXAMPLE_SENDERS, load_templates

SHIPPED = load_templates()
WECHAT, PUSH = "zh.before_due.neutral.wechat", "zh.before_due.neutral.push"
EMAIL, SMS = "zh.before_due.neutral.email", "zh.before_due.neutral"

FLAWS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    (SMS, {}, []),
    (PUSH, {"preview": None}, [("no_preview", "block")]),
    (PUSH, {"preview": "您" * 25}, [("preview_too_long", "review")]),
    (PUSH, {"preview": "您的借款今天到期"}, [("preview_shows_debt", "redact")]),
    (PUSH, {"preview": "{{ salutation }}您好"}, [("preview_is_personal", "block")]),
    (EMAIL, {"subject": None}, [("no_subject", "block")]),
    (EMAIL, {"subject": "还款通知"}, [("subject_shows_debt", "redact")]),
    (WECHAT, {"keywords": {}}, [("no_keywords", "block")]),
    (WECHAT, {"keywords": {"thing1": "很" * 21}}, [("keyword_unfit", "block")]),
    (WECHAT, {"keywords": {"amount1": "{{ amount | money }}"}}, [("keyword_unfit", "block")]),
    (WECHAT, {"keywords": {"date1": "{{ due_date | date }}"}}, [("keyword_unfit", "block")]),
    (WECHAT, {"keywords": {"gift1": "红包"}}, [("unknown_keyword", "block")]),
    (WECHAT, {"keywords": {"thing": "红包"}}, [("unknown_keyword", "block")]),
    (SMS, {"parts": 1}, [("declared_parts", "review")]),
    (PUSH, {"parts": 2}, [("declared_parts", "review")]),
    (SMS, {"reading": 1.0}, [("declared_reading", "review")]),
    (SMS, {"elements": ("overdue_fact",)}, [("missing_element", "block")]),
]


@pytest.mark.parametrize(("name", "changes", "found"), FLAWS)
def test_it_finds_the_flaw(
    name: str, changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    template = replace(SHIPPED[name], **changes)
    flaws = list(flaws_of(template, EXAMPLE_SENDERS["zh-CN"]))
    assert [(flaw.rule, flaw.effect) for flaw in flaws] == found
    assert all(flaw.mend for flaw in flaws)


def test_it_finds_a_text_that_is_hard_to_read() -> None:
    long = "依据双方先前签署的个人消费借款合同所约定的还款计划和计息方式" * 2
    template = replace(SHIPPED[SMS], text=f"{SHIPPED[SMS].text}{long}诓", reading=None, parts=None)
    flaws = list(flaws_of(template, EXAMPLE_SENDERS["zh-CN"]))
    assert [flaw.rule for flaw in flaws] == ["hard_to_read", "rare_characters"]
    assert flaws[1].phrase == "诓"
