"""`send` by an account at a provider: three answers, dead addresses, each kind by its own account."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs

import polars as pl
from aiohttp import web
from tests.contract.post_world import provider, says
from tests.scenario.desk import EVENING, admit, open_desk
from tests.scenario.provider_desk import (
    LI,
    NUMBERS,
    WANG,
    ZHAO,
    released,
    send,
    with_account,
    with_second,
)

from duewise.jobs.deliver import Run
from duewise.jobs.delivery_line import run_lines
from duewise.jobs.operations import addresses_of
from duewise.store.people import upsert_people


async def test_it_takes_each_answer_of_a_provider_for_what_it_is(tmp_path: Path, dsn: str) -> None:
    asked: Counter[str] = Counter()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        (number,) = parse_qs((await request.read()).decode())["To"]
        asked[number] += 1
        if number == NUMBERS[LI]:
            return web.json_response({"sid": "SM7", "status": "queued"}, status=201)
        if number == NUMBERS[WANG]:
            return web.json_response({"code": 21_211, "status": 400}, status=400)
        return web.json_response({}, status=500)

    async with provider(answer) as endpoint:
        desk = with_account(released(tmp_path, dsn, LI, WANG, ZHAO), endpoint)
        counts = await send(desk)
    assert asked == dict.fromkeys(NUMBERS.values(), 1)
    assert counts == {"accepted": 1, "failed": 1, "unknown": 1, "parts": 1}
    assert [desk.story(each)[-1] for each in NUMBERS] == [
        ("accepted", "accepted_by_gateway"),
        ("failed", "refused: 21211"),
        ("unknown", "in_doubt: http_500"),
    ]
    assert desk.rows("SELECT route, provider_id FROM submission") == [("main", "sm7")]
    states = desk.rows("SELECT number_state FROM person ORDER BY borrower_id")
    assert states == [("valid",), ("dead",), ("valid",)]


async def test_it_keeps_messages_whose_provider_cannot_be_reached(tmp_path: Path, dsn: str) -> None:
    async with provider(says(200)) as endpoint:  # nobody listens there any more below
        desk = with_account(released(tmp_path, dsn, LI), endpoint)
    stop = asyncio.Event()
    run = Run(stop=stop, on_pass=lambda *_: stop.set())
    (line,) = desk.app.lines
    await run_lines(
        [(line.channel, line.settings)],
        connect=desk.app.connector(dsn),
        tenant=desk.app.tenant,
        clock=desk.clock,
        run=run,
    )
    assert desk.story(LI)[-1] == ("ready", "refused_for_now: unreachable")
    assert desk.rows("SELECT attempt FROM envelope") == [(0,)]


def test_it_buries_an_address_until_there_is_another(tmp_path: Path, dsn: str) -> None:
    desk = open_desk(tmp_path / "workspace", dsn)
    admit(desk, LI)
    keyring = desk.app.keyring

    def told(token: str) -> str:
        row = {"borrower_id": LI, "locale": "zh-CN", "timezone": "Asia/Shanghai"}
        with desk.app.connect(dsn) as conn:
            upsert_people(conn, pl.DataFrame([row | {"push_token": token}]), keyring=keyring)
            reached = addresses_of(conn, [LI])
        return str(dict(reached.select("channel", "number_state").iter_rows())["push"])

    assert told("first") == "valid"
    desk.run(
        "INSERT INTO dead_address (borrower_id, channel, token, at)"
        " VALUES ('LI', 'push', %(token)s, %(at)s)",
        token=keyring.number_token("first"),
        at=EVENING,
    )
    assert told("first") == "dead"
    assert told("second") == "valid"


async def test_it_leaves_an_account_alone_that_refuses_us_and_not_our_messages(
    tmp_path: Path, dsn: str
) -> None:
    """Arrears: five refusals, the rest waits; another account of the kind goes on with all of it."""
    asked: Counter[str] = Counter()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        form = parse_qs((await request.read()).decode())
        asked[form["From"][0]] += 1
        if form["From"] == ["+8610690001"]:
            return web.json_response({"code": 30_002, "status": 403}, status=403)
        return web.json_response({"sid": f"SM{asked.total()}", "status": "queued"}, status=201)

    borrowers = tuple(f"B{number}" for number in range(8))
    async with provider(answer) as endpoint:
        desk = with_account(released(tmp_path, dsn, *borrowers), endpoint, rate_per_s=4)
        stop = asyncio.Event()
        (line,) = desk.app.lines  # two at a time
        await run_lines(
            [(line.channel, line.settings)],
            connect=desk.app.connector(dsn),
            tenant=desk.app.tenant,
            clock=desk.clock,
            run=Run(stop=stop, on_pass=lambda *_: stop.set()),
        )
        paused = "SELECT name, reason FROM route WHERE paused_at IS NOT NULL"
        assert desk.rows(paused) == [("main", "account refused: 30002")]
        assert desk.states() == {"ready": 8}
        desk.run("UPDATE envelope SET not_before = created_at")
        assert await send(with_second(desk)) == {"accepted": 8, "parts": 8}
    assert asked["+8610690002"] == 8
    assert desk.rows("SELECT DISTINCT route FROM submission") == [("second",)]
