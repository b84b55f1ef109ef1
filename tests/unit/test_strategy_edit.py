"""Edits of a strategy file: the value changes, and not one character beside it."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.lender import STRATEGY_TEXT, strategy

from duewise.app import new_workspace
from duewise.cli import main
from duewise.errors import BadInput
from duewise.strategy.edit import set_value


def changed(path: str, value: str) -> list[str]:
    """The lines that went and came."""
    edited = set_value(STRATEGY_TEXT, path, value, source="strategy.yaml")
    strategy(edited)
    told = difflib.ndiff(STRATEGY_TEXT.splitlines(), edited.splitlines())
    return [line for line in told if line[0] in "+-"]


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        ("version", "2", ["- version: 1", "+ version: 2"]),
        (
            "steps.before_due.arms.gentle.hours",
            "[9, 12]",
            [
                "-       gentle: {channel: sms, template: zh.before_due.gentle, hours: [10, 19]}",
                "+       gentle: {channel: sms, template: zh.before_due.gentle, hours: [9, 12]}",
            ],
        ),
        ("steps.due_today.wait", "dpd > 3", ["+     wait: dpd > 3"]),
        ("send_time", "learned", ["+ send_time: learned"]),
    ],
)
def test_it_changes_the_value_alone(path: str, value: str, lines: list[str]) -> None:
    assert changed(path, value) == lines


def test_it_keeps_the_comment_on_the_line() -> None:
    (gone, came) = changed("hold_out.share", "10%")
    assert came.startswith("+ hold_out: {share: 10%, of: optional}")
    assert gone.partition("#")[2] == came.partition("#")[2] != ""


def test_it_gives_the_same_bytes_where_the_value_is_the_same() -> None:
    for path, value in (("timezone", "Asia/Shanghai"), ("fatigue.messages_28d", "8")):
        assert set_value(STRATEGY_TEXT, path, value, source="-") == STRATEGY_TEXT


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("steps.nobody.when", "dpd = 1", "nothing at steps.nobody"),
        ("steps", "[]", "more than one line"),
        ("version", "1\nsteps: []", "one line"),
        ("version", "2, hold_out: 3", "cannot be set|not YAML"),
        ("hold_out.share", "5%, of: all", "cannot be set|not YAML"),
    ],
)
def test_it_refuses_what_would_change_more(path: str, value: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        set_value(STRATEGY_TEXT, path, value, source="-")


def test_it_edits_a_draft_by_command_and_takes_it_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_workspace(tmp_path / "w")
    draft = tmp_path / "new.yaml"
    draft.write_text(STRATEGY_TEXT, encoding="utf-8")

    def run(*words: str) -> str:
        with suppress(SystemExit):  # where the file is refused
            main(["--workspace", str(tmp_path / "w"), "strategy", *words])
        return "".join(capsys.readouterr())

    edit = (str(draft), "hold_out.share", "10%")
    assert "+hold_out: {share: 10%" in run("set", *edit)
    assert draft.read_text(encoding="utf-8") == STRATEGY_TEXT
    told = run("set", *edit, "--write")
    assert "share: 10%" in draft.read_text(encoding="utf-8")
    assert "no window" in run("set", str(draft), "steps.due_today.arms.gentle.hours", "[9, 5]")
    kept = re.search(r"([0-9a-f]{12})\s+--write", told)
    assert kept
    run("restore", str(draft), kept[1], "--write")
    assert draft.read_text(encoding="utf-8") == STRATEGY_TEXT
    in_force = tmp_path / "w" / "strategy.yaml"
    assert "in force" in run("set", str(in_force), "version", "2", "--write")
