"""What comes back on a channel, by every carrier's protocol: receipts, replies, what is owed."""

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
    PATIENCE_S,
    WANG,
    arrival,
    channel,
    eventually,
    message,
    world,
)

from duewise.channels.base import (
    Accepted,
    InboundReceipt,
    InboundReply,
    normalise_provider_id,
    provider_id_candidates,
)


@pytest.mark.parametrize(
    ("shares", "status", "codes"),
    [
        ({}, "delivered", {"000", "DELIVRD"}),
        ({"failed_share": 1.0, "failure_codes": ("012",)}, "failed", {"012", "MK:0012"}),
        ({"expired_share": 1.0}, "expired", {"000", "EXPIRED"}),
    ],
)
async def test_it_hands_over_a_receipt(
    tmp_path: Path, carrier: str, shares: dict[str, Any], status: str, codes: set[str]
) -> None:
    async with (
        world(tmp_path, carrier=carrier, **shares) as gateway,
        channel(gateway.line()) as sms,
    ):
        result = await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        receipt = await arrival(sms)
        assert await flushing == 1
    assert isinstance(result, Accepted)
    assert isinstance(receipt, InboundReceipt)
    assert receipt.status == status
    assert receipt.code in codes
    assert receipt.reference == ("e1" if sms.capabilities.echoes_reference else "")
    assert (receipt.provider_id,) == result.provider_ids
    assert 0 <= (receipt.at - MORNING).total_seconds() <= 30


async def test_it_hears_nothing_where_the_gateway_stays_silent(
    tmp_path: Path, carrier: str
) -> None:
    async with (
        world(tmp_path, carrier=carrier, silent_share=1.0) as gateway,
        channel(gateway.line()) as sms,
    ):
        await sms.send(message(), key="")
        assert await gateway.pass_time(days=3) == 0
        assert sms.inbound.empty()


async def test_it_hears_that_a_message_outlived_its_validity(tmp_path: Path, carrier: str) -> None:
    late = {"delay_s": (86_400.0, 86_400.0)}
    async with world(tmp_path, carrier=carrier, **late) as gateway, channel(gateway.line()) as sms:
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


async def test_it_hands_over_a_receipt_that_overtakes_the_answer(
    tmp_path: Path, carrier: str
) -> None:
    async with (
        world(tmp_path, carrier=carrier, early_share=1.0) as gateway,
        channel(gateway.line()) as sms,
    ):
        await gateway.control.delay(0.5)
        sending = asyncio.create_task(sms.send(message(), key=""))
        receipt = await arrival(sms)
        assert not sending.done()
        result = await sending
    assert isinstance(receipt, InboundReceipt)
    assert result == Accepted((receipt.provider_id,))


async def test_it_hands_over_a_receipt_as_often_as_it_is_told(tmp_path: Path, carrier: str) -> None:
    async with (
        world(tmp_path, carrier=carrier, duplicate_share=1.0) as gateway,
        channel(gateway.line()) as sms,
    ):
        await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        assert await arrival(sms) == await arrival(sms)
        assert await flushing == 2


async def test_it_acknowledges_nothing_before_it_is_told_to(tmp_path: Path, carrier: str) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        await sms.send(message(), key="")
        flushing = asyncio.create_task(gateway.pass_time(seconds=60))
        delivery = await asyncio.wait_for(sms.inbound.get(), PATIENCE_S)
        await asyncio.sleep(0.1)
        assert not flushing.done()  # nothing was acknowledged
        await delivery.ack()
        await flushing
        stats = await gateway.control.stats()
        assert (stats["acked"], stats["in_flight"], stats["waiting"]) == (1, 0, 0)


async def test_it_is_told_again_what_it_did_not_acknowledge(tmp_path: Path, carrier: str) -> None:
    async with world(tmp_path, carrier=carrier) as gateway:
        async with channel(gateway.line()) as sms:
            await sms.send(message(), key="")
            await gateway.control.reply(source=LI, destination=LINE, text="已还")
            reply = await arrival(sms, acks=False)
            flushing = asyncio.create_task(gateway.pass_time(seconds=60))
            receipt = await arrival(sms, acks=False)
        await flushing  # nobody is bound any more
        async with channel(gateway.line()) as sms:
            again = {await arrival(sms), await arrival(sms)}
        assert again == {reply, receipt}
        stats = await gateway.control.stats()
        assert (stats["acked"], stats["waiting"]) == (2, 0)


async def test_it_lets_an_old_links_acknowledgement_fall(tmp_path: Path, carrier: str) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        await gateway.control.reply(source=LI, destination=LINE, text="R")
        delivery = await asyncio.wait_for(sms.inbound.get(), PATIENCE_S)
        await gateway.control.drop()
        await delivery.ack()
        assert [await arrival(sms)] == delivery.inbound


async def test_it_asks_to_be_told_later_where_its_queue_is_full(
    tmp_path: Path, carrier: str
) -> None:
    async with (
        world(tmp_path, carrier=carrier) as gateway,
        channel(gateway.line(inbound_max=2)) as sms,
    ):
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
async def test_it_hands_over_a_reply_in_its_senders_words(
    tmp_path: Path, carrier: str, text: str
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        reply_id = await gateway.control.reply(source=WANG, destination=LINE, text=text)
        reply = await arrival(sms)
        await gateway.control.flush(timeout_s=PATIENCE_S)
        stats = await gateway.control.stats()
    assert reply == InboundReply(reply_id, WANG, LINE, text, MORNING)
    assert stats["waiting"] == 0


async def test_it_asks_what_became_of_a_message_whose_receipt_stays_away(tmp_path: Path) -> None:
    shares: dict[str, Any] = {"failed_share": 1.0, "failure_codes": ("012",), "receipt_window": 0}
    async with world(tmp_path, **shares) as gateway, channel(gateway.smpp()) as sms:
        result = await sms.send(message(), key="")
        assert isinstance(result, Accepted)
        (provider_id,) = result.provider_ids
        assert await sms.query(provider_id, sender_id=LINE) is None  # on its way
        gateway.clock.set(MORNING + timedelta(minutes=1))
        state = await sms.query(provider_id, sender_id=LINE)
        assert await sms.query("stranger") is None
    assert state is not None
    assert (state.provider_id, state.status, state.code) == (provider_id, "failed", "012")
    assert MORNING <= state.at <= gateway.clock.now()


@pytest.mark.parametrize("carrier", ["cmpp2"])
async def test_it_asks_nothing_where_the_protocol_has_no_word_for_it(
    tmp_path: Path, carrier: str
) -> None:
    async with world(tmp_path, carrier=carrier) as gateway, channel(gateway.line()) as sms:
        assert await sms.query("7") is None
