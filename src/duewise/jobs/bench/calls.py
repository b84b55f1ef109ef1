"""Calls of providers: answered once stored, folded after; beside a server that stores nothing."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString
from urllib.parse import urlencode

from aiohttp import web

from duewise.channels.aliyun import AliyunSettings, aliyun_channel
from duewise.channels.hooks import BACKLOG, hooks
from duewise.channels.post import PostChannel
from duewise.channels.twilio import TwilioSettings, twilio_channel
from duewise.errors import IntegrityBroken
from duewise.garbage import spare_collector
from duewise.jobs.bench.caller import write_requests
from duewise.jobs.bench.figure import Figure, rates
from duewise.jobs.bench.road import Desk, counted
from duewise.jobs.bench.send import make_due
from duewise.jobs.bench.spent import server_of, tree_s
from duewise.jobs.delivery_line import listening
from duewise.jobs.operations import rows
from duewise.times import ManualClock

CONNECTIONS: Final = 200
PER_CALL: Final = 100
TURNS: Final = 1
REAPED_S: Final = 0.1  # the ended sessions' time then counts as their server's
PUBLIC: Final = "https://hooks.example.com"
SECRET: Final = "invented-secret-of-the-bench"  # noqa: S105 - nobody's
_US = 1_000_000
_NOBODY = "http://127.0.0.1:1/"
_ON_THE_WIRE: LiteralString = """
WITH marked AS (UPDATE envelope SET state = 'sending', wired_at = %(now)s, attempt = 1,
                       route = %(route)s
                 WHERE state = 'ready' RETURNING envelope_id)
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT envelope_id, %(route)s, 'sm' || envelope_id, 1, %(now)s FROM marked
RETURNING envelope_id
"""
_ACCEPTED: LiteralString = "UPDATE envelope SET state = 'accepted' WHERE state = 'sending'"
_DELIVERED: LiteralString = "FROM envelope WHERE state = 'delivered'"


def calls(desk: Desk) -> list[Figure]:
    """Receipts of providers a second, a call each and in batches; the limit only answers."""
    one_each = _figure(desk, _twilio(desk), _by_twilio, "a call each, signed")
    batches = _figure(desk, _aliyun(desk), _by_aliyun, f"{PER_CALL} in a call, by a secret")
    return [one_each, batches]


@dataclass(frozen=True)
class Called:
    """Seconds to the last answer, and until all was folded; the processor's of each process."""

    took_s: float
    folded_s: float
    spent: tuple[float, float, float]


def _figure(
    desk: Desk, channel: PostChannel, spoken: Callable[[Sequence[int]], list[bytes]], how: str
) -> Figure:
    seconds: list[tuple[float, float | None]] = []
    runs: list[Called] = []
    for _ in range(TURNS):
        ids = _accepted(desk, channel.name)
        path = desk.task.tenant.workspace / "calls.bin"
        write_requests(path, spoken(ids))
        before = counted(desk, _DELIVERED)
        runs.append(asyncio.run(_called(desk, _listening(desk, channel), path)))
        if counted(desk, _DELIVERED) - before != len(ids):
            raise IntegrityBroken(f"bench calls: not all of {len(ids)} were stored and folded")
        limit = asyncio.run(_called(desk, _answering(), path))
        seconds.append((runs[-1].took_s, limit.took_s))
    best = min(runs, key=lambda run: run.took_s)
    own, database, caller = (round(each / len(ids) * _US) for each in best.spent)
    note = (
        f"{how}; {CONNECTIONS} connections, answered after the commit that stored it; all folded "
        f"at {len(ids) / best.folded_s:,.0f} a second; processor time a receipt: receiver {own} "
        f"µs, database {database} µs, of who calls {caller} µs"
    )
    peer = "aiohttp that reads a call and answers"
    return rates("calls", "receipts/s", len(ids), seconds, peer_name=peer, note=note)


async def _called(desk: Desk, server: AbstractAsyncContextManager[int], path: Path) -> Called:
    """What the other side's process took to have every call answered."""
    spare_collector()
    database = server_of(desk.conn)
    async with server as port:
        command = [sys.executable, "-m", "duewise.jobs.bench.caller", str(port)]
        before = time.process_time(), tree_s(database)
        process = await asyncio.create_subprocess_exec(
            *command, str(CONNECTIONS), str(path), stdout=asyncio.subprocess.PIPE
        )
        said = json.loads((await process.communicate())[0])
        ended = desk.task.timer()
    behind_s = desk.task.timer() - ended
    await asyncio.sleep(REAPED_S)
    if set(said["statuses"]) - {"200", "204"}:
        raise IntegrityBroken(f"bench calls: answered by {said['statuses']}")
    spent = time.process_time() - before[0], tree_s(database) - before[1], float(said["own_s"])
    return Called(float(said["took_s"]), float(said["took_s"]) + behind_s, spent)


@asynccontextmanager
async def _listening(desk: Desk, channel: PostChannel) -> AsyncIterator[int]:
    done: Counter[str] = Counter()
    taking = listening(
        [channel],
        connect=desk.connect,
        tenant=desk.task.tenant,
        clock=ManualClock(desk.task.noon),
        done=done,
    )
    async with taking, hooks([channel], host="127.0.0.1", port=0, public_url=PUBLIC) as port:
        yield port


@asynccontextmanager
async def _answering() -> AsyncIterator[int]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        return web.Response(status=204)

    runner = web.ServerRunner(web.Server(answer), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _accepted(desk: Desk, route: str) -> list[int]:
    """New envelopes that a provider has accepted under ids of its own."""
    make_due(desk, desk.task.sizes.envelopes)
    now = desk.task.noon
    ids = rows(desk.conn, _ON_THE_WIRE, {"now": now, "route": route})
    desk.conn.execute(_ACCEPTED)
    return [row["envelope_id"] for row in ids]


def _twilio(desk: Desk) -> PostChannel:
    account = TwilioSettings("AC1", SECRET, callback_url=f"{PUBLIC}/hooks/twilio", endpoint=_NOBODY)
    return twilio_channel(account, clock=ManualClock(desk.task.noon))


def _aliyun(desk: Desk) -> PostChannel:
    account = AliyunSettings("key", SECRET, {}, hook_secret=SECRET, endpoint=_NOBODY)
    return aliyun_channel(account, clock=ManualClock(desk.task.noon))


def _by_twilio(ids: Sequence[int]) -> list[bytes]:
    """A status callback each, signed as Twilio's manual has it."""
    calls = []
    for number in ids:
        form = {"AccountSid": "AC1", "MessageSid": f"SM{number}", "MessageStatus": "delivered"}
        url = f"{PUBLIC}/hooks/twilio?reference={number}"
        text = url + "".join(name + form[name] for name in sorted(form))
        signature = base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha1")).decode()
        body = urlencode(form).encode()
        calls.append(
            _request(f"/hooks/twilio?reference={number}", body, f"X-Twilio-Signature: {signature}")
        )
    return calls


def _by_aliyun(ids: Sequence[int]) -> list[bytes]:
    """Status reports, a hundred in each call."""
    return [
        _request(
            f"/hooks/aliyun/{SECRET}",
            json.dumps([_report(number) for number in ids[start : start + PER_CALL]]).encode(),
            "Content-Type: application/json",
        )
        for start in range(0, len(ids), PER_CALL)
    ]


def _report(number: int) -> dict[str, Any]:
    told = {"biz_id": f"SM{number}", "success": True, "err_code": "DELIVERED", "sms_size": "1"}
    return told | {"report_time": "2026-08-14 12:00:00", "out_id": str(number)}


def _request(target: str, body: bytes, header: str) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: h\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
