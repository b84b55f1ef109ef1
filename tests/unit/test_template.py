"""Templates: the same text one by one and in a column, never a blank, and files refused by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from duewise.errors import BadInput
from duewise.message.template import (
    EXAMPLE_SENDERS,
    SHIPPED,
    Sender,
    Template,
    load_templates,
    missing_variables,
    render,
    render_column,
    worst_case,
)
from duewise.money import Money

KINDS = {
    "salutation": "text",
    "loan_tail": "tail",
    "amount": "money",
    "due_date": "date",
    "days_past_due": "count",
}
TEXT = (
    "{{ signature }}{{ salutation }}，尾号{{ loan_tail | tail }}{{ due_date | date }}"
    "应还{{ amount | money }}，逾期{{ days_past_due | days }}（{{ days_past_due }}），{{ hotline }}"
)
LI = {
    "salutation": "李*女士",
    "loan_tail": "L-0016602",
    "amount": Money(86840, "CNY"),
    "due_date": date(2026, 8, 10),
    "days_past_due": 4,
}
ZH, EN = EXAMPLE_SENDERS["zh-CN"], EXAMPLE_SENDERS["en"]


def template(text: str = TEXT, *, locale: str = "zh-CN", **kinds: str) -> Template:
    return Template(
        name="zh.test",
        version=1,
        locale=locale,
        purpose="m1_early",
        stage="overdue",
        tone="neutral",
        channel="sms",
        text=text,
        variables=kinds or KINDS,
        author="content.desk",
        approver="compliance.desk",
        approved_hash="",
    )


def frame(**columns: list[object]) -> pl.DataFrame:
    """Two rows: Li, and one like Li but for the columns given."""
    row = {
        "salutation": ["李*女士", "李*女士"],
        "loan_tail": ["L-0016602", "L-0016602"],
        "amount_minor": [86840, 86840],
        "currency": ["CNY", "CNY"],
        "due_date": [date(2026, 8, 10)] * 2,
        "days_past_due": [4, 4],
    }
    return pl.DataFrame({**row, **columns})


def test_it_renders_a_message() -> None:
    assert render(template(), LI, ZH) == (
        "【示例消费金融】李*女士，尾号66028月10日应还868.40元，逾期4天（4），95123"
    )


def test_it_renders_a_message_in_english() -> None:
    text = "{{ amount | money }}, {{ due_date | date }}, {{ days_past_due | days }} {{ app }}"
    english = template(text, locale="en", amount="money", due_date="date", days_past_due="count")
    assert render(english, LI, EN) == "CNY 868.40, 10 Aug, 4 days Example app"
    assert render(english, LI | {"days_past_due": 1}, EN).endswith("1 day Example app")


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_it_renders_a_column_as_it_renders_each_row(locale: str) -> None:
    amounts = [1, 99, 100, 99_999, 100_000, 123_456_789, 99_999_999_999, 10**17, 86840]
    currencies = ["CNY", "USD", "JPY", "CNY", "JPY", "CNY", "KWD", "CNY", "CNY"]
    days = [date(2026, month, 28) for month in range(1, 10)]
    rows = frame().head(1).select(pl.all().repeat_by(len(amounts)).explode())
    rows = rows.with_columns(
        pl.Series("amount_minor", amounts),
        pl.Series("currency", currencies),
        pl.Series("due_date", days),
        pl.Series("days_past_due", range(9)),
    )
    made = template(locale=locale)
    expected = [
        render(
            made,
            LI | {"amount": Money(amount, currency), "due_date": day, "days_past_due": number},
            ZH,
        )
        for number, (amount, currency, day) in enumerate(
            zip(amounts, currencies, days, strict=True)
        )
    ]
    rendered = render_column(made, rows, sender=ZH)
    assert rendered.to_list() == expected
    assert rendered.name == "text"


def test_it_renders_a_template_without_variables_for_every_row() -> None:
    fixed = replace(template("{{ signature }}您好"), variables={})
    assert render_column(fixed, frame(), sender=ZH).to_list() == ["【示例消费金融】您好"] * 2
    assert render_column(fixed, frame().clear(), sender=ZH).to_list() == []
    assert missing_variables(fixed, frame()).to_list() == [[], []]


UNFIT = [
    ("salutation", None),
    ("salutation", ""),
    ("salutation", " \u3000"),
    ("salutation", "李\n女士"),
    ("salutation", "【他人】"),
    ("salutation", "李\u202e女士"),
    ("salutation", "http://a.cn"),
    ("salutation", "李" * 21),
    ("loan_tail", None),
    ("loan_tail", " "),
    ("due_date", None),
    ("days_past_due", None),
    ("days_past_due", -3),
]


@pytest.mark.parametrize(("name", "value"), UNFIT)
def test_it_never_writes_a_blank(name: str, value: object) -> None:
    rows = frame(**{name: [LI[name], value]})
    assert render_column(template(), rows, sender=ZH).is_null().to_list() == [False, True]
    assert missing_variables(template(), rows).to_list() == [[], [name]]
    with pytest.raises(BadInput, match=f"'zh.test'.*'{name}'.*Mend: give '{name}'"):
        render(template(), LI | {name: value}, ZH)


@pytest.mark.parametrize(
    ("minor", "currency"), [(None, "CNY"), (0, "CNY"), (-1, "CNY"), (86840, None)]
)
def test_it_never_asks_for_nothing(minor: int | None, currency: str | None) -> None:
    rows = frame(amount_minor=[1, minor], currency=["CNY", currency])
    assert render_column(template(), rows, sender=ZH).is_null().to_list() == [False, True]
    assert missing_variables(template(), rows).to_list() == [[], ["amount"]]


def test_it_does_not_take_a_value_of_another_kind() -> None:
    for name, value in [("amount", 868), ("due_date", datetime(2026, 8, 10, tzinfo=UTC))]:
        with pytest.raises(BadInput, match=name):
            render(template(), LI | {name: value}, ZH)


def test_it_does_not_render_what_a_value_says() -> None:
    named = render(template(), LI | {"salutation": "{{ hotline }}"}, ZH)
    assert "】{{ hotline }}，" in named


def test_it_names_the_column_a_frame_lacks_or_mistypes() -> None:
    with pytest.raises(BadInput, match=r"'zh.test' needs a column 'amount_minor' of integers"):
        render_column(template(), frame().drop("amount_minor"), sender=ZH)
    wrong = frame().with_columns(pl.col("due_date").cast(pl.String))
    with pytest.raises(BadInput, match=r"column 'due_date' of dates, not String"):
        render_column(template(), wrong, sender=ZH)


def test_it_has_a_worst_case_no_shorter_than_a_usual_message() -> None:
    worst = worst_case(template(), ZH)
    assert "9,999,999.99元" in worst
    assert len(worst) > len(render(template(), LI, ZH))


def test_it_has_no_sender_with_a_blank() -> None:
    with pytest.raises(BadInput, match=r"the sender has no hotline. Mend: set its hotline"):
        Sender("示例消费金融", "【示例消费金融】", " ", "示例APP")


def test_it_binds_approval_to_the_wording() -> None:
    made = template()
    approved = replace(made, approved_hash=made.content_hash)
    assert approved.is_approved
    assert not replace(approved, text=TEXT + "。").is_approved
    assert not replace(approved, claims=("penalty_interest",)).is_approved
    assert not replace(approved, approver="content.desk").is_approved
    assert not replace(approved, approver="").is_approved


def test_it_ships_templates_that_are_approved() -> None:
    shipped = load_templates()
    unapproved = {name: t.content_hash for name, t in shipped.items() if not t.is_approved}
    assert unapproved == {}
    assert {t.stage for t in shipped.values()} == {"pre_due", "due_day", "overdue", "service"}


FILE = """\
name: zh.test
version: 1
locale: zh-CN
purpose: reminder
stage: pre_due
tone: gentle
channel: sms
text: >-
  {{ signature }}{{ salutation }}，应还{{ amount | money }}
variables: {salutation: text, amount: money}
author: content.desk
"""
BAD_FILES = [
    ("{{ salutation }}", "{{ nickname }}", 9, "unknown variable 'nickname'"),
    ("salutation: text, ", "", 9, "unknown variable 'salutation'"),
    ("| money", "| dollars", 9, "unknown filter 'dollars'"),
    ("| money", "", 9, "'amount' of kind money is not written so"),
    ("{{ salutation }}", "{{ salutation | tail }}", 9, "'salutation' of kind text"),
    ("{{ signature }}", "{{ signature | tail }}", 9, "'signature' takes no filter"),
    ("{{ salutation }}", "{{ salutation ", 8, "broken template text"),
    ("{{ salutation }}", "{% if a %}{{ salutation }}{% endif %}", 8, "cannot hold"),
    ("{{ salutation }}", "{{ salutation.name }}", 8, "cannot hold"),
    ("{{ salutation }}", "{{ salutation | append: 'x' }}", 8, "cannot hold"),
    ("  {{ signature }}{{ salutation }}，应还{{ amount | money }}\n", "", 8, "the text is empty"),
    ("{salutation: text", "{hotline: text, salutation: text", 10, "the sender's own"),
    ("{salutation: text", "{spare: text, salutation: text", 10, "declared and not used"),
    ("salutation: text", "salutation: name", 10, "unknown kind 'name'"),
    ("stage: pre_due", "stage: predue", 5, "unknown stage 'predue'"),
    ("version: 1", "version: one", 2, "'version' is not a whole number"),
    ("channel: sms", "channel: sms\nheading: x", 8, "unknown field 'heading'"),
    ("purpose: reminder", "purpose: dunning", 4, "unknown purpose 'dunning'"),
    ("author: content.desk\n", "", 1, "the template has no 'author'"),
    (FILE, "- a\n- b\n", 1, "a template is a mapping"),
    ("tone: gentle", "tone: [gentle", 7, "not YAML"),
    ("tone: gentle", "tone: \x07", None, "not YAML"),
]


@pytest.mark.parametrize(("old", "new", "line", "message"), BAD_FILES)
def test_it_refuses_a_bad_file_by_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, message: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(FILE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInput, match=message) as raised:
        load_templates([tmp_path])
    assert (raised.value.source, raised.value.line) == (str(file), line)
    assert raised.value.mend


def test_it_refuses_a_template_longer_than_any_message(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(FILE.replace("应还", "应" * 1_000), encoding="utf-8")
    with pytest.raises(BadInput, match=r"over 1000 characters"):
        load_templates([tmp_path])


def test_it_refuses_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "gbk.yaml").write_bytes(FILE.encode("gbk"))
    with pytest.raises(BadInput, match=r"not UTF-8. Mend: save it as UTF-8"):
        load_templates([tmp_path])


def test_it_refuses_two_templates_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{FILE}---\n{FILE}", encoding="utf-8")
    with pytest.raises(BadInput, match=r"a.yaml:13: second template named 'zh.test'"):
        load_templates([tmp_path])


def test_it_refuses_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no such folder of templates"):
        load_templates([tmp_path / "none"])


def test_it_lets_a_lender_replace_a_shipped_template(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(FILE.replace("zh.test", "zh.early.gentle"), encoding="utf-8")
    both = load_templates([SHIPPED, tmp_path])
    assert both["zh.early.gentle"].text.endswith("应还{{ amount | money }}")
    assert not both["zh.early.gentle"].is_approved
    assert "zh.early.neutral" in both
