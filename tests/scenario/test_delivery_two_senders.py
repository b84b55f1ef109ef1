"""Two senders at once: no message twice, and no cap passed side by side."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

from tests.scenario.desk import (
    DUEWISE,
    EVENING,
    Desk,
    admit,
    gateway,
    gateway_here,
    open_desk,
    plan_and_release,
    submits,
)

from duewise.jobs.deliver import send_due, worker
from duewise.jobs.delivery_line import receiving
from duewise.jobs.ingest import complete_feed

YESTERDAY = date(2026, 8, 13)
MESSAGES = 400
TWIN = """
INSERT INTO envelope
SELECT (jsonb_populate_record(e, jsonb_build_object(
        'envelope_id', nextval(pg_get_serial_sequence('envelope', 'envelope_id')),
        'key', e.key || '|twin', 'step', 'twin'))).*
  FROM envelope e
"""


def released_desk(folder: Path, dsn: str, messages: int) -> Desk:
    desk = open_desk(folder / "workspace", dsn)
    borrowers = tuple(f"B{number:03d}" for number in range(messages))
    admit(desk, *borrowers)
    plan_and_release(desk, *({"borrower": each, "due": [YESTERDAY]} for each in borrowers))
    desk.run("UPDATE envelope SET not_before = created_at")
    with desk.app.connect(dsn) as conn:
        complete_feed(conn, EVENING)
    return desk


def test_it_sends_each_message_once_from_two_processes(tmp_path: Path, dsn: str) -> None:
    desk = released_desk(tmp_path, dsn, MESSAGES)
    shares = ("--failed", "0", "--expired", "0", "--silent", "0", "--delay-s", "0")
    with gateway(desk, *shares, clock="2026-08-14T19:55+08:00") as ports:
        environment = os.environ | desk.environment() | {"DUEWISE_LEDGER__FEED": "events"}
        environment |= {"DUEWISE_SMPP__PORT": str(ports["port"])}
        options = ("--workspace", str(desk.app.workspace), "--clock", "2026-08-14T19:55+08:00")
        senders = [
            subprocess.Popen(
                [*DUEWISE, *options, "send"], env=environment, stdout=subprocess.DEVNULL
            )
            for _ in range(2)
        ]
        try:
            assert [sender.wait(timeout=60) for sender in senders] == [0, 0]
        finally:
            for sender in senders:
                sender.kill()
                sender.wait(timeout=10)
    sent = Counter((line["reference"], line["part"]) for line in submits(desk))
    assert set(sent.values()) == {1}
    assert len({reference for reference, _ in sent}) == MESSAGES
    assert desk.states() == {"delivered": MESSAGES}
    desk.assert_ties()


async def test_it_never_passes_a_cap_with_two_workers_side_by_side(
    tmp_path: Path, dsn: str
) -> None:
    """Each borrower has two messages due, about one debt; one a day is allowed."""
    borrowers = 30
    desk = released_desk(tmp_path, dsn, borrowers)
    desk.run(TWIN)
    desk.run("UPDATE plan_run SET proposals = proposals * 2")
    desk.clock.set(EVENING)
    connect, tenant, settings = desk.app.connector(dsn), desk.app.tenant, desk.app.delivery
    async with gateway_here(desk) as (ports, control), AsyncExitStack() as stack:
        senders = []
        for _ in range(2):
            channel = desk.app.channel(port=ports.port)
            await channel.open()
            stack.push_async_callback(channel.close)
            sender = await stack.enter_async_context(worker(connect))
            await stack.enter_async_context(
                receiving(channel, connect=connect, tenant=tenant, clock=desk.clock, done=Counter())
            )
            senders.append((sender, channel))
        await asyncio.gather(
            *(
                send_due(sender, channel, tenant=tenant, clock=desk.clock, settings=settings)
                for sender, channel in senders
            )
        )
        await control.flush(timeout_s=10)
    sent = Counter(line["destination"] for line in submits(desk) if line["part"] == 1)
    assert len(sent) == borrowers
    assert set(sent.values()) == {1}
    assert desk.states() == {"delivered": borrowers, "lapsed": borrowers}
    desk.assert_ties()
