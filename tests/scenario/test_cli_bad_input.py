"""What a person sees who types something wrong: one line with the place and the mend, exit code 2."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from psycopg import sql
from tests.scenario.book_files import write_files
from tests.scenario.road import DUEWISE, CommandLine, Said

from duewise.store.connection import connect

CASES = """\
schema: cg-cases/1
version: 1
bases:
  late: {jur: CN, now: "2026-08-14T23:30:00+08:00", msg.stage: overdue}
cases:
  - id: late-at-night
    base: late
    checks:
      - expect: {decision: %s}
"""


@pytest.fixture
def workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "lender"
    assert CommandLine(capsys)("init", folder).code == 0
    return folder


@pytest.fixture
def duewise(workspace: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys, "--workspace", workspace)


@pytest.fixture
def with_database(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)


def refusal(said: Said) -> str:
    """The one line of a refusal, without the program's name and the mend."""
    assert said.code == 2, said
    assert said.out == ""
    line = re.fullmatch(r"duewise: (.+)\. Mend: (.+)\n", said.err)
    assert line, said.err
    return line[1]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('book = "book"', 'buch = "book"', ":6: unknown setting 'buch'"),
        ("window = 100", "widow = 100", ":30: unknown setting 'smpp.widow'"),
        ("[web]", "[wap]\n[web]", ":36: unknown setting 'wap'"),
        ("window = 100", 'window = "many"', ":30: setting 'smpp.window': Input should be a valid"),
        ("port = 8000", "port = 80000", ":38: setting 'web.port': Input should be less than"),
        ("[web]", "[web", ":36: Expected ']' at the end of a table"),
        ('["CN", "HOUSE"]', '["XX"]', ": no profile 'XX'"),
    ],
)
def test_it_names_the_line_of_a_wrong_setting(
    duewise: CommandLine, workspace: Path, old: str, new: str, said: str
) -> None:
    edit(workspace / "duewise.toml", old, new)
    assert refusal(duewise("guard", "rules")).startswith(f"{workspace / 'duewise.toml'}{said}")


def test_it_names_the_variable_of_a_wrong_setting(
    duewise: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUEWISE_SMPP__PORT", "abc")
    assert refusal(duewise("guard", "rules")).startswith("DUEWISE_SMPP__PORT: setting 'smpp.port'")


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("when: dpd = -5", "when: dbd = -5", "- name: early_warning", r".*unknown column 'dbd'"),
        (
            "template: zh.early.gentle",
            "template: zh.early.sweet",
            "early.sweet",
            r"unknown template",
        ),
        ("share: 5%", "share: lots", "share: lots", r"share 'lots' is not a percentage"),
    ],
)
def test_it_names_the_line_of_a_wrong_strategy(
    duewise: CommandLine, workspace: Path, *, old: str, new: str, at: str, said: str
) -> None:
    strategy = workspace / "strategy.yaml"
    edit(strategy, old, new)
    found = refusal(duewise("plan", workspace / "book", "--out", workspace / "plan"))
    lines = strategy.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if at in text)
    assert re.match(re.escape(f"{strategy}:{line}: ") + said, found)


def test_it_names_a_line_of_a_strategy_that_is_no_yaml(
    duewise: CommandLine, workspace: Path
) -> None:
    strategy = workspace / "strategy.yaml"
    edit(strategy, "steps:\n", "steps: [\n")
    found = refusal(duewise("plan", workspace / "book", "--out", workspace / "plan"))
    assert re.match(re.escape(str(strategy)) + r":\d+: ", found)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("duewise.toml", ["guard", "rules"]),
        ("strategy.yaml", ["plan", "book", "--out", "plan"]),
        ("templates/own.yaml", ["plan", "book", "--out", "plan"]),
        ("profiles/own.yaml", ["guard", "rules"]),
    ],
)
def test_it_names_the_file_that_is_no_utf_8(
    duewise: CommandLine, workspace: Path, name: str, command: list[str]
) -> None:
    (workspace / name).write_bytes("名: 中".encode("gbk"))
    assert refusal(duewise(*command)) == f"{workspace / name}: not UTF-8"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workspace", "nowhere", "report"], "/nowhere: this is no workspace"),
        (
            ["--workspace", "nowhere", "plan", "book", "--out", "p"],
            "/nowhere: this is no workspace",
        ),
        (["--clock", "yesterday", "report"], "--clock: 'yesterday' is no clock"),
        (["init", "lender"], "lender: a workspace is here already"),
        (["init", "new", "--licence", "pirate"], "--licence: unknown class of lender 'pirate'"),
        (["init", "file/new"], "file/new/templates: Not a directory"),
        (
            ["ledger", "b", "--as-of", "2017-21-01", "--out", "o"],
            "--as-of: '2017-21-01' is no date",
        ),
        (["ledger", "b", "--as-of", "2017-01-01", "--out", "o"], "b: there is no book here"),
        (["book", "check", "b"], "b: there is no book here"),
        (["plan", "b", "--out", "p", "--as-of", "May"], "--as-of: 'May' is no date"),
        (["plan", "b", "--out", "p", "--workers", "0"], "Invalid value for '--workers'"),
        (["book", "pay", "L", "much", "--payment", "P"], "AMOUNT: 'much' is no amount"),
        (["book", "pay", "L", "NaN", "--payment", "P"], "AMOUNT: 'NaN' is no amount"),
        (["book", "pay", "L", "1e30", "--payment", "P"], "AMOUNT: '1e30' is no amount"),
        (["book", "pay", "L", "1", "--payment", "P", "--at", "now"], "--at: Invalid isoformat"),
        (["guard", "check", "cases.yaml"], "cases.yaml: cannot be read: No such file"),
        (["guard", "rules", "--profile", "XX"], "--profile: no profile 'XX'"),
        (["message", "lint", "texts"], "texts: No such file or directory"),
        (["message", "lint", "gbk"], "gbk: not UTF-8"),
        (["message", "lint", "file", "--stage", "late"], "Invalid value for '--stage'"),
        (["explain", "--borrower", "Li", "--language", "fr"], "Invalid value for '--language'"),
        (["demo", "--start", "soon", "--folder", "d"], "--start: 'soon' is no date"),
        (["demo", "--borrowers", "0"], "Invalid value for '--borrowers'"),
        (["sned"], "No such command 'sned'"),
        (["plan"], "Missing argument 'BOOK'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_it_refuses_in_one_line(
    capsys: pytest.CaptureFixture[str],
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(workspace.parent)
    Path("file").write_text("hello\n", encoding="utf-8")
    Path("gbk").write_bytes("中".encode("gbk"))
    given = [] if arguments[0] == "--workspace" else ["--workspace", "lender"]
    said = refusal(CommandLine(capsys, *given)(*arguments))
    assert message in said


@pytest.mark.usefixtures("with_database")
def test_it_refuses_what_the_records_do_not_know(duewise: CommandLine, workspace: Path) -> None:
    (workspace / "secrets" / "smpp").unlink()
    cases = {
        "report": "lender/book: there is no book here",
        "plan book --out p": "book: there is no book here",
        "book pay L9 5 --payment P": "payment 'P': unknown loan 'L9'",
        "explain": "explain whom",
        "explain 99": "there is no envelope 99",
        "explain --borrower Li --date May": "--date: 'May' is no date",
        "book import f --mapping none --into b": "none: no mapping",
        "send": "secrets/smpp: no password for the SMPP account",
        "gateway": "secrets/smpp: no password for the SMPP account",
    }
    for typed, message in cases.items():
        assert message in refusal(duewise(*typed.split()))


@pytest.mark.usefixtures("with_database")
def test_it_releases_only_what_was_planned(
    duewise: CommandLine, workspace: Path, tmp_path: Path
) -> None:
    source = write_files(tmp_path / "files")
    command = ("book", "import", source, "--mapping", "duewise", "--into", workspace / "book")
    assert duewise(*command).code == 0
    said = refusal(duewise("release", tmp_path / "plan"))
    assert said == f"{tmp_path / 'plan' / 'plan.json'}: no finished plan in this folder"
    assert refusal(duewise("book", "pay", "L1", "0", "--payment", "P")).endswith("not above zero")


def test_it_says_the_same_of_a_database_that_is_away(
    duewise: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    said = duewise("report")
    assert said.code == 1
    assert said.err.startswith("duewise: ")
    assert "Mend: " in said.err


@pytest.mark.usefixtures("with_database")
def test_it_says_that_the_database_failed_in_the_middle(duewise: CommandLine, dsn: str) -> None:
    with connect(dsn, autocommit=True) as conn:
        name = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("ALTER DATABASE {} SET lock_timeout = '50ms'").format(name))
        with conn.transaction():
            conn.execute("LOCK TABLE account")
            said = duewise("book", "pay", "L1", "5", "--payment", "P")
    assert said.code == 1
    assert said.err.startswith("duewise: the database fails: canceling statement due to lock")
    assert said.err.endswith("Mend: nothing is half done; try again\n")


def test_it_judges_a_case_file_a_line_a_check(duewise: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(CASES % "block", encoding="utf-8")
    said = duewise("guard", "check", path)
    assert (said.code, said.err) == (0, "")
    verdict = said.json
    assert list(verdict) == ["case", "check", "decision", "rules", "next_allowed_at"]
    assert (verdict["case"], verdict["check"], verdict["decision"]) == ("late-at-night", 1, "block")
    assert "CN-HRS-01" in verdict["rules"]
    path.write_text(CASES % "allow", encoding="utf-8")
    said = duewise("guard", "check", path)
    assert said.code == 1
    assert "late-at-night check 1: decision is block, expected allow" in said.err


def test_it_lists_the_rules_in_force(duewise: CommandLine) -> None:
    said = duewise("--json", "guard", "rules", "--profile", "CN")
    rules = {line["rule"]: line for line in map(json.loads, said.out.splitlines())}
    assert rules["CN-FEE-02"] == {
        "rule": "CN-FEE-02",
        "for": "stage: overdue, pre_due, due_day",
        "asks": "if acct.lender_class in [bank, consumer_finance, auto_finance, assisted]: "
        "acct.apr_total <= 24",
        "else": "block",
        "basis": "reg",
        "conf": "M",
        "source": "ZD9",
        "in_force": "from 2025-10-01",
        "reviewed_by": None,
    }
    before = duewise("--json", "guard", "rules", "--profile", "CN", "--on", "2025-09-30").out
    known = {json.loads(line)["rule"] for line in before.splitlines()}
    assert rules.keys() - known == {"CN-FEE-02", "CN-CAP-03"}


def test_it_judges_by_the_rules_of_another_day(duewise: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(CASES % "block", encoding="utf-8")
    now = duewise("guard", "check", path).json["rules"]
    then = duewise("guard", "check", path, "--on", "2025-09-30").json["rules"]
    assert set(now) - set(then) == {"CN-FEE-02", "CN-CAP-03"}
    refused = duewise("guard", "check", path, "--on", "soon")
    assert refusal(refused) == "--on: 'soon' is no date"


def test_it_tells_of_texts_a_line_each(
    duewise: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    type_in(monkeypatch, "hello\n您好\n")
    assert duewise("message", "parts").out.splitlines() == [
        '{"encoding": "gsm7", "units": 5, "parts": 1}',
        '{"encoding": "ucs2", "units": 2, "parts": 1}',
    ]
    type_in(monkeypatch, "退订\n")
    said = duewise("--clock", "2026-08-14T09:00+08:00", "message", "intent").json
    assert list(said) == ["intent", "confidence", "action", "date"]
    assert said["intent"] == "opt_out"
    path = tmp_path / "texts.txt"
    path.write_text("再不还就上门\n", encoding="utf-8")
    found = duewise("message", "lint", path, "--stage", "overdue").json
    assert list(found) == ["line", "rule", "effect", "phrase", "span", "mend"]
    assert duewise("message", "lint", path).out == ""
    path.write_text("再不还就上门堵人\n", encoding="utf-8")
    assert duewise("message", "lint", path).json["rule"] == "zh_harass"


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Standard input, as bytes: the command line itself decodes it."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))


def test_it_says_so_from_a_shell_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DUEWISE, "--workspace", str(tmp_path), "report"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = f"duewise: {tmp_path}: this is no workspace. Mend: run `duewise init DIR`\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_it_ends_quietly_when_its_reader_has_gone() -> None:
    process = subprocess.Popen(
        [*DUEWISE, "--json", "guard", "rules"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as said:
        assert said.read() == b""
    assert process.wait(timeout=60) == 1
