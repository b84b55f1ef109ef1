"""The database goes away in the middle of a send: nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection
from pytest_django import DjangoDbBlocker
from tests.scenario.desk import (
    EVENING,
    Desk,
    admit,
    eventually,
    gateway_here,
    open_desk,
    plan_and_release,
    submits,
)

from duewise.channels.gateway import GatewayPorts
from duewise.errors import Unreachable
from duewise.jobs.deliver import Patience, Run
from duewise.jobs.delivery_line import receiving, run_line
from duewise.jobs.ingest import complete_feed
from duewise.store.schema import migrate
from duewise.store.server import _postmaster, running_server

MESSAGES = 60
ON_THE_WIRE = 40  # parts: two chunks, and no third is marked before one of them is settled
LINGER_S = 30.0  # without any receipt: nobody waits so long
BRIEF = Patience(tries_max=3, wait_s=0.01)
OF_SENDERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def released_desk(folder: Path, dsn: str) -> Desk:
    desk = open_desk(folder / "workspace", dsn)
    borrowers = tuple(f"B{number:02d}" for number in range(MESSAGES))
    admit(desk, *borrowers)
    due = [date(2026, 8, 13)]
    plan_and_release(desk, *({"borrower": borrower, "due": due} for borrower in borrowers))
    desk.run("UPDATE envelope SET not_before = created_at")
    desk.clock.set(EVENING)
    with desk.app.connect(dsn) as conn:
        complete_feed(conn, EVENING)
    return desk


async def send(desk: Desk, ports: GatewayPorts, *, patience: Patience) -> Counter[str]:
    """What `duewise send` does, in chunks of ten."""
    return await run_line(
        desk.app.channel(port=ports.port),
        connect=desk.app.connector(desk.dsn),
        tenant=desk.app.tenant,
        clock=desk.clock,
        settings=replace(desk.app.delivery, chunk_max=10, patience=patience),
        run=Run(stop=asyncio.Event(), linger_s=LINGER_S),
    )


def submitted_more_than(desk: Desk, parts: int) -> bool:
    return len(submits(desk)) > parts


def assert_once_each(desk: Desk) -> None:
    """Each part of each message was submitted once, and the books say so."""
    sent = Counter((record["reference"], record["part"]) for record in submits(desk))
    assert set(sent.values()) == {1}
    assert len({reference for reference, _ in sent}) == MESSAGES
    assert desk.states() == {"delivered": MESSAGES}
    assert desk.rows("SELECT count(*) FROM envelope WHERE owner IS NOT NULL") == [(0,)]
    desk.assert_ties()


async def test_it_stores_the_answers_once_the_database_is_back(tmp_path: Path, dsn: str) -> None:
    """Every session is cut off while answers are outstanding, again and again."""
    desk = released_desk(tmp_path, dsn)
    async with gateway_here(desk, early_share=1.0) as (ports, control):
        await control.delay(0.1)  # an answer is outstanding for that long
        sending = asyncio.create_task(send(desk, ports, patience=Patience(wait_s=0.01)))
        for chunk in range(4):
            await eventually(partial(submitted_more_than, desk, chunk * 20))
            await eventually(lambda: bool(desk.rows(OF_SENDERS)))
        await asyncio.wait_for(sending, timeout=30)
    assert_once_each(desk)


@pytest.fixture
def own_dsn(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A server of the test's own, that may be treated badly."""
    with running_server(tmp_path / "own") as dsn:
        with django_db_blocker.unblock():
            migrate(dsn)
        yield dsn


def crash(folder: Path) -> None:
    """Cut the server's power: no session ends in order, no data file is flushed."""
    home = (folder / "postgres").resolve()
    found = _postmaster(home / "data")
    assert found is not None
    os.kill(found.pid, signal.SIGQUIT)


async def gone(folder: Path) -> None:
    home = (folder / "postgres").resolve()
    await eventually(lambda: _postmaster(home / "data") is None)


async def test_it_goes_on_after_a_crash_and_restart_of_the_server(
    tmp_path: Path, own_dsn: str
) -> None:
    desk = released_desk(tmp_path, own_dsn)
    async with gateway_here(desk, early_share=1.0) as (ports, control):
        await control.delay(0.2)
        sending = asyncio.create_task(send(desk, ports, patience=Patience(wait_s=0.05)))
        await eventually(lambda: len(submits(desk)) >= ON_THE_WIRE)
        crash(tmp_path / "own")
        await gone(tmp_path / "own")
        with running_server(tmp_path / "own"):
            await asyncio.wait_for(sending, timeout=30)
    assert_once_each(desk)


async def test_it_says_what_is_lost_when_the_database_stays_away(
    tmp_path: Path, own_dsn: str
) -> None:
    """Nothing is; and the next send, with the database there, ends what this one began."""
    desk = released_desk(tmp_path, own_dsn)
    async with gateway_here(desk, early_share=1.0) as (ports, control):
        await control.delay(0.2)
        sending = asyncio.create_task(send(desk, ports, patience=BRIEF))
        await eventually(lambda: len(submits(desk)) >= ON_THE_WIRE)
        crash(tmp_path / "own")
        with pytest.raises(Unreachable) as caught:
            await asyncio.wait_for(sending, timeout=30)
        assert str(caught.value) == (
            "the database went away and does not come back; 10 answers of the gateway could not"
            " be stored. Nothing is lost: they are on record as in doubt, and their receipts"
            " tell. Mend: start it, then run this command again"
        )
        with running_server(tmp_path / "own"):
            states = Counter(desk.states())  # a receipt may have overtaken its answer
            assert states["sending"] + states["delivered"] >= ON_THE_WIRE / 2
            assert states.keys() <= {"ready", "sending", "delivered"}
            await control.delay(0.0)
            await send(desk, ports, patience=BRIEF)
            assert_once_each(desk)


async def test_it_says_so_when_the_database_was_never_there(tmp_path: Path, dsn: str) -> None:
    desk = released_desk(tmp_path, dsn)

    async def nowhere() -> Any:
        return await desk.app.connector("host=/nowhere user=duewise dbname=duewise")()

    async with gateway_here(desk) as (ports, _):
        with pytest.raises(Unreachable, match=r"the database does not answer: .* Mend: see that"):
            await run_line(
                desk.app.channel(port=ports.port),
                connect=nowhere,
                tenant=desk.app.tenant,
                clock=desk.clock,
                settings=desk.app.delivery,
                run=Run(stop=asyncio.Event()),
            )
    assert submits(desk) == []
    assert desk.states() == {"ready": MESSAGES}


async def test_it_sends_nothing_from_a_process_that_cannot_store_receipts(
    tmp_path: Path, dsn: str
) -> None:
    desk = released_desk(tmp_path, dsn)

    async def nowhere() -> AsyncConnection[Any]:
        raise Unreachable("the database does not answer")

    async with gateway_here(desk) as (ports, _):
        channel = desk.app.channel(port=ports.port)
        await channel.open()
        began = []
        try:
            with pytest.raises(Unreachable):
                async with receiving(
                    channel,
                    connect=nowhere,
                    tenant=desk.app.tenant,
                    clock=desk.clock,
                    done=Counter(),
                ):
                    began.append(1)
        finally:
            await channel.close()
    assert not began
