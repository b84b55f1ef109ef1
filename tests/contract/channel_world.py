"""What the channel tests start: the bundled gateway, a gateway that follows a script, a channel."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from duewise.channels.base import Accepted, Inbound, Message
from duewise.channels.cmpp.channel import cmpp_channel
from duewise.channels.cmpp.settings import CmppSettings
from duewise.channels.gateway import GatewayControl, GatewayPorts, GatewaySettings, run_gateway
from duewise.channels.smpp.channel import smpp_channel
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    RESPONSE,
    BindResp,
    Command,
    Pdu,
    decode,
    encode,
)
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.wire.channel import WireChannel
from duewise.channels.wire.framing import Deframer
from duewise.times import ManualClock

MORNING = datetime(2026, 8, 10, 1, 0, tzinfo=UTC)  # nine o'clock in Shanghai
PATIENCE_S = 10
LI, WANG = "+8613800000001", "+8613800000002"
LINE = "10690001"
REMINDER = "【甲消费金融】Li，您本期应还1,234.56元，8月10日到期。客服400-000-0000，拒收请回复R"


DELAY: dict[str, Any] = {"delay_s": (1.0, 30.0)}
CMPP: dict[str, Any] = DELAY | {"protocol": "cmpp", "accounts": {"901234": "duewise"}}
PLAIN = {"smpp": DELAY, "cmpp2": CMPP, "cmpp3": CMPP}


def message(number: int = 1, *, text: str = REMINDER, address: str = LI) -> Message:
    return Message(
        envelope_id=number,
        reference=f"e{number}",
        address=address,
        sender_id=LINE,
        text=text,
        valid_until=MORNING + timedelta(hours=12),
    )


@dataclass
class World:
    """A running gateway and the ways to look at it."""

    ports: GatewayPorts
    control: GatewayControl
    clock: ManualClock
    log_path: Path
    carrier: str = "smpp"

    def records(self) -> list[dict[str, Any]]:
        whole = self.log_path.read_text("utf-8", "replace").rpartition("\n")[0]  # a kill tears one
        return [json.loads(line) for line in whole.splitlines()]

    def line(self, **settings: Any) -> SmppSettings | CmppSettings:
        """The account at this gateway, in the protocol it speaks."""
        return self.smpp(**settings) if self.carrier == "smpp" else self.cmpp(**settings)

    def cmpp(self, **settings: Any) -> CmppSettings:
        given: dict[str, Any] = {
            "host": self.ports.host,
            "port": self.ports.port,
            "source_addr": "901234",
            "password": "duewise",
            "version": "3.0" if self.carrier == "cmpp3" else "2.0",
            "window": 100,
            "reconnect_s": 0.01,
            "proves_itself": True,
        }
        return CmppSettings(**(given | settings))

    def smpp(self, **settings: Any) -> SmppSettings:
        given: dict[str, Any] = {
            "host": self.ports.host,
            "port": self.ports.port,
            "system_id": "duewise",
            "password": "duewise",
            "echoes_reference": True,
            "reconnect_s": 0.01,
        }
        return SmppSettings(**(given | settings))

    async def pass_time(self, **span: float) -> int:
        """Move the clock, send what is due; how many receipts went out."""
        self.clock.set(self.clock.now() + timedelta(**span))
        answer = await self.control.flush(timeout_s=PATIENCE_S)
        return int(answer["sent"])


@asynccontextmanager
async def world(tmp_path: Path, *, carrier: str = "smpp", **settings: Any) -> AsyncIterator[World]:
    """The bundled gateway, its clock set by hand, on free ports."""
    log_path, clock = tmp_path / "gateway.jsonl", ManualClock(MORNING)
    announced: asyncio.Future[GatewayPorts] = asyncio.get_running_loop().create_future()
    given = GatewaySettings(**(PLAIN[carrier] | settings))
    running = asyncio.create_task(
        run_gateway(given, clock=clock, log_path=log_path, ready=announced.set_result)
    )
    await asyncio.wait((running, announced), return_when=asyncio.FIRST_COMPLETED)
    if not announced.done():
        running.result()
    ports = await announced
    async with await GatewayControl.open("127.0.0.1", ports.control_port) as control:
        try:
            yield World(ports, control, clock, log_path, carrier)
        finally:
            await control.stop()
            await asyncio.wait_for(running, PATIENCE_S)


def closed(settings: SmppSettings | CmppSettings, clock: ManualClock | None = None) -> WireChannel:
    """The channel of an account, not opened yet."""
    clock = clock or ManualClock(MORNING)
    if isinstance(settings, CmppSettings):
        return cmpp_channel(settings, clock=clock)
    return smpp_channel(settings, clock=clock)


@asynccontextmanager
async def channel(settings: SmppSettings | CmppSettings) -> AsyncIterator[WireChannel]:
    opened = closed(settings)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


_came: WeakKeyDictionary[WireChannel, deque[Inbound]] = WeakKeyDictionary()


async def arrival(opened: WireChannel, *, acks: bool = True) -> Inbound:
    """The next receipt or reply; what came with it is the next one's."""
    came = _came.setdefault(opened, deque())
    if not came:
        delivery = await asyncio.wait_for(opened.inbound.get(), PATIENCE_S)
        came.extend(delivery.inbound)
        if acks:
            await delivery.ack()
    return came.popleft()


async def send_until_accepted(opened: WireChannel) -> None:
    """New messages, one after the other, until the link is back and takes one."""
    number = 1_000
    async with asyncio.timeout(PATIENCE_S):
        while not isinstance(await opened.send(message(number), key=""), Accepted):
            await asyncio.sleep(0.01)
            number += 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


async def eventually(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.005)


class Script:
    """A gateway that does what a test tells it: `answer` sees each request, returns octets."""

    def __init__(self, answer: Callable[[Pdu], bytes]) -> None:
        self.answer = answer
        self.heard: list[Pdu] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    def count(self, command: Command) -> int:
        return sum(pdu.command == command for pdu in self.heard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        deframer = Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX)
        try:
            while octets := await reader.read(65_536):
                for frame in deframer.feed(octets):
                    pdu = decode(frame)
                    self.heard.append(pdu)
                    writer.write(self.answer(pdu))
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def script(
    answer: Callable[[Pdu], bytes], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Script]:
    played = Script(answer)
    server = await asyncio.start_server(played.serve, "127.0.0.1", 0, ssl=tls)
    played.port = server.sockets[0].getsockname()[1]
    try:
        yield played
    finally:
        server.close()
        for writer in played.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def polite(pdu: Pdu) -> bytes:
    """The answer of a gateway that takes everything: message id = sequence number."""
    match pdu.command:
        case Command.BIND_TRANSCEIVER:
            return encode(Pdu(Command.BIND_TRANSCEIVER_RESP, 0, pdu.sequence, BindResp("script")))
        case Command.SUBMIT_SM:
            return encode(Pdu(Command.SUBMIT_SM_RESP, 0, pdu.sequence, str(pdu.sequence)))
        case command if not command & RESPONSE:
            return encode(Pdu(command | RESPONSE, 0, pdu.sequence))
        case _:
            return b""


def silent(pdu: Pdu) -> bytes:
    """The answer of a gateway that binds and then says nothing more."""
    return polite(pdu) if pdu.command in {Command.BIND_TRANSCEIVER, Command.UNBIND} else b""
