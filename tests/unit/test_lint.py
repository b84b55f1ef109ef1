"""What the linter asks for and what it finds; and that nothing we ship needs mending."""

from __future__ import annotations

from dataclasses import replace

import pytest

from duewise.message.elements import ELEMENTS, claims_of, has_opt_out_text, shows_debt
from duewise.message.lint import (
    REQUIRED,
    Finding,
    elements_of,
    lint,
    lint_template,
    template_facts,
)
from duewise.message.template import EXAMPLE_SENDERS, load_templates

PRE_DUE = (
    "【示例消费金融】李*女士，您尾号6602的借款本期应还868.40元，还款日8月10日，"
    "请通过示例APP还款。如已还款请忽略，还款有困难请提前联系我们。客服95xxx"
)
PRE_DUE_EN = (
    "[Example] Dear Ms L., 868.40 is due on 10 Aug for your loan ending 6602. "
    "Pay in the Example app. Ignore if paid. Help: 95xxx."
)
OVERDUE = (
    "【示例消费金融】李*女士，您尾号6602的借款截至8月14日逾期4天，应还872.90元（含罚息4.50元）。"
    "请通过示例APP还款；如已还款请忽略，有异议或还款困难请致电95xxx。"
)
SHIPPED = load_templates()
THREATS = {"threats": ["走着瞧", "打断.{0,2}腿"], "threats_en": [r"(?i)\b(arrest|jail)\b"]}


def rules(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.phrase) for finding in findings]


def test_it_passes_the_sample_notices() -> None:
    assert lint(PRE_DUE, stage="pre_due") == []
    assert lint(PRE_DUE, stage="due_day") == []
    assert lint(PRE_DUE_EN, stage="pre_due", locale="en") == []
    assert lint(OVERDUE, stage="overdue") == []


def test_it_finds_the_elements_of_the_sample_notices() -> None:
    owed = {"sender_identity", "amount_or_pointer", "pay_route", "official_contact"}
    pre_due = {*owed, "due_date"}
    assert elements_of(PRE_DUE, locale="zh-CN") == pre_due | {"dispute_or_help_route"}
    assert elements_of(PRE_DUE_EN, locale="en") == pre_due
    assert elements_of(OVERDUE, locale="zh-CN") == owed | {
        "overdue_fact",
        "dispute_or_help_route",
    }
    assert elements_of("明天见", locale="zh-CN") == set()


TAKEN_AWAY = [
    ("pre_due", PRE_DUE, "zh-CN", "【示例消费金融】", "sender_identity"),
    ("pre_due", PRE_DUE, "zh-CN", "本期应还868.40元，", "amount_or_pointer"),
    ("pre_due", PRE_DUE, "zh-CN", "还款日8月10日，", "due_date"),
    ("pre_due", PRE_DUE, "zh-CN", "请通过示例APP还款。", "pay_route"),
    ("pre_due", PRE_DUE, "zh-CN", "客服95xxx", "official_contact"),
    ("pre_due", PRE_DUE, "zh-CN", "如已还款请忽略，", "crossed_in_the_post"),
    ("overdue", OVERDUE, "zh-CN", "逾期4天，", "overdue_fact"),
    ("overdue", OVERDUE, "zh-CN", "有异议或还款困难", "dispute_or_help_route"),
    ("overdue", OVERDUE, "zh-CN", "如已还款请忽略，", "crossed_in_the_post"),
    ("pre_due", PRE_DUE_EN, "en", "[Example] ", "sender_identity"),
    ("pre_due", PRE_DUE_EN, "en", "868.40 ", "amount_or_pointer"),
    ("pre_due", PRE_DUE_EN, "en", "on 10 Aug ", "due_date"),
    ("pre_due", PRE_DUE_EN, "en", "Pay in the Example app. ", "pay_route"),
    ("pre_due", PRE_DUE_EN, "en", " Help: 95xxx.", "official_contact"),
    ("pre_due", PRE_DUE_EN, "en", " Ignore if paid.", "crossed_in_the_post"),
]


@pytest.mark.parametrize(("stage", "text", "locale", "gone", "element"), TAKEN_AWAY)
def test_it_misses_an_element_that_is_taken_away(
    stage: str, text: str, locale: str, gone: str, element: str
) -> None:
    assert gone in text
    findings = lint(text.replace(gone, ""), stage=stage, locale=locale)
    missing = [finding.phrase for finding in findings if finding.rule == "missing_element"]
    assert missing == [element]
    assert all(finding.effect == "block" and finding.mend for finding in findings)


SAID_OTHERWISE = [
    ("due_date", "zh-CN", "请于8月10日前还款"),
    ("due_date", "zh-CN", "今天（8月10日）到期"),
    ("due_date", "en", "Payment is due by Aug 10"),
    ("amount_or_pointer", "zh-CN", "请登录示例APP查看"),
    ("amount_or_pointer", "en", "See the amount in the Example app"),
    ("overdue_fact", "zh-CN", "您的借款已过还款日"),
    ("overdue_fact", "en", "Your payment was due on 10 Aug"),
    ("pay_route", "zh-CN", "请在签约账户存足款项并保证账户扣款"),
    ("official_contact", "zh-CN", "客服热线400-123-4567"),
    ("official_contact", "en", "Call 0800 123 456"),
    ("dispute_or_help_route", "zh-CN", "可致电95123协商分期"),
    ("dispute_or_help_route", "en", "Call 95123 if you are in difficulty"),
]


@pytest.mark.parametrize(("element", "locale", "text"), SAID_OTHERWISE)
def test_it_knows_an_element_said_otherwise(element: str, locale: str, text: str) -> None:
    assert element in elements_of(text, locale=locale)


NOT_SAID = [
    ("due_date", "zh-CN", "截至8月14日逾期4天"),
    ("due_date", "en", "4 days past due as of 14 Aug"),
    ("overdue_fact", "zh-CN", "请按时还款，避免逾期"),
    ("pay_route", "zh-CN", "您尾号6602的账户还款日8月10日"),
    ("official_contact", "en", "Help is near. Loan ending 6602"),
]


@pytest.mark.parametrize(("element", "locale", "text"), NOT_SAID)
def test_it_takes_nothing_else_for_an_element(element: str, locale: str, text: str) -> None:
    assert element not in elements_of(text, locale=locale)


WORDING = [
    ("走-着 瞧", "threats", "走-着 瞧", "block"),
    ("打斷你的腿", "threats", "打斷你的腿", "block"),
    ("You will be ARRESTED? No: Arrest.", "threats_en", "Arrest", "block"),
    ("身份证11010519900307123X", "re_cn_id", "11010519900307123X", "redact"),
    ("卡号6222 0212 3456 7890 123", "re_card", "6222 0212 3456 7890 123", "redact"),
    ("手机１３８１２３４５６７８", "re_mobile", "１３８１２３４５６７８", "redact"),
    ("【示例】李小红女士，您好", "full_name", "】李小红女士", "redact"),
    ("详见https://example.com/a", "link", "https://example.com/a", "review"),
    ("点击t.cn/Ab12", "short_link", "t.cn/Ab12", "block"),
    ("http://10.1.2.3/x", "short_link", "http://10.1.2.3/x", "block"),
    ("您好{{ salutation }}", "unrendered", "{{ salutation }}", "block"),
    ("应还None元", "unrendered", "None", "block"),
]


@pytest.mark.parametrize(("text", "rule", "phrase", "effect"), WORDING)
def test_it_finds_what_no_text_may_hold(text: str, rule: str, phrase: str, effect: str) -> None:
    (finding,) = lint(text, stage=None, lexicons=THREATS)
    assert (finding.rule, finding.phrase, finding.effect) == (rule, phrase, effect)
    assert text[slice(*finding.span)] == phrase


@pytest.mark.parametrize(
    "text",
    [
        "请勿付款到个人微信",
        "李*女士，您好",
        "欧阳先生您好",
        "【示例】尊敬的女士，您好",
        "客服95123",
        "",
    ],
)
def test_it_finds_nothing_in_a_clean_text(text: str) -> None:
    assert lint(text, stage=None, lexicons=THREATS) == []


def test_it_speaks_of_no_consequence_before_the_due_date() -> None:
    for threat, claim in [
        ("将影响征信", "credit_will_be_reported"),
        ("我们将起诉", "legal_action"),
        ("将计收罚息", "penalty_interest"),
    ]:
        found = lint(PRE_DUE + threat, stage="pre_due")
        assert ("consequence_before_due", claim) in rules(found)


def test_it_counts_parts_and_characters() -> None:
    long = PRE_DUE + "，谢谢" * 20
    assert rules(lint(long, stage="pre_due")) == [("too_many_parts", "3 parts")]
    assert lint(long, stage="overdue")[0].rule == "missing_element"
    assert lint(long, stage="pre_due", channel="email") == []
    longer = OVERDUE + "，谢谢" * 150
    assert [f.rule for f in lint(longer, stage="overdue")] == ["too_many_parts", "too_long"]


def test_it_wants_one_signature_in_front() -> None:
    unsigned = PRE_DUE.removeprefix("【示例消费金融】")
    assert "signature" in {finding.rule for finding in lint(unsigned, stage="pre_due")}
    (second,) = lint(PRE_DUE + "【重要】", stage="pre_due")
    assert (second.rule, second.phrase) == ("signature", "【重要】")


def test_it_offers_no_opt_out_in_a_service_sms() -> None:
    for offer in ("拒收请回复R", "，退订回T", "，回TD"):
        assert rules(lint(PRE_DUE + offer, stage="pre_due")) == [("opt_out_text", "")]
    assert not has_opt_out_text("回到示例APP", locale="zh-CN")
    assert has_opt_out_text("Reply STOP to end", locale="en")


def test_it_offers_a_way_out_in_every_overdue_notice() -> None:
    for template in SHIPPED.values():
        if template.stage == "overdue":
            facts = template_facts(template, EXAMPLE_SENDERS[template.locale])
            assert {*REQUIRED["overdue"]} <= set(facts["msg.elements"])  # type: ignore[call-overload]


def test_it_gives_the_guard_the_facts_of_a_template() -> None:
    facts = template_facts(SHIPPED["zh.before_due.neutral"], EXAMPLE_SENDERS["zh-CN"])
    assert facts == {
        "msg.elements": sorted({*ELEMENTS} - {"overdue_fact"}),
        "msg.disclosed": [],
        "msg.claims": [],
        "msg.promo": False,
        "msg.optout_text": False,
        "msg.preview_shows_debt": True,
        "msg.template_ok": True,
    }


def test_it_gives_the_guard_what_changes_with_a_template() -> None:
    push = SHIPPED["zh.before_due.neutral"]
    sender = EXAMPLE_SENDERS["zh-CN"]
    quiet = template_facts(replace(push, channel="push", preview="您有一条账户消息"), sender)
    assert (quiet["msg.preview_shows_debt"], quiet["msg.template_ok"]) == (False, False)
    linked = template_facts(replace(push, text=push.text + "https://example.com/pay"), sender)
    assert linked["msg.url"] == "https://example.com/pay"
    claimed = template_facts(SHIPPED["zh.m1_day15.urgent"], sender)
    assert claimed["msg.claims"] == ["penalty_interest"]


def test_it_finds_a_claim_that_is_not_declared() -> None:
    silent = replace(SHIPPED["zh.m1_day15.urgent"], claims=())
    found = lint_template(silent, EXAMPLE_SENDERS["zh-CN"])
    assert rules(found) == [("undeclared_claim", "penalty_interest")]
    assert claims_of("A late fee is charged", locale="en") == {"penalty_interest"}


def test_it_finds_a_preview_that_tells_of_a_debt() -> None:
    push = replace(SHIPPED["zh.early.gentle.push"], preview="您的借款即将到期")
    found = lint_template(push, EXAMPLE_SENDERS["zh-CN"])
    assert rules(found) == [("preview_shows_debt", "您的借款即将到期")]
    assert shows_debt("Your payment is due", locale="en")
    assert not shows_debt("Account message", locale="en")
