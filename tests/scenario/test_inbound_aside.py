"""What cannot be taken in is not lost: it is listed, shown masked, and taken in once it can be."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.scenario.desk import EVENING, Desk
from tests.scenario.provider_desk import LI, NUMBERS, WANG, released
from tests.scenario.road import CommandLine

from duewise.channels.base import Inbound, InboundReceipt, InboundReply
from duewise.jobs.raw import pack
from duewise.store.sql import queries

REFUSES = InboundReply("in-1", NUMBERS[WANG], "95000", "退订", EVENING)
POISON = InboundReply("in\0", NUMBERS[LI], "95000", "李小明 好", EVENING)
OF_NOBODY = InboundReceipt("a\u202e@b" + "c" * 90, "failed", "no li@mail.cn", "", EVENING)
ROWS = "SELECT raw_id, reason FROM raw_inbound ORDER BY raw_id"


@pytest.fixture
def desk(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    return released(tmp_path, dsn, LI, WANG)


@pytest.fixture
def duewise(desk: Desk, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    clock = EVENING.isoformat()
    return CommandLine(capsys, "--workspace", desk.app.workspace, "--clock", clock)


def set_aside(desk: Desk, reason: str, *told: Inbound, body: bytes | None = None) -> None:
    sealed = body or pack(told, desk.app.keyring, route="smpp")
    values = {"route": "smpp", "kind": "sms", "at": EVENING, "replies": 0, "reason": reason}
    desk.run(str(queries("inbound")["add_raw"]), body=sealed, **values)


def test_it_takes_in_what_it_can_and_keeps_the_rest_under_its_number(
    desk: Desk, duewise: CommandLine
) -> None:
    set_aside(desk, "DataError", REFUSES, POISON)
    set_aside(desk, "DataError", POISON)
    set_aside(desk, "CannotUnseal", body=b"x")
    before = [(1, "DataError"), (2, "DataError"), (3, "CannotUnseal")]

    preview = json.loads(duewise("--json", "inbound", "retry", "--all").out)
    assert preview["preview"]
    told = {each["raw_id"]: (each["taken"], each["left"]) for each in preview["retried"]}
    assert told == {1: (1, ["DataError"]), 2: (0, ["DataError"]), 3: (0, ["CannotUnseal"])}
    assert "--yes does it" in duewise("inbound", "retry", "1").out
    assert (desk.rows(ROWS), desk.rows("SELECT 1 FROM reply")) == (before, [])

    for _ in range(2):  # and once more changes nothing
        said = duewise("--json", "inbound", "retry", "--all", "--yes")
        assert said.code == 1
        assert "3 cannot be taken in yet and stay aside" in said.err
        assert "inbound.retried" in said.err
        assert desk.rows(ROWS) == before
        assert desk.rows("SELECT borrower_id, channel FROM opt_out") == [(WANG, "sms")]
    assert desk.story(WANG)[-1] == ("cancelled", "opted_out")
    assert "退订" not in said.out + said.err

    desk.run("DELETE FROM raw_inbound WHERE raw_id > 1")
    set_aside(desk, "OperationalError", REFUSES)
    said = duewise("inbound", "retry", "4", "--yes")
    assert (said.code, desk.rows(ROWS)) == (0, before[:1]), said
    assert len(desk.rows("SELECT 1 FROM reply")) == 1, "told twice is once"


def test_it_counts_a_relative_day_from_the_day_on_which_it_was_told(
    desk: Desk, duewise: CommandLine
) -> None:
    told_at = EVENING - timedelta(days=3)
    late = InboundReply("in-2", NUMBERS[WANG], "95000", "明天发工资就还", told_at)
    set_aside(desk, "OperationalError", late)
    assert duewise("inbound", "retry", "--all", "--yes").code == 0
    promised = desk.rows("SELECT borrower_id, day, made_at FROM promise")
    assert promised == [(WANG, (EVENING - timedelta(days=2)).date(), told_at)]


def test_it_lists_shows_nothing_personal_and_knows_its_numbers(
    desk: Desk, duewise: CommandLine
) -> None:
    assert duewise("inbound", "aside").out == "Nothing is set aside.\n"
    assert duewise("inbound", "retry", "--all", "--yes").out == "Nothing is set aside.\n"
    set_aside(desk, "DataError", REFUSES, POISON, OF_NOBODY)
    set_aside(desk, "CannotUnseal", body=b"x")
    found = json.loads(duewise("--json", "inbound", "aside", "--limit", "1").out)
    (first,) = found["aside"]
    assert (found["total"], first["raw_id"], first["reason"]) == (2, 1, "DataError")
    assert (first["route"], first["kind"]) == ("smpp", "sms")
    assert "The oldest 1 of 2" in duewise("inbound", "aside", "--limit", "1").out

    shown = duewise("--json", "inbound", "show", "1").out + duewise("inbound", "show", "1").out
    for secret in (NUMBERS[WANG], NUMBERS[LI], "退订", "李小明", "li@mail.cn", "\0", "\u202e"):
        assert secret not in shown
    refuses, _, receipt = json.loads(shown.partition("\n")[0])["told"]
    assert (refuses["number"], refuses["said"]) == ("+86138****0001", "opt_out, of 2 characters")
    assert receipt["name"].endswith("… (94 characters)")
    assert receipt["said"] == "failed no ****"
    assert "It cannot be read" in duewise("inbound", "show", "2").out

    assert duewise("inbound", "show", "7").err.startswith(
        "duewise: ID: nothing is set aside under 7. Mend: see `duewise inbound aside`"
    )
    asked: tuple[list[str], ...] = ([], ["7", "--all"], ["1", "7"])
    assert [duewise("inbound", "retry", *each).code for each in asked] == [2, 2, 2]
