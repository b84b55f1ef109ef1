"""The whole road on a file in SuperLender's layout, each step typed at the command line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.road import (
    DAY,
    CommandLine,
    Road,
    at,
    gateway,
    group_of,
    groups,
    local,
    superlender,
)

from duewise.jobs.ledger_files import FINDINGS

MORNING = at(8, 30)
SEND_S_MAX = 60
# Step, decision, outcome, rows: 6 borrowers are in the hold-out; who repaid at dawn owes nothing.
PLANNED = {
    ("before_due", "proposed", "allow"): 30,
    ("due_today", "held_out", None): 1,
    ("due_today", "proposed", "allow"): 49,
    ("m1_day1", "held_out", None): 4,
    ("m1_day1", "proposed", "allow"): 26,
    ("m1_day15", "held_out", None): 1,
    ("m1_day15", "proposed", "allow"): 9,
    ("m1_day7", "proposed", "allow"): 30,
    (None, "none", None): 50,
}


@pytest.fixture
def road(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Road:
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    return Road(tmp_path / "lender", dsn)


@pytest.fixture
def duewise(road: Road, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys, "--workspace", road.workspace, "--json", "--clock", MORNING)


def import_the_file(duewise: CommandLine, road: Road) -> Path:
    """A workspace whose messages all leave before six, and the lender's book in it."""
    assert duewise("init", road.workspace, "--licence", "micro_loan").code == 0
    strategy = road.workspace / "strategy.yaml"
    text = strategy.read_text(encoding="utf-8")
    strategy.write_text(text.replace(", 19]", ", 18]").replace(", 20]", ", 18]"), encoding="utf-8")
    book = road.workspace / "book"
    source = superlender(road.workspace / "files")
    said = duewise("book", "import", source, "--mapping", "superlender", "--into", book)
    assert said.code == 0
    tables = said.json["tables"]
    assert {name: table["rows_taken"] for name, table in tables.items()} == {
        "borrowers": 200,
        "loans": 200,
        "instalments": 200,
        "payments": 200,
        "pauses": 0,
        "extensions": 0,
    }
    owed = tables["instalments"]["amounts"]
    assert owed["principal_minor"] + owed["interest_minor"] == 200 * 1_015_000
    assert tables["payments"]["amounts"] == {"amount_minor": 200 * 1_015_000}
    assert duewise("book", "check", book).json == {"ok": True, "findings": []}
    return book


def plan_and_release(duewise: CommandLine, road: Road, book: Path) -> Path:
    plan = road.workspace / "plan"
    said = duewise("plan", book, "--as-of", DAY.isoformat(), "--out", plan).json
    assert (said["borrowers"], said["proposals"], said["held_out"]) == (200, 144, 6)
    steps: Counter[tuple[str | None, str, str | None]] = Counter()
    for row in said["by_step"]:
        steps[row["step"], row["decision"], row["outcome"]] += row["rows"]
    assert steps == PLANNED
    assert duewise("release", plan).json == {"ready": 144}
    return plan


def test_it_knows_nothing_later_than_its_clock(duewise: CommandLine, road: Road) -> None:
    book = import_the_file(duewise, road)
    plan = pl.read_parquet(plan_and_release(duewise, road, book) / "plan.parquet")
    owing = plan.filter(pl.col("outstanding_minor") > 0)
    assert "dawn" not in groups(owing)
    assert groups(owing.filter(pl.col("dpd") == 0)) == {"noon": 20, "today": 30}
    assert road.rows("SELECT count(*) FROM payment_event") == [(0,)]
    [(complete_until,)] = road.rows("SELECT complete_until FROM feed")
    assert (local(complete_until.isoformat()).hour, complete_until.minute) == (8, 30)
    # Released a second time, nothing is added.
    assert duewise("release", road.workspace / "plan").json == {}


def test_it_writes_what_is_owed_at_the_end_of_the_day(duewise: CommandLine, road: Road) -> None:
    book, out = import_the_file(duewise, road), road.workspace / "ledger"
    said = duewise("ledger", book, "--as-of", DAY.isoformat(), "--out", out).json
    assert said.pop("findings") == dict.fromkeys(FINDINGS, 0)
    assert said == {"instalments": 200, "loans": 200, "borrowers": 200}
    assert sorted(path.name for path in out.iterdir()) == [
        "borrowers.parquet",
        "instalments.parquet",
        "loans.parquet",
    ]
    loans = pl.read_parquet(out / "loans.parquet")
    assert groups(loans.filter(pl.col("days_past_due") == 7)) == {"late7": 30}
    owing = loans.filter(pl.col("outstanding") > 0)
    assert groups(owing) == {"ahead": 20, "late1": 30, "late15": 10, "late7": 30, "soon": 30}
    assert {str(amount) for amount in owing["outstanding"]} == {"10150.00"}


def test_it_walks_from_the_file_to_receipts(duewise: CommandLine, road: Road) -> None:
    plan_and_release(duewise, road, import_the_file(duewise, road))
    clock = at(16, 50, rate=300)  # fourteen seconds to six
    with gateway(road, "--silent", "0", "--failed", "0.1", "--delay-s", "30", clock=clock) as port:
        sender = road.start("--clock", clock, "send", DUEWISE_SMPP__PORT=port)
        out, said = sender.communicate(timeout=SEND_S_MAX)
        assert (sender.returncode, said) == (0, "")
        check_what_was_known(road)
        check_the_gateway(road)
        check_the_doctor(road, duewise, port)
    check_the_explanations(road, duewise)
    check_the_report(road, duewise)
    assert '"accepted": 124' in out


def check_what_was_known(road: Road) -> None:
    """Who paid at noon is told nothing at six; who will pay in the evening has not paid yet."""
    [(complete_until,)] = road.rows("SELECT complete_until FROM feed")
    paid = road.rows("SELECT borrower_id, paid_at FROM payment_event")
    assert Counter(group_of(borrower) for borrower, _ in paid) == {"noon": 20}
    assert all(paid_at <= complete_until for _, paid_at in paid)
    states = road.rows("SELECT borrower_id, state FROM envelope")
    noon = {state for borrower, state in states if group_of(borrower) == "noon"}
    assert noon == {"cancelled"}
    assert {state for _, state in states} <= {
        "cancelled",
        "blocked",
        "delivered",
        "failed",
        "expired",
    }


def check_the_gateway(road: Road) -> None:
    """Its record and our books name the same parts, once each, and no hour of rest."""
    lines = road.submits()
    assert {line["status"] for line in lines} == {"accepted"}
    ours = road.rows("SELECT provider_id, envelope_id::text, part FROM submission")
    theirs = [(line["message_id"], line["reference"], line["part"]) for line in lines]
    assert sorted(ours) == sorted(theirs)
    assert len({(reference, part) for _, reference, part in theirs}) == len(theirs)
    sent = road.rows(
        "SELECT envelope_id::text FROM envelope WHERE state IN ('delivered', 'failed', 'expired')"
    )
    assert {reference for _, reference, _ in theirs} == {reference for (reference,) in sent}
    assert all(8 <= local(line["time"]).hour < 22 for line in lines)


def check_the_doctor(road: Road, duewise: CommandLine, port: str) -> None:
    [(complete_until,)] = road.rows("SELECT complete_until FROM feed")
    said = duewise("--clock", complete_until.isoformat(), "doctor")
    findings = {finding["subject"]: finding for finding in said.json}
    # The settings name another port than the gateway was given: only that is wrong.
    assert said.code == 1
    assert [name for name, finding in findings.items() if not finding["is_ok"]] == ["gateway"]
    assert port not in findings["gateway"]["text"]


def check_the_explanations(road: Road, duewise: CommandLine) -> None:
    """By envelope or by borrower and day: the same words, from the plan to the receipt."""
    [(envelope_id,)] = road.rows("SELECT envelope_id FROM envelope WHERE borrower_id = 'soon-000'")
    by_envelope = duewise("explain", str(envelope_id)).json
    assert (
        duewise("explain", "--borrower", "soon-000", "--date", DAY.isoformat()).json == by_envelope
    )
    [story] = by_envelope["stories"]
    states = [change["new_state"] for change in story["changes"]]
    assert states[0] == "ready"
    assert states[-3:-1] == ["sending", "accepted"]
    gates = [finding["gate"] for finding in story["findings"]]
    assert gates[:2] == ["plan", "release"]
    assert set(gates[2:]) == {"wire"}
    assert "10,150.00" in story["text"]
    [story] = duewise("explain", "--borrower", "noon-000", "--date", DAY.isoformat()).json[
        "stories"
    ]
    assert [change["new_state"] for change in story["changes"]] == ["ready", "held", "cancelled"]


def check_the_report(road: Road, duewise: CommandLine) -> None:
    balance = duewise("report").json["balance"]
    assert balance | {"delivered": 0, "failed": 0, "expired": 0} == {
        "planned": 144,
        "sent": 124,
        "blocked": 0,
        "held": 0,
        "cancelled": 20,
        "lapsed": 0,
        "submitted": 124,
        "delivered": 0,
        "failed": 0,
        "expired": 0,
        "unknown": 0,
    }
    assert balance["delivered"] + balance["failed"] + balance["expired"] == 124
    assert "<html" in (road.workspace / "report.html").read_text(encoding="utf-8")
