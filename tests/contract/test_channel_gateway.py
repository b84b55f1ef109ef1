"""The bundled gateway as seen from its wire, its record and its control port."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.contract.channel_world import (
    LI,
    LINE,
    MORNING,
    PATIENCE_S,
    World,
    arrival,
    channel,
    eventually,
    message,
    world,
)

from duewise.channels.base import Accepted, Message, Refused, Unknown
from duewise.channels.gateway import GatewayControl, GatewayPorts, GatewaySettings, run_gateway
from duewise.channels.gateway.log import SubmitLog
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    Bind,
    Command,
    Pdu,
    ShortMessage,
    decode,
    encode,
    frame,
)
from duewise.channels.wire.framing import Deframer
from duewise.errors import BadInput, Unreachable
from duewise.times import ManualClock

BIND = Bind("duewise", "duewise")
SUBMIT = ShortMessage(LINE, LI[1:], b"T", registered_delivery=1, dest_ton=1, dest_npi=1)


class Wire:
    """A client of few words: octets out, PDUs in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.deframer, self.read = (
            Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX),
            list[Pdu](),
        )

    @classmethod
    async def open(cls, gateway: World) -> Wire:
        return cls(*await asyncio.open_connection(gateway.ports.host, gateway.ports.port))

    async def ask(self, octets: bytes) -> Pdu:
        self.writer.write(octets)
        return await self.hear()

    async def hear(self) -> Pdu:
        async with asyncio.timeout(PATIENCE_S):
            while not self.read:
                octets = await self.reader.read(65_536)
                assert octets, "the gateway hung up"
                self.read += [decode(each) for each in self.deframer.feed(octets)]
        return self.read.pop(0)

    async def bind(self, command: Command = Command.BIND_TRANSCEIVER) -> Pdu:
        return await self.ask(encode(Pdu(command, 0, 1, BIND)))

    def close(self) -> None:
        self.writer.transport.abort()


async def test_it_takes_submits_only_from_who_may_send(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        wire = await Wire.open(gateway)
        submit = encode(Pdu(Command.SUBMIT_SM, 0, 2, SUBMIT))
        assert (await wire.ask(submit)).status == 0x04
        assert (await wire.bind(Command.BIND_RECEIVER)).status == 0
        assert (await wire.bind(Command.BIND_RECEIVER)).status == 0x05
        assert (await wire.ask(submit)).status == 0x04
        assert gateway.records() == []
        wire.close()


async def test_it_sends_receipts_to_the_accounts_receiver(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        out, back = await Wire.open(gateway), await Wire.open(gateway)
        await out.bind(Command.BIND_TRANSMITTER)
        await back.bind(Command.BIND_RECEIVER)
        await out.ask(encode(Pdu(Command.SUBMIT_SM, 0, 2, SUBMIT)))
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        receipt = await back.hear()
        assert receipt.command == Command.DELIVER_SM
        back.writer.write(frame(Command.DELIVER_SM_RESP, receipt.sequence, b"\0"))
        assert await flushing == 1
        out.close()
        back.close()


async def test_it_answers_small_talk_and_nacks_what_it_does_not_speak(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        wire = await Wire.open(gateway)
        await wire.bind()
        assert await wire.ask(frame(Command.ENQUIRE_LINK, 5)) == Pdu(
            Command.ENQUIRE_LINK_RESP, 0, 5
        )
        assert await wire.ask(frame(0x03, 6, b"query")) == Pdu(Command.GENERIC_NACK, 3, 6)
        assert await wire.ask(frame(Command.UNBIND, 7)) == Pdu(Command.UNBIND_RESP, 0, 7)
        assert await wire.reader.read() == b""
        wire.close()


async def test_it_hangs_up_on_octets_that_are_no_smpp(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        wire = await Wire.open(gateway)
        assert (await wire.ask(b"GET / HTTP/1.1\r\n\r\n")).command == Command.GENERIC_NACK
        assert await wire.reader.read() == b""
        wire.close()


async def test_it_has_written_its_record_before_the_answer_leaves(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        wire = await Wire.open(gateway)
        await wire.bind()
        for sequence in range(2, 40):
            answer = await wire.ask(encode(Pdu(Command.SUBMIT_SM, 0, sequence, SUBMIT)))
            assert gateway.records()[-1]["message_id"] == answer.body
        wire.close()


async def test_it_gives_no_id_twice_over_the_same_record(tmp_path: Path) -> None:
    for _ in range(2):
        async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
            await sms.send_many([message(number) for number in range(10)])
            records = gateway.records()
    assert len({record["message_id"] for record in records}) == len(records) == 20


@pytest.mark.parametrize(
    ("settings", "status"),
    [({"throttle_per_s": 5.0}, "ESME_RTHROTTLED"), ({"window": 5}, "ESME_RMSGQFUL")],
)
async def test_it_holds_each_link_to_its_limits(
    tmp_path: Path, settings: dict[str, Any], status: str
) -> None:
    async with world(tmp_path, **settings) as gateway, channel(gateway.smpp()) as sms:
        await gateway.control.delay(0.3)
        results = await sms.send_many([message(number) for number in range(12)])
        refused = [result for result in results if isinstance(result, Refused)]
        assert {result.code for result in refused} == {status}
        assert 1 <= len(refused) <= 11
        assert [record["status"] for record in gateway.records()].count(status) == len(refused)


async def test_it_deals_out_fates_by_their_shares_and_the_same_ones_again(tmp_path: Path) -> None:
    shares: dict[str, Any] = {
        "refuse_share": 0.2,
        "failed_share": 0.3,
        "expired_share": 0.1,
        "silent_share": 0.2,
    }
    sent = [message(number, text=f"no. {number}") for number in range(400)]

    async def run(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
        async with world(folder, **shares) as gateway, channel(gateway.smpp()) as sms:
            results = await sms.send_many(sent)
            words = [result.code if isinstance(result, Refused) else "" for result in results]
            flushing = asyncio.create_task(gateway.pass_time(seconds=60))
            told: list[tuple[str, str]] = []
            while not flushing.done() or not sms.inbound.empty():
                if sms.inbound.empty():
                    await asyncio.sleep(0.001)
                    continue
                delivery = sms.inbound.get_nowait()
                told += [(each.reference, each.status) for each in delivery.inbound]  # type: ignore[union-attr]
                await delivery.ack()
            assert await flushing == len(told)
            return words, sorted(told)

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    words, told = await run(tmp_path / "a")
    assert (words, told) == await run(tmp_path / "b")
    assert 40 <= sum(word != "" for word in words) <= 120
    counts = [sum(status == each for _, status in told) for each in ("failed", "expired")]
    assert counts[0] == pytest.approx(320 * 0.3, abs=40)
    assert counts[1] == pytest.approx(320 * 0.1, abs=25)
    assert len(told) == pytest.approx(320 * 0.8, abs=40)


async def test_it_loses_links_at_random_and_agrees_with_its_client(tmp_path: Path) -> None:
    async with world(tmp_path, drop_share=0.05) as gateway, channel(gateway.smpp(window=8)) as sms:
        results = []
        for number in range(150):
            result = await sms.send(message(number, text=f"no. {number}"), key="")
            while isinstance(result, Refused):
                await asyncio.sleep(0.005)
                result = await sms.send(message(number, text=f"no. {number}"), key="")
            results.append(result)
        taken = [record["text"] for record in gateway.records()]
    assert len(set(taken)) == len(taken)  # an answer that never came was never sent again
    unknown = {f"no. {n}" for n, result in enumerate(results) if isinstance(result, Unknown)}
    accepted = {f"no. {n}" for n, result in enumerate(results) if isinstance(result, Accepted)}
    assert accepted <= set(taken) <= accepted | unknown
    assert unknown & set(taken)  # some were taken and their answer lost
    assert unknown - set(taken)  # and some were lost before


GATEWAY_PROCESS = """
import asyncio, datetime, json, pathlib, sys
from duewise.channels.gateway import GatewaySettings, run_gateway
from duewise.times import ManualClock

asyncio.run(run_gateway(
    GatewaySettings(),
    clock=ManualClock(datetime.datetime(2026, 8, 10, 1, 0, tzinfo=datetime.timezone.utc)),
    log_path=pathlib.Path(sys.argv[1]),
    ready=lambda ports: print(json.dumps(vars(ports)), flush=True),
))
"""


async def test_it_has_recorded_whatever_it_answered_when_it_is_killed(tmp_path: Path) -> None:
    log_path = tmp_path / "gateway.jsonl"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY_PROCESS, str(log_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    ports = GatewayPorts(**json.loads(await process.stdout.readline()))
    control = await GatewayControl.open("127.0.0.1", ports.control_port)
    gateway = World(ports, control, ManualClock(MORNING), log_path)
    sent = [message(number, text=f"no. {number}") for number in range(20_000)]
    async with channel(gateway.smpp()) as sms:
        sending = asyncio.create_task(sms.send_many(sent))
        await eventually(lambda: log_path.stat().st_size > 200_000)
        process.kill()
        results = await asyncio.wait_for(sending, PATIENCE_S)
    await process.wait()
    await control.close()
    taken = {record["message_id"] for record in gateway.records()}
    accepted = {result.provider_ids[0] for result in results if isinstance(result, Accepted)}
    in_doubt = sum(isinstance(result, Unknown) for result in results)
    assert accepted <= taken
    assert len(taken) - len(accepted) <= in_doubt <= 100  # the window


async def test_it_refuses_a_message_whose_time_is_over(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        gateway.clock.set(MORNING + timedelta(hours=12))  # ahead of ours
        assert await sms.send(message(), key="") == Refused("ESME_RINVEXPIRY", is_permanent=True)


async def test_it_tells_a_running_clocks_receipts_by_itself(tmp_path: Path) -> None:
    class Running:
        """A thousand seconds a second."""

        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.started = self.loop.time()

        def now(self) -> datetime:
            return MORNING + 1_000 * timedelta(seconds=self.loop.time() - self.started)

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds / 1_000)

    ports: asyncio.Future[GatewayPorts] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        run_gateway(
            GatewaySettings(delay_s=(10.0, 60.0)),
            clock=Running(),
            log_path=tmp_path / "gateway.jsonl",
            ready=ports.set_result,
        )
    )
    announced = await ports
    async with await GatewayControl.open("127.0.0.1", announced.control_port) as control:
        gateway = World(announced, control, ManualClock(MORNING), tmp_path / "gateway.jsonl")
        async with channel(gateway.smpp()) as sms:
            await sms.send_many([Message(n, f"e{n}", LI, LINE, "T") for n in range(20)])
            told = {(await arrival(sms)).reference for _ in range(20)}
        assert told == {f"e{number}" for number in range(20)}
        with pytest.raises(BadInput, match="runs by itself"):
            await control.clock(MORNING)
        await control.stop()
    await asyncio.wait_for(running, PATIENCE_S)


async def test_it_counts_what_happened_and_knows_what_is_due(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        await gateway.control.refuse(0x0B, count=1)
        await sms.send_many([message(number) for number in range(3)])
        stats = await gateway.control.stats()
    counted = {name: stats[name] for name in ("submits", "accepted", "refused", "scheduled")}
    assert counted == {"submits": 3, "accepted": 2, "refused": 1, "scheduled": 2}
    assert stats["clock"] == MORNING.isoformat() < stats["next_due"]


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'{"do": "fly"}',
        b'{"at": 1}',
        b'{"do": "clock", "at": "2026-08-10"}',
        b'{"do": "refuse", "status": "ESME_NONSENSE", "count": 1}',
        b'{"do": "reply", "source": "1"}',
        b'{"do": "reply", "source": "+86138", "destination": "\xe6\xac\xbe", "text": "R"}',
        b'{"do": "reply", "account": "nobody", "source": "1", "destination": "2", "text": "R"}',
    ],
)
async def test_it_answers_a_request_it_cannot_do_with_an_error(tmp_path: Path, line: bytes) -> None:
    async with world(tmp_path) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.ports.control_port)
        writer.write(line + b"\n")
        answer = json.loads(await asyncio.wait_for(reader.readline(), PATIENCE_S))
        assert answer["ok"] is False
        assert answer["error"]
        writer.close()


async def test_it_says_which_port_or_file_it_cannot_have(tmp_path: Path) -> None:
    def ready(_: GatewayPorts) -> None:
        pytest.fail("it is not ready")

    async with world(tmp_path) as gateway:
        taken = GatewaySettings(port=gateway.ports.port)
        with pytest.raises(BadInput, match="Mend: choose a free port"):
            await run_gateway(
                taken, clock=gateway.clock, log_path=tmp_path / "other.jsonl", ready=ready
            )
        with pytest.raises(BadInput, match="cannot be written"):
            await run_gateway(taken, clock=gateway.clock, log_path=tmp_path, ready=ready)
    with pytest.raises(Unreachable):
        await GatewayControl.open("127.0.0.1", gateway.ports.control_port)


@pytest.mark.parametrize(
    ("left", "whole"), [('{"a": 1}\n{"b', '{"a": 1}\n'), ('{"b', ""), ('{"a": 1}\n', '{"a": 1}\n')]
)
def test_it_cuts_off_the_line_that_a_kill_has_torn(tmp_path: Path, left: str, whole: str) -> None:
    path = tmp_path / "record"
    path.write_text(left + "x" * 5_000 if left[-1] != "\n" else left)
    with SubmitLog(path) as log:
        log.append('{"c": 3}\n')
        log.flush()
    assert path.read_text() == whole + '{"c": 3}\n'
