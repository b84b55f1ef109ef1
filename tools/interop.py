"""Our wire against peers no one here wrote: `python tools/interop.py [--npm FOLDER]`.

| peer | plays | is needed |
|---|---|---|
| npm `smpp` | the carrier, then a sender | node, and FOLDER in which `npm install smpp` was run |
| Kannel | a sender | `bearerbox` and `smsbox` (Debian: kannel) |
| Wireshark | reads what was said | `tshark`, and the right to capture on loopback |

Prints a table. What is not installed is "absent"; exit code 1 where a peer disagrees with us. There
is no peer for CMPP that can be installed: Wireshark's dissector reads it, and the tests hold
figures of another implementation.

Long because what the peers run stands in it, beside what we expect of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import socket
import sys
import tempfile
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from duewise.channels.base import Accepted, Inbound, InboundReceipt, InboundReply, Message
from duewise.channels.cmpp.channel import cmpp_channel
from duewise.channels.cmpp.settings import CmppSettings
from duewise.channels.gateway import GatewayControl, GatewayPorts, GatewaySettings, run_gateway
from duewise.channels.smpp.channel import smpp_channel
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.wire.channel import WireChannel
from duewise.times import ManualClock

NOW = datetime(2026, 8, 10, 1, tzinfo=UTC)
LI, LINE = "+8613800000001", "10690001"
SHORT = "【示例消费金融】Li,您本期应还1,234.56元。拒收请回复R"
LONG = SHORT * 5  # three parts
PATIENCE_S = 30
SETTLE_S = 2

NODE_SENDER = """
const smpp = require('smpp'), port = process.argv[1];
const session = smpp.connect({url: `smpp://127.0.0.1:${port}`}, () => {
  session.bind_transceiver({system_id: 'duewise', password: 'duewise'}, bound => {
    if (bound.command_status) process.exit(2);
    for (let n = 0; n < 5; n++)
      session.submit_sm({destination_addr: '861380000000' + n, dest_addr_ton: 1,
        source_addr: '10690001', short_message: '还款 ' + n, registered_delivery: 1},
        pdu => console.log(JSON.stringify({id: pdu.message_id, status: pdu.command_status})));
  });
});
let receipts = 0;
session.on('deliver_sm', pdu => {
  session.send(pdu.response());
  console.log(JSON.stringify({receipt: pdu.receipted_message_id, text: pdu.short_message.message}));
  if (++receipts == 5) session.enquire_link({}, () => session.unbind({}, () => {
    console.log(JSON.stringify({unbound: true})); process.exit(0); }));
});
"""
NODE_CARRIER = """
const smpp = require('smpp'), port = process.argv[1];
const server = smpp.createServer(session => {
  let number = 0;
  session.on('bind_transceiver', pdu => session.send(pdu.response({system_id: 'node'})));
  session.on('enquire_link', pdu => session.send(pdu.response()));
  session.on('unbind', pdu => { session.send(pdu.response()); session.close(); });
  session.on('submit_sm', pdu => {
    const id = '00A' + ++number, text = pdu.short_message;
    session.send(pdu.response({message_id: id}));
    console.log(JSON.stringify({to: pdu.destination_addr, text: text.message,
                                udh: Boolean(text.udh), validity: pdu.validity_period}));
    session.deliver_sm({source_addr: pdu.destination_addr, destination_addr: pdu.source_addr,
      esm_class: 4, short_message: `id:${id} sub:001 dlvrd:001 submit date:2608100100 ` +
        'done date:2608100101 stat:DELIVRD err:000 text:'});
    if (number == 1) session.deliver_sm({source_addr: pdu.destination_addr, source_addr_ton: 1,
      destination_addr: pdu.source_addr, short_message: '已还'});
  });
});
server.listen(port, () => console.log(JSON.stringify({ready: true})));
"""
KANNEL = """
group = core
admin-port = {admin}
admin-password = interop
smsbox-port = {box}
box-allow-ip = "127.0.0.1"
log-file = "{folder}/bearerbox.log"
log-level = 1

group = smsc
smsc = smpp
host = 127.0.0.1
port = {smpp}
smsc-username = duewise
smsc-password = duewise
system-type = "VMA"
transceiver-mode = 1
interface-version = 34

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-file = "{folder}/smsbox.log"

group = sendsms-user
username = interop
password = interop
concatenation = true
max-messages = 10
"""


Check: TypeAlias = Callable[[Path, Path | None], Awaitable[str]]


class Absent(Exception):
    """The peer is not installed here."""


class Simulator:
    """The bundled gateway, on a clock that stands where it is put."""

    def __init__(self, ports: GatewayPorts, control: GatewayControl, record: Path) -> None:
        self.port, self.control, self.record = ports.port, control, record

    async def until_taken(self, count: int) -> None:
        """Until it has taken that many submits."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.control.stats())["accepted"] < count:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)

    def texts(self) -> list[str]:
        """What it took, in order."""
        lines = self.record.read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["text"] for line in lines]


@contextlib.asynccontextmanager
async def simulator(
    folder: Path,
    *,
    early_share: float = 1.0,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[Simulator]:
    """The gateway for the block."""
    announced: asyncio.Future[GatewayPorts] = asyncio.get_running_loop().create_future()
    record = Path(tempfile.mkdtemp(dir=folder)) / "gateway.jsonl"
    given = GatewaySettings(delay_s=(0.0, 0.0), early_share=early_share, **settings)
    running = asyncio.create_task(
        run_gateway(given, clock=ManualClock(NOW), log_path=record, ready=announced.set_result)
    )
    ports = await announced
    async with await GatewayControl.open("127.0.0.1", ports.control_port) as control:
        yield Simulator(ports, control, record)
        await control.stop()
    await running


@contextlib.asynccontextmanager
async def process(*command: str, cwd: Path) -> AsyncIterator[asyncio.StreamReader]:
    """What the process prints, for the block; it ends with it."""
    started = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert started.stdout is not None
    try:
        yield started.stdout
    finally:
        if started.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                started.terminate()
        await started.wait()


async def says(lines: asyncio.StreamReader) -> dict[str, Any]:
    """The next line, read as JSON."""
    said: dict[str, Any] = json.loads(await asyncio.wait_for(lines.readline(), PATIENCE_S))
    return said


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def message(number: int, text: str = SHORT) -> Message:
    """A notice to Li."""
    return Message(number, f"e{number}", LI, LINE, text)


async def node_sends(folder: Path, npm: Path | None) -> str:
    """The npm sender binds, submits, gets a receipt for each, enquires and unbinds."""
    if npm is None:
        raise Absent
    async with (
        simulator(folder) as gateway,
        process("node", "-e", NODE_SENDER, str(gateway.port), cwd=npm) as peer,
    ):
        said = [await says(peer) for _ in range(10)]
        assert await says(peer) == {"unbound": True}
        ids = {each["id"] for each in said if "id" in each}
        told = {each["receipt"] for each in said if "receipt" in each}
        assert ids == told, (ids, told)
        assert sorted(gateway.texts()) == [f"还款 {n}" for n in range(5)]
    return "5 submits, 5 receipts, enquire_link, unbind"


async def node_carries(_: Path, npm: Path | None) -> str:
    """The npm carrier takes a short and a long text, sends receipts and a reply."""
    if npm is None:
        raise Absent
    port = free_port()
    async with process("node", "-e", NODE_CARRIER, str(port), cwd=npm) as peer:
        assert await says(peer) == {"ready": True}
        channel = smpp_channel(
            SmppSettings("127.0.0.1", port, "duewise", "duewise"), clock=ManualClock(NOW)
        )
        await channel.open()
        results = await channel.send_many([message(1), message(2, LONG)])
        heard = await take(channel, 1 + 1 + 3)
        await channel.close()
        took = [await says(peer) for _ in range(4)]
    receipts = {each.provider_id for each in heard if isinstance(each, InboundReceipt)}
    (reply,) = [each for each in heard if isinstance(each, InboundReply)]
    ids = [each for r in results if isinstance(r, Accepted) for each in r.provider_ids]
    assert set(ids) == receipts == {"a1", "a2", "a3", "a4"}, (ids, receipts)
    assert took[0]["text"] == SHORT
    assert "".join(each["text"] for each in took[1:]) == LONG
    assert [each["udh"] for each in took] == [False, True, True, True]
    assert (reply.source, reply.text) == (LI, "已还"), reply
    return "a short text, one in 3 parts, 4 receipts, a reply"


async def take(channel: WireChannel, count: int) -> list[Inbound]:
    """The next so many things told, acknowledged."""
    heard: list[Inbound] = []
    while len(heard) < count:
        delivery = await asyncio.wait_for(channel.inbound.get(), PATIENCE_S)
        await delivery.ack()
        heard += delivery.inbound
    return heard


async def kannel_sends(folder: Path, _: Path | None) -> str:
    """Kannel binds, submits by its HTTP interface, and reports what our receipts say."""
    if shutil.which("bearerbox") is None:
        raise Absent
    told: asyncio.Queue[str] = asyncio.Queue()
    # It cannot place a receipt that overtakes its answer, so ours come when they are told to.
    async with simulator(folder, early_share=0.0) as gateway:
        ports = {"admin": free_port(), "box": free_port(), "http": free_port()}
        config = folder / "kannel.conf"
        config.write_text(KANNEL.format(smpp=gateway.port, folder=folder, **ports))
        hook = await asyncio.start_server(_answers_to(told), "127.0.0.1", 0)
        back = hook.sockets[0].getsockname()[1]
        async with process("bearerbox", "-v", "4", str(config), cwd=folder):
            await until_listening(ports["box"])
            async with process("smsbox", "-v", "4", str(config), cwd=folder):
                await until_listening(ports["http"])
                for text in (SHORT, LONG):
                    await ask_kannel(ports["http"], text, back)
                await gateway.until_taken(4)
                await gateway.control.flush()
                first, second = [await asyncio.wait_for(told.get(), PATIENCE_S) for _ in range(2)]
        assert "".join(gateway.texts()) == SHORT + LONG, gateway.texts()
        for told_back in (first, second):
            assert "/delivered/1 " in told_back, (first, second)
    return "a short text, one in parts, its delivery reports"


def _answers_to(
    told: asyncio.Queue[str],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await told.put(head.decode("latin-1"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    return answer


async def until_listening(port: int) -> None:
    """Until somebody listens there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


async def ask_kannel(port: int, text: str, back: int) -> None:
    """One GET to Kannel's sendsms."""
    query = urllib.parse.urlencode(
        {
            "username": "interop",
            "password": "interop",
            "from": LINE,
            "to": LI,
            "coding": "2",
            "charset": "UTF-8",
            "text": text,
            "dlr-mask": "3",
            "dlr-url": f"http://127.0.0.1:{back}/delivered/%d",
        }
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /cgi-bin/sendsms?{query} HTTP/1.0\r\nHost: kannel\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    assert b"202" in answer.split(b"\r\n", 1)[0], answer


async def wireshark_reads(folder: Path, _: Path | None) -> str:
    """A capture of each protocol is decoded whole, without a malformed mark.

    Its dissector of CMPP knows the widths of 3.0 only, so that is what is said to it.
    """
    if shutil.which("tshark") is None:
        raise Absent
    seen = []
    for protocol in ("smpp", "cmpp"):
        accounts = {"901234": "duewise"} if protocol == "cmpp" else {"duewise": "duewise"}
        async with simulator(folder, protocol=protocol, accounts=accounts) as gateway:
            capture = folder / f"{protocol}.pcapng"
            watch = ["tshark", "-q", "-i", "lo", "-f", f"tcp port {gateway.port}", "-w"]
            async with process(*watch, str(capture), cwd=folder):
                await until_begun(capture)
                await talk(gateway, protocol)
                await asyncio.sleep(SETTLE_S)
        seen.append(f"{protocol}: {await dissect(capture, gateway.port, protocol)}")
    return "; ".join(seen)


async def until_begun(capture: Path) -> None:
    """Until the capture's head is written; packets follow a moment later."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(capture.exists):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLE_S)


async def talk(gateway: Simulator, protocol: str) -> None:
    """Log in, send a short and a long text, hear receipts and a reply, log out."""
    clock = ManualClock(NOW)
    if protocol == "cmpp":
        cmpp = CmppSettings("127.0.0.1", gateway.port, "901234", "duewise", version="3.0")
        channel = cmpp_channel(cmpp, clock=clock)
    else:
        smpp = SmppSettings("127.0.0.1", gateway.port, "duewise", "duewise")
        channel = smpp_channel(smpp, clock=clock)
    await channel.open()
    results = await channel.send_many([message(1), message(2, LONG), message(3, "Pay!")])
    assert all(isinstance(result, Accepted) for result in results), results
    await gateway.control.reply(source=LI, destination=LINE, text="已还")
    await take(channel, 1 + 3 + 1 + 1)
    await channel.close()


async def dissect(capture: Path, port: int, protocol: str) -> str:
    """How many PDUs the dissector names, none of them malformed."""
    command = ["tshark", "-V", "-r", str(capture), "-d", f"tcp.port=={port},{protocol}"]
    run = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    text = (await run.communicate())[0].decode("utf-8", "replace")
    marks = [line.strip() for line in text.splitlines() if "alformed" in line]
    assert not marks, marks[:3]
    heads = {
        "smpp": "Short Message Peer to Peer, Command",
        "cmpp": "China Mobile Point to Point Protocol",
    }
    count = text.count(heads[protocol])
    assert count >= 2 * (1 + 5 + 6 + 1), f"{count} PDUs"
    return f"{count} PDUs"


CHECKS: dict[str, Check] = {
    "npm smpp sends": node_sends,
    "npm smpp carries": node_carries,
    "Kannel sends": kannel_sends,
    "Wireshark reads": wireshark_reads,
}


async def outcome(check: Check, folder: Path, npm: Path | None) -> tuple[str, str]:
    """A word for what came of a check, and what was checked or why it failed."""
    try:
        return "agrees", await check(folder, npm)
    except Absent:
        return "absent", ""
    except (AssertionError, OSError, ValueError) as error:
        return "FAILS", f"{type(error).__name__}: {error}"


async def main() -> int:
    """Every check in turn; 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--npm", type=Path, help="where `npm install smpp` was run")
    npm: Path | None = parser.parse_args().npm
    failures = 0
    with tempfile.TemporaryDirectory(prefix="duewise-interop-") as name:
        for title, check in CHECKS.items():
            word, said = await outcome(check, Path(name), npm)
            failures += word == "FAILS"
            print(f"| {title} | {word} | {said} |", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
