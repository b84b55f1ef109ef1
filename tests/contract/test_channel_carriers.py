"""The promise of a channel, kept by every carrier's protocol against the bundled gateway."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.contract.channel_world import (
    LI,
    LINE,
    MORNING,
    REMINDER,
    arrival,
    channel,
    closed,
    eventually,
    message,
    send_until_accepted,
    world,
)

from duewise.channels.base import (
    EXPIRED,
    Accepted,
    InboundReceipt,
    Refused,
    Unknown,
)
from duewise.channels.cmpp.pdu import V2, Command, ConnectResp, Pdu, encode
from duewise.channels.cmpp.settings import CmppSettings
from duewise.channels.smpp import pdu as smpp
from duewise.channels.smpp.codec import SmppCodec
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.smpp.text import read_text
from duewise.errors import BadInput, Unreachable
from duewise.times import ManualClock

LONG = REMINDER * 3
THROTTLED = {"smpp": "ESME_RTHROTTLED", "cmpp": "CMPP_FLOW_CONTROL"}
DEAD = {"smpp": "ESME_RINVDSTADR", "cmpp": "CMPP_BAD_DESTINATION"}


async def test_it_is_accepted_under_the_id_in_the_gateways_record(
    tmp_path: Path, carrier: str
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        result = await sms.send(message(), key="li|due_today|2026-08-10")
        (record,) = gateway.records()
    assert result == Accepted((record["message_id"],))
    assert record == {
        "time": "2026-08-10T01:00:00+00:00",
        "message_id": record["message_id"],
        "source": LINE,
        "destination": LI,
        "reference": "e1" if carrier == "smpp" else "",  # CMPP has no field for it
        "part": 1,
        "parts": 1,
        "encoding": "ucs2",
        "text": REMINDER,
        "status": "accepted",
    }


async def test_it_writes_nothing_whose_time_is_over(tmp_path: Path, carrier: str) -> None:
    late = [message(number)._replace(valid_until=MORNING) for number in (1, 3)]
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        results = await sms.send_many([late[0], message(2), late[1]])
        assert await sms.send(late[0], key="") == EXPIRED
        (record,) = gateway.records()
    assert results == [EXPIRED, Accepted((record["message_id"],)), EXPIRED]


async def test_it_sends_a_long_text_in_parts_and_names_their_ids_in_order(
    tmp_path: Path, carrier: str
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        result = await sms.send(message(text=LONG), key="")
        records = gateway.records()
    assert result == Accepted(tuple(record["message_id"] for record in records))
    assert [(record["part"], record["parts"]) for record in records] == [(1, 3), (2, 3), (3, 3)]
    assert "".join(record["text"] for record in records) == LONG


async def test_it_pipelines_many_and_answers_in_their_order(tmp_path: Path, carrier: str) -> None:
    sent = [message(number, text=f"no. {number}") for number in range(300)]
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line(window=10)) as sms:
        results = await sms.send_many(sent)
        gathered = await asyncio.gather(*(sms.send(each, key="") for each in sent))
        records = gateway.records()
    assert [record["text"] for record in records] == [each.text for each in sent] * 2
    ids = [record["message_id"] for record in records]
    assert [*results, *gathered] == [Accepted((each,)) for each in ids]


@pytest.mark.parametrize(
    ("carrier", "status", "is_permanent"),
    [
        ("smpp", "ESME_RTHROTTLED", False),
        ("smpp", "ESME_RMSGQFUL", False),
        ("smpp", "ESME_RSYSERR", False),
        ("smpp", "ESME_RINVDSTADR", True),
        ("smpp", "ESME_RINVSRCADR", True),
        ("smpp", "ESME_RINVEXPIRY", True),
        ("cmpp2", "CMPP_FLOW_CONTROL", False),
        ("cmpp3", "CMPP_FLOW_CONTROL", False),
        ("cmpp2", "CMPP_OTHER", False),
        ("cmpp2", "CMPP_BAD_SERVICE", True),
        ("cmpp3", "CMPP_BAD_DESTINATION", True),
    ],
)
async def test_it_tells_a_refusal_for_now_from_one_for_good(
    tmp_path: Path, carrier: str, status: str, *, is_permanent: bool
) -> None:
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(throttle_retry_s=7)) as sms,
    ):
        await gateway.control.refuse(status, count=1)
        result = await sms.send(message(), key="")
        assert result == Refused(status, is_permanent, None if is_permanent else 7)
        assert [record["status"] for record in gateway.records()] == [status]


@pytest.mark.parametrize(
    ("address", "text", "code"),
    [
        ("13800000001", REMINDER, "invalid_address"),
        ("+86 138", REMINDER, "invalid_address"),
        (LI, REMINDER * 30, "too_many_parts"),
        (LI, REMINDER * 900, "too_many_parts"),
    ],
)
async def test_it_refuses_what_cannot_be_sent_before_the_wire(
    tmp_path: Path, carrier: str, address: str, text: str, code: str
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        result = await sms.send(message(address=address, text=text), key="")
        assert result == Refused(code, is_permanent=True)
        assert gateway.records() == []


async def test_it_finishes_a_long_text_of_which_a_part_was_throttled(
    tmp_path: Path, carrier: str
) -> None:
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(throttle_retry_s=0)) as sms,
    ):
        await gateway.control.refuse(THROTTLED[carrier[:4]], count=1)
        result = await sms.send(message(text=LONG), key="")
        accepted = [each for each in gateway.records() if each["status"] == "accepted"]
    assert isinstance(result, Accepted)
    assert sorted(each["part"] for each in accepted) == [1, 2, 3]


async def test_it_does_not_know_a_long_text_of_which_a_part_was_refused(
    tmp_path: Path, carrier: str
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        await gateway.control.refuse(DEAD[carrier[:4]], count=1)
        result = await sms.send(message(text=LONG), key="")
    assert result == Unknown("partly accepted: 2 of 3 parts")


async def test_it_does_not_know_what_was_not_answered_in_time(tmp_path: Path, carrier: str) -> None:
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(response_timeout_s=0.4)) as sms,
    ):
        await gateway.control.delay(0.8)
        assert await sms.send(message(), key="") == Unknown("no answer in time")
        await gateway.control.delay(0)
        await asyncio.sleep(0.5)  # the late answer comes and changes nothing
        assert isinstance(await sms.send(message(2), key=""), Accepted)
        assert [record["status"] for record in gateway.records()] == ["accepted"] * 2


async def test_it_does_not_know_what_was_written_when_the_link_was_lost(
    tmp_path: Path, carrier: str
) -> None:
    sent = [message(number, text=f"no. {number}") for number in range(50)]
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line(window=50)) as sms:
        await gateway.control.drop(after=20)
        results = await sms.send_many(sent)
        assert len(gateway.records()) == 20  # taken, and some of them answered before the loss
        known = {record["message_id"] for record in gateway.records()}
    accepted = [result for result in results if isinstance(result, Accepted)]
    unknown = [result for result in results if isinstance(result, Unknown)]
    assert {each for result in accepted for each in result.provider_ids} <= known
    assert len(accepted) < 20
    assert len(accepted) + len(unknown) == 50


async def test_it_refuses_for_now_what_was_never_written(tmp_path: Path, carrier: str) -> None:
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(window=5, reconnect_s=5)) as sms,
    ):
        await gateway.control.drop(after=3)
        results = await sms.send_many([message(number) for number in range(20)])
        assert [isinstance(result, Unknown) for result in results[:5]] == [True] * 5
        assert results[5:] == [Refused("link_lost", is_permanent=False, retry_after_s=1)] * 15
        assert len(gateway.records()) == 3
        later = await sms.send(message(), key="")
        assert later == Refused("not_bound", is_permanent=False, retry_after_s=1)


async def test_it_binds_again_by_itself(tmp_path: Path, carrier: str) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        await gateway.control.drop()
        await send_until_accepted(sms)


async def test_it_says_since_when_it_has_listened_without_a_break(
    tmp_path: Path, carrier: str
) -> None:
    clock = ManualClock(MORNING)
    async with world(tmp_path, carrier=carrier) as gateway:
        sms = closed(gateway.line(reconnect_s=0.2), clock)
        assert sms.listening_since is None
        await sms.open()
        assert sms.listening_since == MORNING
        await gateway.control.drop()
        await eventually(lambda: sms.listening_since is None)
        later = MORNING + timedelta(minutes=5)
        clock.set(later)
        await send_until_accepted(sms)
        assert sms.listening_since == later
        await sms.close()
        assert sms.listening_since is None


async def test_it_keeps_to_the_contracts_rate(tmp_path: Path, carrier: str) -> None:
    loop = asyncio.get_running_loop()
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(rate_per_s=100)) as sms,
    ):
        started = loop.time()
        await asyncio.gather(*(sms.send(message(number), key="") for number in range(11)))
        assert loop.time() - started >= 0.1


@pytest.mark.parametrize(
    ("carrier", "settings", "words"),
    [
        ("smpp", {"port": 1}, "Mend: start it"),
        ("smpp", {"password": "wrong"}, "ESME_RINVPASWD. Mend: check system id and password"),
        ("smpp", {"system_id": "stranger"}, "ESME_RINVSYSID. Mend: check system id and password"),
        ("cmpp2", {"port": 1}, "Mend: start it"),
        ("cmpp2", {"password": "wrong"}, "BAD_AUTHENTICATOR. Mend: check source address and"),
        ("cmpp3", {"source_addr": "999999"}, "CONNECT_BAD_SOURCE. Mend: check source address"),
    ],
)
async def test_it_says_why_it_cannot_be_opened_and_what_to_do(
    tmp_path: Path, carrier: str, settings: dict[str, Any], words: str
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway:
        sms = closed(gateway.line(**settings))
        with pytest.raises(Unreachable, match=words):
            await sms.open()
        await sms.close()


@pytest.mark.parametrize(
    ("carrier", "settings"),
    [("smpp", {"system_id": "x" * 16}), ("cmpp2", {"source_addr": "x" * 7})],
)
async def test_it_says_which_setting_fits_no_bind(
    tmp_path: Path, carrier: str, settings: dict[str, Any]
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway:
        with pytest.raises(BadInput, match="Mend: check its settings"):
            await closed(gateway.line(**settings)).open()


async def test_it_opens_again_after_it_was_closed(tmp_path: Path, carrier: str) -> None:
    async with world(tmp_path, carrier=carrier) as gateway:
        sms = closed(gateway.line())
        for number in (1, 2):
            await sms.open()
            assert isinstance(await sms.send(message(number), key=""), Accepted)
            await sms.close()
        assert isinstance(await sms.send(message(3), key=""), Refused)


async def test_it_keeps_several_links_and_uses_all_of_them(tmp_path: Path, carrier: str) -> None:
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(links=3, window=4)) as sms,
    ):
        assert (await gateway.control.stats())["receivers"] == 3
        await gateway.control.delay(0.05)
        results = await sms.send_many([message(number) for number in range(12)])
        stats = await gateway.control.stats()
    assert len({result.provider_ids for result in results if isinstance(result, Accepted)}) == 12
    assert stats["submits"] == 12


async def test_it_goes_on_over_the_links_that_are_left(tmp_path: Path, carrier: str) -> None:
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(links=2, reconnect_s=60)) as sms,
    ):
        await gateway.control.drop(after=1)
        assert isinstance(await sms.send(message(), key=""), Unknown)
        assert isinstance(await sms.send(message(2), key=""), Accepted)
        assert sms.listening_since == MORNING


async def test_it_binds_once_for_each_direction_where_the_carrier_wants_that(
    tmp_path: Path,
) -> None:
    async with (
        world(tmp_path) as gateway,
        channel(gateway.smpp(binds="transmitter_and_receiver")) as sms,
    ):
        assert (await gateway.control.stats())["receivers"] == 1
        result = await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        receipt = await arrival(sms)
        assert await flushing == 1
    assert isinstance(receipt, InboundReceipt)
    assert result == Accepted((receipt.provider_id,))


async def answer_without_proof(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(encode(Pdu(Command.CONNECT_RESP, 1, ConnectResp(0)), V2))
    writer.close()


@pytest.mark.parametrize(("long_texts", "submits"), [("udh", 3), ("sar", 3), ("payload", 1)])
async def test_it_joins_a_long_text_as_the_carrier_wants_it(
    tmp_path: Path, long_texts: str, submits: int
) -> None:
    async with (
        world(tmp_path) as gateway,
        channel(gateway.smpp(long_texts=long_texts)) as sms,
    ):
        result = await sms.send(message(text=LONG), key="")
        records = gateway.records()
    assert isinstance(result, Accepted)
    assert len(result.provider_ids) == submits
    assert "".join(record["text"] for record in records) == LONG
    places = [(record["part"], record["parts"]) for record in records]
    assert places == [(number, submits) for number in range(1, submits + 1)]


@pytest.mark.parametrize("text", ["Pay [now]: 5€", "x" * 161, "Paid@" * 40 + "!"])
def test_it_packs_septets_where_the_carrier_wants_them(text: str) -> None:
    settings = SmppSettings("h", 1, "s", "p", LINE, packs_septets=True)
    bodies = SmppCodec(settings, clock=ManualClock(MORNING)).bodies(message(text=text))
    assert not isinstance(bodies, Refused)
    read = []
    for body in bodies:
        submit = smpp.decode(smpp.frame(smpp.Command.SUBMIT_SM, 1, body)).body
        assert isinstance(submit, smpp.ShortMessage)
        assert len(submit.short_message) <= 140
        read.append(read_text(submit, packs_septets=True)[0])
    assert "".join(read) == text


async def test_it_holds_the_gateway_to_its_proof() -> None:
    async with await asyncio.start_server(answer_without_proof, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = CmppSettings("127.0.0.1", port, "901234", "duewise", proves_itself=True)
        with pytest.raises(Unreachable, match="does not know the secret"):
            await closed(settings).open()


def test_it_declares_what_it_can_do() -> None:
    for settings in (
        SmppSettings("h", 1, "s", "secret", name="cmcc"),
        CmppSettings("h", 1, "s", "secret", name="cmcc"),
    ):
        sms = closed(settings)
        can = sms.capabilities
        assert (sms.name, can.receipts, can.idempotent) == ("cmcc", True, False)
        assert "secret" not in repr(settings)
