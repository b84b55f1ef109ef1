"""Killed six times at random moments, the sender loses nothing and sends nothing twice."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.scenario.desk import (
    DUEWISE,
    EVENING,
    Desk,
    admit,
    gateway,
    open_desk,
    plan_and_release,
    submits,
)
from tests.unit.lender import AS_OF

from duewise.ids import draw
from duewise.jobs.audit import examine_chain
from duewise.jobs.ingest import complete_feed

MESSAGES = 800
KILLS = 6
SEED = 20_260_814
LIFE_S_MAX = 0.35  # after the first message of a life


def test_it_loses_nothing_and_doubles_nothing_when_killed(tmp_path: Path, dsn: str) -> None:
    desk = open_desk(tmp_path / "workspace", dsn)
    borrowers = tuple(f"B{n:05d}" for n in range(MESSAGES))
    admit(desk, *borrowers)
    due = [AS_OF.replace(day=13)]
    released = plan_and_release(desk, *({"borrower": b, "due": due} for b in borrowers))
    assert released == {"ready": MESSAGES}
    with desk.app.connect(dsn) as conn:
        complete_feed(conn, EVENING)  # the payments feed is alive all the while
    with gateway(desk, "--silent", "0", "--delay-s", "0", clock="2026-08-14T19:35+08:00") as ports:
        for life in range(KILLS):
            _live_and_die(desk, ports["port"], life)
        # The last life may end by itself; after ten of its minutes a doubt may end, too.
        last = _sender(desk, ports["port"], clock="2026-08-14T19:36+08:00*60", rate=2_000)
        assert last.wait(timeout=120) == 0
    _assert_once_each(desk)


def _live_and_die(desk: Desk, port: int, life: int) -> None:
    """One life of a sender: killed somewhere between its start and well into its sending."""
    before = _log_size(desk)
    process = _sender(desk, port, clock="2026-08-14T19:35+08:00", rate=600)
    deadline = time.monotonic() + 30
    is_early = draw(f"early {life}", SEED) < 0.1
    while not is_early and _log_size(desk) == before and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(draw(f"life {life}", SEED) * LIFE_S_MAX)
    process.kill()
    process.wait(timeout=10)


def _sender(desk: Desk, port: int, *, clock: str, rate: int) -> subprocess.Popen[bytes]:
    environment = os.environ | desk.environment()
    environment |= {"DUEWISE_SMPP__PORT": str(port), "DUEWISE_SMPP__RATE_PER_S": str(rate)}
    environment |= {"DUEWISE_LEDGER__FEED": "events"}
    command = [*DUEWISE, "--workspace", str(desk.app.workspace), "--clock", clock, "send"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def _log_size(desk: Desk) -> int:
    path = desk.app.workspace / "gateway.jsonl"
    return path.stat().st_size if path.exists() else 0


def _assert_once_each(desk: Desk) -> None:
    """Every message at the gateway exactly once, and our books say the same."""
    lines = submits(desk)
    sent = Counter((line["reference"], line["part"]) for line in lines)
    twice = [part for part, times in sent.items() if times > 1]
    assert not twice, f"{len(twice)} parts were submitted twice"
    ids = {str(row[0]) for row in desk.rows("SELECT envelope_id FROM envelope")}
    assert {reference for reference, _ in sent} == ids
    states = desk.states()
    assert sum(states.values()) == MESSAGES
    assert set(states) <= {"delivered", "failed", "expired"}, states
    assert desk.rows("SELECT count(*) FROM envelope WHERE owner IS NOT NULL") == [(0,)]
    wired = desk.rows("SELECT count(*) FROM envelope_change WHERE reason = 'worker_lost_on_wire'")[
        0
    ][0]
    with desk.app.connect(desk.dsn) as conn:
        assert examine_chain(conn, desk.app.signer, now=desk.clock.now())[0]
    assert wired > 0, "no kill hit a message on the wire: the test proved nothing"
