"""The promise of a channel, kept by SMPP against the bundled gateway over real TCP."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contract.channel_world import (
    LI,
    LINE,
    MORNING,
    PATIENCE_S,
    REMINDER,
    WANG,
    arrival,
    channel,
    eventually,
    message,
    send_until_accepted,
    world,
)

from duewise.channels.base import (
    Accepted,
    InboundReceipt,
    InboundReply,
    Refused,
    Unknown,
    normalise_provider_id,
    provider_id_candidates,
)
from duewise.channels.smpp.channel import smpp_channel
from duewise.channels.smpp.settings import SmppSettings
from duewise.errors import BadInput, Unreachable
from duewise.times import ManualClock

LONG = REMINDER * 3


async def test_it_is_accepted_under_the_id_in_the_gateways_record(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        result = await sms.send(message(), key="li|due_today|2026-08-10")
        (record,) = gateway.records()
    assert result == Accepted((record["message_id"],))
    assert record == {
        "time": "2026-08-10T01:00:00+00:00",
        "message_id": record["message_id"],
        "source": LINE,
        "destination": LI,
        "reference": "e1",
        "part": 1,
        "parts": 1,
        "encoding": "ucs2",
        "text": REMINDER,
        "status": "accepted",
    }


async def test_it_sends_a_long_text_in_parts_and_names_their_ids_in_order(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        result = await sms.send(message(text=LONG), key="")
        records = gateway.records()
    assert result == Accepted(tuple(record["message_id"] for record in records))
    assert [(record["part"], record["parts"]) for record in records] == [(1, 3), (2, 3), (3, 3)]
    assert "".join(record["text"] for record in records) == LONG


async def test_it_pipelines_many_and_answers_in_their_order(tmp_path: Path) -> None:
    sent = [message(number, text=f"no. {number}") for number in range(300)]
    async with world(tmp_path) as gateway, channel(gateway.smpp(window=10)) as sms:
        results = await sms.send_many(sent)
        gathered = await asyncio.gather(*(sms.send(each, key="") for each in sent))
        records = gateway.records()
    assert [record["text"] for record in records] == [each.text for each in sent] * 2
    ids = [record["message_id"] for record in records]
    assert [*results, *gathered] == [Accepted((each,)) for each in ids]


@pytest.mark.parametrize(
    ("status", "is_permanent"),
    [
        ("ESME_RTHROTTLED", False),
        ("ESME_RMSGQFUL", False),
        ("ESME_RSYSERR", False),
        ("ESME_RINVDSTADR", True),
        ("ESME_RINVSRCADR", True),
        ("ESME_RINVEXPIRY", True),
    ],
)
async def test_it_tells_a_refusal_for_now_from_one_for_good(
    tmp_path: Path, status: str, *, is_permanent: bool
) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp(throttle_retry_s=7)) as sms:
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
    tmp_path: Path, address: str, text: str, code: str
) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        result = await sms.send(message(address=address, text=text), key="")
        assert result == Refused(code, is_permanent=True)
        assert gateway.records() == []


async def test_it_finishes_a_long_text_of_which_a_part_was_throttled(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp(throttle_retry_s=0)) as sms:
        await gateway.control.refuse("ESME_RTHROTTLED", count=1)
        result = await sms.send(message(text=LONG), key="")
        accepted = [each for each in gateway.records() if each["status"] == "accepted"]
    assert isinstance(result, Accepted)
    assert sorted(each["part"] for each in accepted) == [1, 2, 3]


async def test_it_does_not_know_a_long_text_of_which_a_part_was_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        await gateway.control.refuse("ESME_RINVDSTADR", count=1)
        result = await sms.send(message(text=LONG), key="")
    assert result == Unknown("partly accepted: 2 of 3 parts")


async def test_it_does_not_know_what_was_not_answered_in_time(tmp_path: Path) -> None:
    async with (
        world(tmp_path) as gateway,
        channel(gateway.smpp(response_timeout_s=0.4)) as sms,
    ):
        await gateway.control.delay(0.8)
        assert await sms.send(message(), key="") == Unknown("no answer in time")
        await gateway.control.delay(0)
        await asyncio.sleep(0.5)  # the late answer comes and changes nothing
        assert isinstance(await sms.send(message(2), key=""), Accepted)
        assert [record["status"] for record in gateway.records()] == ["accepted"] * 2


async def test_it_does_not_know_what_was_written_when_the_link_was_lost(tmp_path: Path) -> None:
    sent = [message(number, text=f"no. {number}") for number in range(50)]
    async with world(tmp_path) as gateway, channel(gateway.smpp(window=50)) as sms:
        await gateway.control.drop(after=20)
        results = await sms.send_many(sent)
        assert len(gateway.records()) == 20  # taken, and some of them answered before the loss
        known = {record["message_id"] for record in gateway.records()}
    accepted = [result for result in results if isinstance(result, Accepted)]
    unknown = [result for result in results if isinstance(result, Unknown)]
    assert {each for result in accepted for each in result.provider_ids} <= known
    assert len(accepted) < 20
    assert len(accepted) + len(unknown) == 50


async def test_it_refuses_for_now_what_was_never_written(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp(window=5, reconnect_s=5)) as sms:
        await gateway.control.drop(after=3)
        results = await sms.send_many([message(number) for number in range(20)])
        assert [isinstance(result, Unknown) for result in results[:5]] == [True] * 5
        assert results[5:] == [Refused("link_lost", is_permanent=False, retry_after_s=1)] * 15
        assert len(gateway.records()) == 3
        later = await sms.send(message(), key="")
        assert later == Refused("not_bound", is_permanent=False, retry_after_s=1)


async def test_it_binds_again_by_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        await gateway.control.drop()
        await send_until_accepted(sms)


async def test_it_says_since_when_it_has_listened_without_a_break(tmp_path: Path) -> None:
    clock = ManualClock(MORNING)
    async with world(tmp_path) as gateway:
        sms = smpp_channel(gateway.smpp(reconnect_s=0.2), clock=clock)
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


async def test_it_keeps_to_the_contracts_rate(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with world(tmp_path) as gateway, channel(gateway.smpp(rate_per_s=100)) as sms:
        started = loop.time()
        await asyncio.gather(*(sms.send(message(number), key="") for number in range(11)))
        assert loop.time() - started >= 0.1


@pytest.mark.parametrize(
    ("shares", "status", "code"),
    [
        ({}, "delivered", "000"),
        ({"failed_share": 1.0, "failure_codes": ("012",)}, "failed", "012"),
        ({"expired_share": 1.0}, "expired", "000"),
    ],
)
async def test_it_hands_over_a_receipt(
    tmp_path: Path, shares: dict[str, object], status: str, code: str
) -> None:
    async with world(tmp_path, **shares) as gateway, channel(gateway.smpp()) as sms:
        result = await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        receipt = await arrival(sms)
        assert await flushing == 1
    assert isinstance(result, Accepted)
    assert isinstance(receipt, InboundReceipt)
    assert (receipt.status, receipt.code, receipt.reference) == (status, code, "e1")
    assert (receipt.provider_id,) == result.provider_ids
    assert 0 <= (receipt.at - MORNING).total_seconds() <= 30


async def test_it_hears_nothing_where_the_gateway_stays_silent(tmp_path: Path) -> None:
    async with world(tmp_path, silent_share=1.0) as gateway, channel(gateway.smpp()) as sms:
        await sms.send(message(), key="")
        assert await gateway.pass_time(days=3) == 0
        assert sms.inbound.empty()


async def test_it_hears_that_a_message_outlived_its_validity(tmp_path: Path) -> None:
    late = {"delay_s": (86_400.0, 86_400.0)}
    async with world(tmp_path, **late) as gateway, channel(gateway.smpp()) as sms:
        await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(hours=13))
        receipt = await arrival(sms)
        await flushing
    assert isinstance(receipt, InboundReceipt)
    assert receipt.status == "expired"
    assert receipt.at == message().valid_until


@pytest.mark.parametrize("form", ["same", "upper", "padded", "decimal"])
async def test_it_finds_its_message_however_the_receipt_spells_the_id(
    tmp_path: Path, form: str
) -> None:
    async with world(tmp_path, receipt_id_form=form) as gateway, channel(gateway.smpp()) as sms:
        result = await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        receipt = await arrival(sms)
        await flushing
    assert isinstance(result, Accepted)
    assert isinstance(receipt, InboundReceipt)
    told = receipt.provider_id
    assert told == normalise_provider_id(told)
    assert set(result.provider_ids) & {told, *provider_id_candidates(told)}


async def test_it_hands_over_a_receipt_that_overtakes_the_answer(tmp_path: Path) -> None:
    async with world(tmp_path, early_share=1.0) as gateway, channel(gateway.smpp()) as sms:
        await gateway.control.delay(0.5)
        sending = asyncio.create_task(sms.send(message(), key=""))
        receipt = await arrival(sms)
        assert not sending.done()
        result = await sending
    assert isinstance(receipt, InboundReceipt)
    assert result == Accepted((receipt.provider_id,))


async def test_it_hands_over_a_receipt_as_often_as_it_is_told(tmp_path: Path) -> None:
    async with world(tmp_path, duplicate_share=1.0) as gateway, channel(gateway.smpp()) as sms:
        await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        assert await arrival(sms) == await arrival(sms)
        assert await flushing == 2


async def test_it_acknowledges_nothing_before_it_is_told_to(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        delivery = await asyncio.wait_for(sms.inbound.get(), PATIENCE_S)
        await asyncio.sleep(0.1)
        assert not flushing.done()  # nothing was acknowledged
        await delivery.ack()
        await flushing
        stats = await gateway.control.stats()
        assert (stats["acked"], stats["in_flight"], stats["waiting"]) == (1, 0, 0)


async def test_it_is_told_again_what_it_did_not_acknowledge(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        async with channel(gateway.smpp()) as sms:
            await sms.send(message(), key="")
            await gateway.control.reply(source=LI, destination=LINE, text="已还")
            reply = await arrival(sms, acks=False)
            flushing = asyncio.create_task(gateway.pass_time(seconds=60))
            receipt = await arrival(sms, acks=False)
        await flushing  # nobody is bound any more
        async with channel(gateway.smpp()) as sms:
            again = {await arrival(sms), await arrival(sms)}
        assert again == {reply, receipt}
        stats = await gateway.control.stats()
        assert (stats["acked"], stats["waiting"]) == (2, 0)


async def test_it_lets_an_old_links_acknowledgement_fall(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        await gateway.control.reply(source=LI, destination=LINE, text="R")
        delivery = await asyncio.wait_for(sms.inbound.get(), PATIENCE_S)
        await gateway.control.drop()
        await delivery.ack()
        assert await arrival(sms) == delivery.inbound


async def test_it_asks_to_be_told_later_where_its_queue_is_full(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp(inbound_max=2)) as sms:
        for number in range(6):
            await gateway.control.reply(source=LI, destination=LINE, text=f"no. {number}")
        await eventually(sms.inbound.full)
        assert isinstance(await sms.send(message(), key=""), Accepted)  # answers still come
        texts: set[str] = set()
        while len(texts) < 6:
            reply = await arrival(sms)
            assert isinstance(reply, InboundReply)
            texts.add(reply.text)


@pytest.mark.parametrize(
    "text", ["R", "T", "Paid £5 [today] €", "我已经还了🙂", "我" * 200, "x" * 400]
)
async def test_it_hands_over_a_reply_in_its_senders_words(tmp_path: Path, text: str) -> None:
    async with world(tmp_path) as gateway, channel(gateway.smpp()) as sms:
        reply_id = await gateway.control.reply(source=WANG, destination=LINE, text=text)
        reply = await arrival(sms)
        await gateway.control.flush(timeout_s=PATIENCE_S)
        stats = await gateway.control.stats()
    assert reply == InboundReply(reply_id, WANG, LINE, text, MORNING)
    assert stats["waiting"] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"port": 1}, "Mend: start it"),
        ({"password": "wrong"}, "ESME_RINVPASWD. Mend: check system id and password"),
        ({"system_id": "stranger"}, "ESME_RINVSYSID. Mend: check system id and password"),
    ],
)
async def test_it_says_why_it_cannot_be_opened_and_what_to_do(
    tmp_path: Path, settings: dict[str, object], words: str
) -> None:
    async with world(tmp_path) as gateway:
        sms = smpp_channel(gateway.smpp(**settings), clock=ManualClock(MORNING))
        with pytest.raises(Unreachable, match=words):
            await sms.open()
        await sms.close()


async def test_it_says_which_setting_fits_no_bind(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        sms = smpp_channel(gateway.smpp(system_id="x" * 16), clock=ManualClock(MORNING))
        with pytest.raises(BadInput, match="Mend: check its settings"):
            await sms.open()


async def test_it_opens_again_after_it_was_closed(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        sms = smpp_channel(gateway.smpp(), clock=ManualClock(MORNING))
        for number in (1, 2):
            await sms.open()
            assert isinstance(await sms.send(message(number), key=""), Accepted)
            await sms.close()
        assert isinstance(await sms.send(message(3), key=""), Refused)


def test_it_declares_what_it_can_do() -> None:
    sms = smpp_channel(SmppSettings("h", 1, "s", "secret", name="cmcc"), clock=ManualClock(MORNING))
    assert (sms.name, sms.capabilities.receipts, sms.capabilities.idempotent) == (
        "cmcc",
        True,
        False,
    )
    assert "secret" not in repr(SmppSettings("h", 1, "s", "secret"))
