"""The compliance officer's sheet, and what it shows of a template that is not in order."""

from __future__ import annotations

from dataclasses import replace

from duewise.message.overview import overview, siblings
from duewise.message.template import EXAMPLE_SENDERS, load_templates
from duewise.web.sheet import render_sheet

SHIPPED = load_templates()
ZH = EXAMPLE_SENDERS["zh-CN"]
LIST = {"zh_threat": ["走着瞧"]}
WECHAT = SHIPPED["zh.before_due.neutral.wechat"]


def test_it_shows_every_template_at_its_worst_and_asks_nothing_of_any_network() -> None:
    seen = [overview(each, EXAMPLE_SENDERS[each.locale]) for each in SHIPPED.values()]
    page = render_sheet(seen, made_at="2026-08-14 08:30 UTC", profiles=["CN"])
    for each in SHIPPED.values():
        assert page.count(f'<section id="{each.name}">') == 1
    assert 'with findings <span lang="zh">有问题</span>: 0' in page
    assert "9,999,999.99元" in page
    assert "://" not in page
    assert "<script" not in page


def test_it_shows_what_is_amiss_and_escapes_it() -> None:
    text = WECHAT.text.replace("请打开", "走着瞧<b>，请打开")
    bad = replace(WECHAT, text=text, elements=(*WECHAT.elements, "overdue_fact"), reading=None)
    seen = overview(bad, ZH, lexicons=LIST)
    page = render_sheet([seen], made_at="", profiles=[])
    assert {found.rule for found in seen.findings} == {"zh_threat", "missing_element"}
    assert "走着瞧&lt;b&gt;" in page
    assert '<span class="missing">overdue_fact</span>' in page
    assert "zh_threat (block)" in page
    assert "not approved" in page


def test_it_fills_and_measures_a_template_and_finds_it_in_other_languages() -> None:
    seen = overview(WECHAT, ZH)
    assert seen.fields["amount2"] == "868.40元"
    assert seen.worst_fields["amount2"] == "9999999.99元"
    assert seen.size is None
    sms = overview(SHIPPED["zh.before_due.neutral"], ZH)
    assert sms.size is not None
    assert sms.worst_size is not None
    assert (sms.size.units, sms.size.parts) == (83, 2)
    assert sms.worst_size.parts == sms.template.parts
    names = [each.name for each in siblings(WECHAT.name, SHIPPED)]
    assert names == [WECHAT.name, "en.before_due.neutral.wechat"]
