"""The crash campaign in its short form: one of each is killed, and the gateway's record is clean."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).parents[2] / "tools" / "crash_campaign.py"
SEED = (
    "202"  # which kills a session, a worker and the gateway at once, and the postmaster after them
)
SHORT = ["--messages", "120", "--kills", "4", "--workers", "1", "--rate", "100", "--seed"]


def test_it_loses_and_doubles_nothing_whoever_is_killed() -> None:
    run = subprocess.run(
        [sys.executable, CAMPAIGN, *SHORT, SEED],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2_000:] + run.stdout
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["kills"] == {"worker": 1, "gateway": 1, "session": 1, "postmaster": 1}
    assert found["messages"] >= 120
    assert found["lost"] == found["doubled"] == found["claimed"] == found["waiting"] == 0
    assert found["ties"]
