"""Contacts made elsewhere: an agency's file is taken in whole or not at all, and caps count it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.desk import EVENING, MORNING, admit, open_desk
from tests.scenario.road import CommandLine

from duewise.jobs.operations import contacts_of

HEAD = "contact_id,borrower_id,at,channel,dir,outcome,stage,actor,number,loan_id,flags"
CALL = "c-1,Li,2026-08-14T09:20+08:00,voice_human,out,no_answer,overdue,agency,13800138000,,"


@pytest.fixture
def workspace(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    desk = open_desk(tmp_path / "workspace", dsn)
    admit(desk, "Li")
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    return desk.app.workspace


def told(workspace: Path, capsys: pytest.CaptureFixture[str], *lines: str) -> tuple[int, str]:
    path = workspace / "calls.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = CommandLine(
        capsys, "--workspace", workspace, "--clock", EVENING.isoformat(), "--json"
    )
    said = command("contacts", path)
    return said.code, said.out + said.err


def test_it_takes_a_file_of_contacts_once(
    workspace: Path, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    again = "c-2,Li,2026-08-14T10:00+08:00,letter,out,,,agency,,,"
    assert told(workspace, capsys, HEAD, CALL) == (
        0,
        '{"duplicates": 0, "recorded": 1, "unclaimed": 0}\n',
    )
    assert told(workspace, capsys, HEAD, CALL) == (
        0,
        '{"duplicates": 1, "recorded": 0, "unclaimed": 0}\n',
    )
    code, said = told(workspace, capsys, HEAD, CALL, again)
    assert code == 2
    assert "calls.csv:3: unknown channel 'letter'. Mend: use sms" in said
    desk = open_desk(workspace.parent / "other", dsn)
    with desk.app.connect(dsn) as conn:
        log = contacts_of(conn, ["Li"], now=EVENING).drop("number").to_dicts()
    assert [(row["channel"], row["actor"], row["outcome"]) for row in log] == [
        ("voice_human", "agency", "no_answer")
    ]
    assert log[0]["at"] > MORNING


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (CALL.replace("Li", "Nobody"), "unknown borrower 'Nobody'"),
        (CALL.replace("Li", ""), "calls.csv:2: no borrower_id"),
        (CALL.replace("09:20+08:00", "09:20"), "calls.csv:2: '2026-08-14T09:20' is no instant"),
        (CALL.replace("14T09", "15T09"), "has not come yet"),
        (CALL.replace("no_answer", "hung_up"), "unknown outcome 'hung_up'"),
        (CALL.replace("13800138000", "12"), "calls.csv:2: the number is"),
        (CALL + ",more", "not as many fields"),
        ("c-1,Li", "not as many fields"),
    ],
)
def test_it_refuses_a_wrong_line_and_takes_nothing(
    workspace: Path, dsn: str, capsys: pytest.CaptureFixture[str], line: str, wrong: str
) -> None:
    code, said = told(workspace, capsys, HEAD, line)
    assert (code, wrong in said) == (2, True), said
    desk = open_desk(workspace.parent / "other", dsn)
    assert desk.rows("SELECT count(*) FROM contact") == [(0,)]
