"""Providers call back: answered once it is stored, told twice and kept once, folded into states."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from psycopg import AsyncConnection
from tests.contract.hook_world import PUBLIC
from tests.contract.post_world import provider
from tests.scenario.desk import Desk, eventually, open_desk
from tests.scenario.provider_desk import LI, NUMBERS, WANG, released, send, with_account
from twilio.request_validator import RequestValidator

from duewise.channels.base import Inbound, InboundReceipt, InboundReply
from duewise.channels.caller import CALL_BYTES_MAX
from duewise.channels.heard import Listener
from duewise.channels.hooks import hooks
from duewise.errors import Unreachable
from duewise.jobs.delivery_line import listening, receiving
from duewise.jobs.doctor import _set_aside
from duewise.jobs.raw import pack, replies_in
from duewise.jobs.session import Patience
from duewise.store.sql import queries

TOLD = {"MessageSid": "SMLI", "MessageStatus": "delivered", "To": NUMBERS[LI]}


async def take(request: web.BaseRequest) -> web.StreamResponse:
    body = (await request.read()).decode()
    name = LI if NUMBERS[LI].removeprefix("+") in body else WANG
    return web.json_response({"sid": f"SM{name}", "status": "queued"}, status=201)


@asynccontextmanager
async def heard(desk: Desk) -> AsyncIterator[str]:
    """The hooks of the desk's accounts, open for the block; the address of the account's own."""
    channels = [line.channel for line in desk.app.lines]
    called = [each for each in channels if isinstance(each, Listener)]
    received: Counter[str] = Counter()
    async with (
        listening(
            channels,
            connect=desk.app.connector(desk.dsn),
            tenant=desk.app.tenant,
            clock=desk.clock,
            done=received,
        ),
        hooks(called, host="127.0.0.1", port=0, public_url=PUBLIC) as port,
    ):
        yield f"http://127.0.0.1:{port}/hooks/main"


async def tell(
    place: str, form: dict[str, str], *, query: str = "", token: str = "invented"
) -> int:
    url = f"{PUBLIC}/hooks/main" + (f"?{query}" if query else "")
    signature = RequestValidator(token).compute_signature(url, form)
    headers = {
        "X-Twilio-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    target = f"{place}?{query}" if query else place
    body = BytesIO(urlencode(form).encode())  # a large one, too
    async with (
        aiohttp.ClientSession() as session,
        session.post(target, data=body, headers=headers) as response,
    ):
        return response.status


async def test_it_answers_a_provider_once_what_it_told_is_stored(tmp_path: Path, dsn: str) -> None:
    async with provider(take) as endpoint:
        desk = released(tmp_path, dsn, LI, WANG)
        desk = with_account(desk, endpoint, callback_url=f"{PUBLIC}/hooks/main")
        await send(desk)
        assert desk.states() == {"accepted": 2}
        async with heard(desk) as place:
            assert await tell(place, TOLD) == 204
            await eventually(lambda: desk.story(LI)[-1] == ("delivered", "receipt: delivered"))
            assert [row[0] for row in desk.rows("SELECT provider_id FROM receipt")] == ["smli"]
            # Told again, and all at once; forged; of nobody; too long.
            assert set(await asyncio.gather(*(tell(place, TOLD) for _ in range(5)))) == {204}
            stranger = TOLD | {"MessageSid": "SM9", "MessageStatus": "failed"}
            assert await tell(place, stranger) == 204
            assert await tell(place, TOLD | {"MessageSid": f"SM{WANG}"}, token="forged") == 403
            assert await tell(place + "x", TOLD) == 404
            assert await tell(place, {"Body": "x" * CALL_BYTES_MAX}) == 413
            opts_out = {"MessageSid": "SM8", "From": NUMBERS[WANG], "To": "x", "Body": "T"}
            assert await tell(place, opts_out) == 204
    assert desk.states() == {"delivered": 1, "accepted": 1}
    assert len(desk.rows("SELECT 1 FROM receipt")) == 2
    assert desk.rows("SELECT borrower_id, channel FROM opt_out") == [(WANG, "sms")]


async def test_it_takes_in_at_the_next_start_what_was_answered_before_a_kill(
    tmp_path: Path, dsn: str
) -> None:
    async with provider(take) as endpoint:
        desk = released(tmp_path, dsn, LI, WANG)
        desk = with_account(desk, endpoint, callback_url=f"{PUBLIC}/hooks/main")
        await send(desk)
        at = desk.clock.now()
        received = InboundReceipt("smli", "delivered", "000", "", at)
        left(desk, received, InboundReply("in-1", NUMBERS[WANG], "x", "退订", at))
        async with heard(desk):
            await eventually(lambda: desk.rows("SELECT 1 FROM raw_inbound") == [])
    assert desk.story(LI)[-1] == ("delivered", "receipt: 000")
    assert desk.rows("SELECT borrower_id FROM opt_out") == [(WANG,)]


async def test_it_sets_aside_what_the_database_cannot_hold_and_goes_on(
    tmp_path: Path, dsn: str
) -> None:
    async with provider(take) as endpoint:
        desk = released(tmp_path, dsn, LI, WANG)
        desk = with_account(desk, endpoint, callback_url=f"{PUBLIC}/hooks/main")
        await send(desk)
        at = desk.clock.now()
        names = ["\ud800", "".join(map(str, range(20_000))), "smli"]
        left(desk, *(InboundReceipt(name, "delivered", "000", "", at) for name in names))
        left(desk, *(InboundReply(name, NUMBERS[WANG], "x", "T \0\ud800", at) for name in "a\0"))
        desk.run("INSERT INTO raw_inbound (route, body, at) VALUES ('main', 'x', now())")
        reasons = ["CannotUnseal", "DataError", "ProgramLimitExceeded", "UnicodeEncodeError"]
        aside = "SELECT reason FROM raw_inbound ORDER BY reason"
        for _ in range(2):  # and it stays aside when it is started again
            async with heard(desk) as place:
                await eventually(lambda: desk.rows(aside) == [(each,) for each in reasons])
                assert await tell(place, TOLD | {"MessageSid": f"SM{WANG}"}) == 204
                await eventually(lambda: desk.states() == {"delivered": 2})
        async with heard(desk) as place:
            poison = {"MessageSid": "SM\0", "From": NUMBERS[WANG], "To": "x", "Body": "好"}
            assert await tell(place, poison) == 204
            await eventually(lambda: len(desk.rows(aside)) == 5)
        assert len(desk.rows("SELECT 1 FROM reply")) == 1
        with desk.app.connect(dsn) as conn:
            found = _set_aside(conn)
    assert not found.is_ok
    assert "2 by main since 2026-08-14T11:55:00+00:00 (DataError)" in found.text


async def test_it_heeds_before_it_sends_what_was_told_and_not_taken_in(
    tmp_path: Path, dsn: str
) -> None:
    asked: list[str] = []

    async def take_down(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((await request.read()).decode())
        return await take(request)

    async with provider(take_down) as endpoint:
        desk = released(tmp_path, dsn, LI, WANG)
        desk = with_account(desk, endpoint)
        at = desk.clock.now()
        refused = InboundReply("in-1", NUMBERS[WANG], "x", "退订", at)
        received = InboundReceipt("smli", "delivered", "000", "", at)
        left(desk, received, refused, route="other")
        assert await send(desk) == {"accepted": 1, "parts": 1}
    assert [NUMBERS[LI].removeprefix("+") in body for body in asked] == [True]
    assert desk.story(WANG)[-1] == ("cancelled", "opted_out")
    assert desk.rows("SELECT replies, reason FROM raw_inbound") == [(0, None)]  # its receipt waits


async def test_it_closes_its_session_where_it_gets_no_second_one(tmp_path: Path, dsn: str) -> None:
    desk = with_account(open_desk(tmp_path / "workspace", dsn), "http://127.0.0.1:1/")
    channel = desk.app.lines[0].channel
    sessions: list[AsyncConnection[Any]] = []

    async def connect_once() -> AsyncConnection[Any]:
        if sessions:
            raise Unreachable("no more sessions")
        sessions.append(await desk.app.connector(dsn)())
        return sessions[0]

    with pytest.raises(Unreachable):
        async with receiving(
            channel,
            connect=connect_once,
            tenant=desk.app.tenant,
            clock=desk.clock,
            done=Counter(),
            patience=Patience(tries_max=1),
        ) as task:
            await asyncio.wait({task})
    assert sessions[0].closed


def left(desk: Desk, *told: Inbound, route: str = "main") -> None:
    """What was answered, and not taken in before its process was killed."""
    body = pack(told, desk.app.keyring, route=route)
    assert not any(each in body for each in ("退订".encode(), json.dumps("退订")[1:-1].encode()))
    values = {"route": route, "kind": "sms", "at": desk.clock.now(), "reason": None}
    values["replies"] = replies_in(told)
    desk.run(str(queries("inbound")["add_raw"]), body=body, **values)


async def test_it_takes_a_receipt_that_is_there_before_the_answer(tmp_path: Path, dsn: str) -> None:
    """Two parts, one id, and the receipt told while the request is still being answered."""
    place = ""

    async def tell_first(request: web.BaseRequest) -> web.StreamResponse:
        envelope_id = desk.rows("SELECT envelope_id FROM envelope")[0][0]
        assert await tell(place, TOLD, query=f"reference={envelope_id}") == 204
        return await take(request)

    async with provider(tell_first) as endpoint:
        desk = released(tmp_path, dsn, LI)
        desk = with_account(desk, endpoint, callback_url=f"{PUBLIC}/hooks/main")
        async with heard(desk) as place:
            await send(desk)
    assert desk.rows("SELECT parts > 1 FROM envelope") == [(True,)]
    assert desk.states() == {"delivered": 1}
