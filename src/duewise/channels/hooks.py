"""Where providers call: one small HTTP server, bounded, that answers once what it heard is stored.

It runs in the process that receives, not in the console's: calls are stored and folded in batches,
as the receipts of a carrier are, and a burst of them never waits behind a page.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote

import structlog

from duewise.channels.caller import Asked, Caller, House, Limits, Said
from duewise.channels.heard import (
    NOT_HERE,
    UNREADABLE,
    Call,
    Denied,
    Listener,
    form_fields,
    hook_url,
)
from duewise.errors import BadInput

BACKLOG: Final = 1_024  # who calls at once and is not let in tries again a second later
ROOT: Final = "hooks"
FIELDS_MAX: Final = 100  # of a query
SWEEP_S: Final = 1.0
END_S: Final = 1.0  # for what is being stored, once no more is taken
LIMITS: Final = Limits()
log = structlog.get_logger()


@asynccontextmanager
async def hooks(
    listeners: Sequence[Listener],
    *,
    host: str,
    port: int,
    public_url: str | None,
    limits: Limits = LIMITS,
) -> AsyncIterator[int]:
    """Listen for the block; the port. Raises BadInput where it cannot be had."""
    desk = _Desk({each.name: each for each in listeners}, public_url)
    house = House(desk.take, limits, _on_told)
    house.date = _date()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: Caller(house), host, port, backlog=BACKLOG)
    except OSError as error:
        why = f"cannot listen for hooks on {host}:{port}: {error.strerror}"
        raise BadInput(why, mend="choose another hooks.port") from error
    sweeper = asyncio.create_task(_sweep(house))
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await _end(house)
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper


async def _sweep(house: House) -> None:
    """End what has taken too long: one look at all connections a second, no timer each."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(min(SWEEP_S, house.limits.call_s / 2))
        house.date = _date()
        now = loop.time()
        for caller in [each for each in house.callers if each.deadline < now]:
            caller.expire()


async def _end(house: House) -> None:
    """Let those be answered whose calls are being stored, then hang up."""
    promises = [each.promise for each in house.callers if each.promise is not None]
    if promises:
        await asyncio.wait(promises, timeout=END_S)
        await asyncio.sleep(0)  # they are told
    for caller in tuple(house.callers):
        caller.hang_up()
    await asyncio.sleep(0)  # their transports take their leave


def _date() -> bytes:
    """The machine's own time as RFC 9110, 6.6.1 asks of an answer."""
    return formatdate(usegmt=True).encode()


def _on_told(target: str, said: Said) -> None:
    """Tell it, but not what came behind the account's name: there may be a secret."""
    account = target[: len(ROOT) + 34].partition("?")[0].split("/")[2:3]
    if isinstance(said, Denied):
        log.warning("hook.denied", account=account, status=said.status, why=said.code)
    else:
        log.warning("hook.unreadable", account=account, items=said.unreadable)


class _Desk:
    """Finds whose a call is, and lets them hear it."""

    def __init__(self, listeners: Mapping[str, Listener], public_url: str | None) -> None:
        self._listeners = listeners
        self._urls = {name: hook_url(public_url or "", name) for name in listeners}

    def take(self, asked: Asked) -> Said | asyncio.Future[Said]:
        path, _, query = asked.target.partition("?")
        _, root, name, *rest = [*path.split("/", 3), "", ""][:4]
        listener = self._listeners.get(name)
        if root != ROOT or listener is None:
            return NOT_HERE
        try:
            fields = _fields(query) if query else {}
        except ValueError:
            return UNREADABLE
        call = Call(
            method=asked.method,
            url=self._urls[name] + asked.target.removeprefix(f"/{ROOT}/{name}"),
            rest=unquote(rest[0]) if rest else "",
            query=fields,
            headers=asked.headers,
            body=asked.body,
        )
        return listener.hear(call)


def _fields(query: str) -> dict[str, str]:
    """A query's fields; of a name that comes twice the first counts."""
    return dict(reversed(form_fields(query, most=FIELDS_MAX)))
