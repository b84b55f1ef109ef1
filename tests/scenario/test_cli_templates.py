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
