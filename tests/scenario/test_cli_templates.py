"""The commands that show templates: a table, one in both languages with its price, the sheet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scenario.road import CommandLine


@pytest.fixture
def duewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    folder = tmp_path / "lender"
    assert CommandLine(capsys)("init", folder).code == 0
    return CommandLine(capsys, "--workspace", folder)


@pytest.fixture
def _recorded(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that keeps who approved what."""
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)


@pytest.mark.usefixtures("_recorded")
def test_it_lists_the_templates(duewise: CommandLine) -> None:
    rows = [json.loads(line) for line in duewise("--json", "message", "templates").out.splitlines()]
    early = next(row for row in rows if row["name"] == "zh.early.gentle")
    assert (early["purpose"], early["parts"], early["approved"]) == ("early_warning", 2, True)
    assert "zh.early.gentle" in duewise("message", "templates").out


def test_it_previews_a_template_in_both_languages_with_its_price(duewise: CommandLine) -> None:
    said = duewise("message", "preview", "zh.m1_day1.help").out
    assert "zh.m1_day1.help" in said
    assert "en.m1_day1.help" in said
    assert "868.40元" in said
    assert "worst: 3 parts, CNY 0.15" in said
    english = duewise("--json", "message", "preview", "zh.m1_day1.help", "--locale", "en").out
    (row,) = map(json.loads, english.splitlines())
    assert row["name"] == "en.m1_day1.help"
    assert row["costs"]["example"] == {"parts": 4, "price": "0.20"}


@pytest.mark.usefixtures("_recorded")
def test_it_writes_the_compliance_officers_sheet(duewise: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "sheet.html"
    said = duewise("--json", "message", "sheet", "--out", file, "--profile", "CN")
    told = json.loads(said.out)
    assert told["templates"] > 90
    # Behind a Chinese signature an English text is UCS-2, and some then take too many parts.
    assert [name for name in told["with_findings"] if name.startswith("zh")] == []
    assert "zh.credit_notice.clear" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("preview", "zh.m1_day1.sweet"), "unknown template 'zh.m1_day1.sweet'. Mend: use zh.m1"),
        (("preview", "zh.m2.urgent", "--locale", "en"), "is not written in 'en'. Mend: use zh"),
        (("sheet", "--out", "x.html", "--profile", "MARS"), "MARS"),
    ],
)
def test_it_says_what_was_asked_wrongly(
    duewise: CommandLine, arguments: tuple[str, ...], message: str
) -> None:
    said = duewise("message", *arguments)
    assert said.code == 2
    assert message in said.err


OWN = """\
# Ours.
name: zh.own.gentle  # a word for the year's end
version: 1
locale: zh-CN
purpose: reminder
stage: service
tone: gentle
channel: sms
text: >-
  {{ signature }}您好，账单可在{{ app }}查看。客服{{ hotline }}
author: Li
---
name: zh.other.gentle
version: 1
locale: zh-CN
purpose: reminder
stage: service
tone: gentle
channel: sms
text: 您好
author: Li
"""


@pytest.fixture
def own(tmp_path: Path, duewise: CommandLine, _recorded: None) -> Path:  # noqa: ARG001
    file = tmp_path / "lender" / "templates" / "own.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(OWN, encoding="utf-8")
    return file


def is_approved(duewise: CommandLine, name: str) -> bool:
    lines = duewise("--json", "message", "templates").out.splitlines()
    return any(row["approved"] for row in map(json.loads, lines) if row["name"] == name)


def test_it_approves_a_wording_until_it_is_edited(duewise: CommandLine, own: Path) -> None:
    assert not is_approved(duewise, "zh.own.gentle")
    assert duewise("message", "approve", "zh.own.gentle", "--by", "Wang").code == 0
    assert is_approved(duewise, "zh.own.gentle")
    text = own.read_text(encoding="utf-8")
    assert text.startswith(OWN[: OWN.index("---")])
    assert text.endswith(OWN[OWN.index("---") :])
    assert duewise("message", "approve", "zh.own.gentle", "--by", "Chen").code == 0
    assert own.read_text(encoding="utf-8").count("approver: ") == 1
    own.write_text(own.read_text("utf-8").replace("查看。", "查询。"), encoding="utf-8")
    assert not is_approved(duewise, "zh.own.gentle")


def test_it_believes_the_record_of_what_was_ever_on_it(duewise: CommandLine, own: Path) -> None:
    assert duewise("message", "approve", "zh.own.gentle", "--by", "Wang").code == 0
    signed = own.read_text(encoding="utf-8")
    unreasoned = duewise("message", "withdraw", "zh.own.gentle", "--by", "Chen", "--because", " ")
    assert (unreasoned.code, "who withdraws, and why" in unreasoned.err) == (2, True)
    said = ("--by", "Chen", "--because", "a link that is gone")
    for name in ("zh.own.gentle", "zh.early.gentle"):  # the file's signature still stands
        assert duewise("message", "withdraw", name, *said).code == 0
        assert not is_approved(duewise, name)
    assert own.read_text(encoding="utf-8") == signed
    assert duewise("message", "approve", "zh.early.gentle", "--by", "Wang").code == 0
    assert is_approved(duewise, "zh.early.gentle")
    told = json.loads(duewise("--json", "message", "approvals", "zh.own.gentle").out)
    assert [(each["what"], each["by"], each["author"], each["why"]) for each in told] == [
        ("withdrawn", "Chen", "Li", "a link that is gone"),
        ("approved", "Wang", "Li", ""),
    ]
    assert "withdrawn" in duewise("message", "approvals").out


def test_it_approves_nothing_it_should_not(duewise: CommandLine, own: Path) -> None:
    for name, by, message in (
        ("zh.own.gentle", "Li", "Li wrote 'zh.own.gentle'. Mend: let somebody else approve"),
        ("zh.own.gentle", " ", "nobody approves"),
        ("zh.other.gentle", "Wang", "'zh.other.gentle' has findings: missing_element"),
        ("zh.early.gentle", "Wang", "is not among the workspace's own"),
        ("zh.early.bitter", "Wang", "unknown template"),
    ):
        said = duewise("message", "approve", name, "--by", by)
        assert said.code == 2
        assert message in said.err
    assert own.read_text(encoding="utf-8") == OWN
