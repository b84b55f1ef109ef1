"""Both ends of our wire against somebody else's SMPP: smpp34, a Rust implementation.

It runs in a process of its own, because its native part may crash when the interpreter ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.contract.channel_world import (
    LI,
    LINE,
    MORNING,
    PATIENCE_S,
    REMINDER,
    arrival,
    channel,
    free_port,
    message,
    world,
)

from duewise.channels.base import Accepted, InboundReceipt, InboundReply, Refused
from duewise.message.parts import split

SERVER = """
import asyncio, json, sys
import smpp34

async def tell(esme, destination, source, text, esm_class):
    answer = await esme.deliver_sm(
        destination, text, source_addr=source, source_addr_ton=1, source_addr_npi=1,
        esm_class=esm_class,
    )
    print(json.dumps({"deliver_status": answer.command_status}), flush=True)

async def main():
    server = smpp34.Server("127.0.0.1", int(sys.argv[1]), system_id="peer")
    await server.start()
    print(json.dumps({"ready": True}), flush=True)
    esme, number, tasks = None, 0, []
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            esme = event
            continue
        if isinstance(event, smpp34.Unbound):
            print(json.dumps({"unbound": True}), flush=True)
            return
        print(json.dumps({
            "source": event.source_addr, "destination": event.destination_addr,
            "text": event.short_message.hex(), "data_coding": event.data_coding,
            "esm_class": event.esm_class, "registered": event.registered_delivery,
            "tons": [event.source_addr_ton, event.dest_addr_ton],
            "tlvs": {each.tag: each.value.hex() for each in event.tlvs},
        }), flush=True)
        number += 1
        if event.destination_addr.endswith("9"):
            event.reject(smpp34.ESME_RINVDSTADR)
            continue
        event.accept(f"00A{number}")
        receipt = (
            f"id:00a{number} sub:001 dlvrd:001 submit date:2608100100 done date:2608100101 "
            "stat:DELIVRD err:000 text:"
        )
        tasks.append(asyncio.create_task(
            tell(esme, event.source_addr, event.destination_addr, receipt.encode(), 4)
        ))
        if number == 1:
            tasks.append(asyncio.create_task(
                tell(esme, event.source_addr, event.destination_addr, b"R", 0)
            ))

asyncio.run(main())
"""

CLIENT = """
import asyncio, json, sys
import smpp34

async def main():
    client = smpp34.Client("127.0.0.1", int(sys.argv[1]), "duewise", "duewise", window_size=8)
    smsc = await client.connect()
    tlv = smpp34.Tlv(0x1401, b"e7\\0")
    sent = await asyncio.gather(*(
        smsc.submit_sm(
            "861380000000" + str(number), "\\u8fd8\\u6b3e".encode("utf-16-be"),
            source_addr="10690001", dest_addr_ton=1, dest_addr_npi=1, data_coding=8,
            registered_delivery=1, tlvs=[tlv],
        ) for number in range(5)
    ))
    print(json.dumps({"sent": [[each.command_status, each.message_id] for each in sent]}), flush=True)
    told = [await smsc.next() for _ in range(6)]
    print(json.dumps({"told": [
        [each.esm_class, each.short_message.decode("latin-1"),
         {each.tag: each.as_string() for each in each.tlvs}] for each in told
    ]}), flush=True)
    await smsc.unbind()
    print(json.dumps({"unbound": True}), flush=True)

asyncio.run(main())
"""


class Peer:
    """A script in a process of its own that prints one JSON value a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self.lines = process.stdout

    async def says(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.lines.readline(), PATIENCE_S)
        assert line, "the peer ended"
        said: dict[str, Any] = json.loads(line)
        return said


@asynccontextmanager
async def peer(script: str, port: int) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(port), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Peer(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_sends_to_a_server_of_another_make(tmp_path: Path) -> None:
    long = REMINDER * 2
    async with world(tmp_path) as gateway, peer(SERVER, port := free_port()) as server:
        assert await server.says() == {"ready": True}
        async with channel(gateway.smpp(port=port)) as sms:
            sent = [message(7), message(8, text=long), message(9, address="+8613800000009")]
            results = [await sms.send(each, key="") for each in sent]
            told = [await arrival(sms) for _ in range(4)]
            said = [await server.says() for _ in range(8)]
        assert await server.says() == {"unbound": True}
    assert results[0] == Accepted(("a1",))
    assert isinstance(results[1], Accepted)
    assert set(results[1].provider_ids) == {"a2", "a3"}  # this peer takes parts in any order
    assert results[2] == Refused("ESME_RINVDSTADR", is_permanent=True)
    receipts = [each for each in told if isinstance(each, InboundReceipt)]
    (reply,) = [each for each in told if isinstance(each, InboundReply)]
    assert sorted((each.provider_id, each.status) for each in receipts) == [
        ("a1", "delivered"),
        ("a2", "delivered"),
        ("a3", "delivered"),
    ]
    assert (reply.source, reply.destination, reply.text, reply.at) == (LI, LINE, "R", MORNING)
    submits = [each for each in said if "text" in each]
    assert submits[0] == {
        "source": LINE,
        "destination": LI[1:],
        "text": REMINDER.encode("utf-16-be").hex(),
        "data_coding": 8,
        "esm_class": 0,
        "registered": 1,
        "tons": [0, 1],
        "tlvs": {str(0x1401): b"e7\0".hex()},
    }
    parts = {(part.udh + part.payload).hex() for part in split(long, reference=8)}
    assert {each["text"] for each in submits[1:3]} == parts
    assert [each["esm_class"] for each in submits[1:3]] == [0x40, 0x40]
    assert [each for each in said if "deliver_status" in each] == [{"deliver_status": 0}] * 4


async def test_it_serves_a_client_of_another_make(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, peer(CLIENT, gateway.ports.port) as client:
        sent = (await client.says())["sent"]
        ids = [record["message_id"] for record in gateway.records()]
        assert sorted(sent) == [[0, each] for each in ids]
        assert {record["text"] for record in gateway.records()} == {"还款"}
        await gateway.control.reply(source=LI, destination=LINE, text="T")
        assert await gateway.pass_time(seconds=60) == 5
        told = sorted((await client.says())["told"], key=lambda each: each[0])
        assert told[0][:2] == [0, "T"]
        assert all(esm_class == 4 and "stat:DELIVRD" in text for esm_class, text, _ in told[1:])
        assert {tlvs[str(0x1E)] for _, _, tlvs in told[1:]} == set(ids)
        assert {tlvs[str(0x1401)] for _, _, tlvs in told[1:]} == {"e7"}
        assert await client.says() == {"unbound": True}
