"""Several routes for one kind: shares, a standby, and a route that comes back by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

from aiohttp import web
from tests.contract.post_world import provider
from tests.scenario.desk import EVENING, Desk
from tests.scenario.provider_desk import released, send, with_account, with_second

from duewise.config import RoutesSection
from duewise.jobs.deliver import Run
from duewise.jobs.delivery_line import run_lines
from duewise.jobs.routes import read_routes, read_standings
from duewise.outbox.ways import slot_of

MAIN, SECOND = "+8610690001", "+8610690002"
BORROWERS = tuple(f"B{number:02}" for number in range(16))


class Providers:
    """Two accounts at one provider, of which either may be in arrears."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.in_arrears: set[str] = set()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        (sender,) = parse_qs((await request.read()).decode())["From"]
        self.asked[sender] += 1
        if sender in self.in_arrears:
            return web.json_response({"code": 30_002, "status": 403}, status=403)
        return web.json_response({"sid": f"SM{self.asked.total()}", "status": "queued"}, status=201)


async def one_pass(desk: Desk, at: timedelta, route: str) -> None:
    """A route claims and sends once, at an instant."""
    desk.clock.set(EVENING + at)
    stop = asyncio.Event()
    await run_lines(
        [(line.channel, line.settings) for line in desk.app.lines if line.channel.name == route],
        connect=desk.app.connector(desk.dsn),
        tenant=desk.app.tenant,
        clock=desk.clock,
        run=Run(stop=stop, until_empty=False, on_pass=lambda *_: stop.set()),
    )


async def test_it_shares_a_kind_by_weight_and_a_message_stays_with_its_route(
    tmp_path: Path, dsn: str
) -> None:
    answers = Providers()
    async with provider(answers) as endpoint:
        desk = with_second(with_account(released(tmp_path, dsn, *BORROWERS), endpoint), weight=3.0)
        assert await send(desk) == {"accepted": 16, "parts": 16}
    assert abs(answers.asked[SECOND] - 12) <= 1
    for envelope_id, route in desk.rows("SELECT envelope_id, route FROM envelope"):
        assert route == ("main" if slot_of(envelope_id) < 250 else "second")


async def test_it_sends_by_the_standby_what_waits_for_a_route_that_is_out_until_it_is_back(
    tmp_path: Path, dsn: str
) -> None:
    answers = Providers()
    answers.in_arrears = {MAIN}
    async with provider(answers) as endpoint:
        alone = with_account(released(tmp_path, dsn, *BORROWERS), endpoint, rate_per_s=20.0)
        desk = with_second(alone, weight=0.0, rate_per_s=20.0)
        await one_pass(desk, timedelta(), "main")
        assert answers.asked[MAIN] in range(5, 16)  # two chunks of five may have been on their way
        with desk.app.connect(dsn) as conn:
            (main, _) = read_routes(conn, desk.app.routes)
            assert (main.reason, main.resume_at) == (
                "account refused: 30002",
                EVENING + timedelta(seconds=30),
            )
            shares = read_standings(conn, desk.app.ways, now=EVENING)
        assert [(each.route, each.share) for each in shares] == [("main", 0), ("second", 1)]
        desk.run("UPDATE envelope SET not_before = created_at")
        before = answers.asked[MAIN]
        await one_pass(desk, timedelta(seconds=31), "main")  # a probe, which is refused again
        assert answers.asked[MAIN] == before + 1
        await one_pass(desk, timedelta(seconds=32), "main")  # not yet
        await one_pass(desk, timedelta(seconds=33), "second")  # all but the one just refused
        assert (answers.asked[MAIN], answers.asked[SECOND]) == (before + 1, 15)
        answers.in_arrears.clear()
        await one_pass(desk, timedelta(seconds=95), "main")  # a probe, which is taken
        assert answers.asked[MAIN] == before + 2
    assert desk.rows("SELECT count(*) FROM route WHERE paused_at IS NOT NULL") == [(0,)]
    assert desk.states() == {"accepted": 16}


async def test_it_goes_on_by_the_others_where_a_route_cannot_be_reached_at_the_start(
    tmp_path: Path, dsn: str
) -> None:
    answers = Providers()
    async with provider(answers) as endpoint:
        desk = with_account(released(tmp_path, dsn, *BORROWERS[:3]), endpoint)
        changed = {"carrier": "smpp", "routes": RoutesSection(sms=("main",))}
        smpp = desk.app.config.smpp.model_copy(update={"port": 1})
        config = desk.app.config.model_copy(update=changed | {"smpp": smpp})
        object.__setattr__(desk.app, "config", config)
        assert await send(desk) == {"accepted": 3, "parts": 3}
    assert desk.rows("SELECT reason FROM route WHERE paused_at IS NOT NULL") == [("unreachable",)]
