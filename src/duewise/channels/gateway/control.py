"""The control port: JSON lines on 127.0.0.1, one request, one answer, and a client for it.

| request | does |
|---|---|
| `{"do": "clock", "at": ISO}` | sets a clock that stands where it is put |
| `{"do": "flush", "timeout_s": 30}` | sends receipts that are due, answers once they are acked |
| `{"do": "reply", "source", "destination", "text", "account"}` | a text from a handset |
| `{"do": "drop", "after": n}` | loses all links now, or one at the nth submit from now |
| `{"do": "refuse", "status": name or number, "count": n}` | refuses the next submits |
| `{"do": "throttle", "per_s": rate or null}` | a limit per link |
| `{"do": "delay", "response_s": s}` | answers submits later |
| `{"do": "stats"}`, `{"do": "stop"}` | counts; ends the gateway |

An answer is `{"ok": true, …}` or `{"ok": false, "error": text}`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from duewise.channels.gateway.hub import Hub
from duewise.channels.gateway.link import Link
from duewise.errors import BadInput, DuewiseError, Unreachable
from duewise.times import ManualClock, parse_instant

LINE_MAX: Final = 65_536
FLUSH_TIMEOUT_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 1.0


class ControlServer:
    """Answers requests about one hub and its links."""

    def __init__(self, hub: Hub, links: set[Link]) -> None:
        self._hub, self._links = hub, links
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side closes it."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (ValueError, OSError):  # a line without end, or nobody there any more
            pass
        finally:
            del self._open[task]
            writer.close()

    async def close(self) -> None:
        """Hang up on everybody, and wait until their tasks have noticed."""
        for writer in self._open.values():
            writer.close()
        if self._open:
            await asyncio.wait(tuple(self._open), timeout=CLOSE_TIMEOUT_S)

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return {"ok": True, **await self._do(request)}
        except TimeoutError:
            return {"ok": False, "error": "not all receipts were acknowledged in time"}
        except (KeyError, TypeError, ValueError, AttributeError, DuewiseError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    async def _do(self, request: Mapping[str, Any]) -> dict[str, Any]:
        hub = self._hub
        match request["do"]:
            case "clock":
                return self._set_clock(parse_instant(request["at"]))
            case "flush":
                timeout_s = float(request.get("timeout_s", FLUSH_TIMEOUT_S))
                return {"sent": await hub.flush(timeout_s=timeout_s), **hub.stats()}
            case "reply":
                return {"reply_id": self._reply(request)}
            case "drop":
                return {"dropped": self._drop(int(request.get("after", 0)))}
            case "refuse":
                hub.order_refusals(self._status(request["status"]), int(request["count"]))
            case "throttle":
                per_s = request["per_s"]
                hub.throttle_per_s = None if per_s is None else float(per_s)
            case "delay":
                hub.response_s = float(request["response_s"])
            case "stats":
                return dict(hub.stats())
            case "stop":
                asyncio.get_running_loop().call_soon(hub.stop)
            case other:
                raise BadInput(f"no request is called {other!r}")
        return {}

    def _set_clock(self, instant: datetime) -> dict[str, Any]:
        if not isinstance(self._hub.clock, ManualClock):
            raise BadInput("this gateway's clock runs by itself", mend="start it with --clock")
        self._hub.clock.set(instant)
        return {"clock": instant.isoformat()}

    def _status(self, given: int | str) -> int:
        names = self._hub.dialect.statuses.names
        return given if isinstance(given, int) else {names[each]: each for each in names}[given]

    def _reply(self, request: Mapping[str, Any]) -> str:
        accounts = self._hub.accounts
        account = accounts[request.get("account") or next(iter(accounts))]
        return self._hub.reply(
            account,
            source=str(request["source"]),
            destination=str(request["destination"]),
            text=str(request["text"]),
        )

    def _drop(self, after: int) -> int:
        if after:
            self._hub.order_drop(after)
            return 0
        links = tuple(self._links)
        for link in links:
            link.drop()
        return len(links)


class GatewayControl:
    """The other end of the control port. One request at a time; use as an async context."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect. Raises Unreachable."""
        try:
            return cls(*await asyncio.open_connection(host, port, limit=LINE_MAX))
        except OSError as error:
            raise Unreachable(f"no gateway control at {host}:{port} ({error})") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self._writer.close()

    async def do(self, name: str, **fields: object) -> dict[str, Any]:
        """One request and its answer. Raises BadInput if refused, Unreachable if cut off."""
        async with self._turn:
            try:
                self._writer.write(json.dumps({"do": name, **fields}).encode() + b"\n")
                line = await self._reader.readline()
            except OSError as error:
                raise Unreachable(f"the gateway's control port is gone ({error})") from None
        if not line:
            raise Unreachable("the gateway's control port is gone")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise BadInput(answer["error"], source=f"gateway control {name!r}")
        return answer

    async def clock(self, at: datetime) -> None:
        """Set the gateway's clock, if it is one that is set by hand."""
        await self.do("clock", at=at.isoformat())

    async def flush(self, *, timeout_s: float = FLUSH_TIMEOUT_S) -> dict[str, Any]:
        """Send the receipts that are due; returns once acked, with `sent` and the stats."""
        return await self.do("flush", timeout_s=timeout_s)

    async def reply(
        self, *, source: str, destination: str, text: str, account: str | None = None
    ) -> str:
        """Write back from a handset; returns the reply's id."""
        answer = await self.do(
            "reply", source=source, destination=destination, text=text, account=account
        )
        return str(answer["reply_id"])

    async def drop(self, *, after: int = 0) -> int:
        """Lose all links now, or one at the `after`th submit from now."""
        return int((await self.do("drop", after=after))["dropped"])

    async def refuse(self, status_code: int | str, *, count: int) -> None:
        """Refuse the next `count` submits with that status (name or number)."""
        await self.do("refuse", status=status_code, count=count)

    async def throttle(self, per_s: float | None) -> None:
        """Limit each link to that many submits a second; None lifts it."""
        await self.do("throttle", per_s=per_s)

    async def delay(self, response_s: float) -> None:
        """Answer submits that many seconds late."""
        await self.do("delay", response_s=response_s)

    async def stats(self) -> dict[str, Any]:
        """The gateway's counts."""
        return await self.do("stats")

    async def stop(self) -> None:
        """End the gateway."""
        await self.do("stop")
