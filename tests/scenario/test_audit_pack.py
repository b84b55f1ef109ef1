"""The complaint handler's file: all of one borrower, nothing of another, and no secret."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.audit_world import command_line, decided_day
from tests.scenario.desk import PASSWORD, Desk, delivery_line, pay
from tests.scenario.road import CommandLine

from duewise.jobs.approvals import record


@pytest.fixture
async def desk(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    desk = await decided_day(tmp_path, dsn)
    async with delivery_line(desk) as line:
        await line.reply("Li00", "还不上了<script>alert(1)</script>")
    pay(desk, "p-1", "Li00", "100.00")
    return desk


def packed(
    desk: Desk, capsys: pytest.CaptureFixture[str], borrower: str, path: Path
) -> tuple[str, dict[str, Any]]:
    """The page, and the data in it."""
    said = command_line(desk, capsys)("audit", "pack", borrower, "--into", path)
    assert said.code == 0, said.err
    page = path.read_text(encoding="utf-8")
    found = re.search(r'id="pack">(.*)</script>', page)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return page, data


def test_it_tells_all_of_a_borrower_who_was_written_to(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ((name,),) = desk.rows("SELECT template FROM envelope WHERE borrower_id = 'Li00'")
    with desk.app.connect(desk.dsn) as conn:
        record(conn, desk.app.templates[name], by="Wang", why="", now=desk.clock.now())
    page, data = packed(desk, capsys, "Li00", tmp_path / "li.html")
    (approval,) = data["approvals"]
    assert (approval["template"], approval["by"], approval["means"]["zh"]) == (
        name,
        "Wang",
        "已批准",
    )
    assert f"{name} 已批准" in page
    (notice,) = data["notices"]
    assert notice["state"] == "delivered"
    assert "869.12" in notice["personal_text"]  # with 0.72 of penalty for the day
    assert [each["outcome"] for each in notice["verdicts"]] == ["allow"] * 3
    assert all(each["proof"] for each in notice["verdicts"])
    assert {each["status"]["zh"] for each in notice["receipts"]} == {"已送达"}
    assert [each["personal_text"] for each in data["replies"]] == [
        "还不上了<script>alert(1)</script>"
    ]
    assert [each["amount"] for each in data["payments"]] == ["CNY 100.00"]
    assert [each["kind"] for each in data["cases"]] == ["hardship"]
    assert data["personal"]["name"] == "李小明"
    assert "投诉材料" in page
    assert "Complaint file" in page
    assert "alert(1)</script>" not in page


def test_it_tells_why_a_borrower_was_not_written_to_and_by_which_source(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, data = packed(desk, capsys, "Wang", tmp_path / "wang.html")
    assert data["notices"][0]["state"] == "blocked"
    (rule,) = data["rules"]
    assert (rule["rule"], rule["basis"], rule["source"]) == ("CN-DSP-01", "reg", ["CARD69"])
    assert rule["asks"] == "case.dispute_open == false"
    assert rule["title"]["zh"] in page
    assert rule["title"]["en"] in page


def test_it_holds_no_secret_and_nobody_else(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "li.html"
    page, data = packed(desk, capsys, "Li00", path)
    assert path.stat().st_mode & 0o077 == 0
    keys = json.loads((desk.app.workspace / "secrets" / "keys.json").read_text())
    secrets = [keys["index"], *keys["keys"].values(), PASSWORD + '"', "PRIVATE KEY", desk.dsn]
    pem = (desk.app.workspace / "secrets" / "audit.pem").read_text().splitlines()[1]
    secrets += [pem, base64.b64decode(pem)[-32:].hex()]
    assert [secret for secret in secrets if secret in page] == []
    assert "Li01" not in page
    assert "Wang" not in page
    # The number's middle is nowhere: not shown, not in the data.
    assert data["personal"]["phone_masked"] == "+86138****0000"
    assert "+8613800000000" not in page


def test_it_can_be_verified_by_itself(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wang.html"
    page, _ = packed(desk, capsys, "Wang", path)
    offline = CommandLine(capsys, "--workspace", tmp_path / "nowhere", "--json")
    key = ("--key", desk.app.signer.key.hex())
    fine = offline("audit", "verify", path, *key)
    assert (fine.code, fine.json["records"], fine.json["findings"]) == (0, 3, [])
    path.write_text(page.replace('"outcome": "block"', '"outcome": "allow"', 1))
    wrong = offline("audit", "verify", path)
    assert (wrong.code, "says other than what is shown" in wrong.out) == (1, True)
    changed = page.replace(r"outcome\\\":\\\"block", r"outcome\\\":\\\"allow", 1)
    assert changed != page
    path.write_text(changed)
    wrong = offline("audit", "verify", path)
    assert (wrong.code, "is not what was sealed and signed" in wrong.out) == (1, True)


def test_it_refuses_a_borrower_whom_nobody_knows(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = command_line(desk, capsys)("audit", "pack", "Nobody", "--into", tmp_path / "x")
    assert (said.code, "unknown borrower 'Nobody'" in said.err) == (2, True)
    assert not (tmp_path / "x").exists()
