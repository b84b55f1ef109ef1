"""`send` by an account at a provider: three answers, dead addresses, each kind by its own account."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import polars as pl
from aiohttp import web
from tests.contract.post_world import provider, says
from tests.scenario.desk import EVENING, Desk, admit, open_desk, plan_and_release

from duewise.config import AccountSection
from duewise.jobs.deliver import Run
from duewise.jobs.delivery_line import run_lines
from duewise.jobs.ingest import complete_feed
from duewise.jobs.operations import addresses_of
from duewise.store.people import upsert_people

LI, WANG, ZHAO = "LI", "WANG", "ZHAO"
NUMBERS = {LI: "+8613800000000", WANG: "+8613800000001", ZHAO: "+8613800000002"}


def with_account(desk: Desk, endpoint: str, **more: Any) -> Desk:
    given = {"provider": "twilio", "sender_id": "+8610690001", "account_sid": "AC1"}
    account = AccountSection.model_validate(given | {"endpoint": endpoint} | more)
    changed = {"carrier": "main", "accounts": {"main": account}}
    (desk.app.workspace / "secrets" / "main.auth_token").write_text("invented", encoding="utf-8")
    return replace(desk, app=replace(desk.app, config=desk.app.config.model_copy(update=changed)))


def released(folder: Path, dsn: str, *borrowers: str) -> Desk:
    desk = open_desk(folder / "workspace", dsn)
    admit(desk, *borrowers)
    plan_and_release(desk, *({"borrower": each, "due": [date(2026, 8, 13)]} for each in borrowers))
    desk.clock.set(EVENING)
    with desk.app.connect(dsn) as conn:
        complete_feed(conn, EVENING)
    return desk


async def send(desk: Desk) -> Counter[str]:
    return await run_lines(
        [(line.channel, line.settings) for line in desk.app.lines],
        connect=desk.app.connector(desk.dsn),
        tenant=desk.app.tenant,
        clock=desk.clock,
        run=Run(stop=asyncio.Event()),
    )


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
