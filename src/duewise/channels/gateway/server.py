"""The simulated gateway as a whole: two ports, one hub, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from duewise.channels.gateway.cmpp import CmppDialect
from duewise.channels.gateway.control import LINE_MAX, ControlServer
from duewise.channels.gateway.dialect import Dialect
from duewise.channels.gateway.hub import Hub
from duewise.channels.gateway.link import Link
from duewise.channels.gateway.log import SubmitLog
from duewise.channels.gateway.settings import GatewayPorts, GatewaySettings, Protocol
from duewise.channels.gateway.smpp import SmppDialect
from duewise.errors import BadInput
from duewise.times import Clock

CONTROL_HOST: Final = "127.0.0.1"
_DIALECTS: Final[Mapping[Protocol, Callable[[GatewaySettings], Dialect]]] = {
    "smpp": SmppDialect,
    "cmpp": CmppDialect,
}


async def run_gateway(
    settings: GatewaySettings,
    *,
    clock: Clock,
    log_path: Path,
    ready: Callable[[GatewayPorts], None],
) -> None:
    """Serve until `stop` or cancellation; `ready` learns the ports once both are open.

    Appends to `log_path`. Raises BadInput where a port is taken or the log cannot be written.
    """
    try:
        log = SubmitLog(log_path)
    except OSError as error:
        raise BadInput(
            f"the gateway's record cannot be written ({error.strerror})", source=str(log_path)
        ) from None
    with log:
        dialect = partial(_DIALECTS[settings.protocol], settings)
        hub, links = Hub(settings, dialect(), clock=clock, log=log), set[Link]()
        control = ControlServer(hub, links)
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: Link(hub, links, dialect()), settings.host, settings.port
            )
            controller = await asyncio.start_server(
                control.serve, CONTROL_HOST, settings.control_port, limit=LINE_MAX
            )
        except OSError as error:
            raise BadInput(
                f"the gateway cannot listen ({error.strerror})", mend="choose a free port, or 0"
            ) from None
        pump = asyncio.create_task(hub.run())
        try:
            ready(GatewayPorts(settings.host, _port(server), _port(controller)))
            await hub.stopped.wait()
        finally:
            hub.stop()
            server.close()
            controller.close()
            for link in tuple(links):
                link.drop()
            await control.close()
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
