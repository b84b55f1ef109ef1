"""An analyst changes a strategy: checks it, looks ahead, replays last week, and only then may publish."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from tests.scenario.desk import (
    DAY,
    MORNING,
    PASSWORD,
    Desk,
    admit,
    open_desk,
    plan_and_release,
    write_book,
)
from tests.scenario.road import CommandLine

from duewise.jobs.ingest import complete_feed
from duewise.jobs.operations import sent_of

LAST_WEEK = ("--from", str(DAY - timedelta(days=6)), "--to", str(DAY))


@pytest.fixture
def desk(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = open_desk(tmp_path / "lender", dsn)
    for name, value in desk.environment().items():
        monkeypatch.setenv(name, value)
    admit(desk, "Li", "Wang", "Zhao")
    write_book(desk, Li=DAY - timedelta(days=1), Wang=DAY + timedelta(days=2), Zhao=DAY)
    with desk.app.connect(desk.dsn) as conn:
        complete_feed(conn, MORNING)
    assert desk.environment()["DUEWISE_SMPP__PASSWORD"] == PASSWORD
    return desk


@pytest.fixture
def duewise(desk: Desk, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(
        capsys, "--workspace", desk.app.workspace, "--clock", MORNING.isoformat(), "--json"
    )


@pytest.fixture
def changed(desk: Desk, tmp_path: Path) -> Path:
    """The strategy in force, its reminder six days before and not two, and named version 2."""
    text = (desk.app.workspace / "strategy.yaml").read_text(encoding="utf-8")
    path = tmp_path / "changed.yaml"
    text = text.replace("dpd = -2 and", "dpd = -6 and").replace("version: 1", "version: 2")
    text += "send_time: learned\n"
    path.write_text(text, encoding="utf-8")
    return path


def test_it_looks_a_month_ahead(duewise: CommandLine, changed: Path) -> None:
    told = {
        name: json.loads(duewise("strategy", "preview", *file, "--borrower", "Wang").out)
        for name, file in {"now": (), "then": (changed,)}.items()
    }
    assert [len(days) for days in told.values()] == [30, 30]
    steps = {
        name: [day["step"] for day in days if day["decision"] == "proposed"]
        for name, days in told.items()
    }
    assert steps["now"] == ["before_due", *steps["then"]]
    assert steps["then"] == ["due_today", "m1_day1", "m1_day7", "m1_day15"]  # due on a Sunday


def test_it_refuses_to_look_ahead_for_nobody(duewise: CommandLine) -> None:
    said = duewise("strategy", "preview", "--borrower", "Chen")
    assert said.code == 2
    assert "no loan of borrower 'Chen'" in said.err


def test_it_publishes_only_what_was_replayed(
    duewise: CommandLine, desk: Desk, changed: Path
) -> None:
    in_force = desk.app.workspace / "strategy.yaml"
    before = in_force.read_bytes()
    refused = duewise("strategy", "publish", changed)
    assert refused.code == 2
    assert "was not replayed" in refused.err
    assert in_force.read_bytes() == before
    replayed = json.loads(duewise("strategy", "replay", changed, *LAST_WEEK).out)
    assert duewise("strategy", "publish", changed).code == 0
    assert in_force.read_bytes() == changed.read_bytes()
    assert replayed["new"]["strategy"].endswith("v2")
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# another word\n", encoding="utf-8")
    assert duewise("strategy", "publish", changed).code == 2


def test_it_keeps_the_version_that_was_in_force_for_who_is_on_it(
    duewise: CommandLine, desk: Desk, changed: Path
) -> None:
    in_force = desk.app.workspace / "strategy.yaml"
    text = in_force.read_text(encoding="utf-8")
    sticky = text.replace("when: dpd = -2", "sticky: true\n    when: dpd = -2")
    in_force.write_text(sticky, encoding="utf-8")
    plan_and_release(desk, {"borrower": "Wang", "due": [DAY + timedelta(days=2)]})
    duewise("strategy", "replay", changed, *LAST_WEEK)
    assert duewise("strategy", "publish", changed).code == 0
    kept = replace(desk.app).tenant.earlier
    assert [each.content_hash for each in kept] == [sha256(sticky.encode()).hexdigest()]
    with desk.app.connect(desk.dsn) as conn:
        (row,) = sent_of(conn, ["Wang", "Li"], now=MORNING).iter_rows(named=True)
    assert (row["step"], row["link"], row["state"]) == ("before_due", 0, "ready")
    assert (row["due_date"], row["channel"]) == (DAY + timedelta(days=2), "sms")
    assert (row["seen_at"], row["replied_at"]) == (None, None)


def test_it_says_who_would_get_more_and_who_fewer(duewise: CommandLine, changed: Path) -> None:
    found = json.loads(duewise("strategy", "replay", changed, *LAST_WEEK).out)
    assert (found["days"], found["borrowers"]) == (7, 3)
    old, new = found["old"], found["new"]
    # All three had a second day before in that week; the sixth before Li was due lay earlier.
    assert old["by_step"]["before_due"] == 3
    assert new["by_step"].get("before_due", 0) == 2
    assert (found["more"], found["fewer"], found["other"], found["alike"]) == (0, 1, 2, 0)
    assert old["parts"] >= old["messages"] > new["messages"]
    assert old["cost"].startswith("CNY ")


def test_it_checks_and_compares(duewise: CommandLine, desk: Desk, changed: Path) -> None:
    assert duewise("strategy", "check").code == 0
    in_force = desk.app.workspace / "strategy.yaml"
    told = json.loads(duewise("strategy", "diff", in_force, changed).out)
    assert [each["where"] for each in told] == [
        "version",
        "send_time",
        "step before_due, when",
    ]
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace("dpd = 15", "dpd = 15 and dpd = 16"), encoding="utf-8")
    wrong = duewise("strategy", "check", changed)
    assert wrong.code == 2
    assert "1 of the" in wrong.err


def test_it_rehearses_within_the_budgets(duewise: CommandLine, desk: Desk, tmp_path: Path) -> None:
    text = (desk.app.workspace / "strategy.yaml").read_text(encoding="utf-8")
    short, plan = tmp_path / "short.yaml", tmp_path / "plan"
    short.write_text(f"{text}worth: days_past_due + 1\nbudgets: {{sms: 1}}\n", encoding="utf-8")
    today = ("--from", str(DAY), "--to", str(DAY))
    found = json.loads(duewise("strategy", "replay", short, *today).out)
    assert (found["old"]["messages"], found["old"]["budgets"]) == (3, [])
    new, (budget,) = found["new"], found["new"]["budgets"]
    assert (new["by_step"], new["cut"]) == ({"m1_day1": 1}, {"before_due": 1, "due_today": 1})
    assert (budget["used"], budget["short_days"]) == (1, 1)
    assert 1 < budget["price"] <= 2  # the next best is worth 1, and the one that went 2
    assert (
        duewise("plan", desk.app.workspace / "book", "--strategy", short, "--out", plan).code == 0
    )
    ahead = ("strategy", "preview", short, "--borrower", "Zhao", "--days", "1")
    (unpriced,), (cut,) = (json.loads(duewise(*ahead, *at).out) for at in ((), ("--plan", plan)))
    assert (unpriced["decision"], unpriced["price"]) == ("proposed", None)
    assert (cut["reason"], cut["budgets"], cut["worth"]) == ("over_budget", ["sms"], 1)
    assert cut["price"] > cut["worth"]
    refused = duewise("strategy", "preview", "--borrower", "Zhao", "--plan", plan)
    assert "no prices of this strategy" in refused.err
