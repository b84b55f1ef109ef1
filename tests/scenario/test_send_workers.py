"""`send --workers`: several processes, each message once, one rate for all, an end in order."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

from tests.scenario.desk import (
    DUEWISE,
    EVENING,
    Desk,
    admit,
    delivery_line,
    gateway,
    open_desk,
    plan_and_release,
    submits,
)

from duewise.jobs.deliver import send_due
from duewise.jobs.ingest import complete_feed

CLOCK = "2026-08-14T19:55+08:00"
MESSAGES, PARTS = 200, 400
RATE_PER_S = 200  # parts: two seconds for all of them, one if each worker had a rate of its own


def released_desk(folder: Path, dsn: str, messages: int) -> Desk:
    desk = open_desk(folder / "workspace", dsn)
    borrowers = tuple(f"B{number:03d}" for number in range(messages))
    admit(desk, *borrowers)
    due = [date(2026, 8, 13)]
    plan_and_release(desk, *({"borrower": borrower, "due": due} for borrower in borrowers))
    desk.run("UPDATE envelope SET not_before = created_at")
    with desk.app.connect(dsn) as conn:
        complete_feed(conn, EVENING)
    return desk


def test_it_sends_each_message_once_at_one_rate_from_several_workers(
    tmp_path: Path, dsn: str
) -> None:
    desk = released_desk(tmp_path, dsn, MESSAGES)
    shares = ("--failed", "0", "--expired", "0", "--silent", "0", "--delay-s", "0")
    with gateway(desk, *shares, clock=CLOCK) as ports:
        environment = os.environ | desk.environment() | {"DUEWISE_LEDGER__FEED": "events"}
        environment["DUEWISE_SMPP__PORT"] = str(ports["port"])
        environment["DUEWISE_SMPP__RATE_PER_S"] = str(RATE_PER_S)
        options = ("--workspace", str(desk.app.workspace), "--clock", CLOCK, "--json")
        sent = subprocess.run(
            [*DUEWISE, *options, "send", "--workers", "2", "--linger-s", "20"],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        )
    counts = json.loads(sent.stdout)
    assert (counts["accepted"], counts["parts"]) == (MESSAGES, PARTS)
    lines = submits(desk)
    assert set(Counter((line["reference"], line["part"]) for line in lines).values()) == {1}
    assert len(lines) == PARTS
    at = sorted(datetime.fromisoformat(line["time"]) for line in lines)
    assert at[-1] - at[0] > timedelta(seconds=0.75 * PARTS / RATE_PER_S)
    assert desk.states() == {"delivered": MESSAGES}
    desk.assert_ties()


async def test_it_takes_nothing_when_told_to_stop(tmp_path: Path, dsn: str) -> None:
    desk = released_desk(tmp_path, dsn, 3)
    desk.clock.set(EVENING)
    stop = asyncio.Event()
    stop.set()
    async with delivery_line(desk) as line:
        await send_due(
            line.sender,
            line.channel,
            tenant=desk.app.tenant,
            clock=desk.clock,
            settings=line.settings,
            stop=stop,
        )
    assert submits(desk) == []
    assert desk.states() == {"ready": 3}
    assert [state for state, _ in desk.story("B000")] == ["ready"]
