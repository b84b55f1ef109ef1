"""Where providers call: one small HTTP server, bounded, that answers once what it heard is stored.

It runs in the process that receives, not in the console's: calls are stored and folded in batches,
as the receipts of a carrier are, and a burst of them never waits behind a page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from duewise.channels.heard import BUSY, NOT_HERE, Call, Denied, Heard, Listener, hook_url
from duewise.errors import BadInput

CALL_BYTES_MAX: Final = 1_048_576  # what aiohttp reads of a body, unless told otherwise
CALL_S: Final = 10.0  # to read it, and to store what it tells
BACKLOG: Final = 1_024  # who calls at once and is not let in tries again a second later
ROOT: Final = "hooks"
TOO_LARGE: Final = Denied(413, "too_large")
log = structlog.get_logger()


@asynccontextmanager
async def hooks(
    listeners: Sequence[Listener], *, host: str, port: int, public_url: str | None
) -> AsyncIterator[int]:
    """Listen for the block; the port. Raises BadInput where it cannot be had."""
    desk = _Desk({each.name: each for each in listeners}, public_url)
    runner = web.ServerRunner(web.Server(desk.take), shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            why = f"cannot listen for hooks on {host}:{port}: {error.strerror}"
            raise BadInput(why, mend="choose another hooks.port") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


class _Desk:
    """Takes calls in, finds whose they are, and answers."""

    def __init__(self, listeners: Mapping[str, Listener], public_url: str | None) -> None:
        self._listeners, self._public_url = listeners, public_url or ""

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        heard = await self._hear(request)
        if isinstance(heard, Denied):
            account = request.path[: len(ROOT) + 34].split("/")[2:3]
            log.warning("hook.denied", account=account, status=heard.status, why=heard.code)
            return web.Response(status=heard.status)
        if heard.unreadable:
            log.warning("hook.unreadable", items=heard.unreadable)
        if not heard.answer:
            return web.Response(status=204)
        return web.Response(body=heard.answer, content_type=heard.content_type)

    async def _hear(self, request: web.BaseRequest) -> Heard | Denied:
        _, root, name, *rest = [*request.path.split("/", 3), "", ""][:4]
        listener = self._listeners.get(name)
        if root != ROOT or listener is None:
            return NOT_HERE
        try:
            async with asyncio.timeout(CALL_S):
                body = await request.read()
                url = hook_url(self._public_url, name)
                tail = request.rel_url.raw_path_qs.removeprefix(f"/{ROOT}/{name}")
                call = Call(
                    method=request.method,
                    url=url + tail,
                    rest=rest[0] if rest else "",
                    query=request.query,
                    headers=request.headers,
                    body=body,
                )
                return await listener.hear(call)
        except web.HTTPRequestEntityTooLarge:
            return TOO_LARGE
        except TimeoutError:
            return BUSY
