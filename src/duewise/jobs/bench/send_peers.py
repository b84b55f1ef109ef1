"""Senders that others wrote, beside `send` in one run: texts to the same gateway, receipts on.

None of them is needed: what is not installed is named, and the bench goes on. None of them has an
outbox in a database, or stores answers and receipts: only Kannel keeps what it has taken, in its
spool. So this says what a wire costs them, and what durability costs us.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from duewise.channels.gateway import GatewayControl
from duewise.jobs.bench.figure import Figure
from duewise.jobs.bench.road import Desk
from duewise.jobs.demo import gateway_process

WINDOW: Final = 100
LIMIT_S: Final = 120
TEXTS_MAX: Final = 5_000  # one with a spool takes a minute for them
TEXT: Final = "【示例消费金融】您本期应还1,234.56元,8月10日到期。如有困难请致电95123。拒收请回复R"
LINE: Final = "10690001"

SMPPLIB = """
import sys, time
from smpplib.client import Client
port, count, text, window, password = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
client = Client("127.0.0.1", port, allow_unknown_opt_params=True)
answered = 0
def took(pdu, **_):
    global answered
    answered += 1
client.set_message_sent_handler(took)
client.set_message_received_handler(lambda pdu: 0)
client.connect()
client.bind_transceiver(system_id="duewise", password=password)
body, began, sent = text.encode("utf-16-be"), time.perf_counter(), 0
while answered < count:
    while sent < count and sent - answered < int(window):
        client.send_message(source_addr_ton=0, source_addr_npi=0, source_addr="10690001",
            dest_addr_ton=1, dest_addr_npi=1, destination_addr="861380%07d" % sent,
            short_message=body, data_coding=8, registered_delivery=True)
        sent += 1
    client.read_once()
print(time.perf_counter() - began)
"""
# Some of its answers expire in its own correlator, so the gateway says when it is through.
AIOSMPPLIB = """
import asyncio, sys
from aiosmpplib import ESME, PhoneNumber, SubmitSm
from aiosmpplib.hook import AbstractHook
port, count, text, window, password = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
class Hook(AbstractHook):
    async def sending(self, smpp_message, pdu, client_id): pass
    async def send_error(self, smpp_message, error, client_id): pass
    async def received(self, smpp_message, pdu, client_id): pass
async def main():
    esme = ESME(smsc_host="127.0.0.1", smsc_port=port, system_id="duewise", password=password,
                hook=Hook(), log_level=50)
    for number in range(count):
        await esme.broker.enqueue(SubmitSm(short_message=text, source=PhoneNumber("10690001"),
            destination=PhoneNumber("861380%07d" % number), log_id=str(number), encoding="ucs2",
            registered_delivery=1))
    print("begun", flush=True)
    await esme.start()
asyncio.run(main())
"""
NODE = """
const smpp = require('smpp'), [port, count, text, window, password] = process.argv.slice(1);
const session = smpp.connect({url: `smpp://127.0.0.1:${port}`}, () =>
  session.bind_transceiver({system_id: 'duewise', password}, bound => {
    if (bound.command_status) process.exit(2);
    const began = process.hrtime.bigint();
    let sent = 0, answered = 0;
    const one = () => session.submit_sm({dest_addr_ton: 1, source_addr: '10690001',
      destination_addr: '861380' + String(sent++).padStart(7, '0'), short_message: text,
      registered_delivery: 1}, () => {
      if (++answered == count) {
        console.log(Number(process.hrtime.bigint() - began) / 1e9); process.exit(0);
      }
      if (sent < count) one();
    });
    while (sent < Math.min(window, count)) one();
  }));
session.on('deliver_sm', pdu => session.send(pdu.response()));
"""
KANNEL = """
group = core
admin-port = {admin}
admin-password = {password}
smsbox-port = {box}
box-allow-ip = "127.0.0.1"
log-file = "{folder}/bearerbox.log"
log-level = 4
store-type = spool
store-location = "{folder}/spool"

group = smsc
smsc = smpp
host = 127.0.0.1
port = {smpp}
smsc-username = duewise
smsc-password = {password}
system-type = "VMA"
transceiver-mode = 1
interface-version = 34
max-pending-submits = {window}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-file = "{folder}/smsbox.log"
log-level = 4

group = sendsms-user
username = bench
password = {password}
"""


class Absent(Exception):
    """The peer is not installed here."""


@dataclass(frozen=True)
class Gate:
    """The gateway of this turn: where it listens, and what it says it took."""

    port: int
    control: GatewayControl
    password: str


Peer = Callable[[Gate, int], Awaitable[float]]


def beside(desk: Desk, *, parts: int, took_s: float) -> list[Figure]:
    """A figure a peer that is installed: our parts a second, end to end, and its own."""
    figures, absent = [], []
    texts, ours = min(parts, TEXTS_MAX), parts / took_s
    for name, peer in PEERS.items():
        try:
            its_s = asyncio.run(_turn(desk, peer, texts))
        except (Absent, TimeoutError) as error:
            why = str(error) or f"not through within {LIMIT_S} s"
            absent.append(f"{name} ({why})")
            continue
        figures.append(
            Figure(
                "send",
                texts,
                "parts/s",
                ours=ours,
                peer=texts / its_s,
                peer_name=name,
                ratio=ours * its_s / texts,
                note="ours end to end: outbox, gate, answers and receipts stored",
            )
        )
    if absent:
        note = f"no figure: {', '.join(absent)}"
        figures.append(Figure("send", parts, "parts/s", ours=ours, note=note))
    return figures


async def _turn(desk: Desk, peer: Peer, parts: int) -> float:
    """Seconds that a peer takes for so many texts of one part to a gateway of its own."""
    async with gateway_process(list(desk.gateway)) as ports:
        control_port = ports["control_port"]
        async with await GatewayControl.open("127.0.0.1", control_port) as control:
            password = (desk.task.tenant.workspace / "secrets" / "smpp").read_text("utf-8").strip()
            return await peer(Gate(ports["port"], control, password), parts)


async def _smpplib(gate: Gate, count: int) -> float:
    return await _python("smpplib", SMPPLIB, gate, count)


async def _aiosmpplib(gate: Gate, count: int) -> float:
    """From the filled queue of its own until the gateway has taken the last text."""
    if find_spec("aiosmpplib") is None:
        raise Absent("pip install aiosmpplib")
    given = [str(gate.port), str(count), TEXT, str(WINDOW), gate.password]
    command = [sys.executable, "-c", AIOSMPPLIB, *given]
    async with _running(*command, stdout=asyncio.subprocess.PIPE) as process:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), LIMIT_S)
        return await _until_taken(gate, count)


async def _until_taken(gate: Gate, count: int) -> float:
    """Seconds until the gateway has taken so many."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(LIMIT_S):
        while (await gate.control.stats())["accepted"] < count:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.02)
    return loop.time() - began


async def _python(module: str, script: str, gate: Gate, count: int) -> float:
    if find_spec(module) is None:
        raise Absent(f"pip install {module}")
    return await _told([sys.executable, "-c", script], gate, count)


async def _node(gate: Gate, count: int) -> float:
    node = shutil.which("node")
    if node is None:
        raise Absent("node")
    found = await asyncio.to_thread(
        subprocess.run, [node, "-e", "require('smpp')"], capture_output=True, check=False
    )
    if found.returncode:
        raise Absent("npm install smpp, and NODE_PATH to its node_modules")
    return await _told([node, "-e", NODE], gate, count)


async def _told(command: Sequence[str], gate: Gate, count: int) -> float:
    """The seconds that a script prints, from its first submit to its last answer."""
    given = [str(gate.port), str(count), TEXT, str(WINDOW), gate.password]
    process = await asyncio.create_subprocess_exec(
        *command, *given, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except TimeoutError:
        raise Absent(f"not through within {LIMIT_S} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Absent(f"failed: {err.decode('utf-8', 'replace').strip()[-200:]}")
    taken = (await gate.control.stats())["accepted"]
    assert taken == count, f"the gateway took {taken} of {count}"
    return float(out)


async def _kannel(gate: Gate, count: int) -> float:
    """From the first request to Kannel until the gateway has taken the last text."""
    if shutil.which("bearerbox") is None or shutil.which("smsbox") is None:
        raise Absent("Debian: kannel")
    with tempfile.TemporaryDirectory(prefix="duewise-kannel-") as name:
        folder = Path(name)
        (folder / "spool").mkdir()
        ports = {key: _free_port() for key in ("admin", "box", "http")}
        config = folder / "kannel.conf"
        values = {"smpp": gate.port, "folder": folder, "window": WINDOW, "password": gate.password}
        config.write_text(KANNEL.format(**ports, **values), encoding="utf-8")
        async with _running("bearerbox", "-v", "4", str(config)):
            await _listening(ports["box"])
            async with _running("smsbox", "-v", "4", str(config)):
                await _listening(ports["http"])
                return await _through_kannel(gate, ports["http"], count)


async def _through_kannel(gate: Gate, port: int, count: int) -> float:
    loop = asyncio.get_running_loop()
    numbers, began = iter(range(count)), loop.time()

    async def ask() -> None:
        for number in numbers:
            await _ask(gate, port, number)

    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(*(ask() for _ in range(WINDOW)))
    asked_s = loop.time() - began
    return asked_s + await _until_taken(gate, count)


async def _ask(gate: Gate, port: int, number: int) -> None:
    query = urllib.parse.urlencode(
        {
            "username": "bench",
            "password": gate.password,
            "from": LINE,
            "to": f"+861380{number:07d}",
            "coding": "2",
            "charset": "UTF-8",
            "text": TEXT,
            "dlr-mask": "3",
            "dlr-url": "http://127.0.0.1:9/",  # told to nobody, as a lender's own would answer
        }
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /cgi-bin/sendsms?{query} HTTP/1.0\r\nHost: kannel\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert b" 202 " in answer.split(b"\r\n", 1)[0], answer[:200]


@contextlib.asynccontextmanager
async def _running(
    *command: str, stdout: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process for the block."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=stdout, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


PEERS: Final[dict[str, Peer]] = {
    "Kannel 1.4 with its spool": _kannel,
    "smpplib, window by hand": _smpplib,
    "aiosmpplib": _aiosmpplib,
    "npm smpp": _node,
}
