"""A gateway that is not there, refuses, loses the link or dies: no message is lost, none doubled."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.scenario.desk import (
    DUEWISE,
    EVENING,
    Desk,
    admit,
    delivery_line,
    eventually,
    gateway,
    open_desk,
    plan_and_release,
    submits,
)

from duewise.jobs.deliver import send_due, tidy, worker
from duewise.jobs.delivery_line import receiving

YESTERDAY = date(2026, 8, 13)
BORROWERS = tuple(f"B{number:02d}" for number in range(8))
AFTERNOON = EVENING - timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path, dsn: str) -> Desk:
    opened = open_desk(tmp_path / "workspace", dsn)
    admit(opened, *BORROWERS)
    loans = [{"borrower": borrower, "due": [YESTERDAY]} for borrower in BORROWERS]
    assert plan_and_release(opened, *loans) == {"ready": 8}
    opened.run("UPDATE envelope SET not_before = created_at")
    return opened


def accepted(desk: Desk) -> Counter[str]:
    """How many parts of each message the gateway took, by our reference."""
    return Counter(line["reference"] for line in submits(desk) if line["status"] == "accepted")


def assert_all_once(desk: Desk) -> None:
    """Every part of every message was taken exactly once, and all is delivered."""
    parts = {str(row[0]): row[1] for row in desk.rows("SELECT envelope_id, parts FROM envelope")}
    assert accepted(desk) == parts
    assert desk.states() == {"delivered": 8}
    desk.assert_ties()


def test_it_says_so_when_no_gateway_is_there(desk: Desk) -> None:
    environment = os.environ | desk.environment() | {"DUEWISE_SMPP__PORT": "1"}
    environment |= {"DUEWISE_LEDGER__FEED": "events"}
    command = [*DUEWISE, "--workspace", str(desk.app.workspace), "send"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    (said,) = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    assert said.startswith("duewise: no SMS gateway at 127.0.0.1:1 ")
    assert said.endswith("Mend: start it (`duewise gateway`) or check host and port")
    assert desk.states() == {"ready": 8}
    assert {state for name in BORROWERS for state, _ in desk.story(name)} == {"ready"}


async def test_it_tries_again_later_what_is_refused_for_now(desk: Desk) -> None:
    async with delivery_line(desk) as line:
        await line.control.refuse("ESME_RMSGQFUL", count=6)
        await line.pass_at(AFTERNOON)
        assert desk.states() == {"ready": 3, "delivered": 5}
        assert ("ready", "refused_for_now: ESME_RMSGQFUL") in desk.story("B00")
        desk.assert_ties()
        await line.pass_at(AFTERNOON + timedelta(seconds=29))
        assert desk.states() == {"ready": 3, "delivered": 5}
        await line.pass_at(AFTERNOON + timedelta(seconds=30))
    assert_all_once(desk)


async def test_it_gives_up_on_what_the_gateway_refuses_for_good(desk: Desk) -> None:
    async with delivery_line(desk) as line:
        await line.control.refuse("ESME_RINVDSTADR", count=2)
        await line.pass_at(AFTERNOON)
        await line.pass_at(EVENING)
    assert desk.story("B00")[-1] == ("failed", "refused: ESME_RINVDSTADR")
    assert desk.states() == {"failed": 1, "delivered": 7}
    desk.assert_ties()


async def test_it_gives_up_after_five_tries(desk: Desk) -> None:
    desk.run("UPDATE envelope SET state = 'cancelled' WHERE borrower_id > 'B00'")
    async with delivery_line(desk) as line:
        await line.control.refuse("ESME_RTHROTTLED", count=100)
        for minute in range(30):
            await line.pass_at(AFTERNOON + timedelta(minutes=minute))
    assert desk.story("B00")[-1] == ("failed", "refused_5_times: ESME_RTHROTTLED")
    assert len(submits(desk)) == 10, "two parts, five times"
    desk.assert_ties()


async def test_it_learns_from_the_receipt_what_became_of_a_lost_answer(desk: Desk) -> None:
    async with delivery_line(desk, delay_s=(1.0, 1.0)) as line:
        await line.control.drop(after=6)
        await line.pass_at(AFTERNOON)
        in_doubt = desk.states()["unknown"]
        assert in_doubt >= 3
        desk.assert_ties()
        await line.rebound()
        desk.clock.set(AFTERNOON + timedelta(minutes=9))
        await line.settled()
        told = desk.states()
        assert told.get("delivered", 0) >= 3, "the gateway took six parts: its receipts tell"
        await line.pass_at(AFTERNOON + timedelta(minutes=11))  # the others may go once more
        await line.pass_at(EVENING)
    assert_all_once(desk)


async def test_it_never_sends_again_what_a_late_receipt_tells_of(desk: Desk) -> None:
    """The doubt was over, the message ready once more; then its receipt came after all."""
    desk.run("UPDATE envelope SET state = 'cancelled' WHERE borrower_id > 'B00'")
    async with delivery_line(desk, delay_s=(660.0, 660.0)) as line:
        await line.control.drop(after=2)
        await line.pass_at(AFTERNOON)
        assert desk.story("B00")[-1][0] == "unknown"
        await line.rebound()
        desk.clock.set(AFTERNOON + timedelta(minutes=10))
        await tidy(line.sender, line.channel, now=desk.clock.now(), settings=line.settings)
        assert desk.story("B00")[-1] == ("ready", "no_receipt_within_horizon")
        desk.assert_ties()
        desk.clock.set(AFTERNOON + timedelta(minutes=11))
        await line.settled()
        assert desk.story("B00")[-1][0] == "delivered"
        await line.pass_at(EVENING)
    assert set(accepted(desk).values()) == {2}
    desk.assert_ties()


async def test_it_waits_for_a_gateway_that_dies_and_comes_back(desk: Desk) -> None:
    """Longer than any number of tries: what never left us was no attempt."""
    clock, connect = "2026-08-14T18:55+08:00", desk.app.connector(desk.dsn)
    desk.clock.set(AFTERNOON)
    desk.run("UPDATE feed SET complete_until = %(until)s", until=EVENING)
    tenant, settings = desk.app.tenant, desk.app.delivery
    with gateway(desk, "--delay-s", "0", clock=clock) as ports:
        channel = desk.app.channel(port=ports["port"])
        await channel.open()
        ports["process"].kill()
        ports["process"].wait(timeout=10)
    async with (
        worker(connect) as sender,
        receiving(channel, connect=connect, tenant=tenant, clock=desk.clock, done=Counter()),
    ):

        async def send() -> bool:
            desk.clock.set(desk.clock.now() + timedelta(seconds=10))
            return await send_due(
                sender, channel, tenant=tenant, clock=desk.clock, settings=settings
            )

        for _ in range(8):
            await send()
        assert desk.states() == {"ready": 8}
        assert desk.rows("SELECT DISTINCT attempt, reason FROM envelope") == [
            (0, "refused_for_now: not_bound")
        ]
        share = ("--failed", "0", "--expired", "0", "--silent", "0", "--delay-s", "0")
        with gateway(desk, *share, clock=clock, port=ports["port"]):
            for _ in range(200):
                if await send() and "ready" not in desk.states():
                    break
            await eventually(lambda: desk.states() == {"delivered": 8})
            await channel.close()
    assert_all_once(desk)
