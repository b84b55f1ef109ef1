"""The demo as it is typed: everything on nothing, and figures that can be counted elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.road import DUEWISE, CommandLine, local

RUN_S_MAX = 120
KEYS = {
    *("planned", "sent", "blocked", "held", "cancelled", "lapsed"),
    *("submitted", "delivered", "failed", "expired", "unknown", "replies", "opt_outs"),
    *("treated_late_1d", "hold_out_late_1d", "wall_s"),
}


@dataclass(frozen=True)
class Demo:
    """Two runs with one seed in one folder; of the first only its figures are left."""

    folder: Path
    first: dict[str, Any]
    second: dict[str, Any]

    @property
    def submits(self) -> list[dict[str, Any]]:
        text = (self.folder / "gateway.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "lender"
    return Demo(folder, run(folder), run(folder))


def run(folder: Path) -> dict[str, Any]:
    """A demo's figures. That the environment names another database is nothing to it."""
    size = ("--borrowers", "300", "--days", "3", "--seed", "7")
    done = subprocess.run(
        [*DUEWISE, "demo", *size, "--folder", str(folder), "--json"],
        env=os.environ | {"DUEWISE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def test_it_ends_with_all_its_figures_as_one_object(demo: Demo) -> None:
    assert demo.second.keys() >= KEYS
    assert demo.second["delivered"] > 0
    assert demo.second["wall_s"] > 0


def test_it_balances(demo: Demo) -> None:
    said = demo.second
    fates = ("sent", "blocked", "held", "cancelled", "lapsed")
    assert said["planned"] == sum(said[name] for name in fates)
    ends = ("delivered", "failed", "expired", "unknown")
    assert said["submitted"] == sum(said[name] for name in ends)


def test_it_can_be_counted_in_the_gateways_own_log(demo: Demo) -> None:
    taken = [line for line in demo.submits if line["status"] == "accepted"]
    assert len({line["reference"] for line in taken}) == demo.second["submitted"]
    parts = Counter((line["reference"], line["part"]) for line in taken)
    assert set(parts.values()) == {1}
    assert len(parts) == demo.second["parts"]


def test_it_lets_people_sleep(demo: Demo) -> None:
    hours = {local(line["time"]).hour for line in demo.submits}
    assert hours <= set(range(8, 22))


def test_it_reports_and_leaves_no_server_behind(demo: Demo) -> None:
    assert "<html" in (demo.folder / "report.html").read_text(encoding="utf-8")
    assert not (demo.folder / "postgres" / "data" / "postmaster.pid").exists()


def test_it_plays_the_same_story_for_the_same_seed(demo: Demo) -> None:
    assert demo.first | {"wall_s": 0} == demo.second | {"wall_s": 0}


def test_it_replaces_only_what_a_demo_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine", encoding="utf-8")
    said = CommandLine(capsys)("demo", "--folder", tmp_path)
    assert said.code == 2
    assert said.err == (
        f"duewise: {tmp_path}: this folder is there and no demo made it."
        " Mend: name another with --folder\n"
    )
    assert precious.read_text(encoding="utf-8") == "mine"


def test_it_replaces_a_demo_that_failed_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUEWISE_SMPP__WINDOW", "many")
    for _ in range(2):
        said = CommandLine(capsys)("demo", "--borrowers", "1", "--folder", tmp_path / "demo")
        assert said.code == 2
        assert "DUEWISE_SMPP__WINDOW" in said.err
