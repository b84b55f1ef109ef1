"""A bind against gateways that behave badly: silence, rubbish, stray answers, sudden ends."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.contract.channel_world import (
    MORNING,
    PATIENCE_S,
    Script,
    arrival,
    channel,
    eventually,
    message,
    polite,
    script,
    send_until_accepted,
    silent,
)

from duewise.channels.base import Accepted, InboundReceipt, Refused, Unknown
from duewise.channels.smpp.channel import smpp_channel
from duewise.channels.smpp.codec import SmppCodec
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    PDU_LENGTH_MAX,
    Command,
    Pdu,
    ShortMessage,
    decode,
    encode,
    encode_short_message,
    frame,
)
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.wire.batch import Batch
from duewise.channels.wire.codec import Told
from duewise.channels.wire.framing import Deframer
from duewise.channels.wire.session import Session, open_session
from duewise.channels.wire.window import NEVER_WRITTEN
from duewise.errors import Unreachable
from duewise.times import ManualClock

BODY = encode_short_message(ShortMessage("10690001", "8613800000001", b"T"))


def ours(gateway: Script, **settings: Any) -> SmppSettings:
    given = {"response_timeout_s": 5.0, "bind_timeout_s": 5.0, "reconnect_s": 0.01} | settings
    return SmppSettings("127.0.0.1", gateway.port, "duewise", "duewise", **given)


def ignore(_session: Session, _told: Sequence[Told]) -> None:
    """A session that is told nothing."""


async def opened(settings: SmppSettings) -> Session:
    return await open_session(SmppCodec(settings, clock=ManualClock(MORNING)), settings, ignore)


async def test_it_never_has_more_in_flight_than_its_window() -> None:
    waiting: list[int] = []
    most = 0

    def answer(pdu: Pdu) -> bytes:
        nonlocal most
        if pdu.command != Command.SUBMIT_SM:
            return polite(pdu)
        waiting.append(pdu.sequence)
        most = max(most, len(waiting))
        if len(waiting) < 7:
            return b""
        answers = [encode(Pdu(Command.SUBMIT_SM_RESP, 0, each, "a")) for each in waiting]
        waiting.clear()
        return b"".join(answers)

    async with script(answer) as gateway, channel(ours(gateway, window=7)) as sms:
        results = await sms.send_many([message(number) for number in range(70)])
    assert results == [Accepted(("a",))] * 70
    assert most == 7


def submitted(gateway: Script, count: int) -> bool:
    return gateway.count(Command.SUBMIT_SM) == count


async def test_it_tells_once_that_the_last_submit_is_written_before_its_answer() -> None:
    answers: list[bytes] = []

    def answer(pdu: Pdu) -> bytes:
        if pdu.command != Command.SUBMIT_SM:
            return polite(pdu)
        answers.append(polite(pdu))
        return b""

    def tell() -> None:
        gateway.writers[0].write(b"".join(answers))
        answers.clear()

    async with script(answer) as gateway, channel(ours(gateway, window=2)) as sms:
        told: list[int] = []
        sending = asyncio.create_task(
            sms.send_many(
                [message(number) for number in range(5)],
                written=lambda: told.append(gateway.count(Command.SUBMIT_SM)),
            )
        )
        for count in (2, 4):
            await eventually(partial(submitted, gateway, count))
            assert told == []
            tell()
        await eventually(partial(submitted, gateway, 5))
        assert len(told) == 1
        assert not sending.done()
        tell()
        assert len(await sending) == 5
    assert len(told) == 1


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_it_never_tells_of_what_waits_for_a_gateway_that_does_not_read(
    tmp_path: Path, *, is_encrypted: bool
) -> None:
    served, trusted = certificate(tmp_path) if is_encrypted else (None, None)
    told: list[str] = []
    leaving = asyncio.Event()

    async def bind_and_stop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (bind,) = Deframer(shortest=HEADER_LENGTH, longest=PDU_LENGTH_MAX).feed(
            await reader.read(65_536)
        )
        writer.write(polite(decode(bind)))
        await leaving.wait()  # the reader holds a little and then reads no more
        writer.transport.abort()

    server = await asyncio.start_server(bind_and_stop, "127.0.0.1", 0, limit=1_024, ssl=served)
    server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    port = server.sockets[0].getsockname()[1]
    many = 60_000  # octets by the million: more than the system takes for who does not read
    host = "localhost" if is_encrypted else "127.0.0.1"
    settings = SmppSettings(host, port, "duewise", "duewise", window=many, tls=trusted)
    async with server, channel(settings) as sms:
        messages = [message(number) for number in range(many)]
        sending = asyncio.create_task(sms.send_many(messages, written=lambda: told.append("out")))
        for _ in range(5):  # it hands all of it over in one go
            await asyncio.sleep(0)
        leaving.set()
        results = await sending
    assert {type(each) for each in results} == {Unknown}
    assert told == []


async def test_it_pairs_answers_that_come_in_any_order() -> None:
    held: list[Pdu] = []

    def answer(pdu: Pdu) -> bytes:
        if pdu.command != Command.SUBMIT_SM:
            return polite(pdu)
        held.append(pdu)
        return b"".join(polite(each) for each in reversed(held)) if len(held) == 5 else b""

    async with script(answer) as gateway, channel(ours(gateway)) as sms:
        results = await sms.send_many([message(number) for number in range(5)])
    assert results == [Accepted((f"{pdu.sequence:x}",)) for pdu in held]


@pytest.mark.parametrize(
    "stray",
    [
        lambda pdu: polite(pdu) + polite(pdu),  # told twice
        lambda pdu: encode(Pdu(Command.SUBMIT_SM_RESP, 0, 9_999, "x")) + polite(pdu),
        lambda pdu: encode(Pdu(Command.GENERIC_NACK, 3, 9_999)) + polite(pdu),
        lambda pdu: frame(0x00000103, 5, b"rubbish") + polite(pdu),  # a data_sm that cannot be read
        lambda pdu: frame(Command.DELIVER_SM, 6, b"\0\0") + polite(pdu),  # cannot be read
        lambda pdu: frame(Command.ENQUIRE_LINK, 7) + polite(pdu),
    ],
)
async def test_it_lives_on_through_stray_octets(stray: Callable[[Pdu], bytes]) -> None:
    def answer(pdu: Pdu) -> bytes:
        return stray(pdu) if pdu.command == Command.SUBMIT_SM else polite(pdu)

    async with script(answer) as gateway, channel(ours(gateway)) as sms:
        for number in (1, 2):
            assert isinstance(await sms.send(message(number), key=""), Accepted)


@pytest.mark.parametrize(
    ("octets", "result"),
    [
        (frame(Command.SUBMIT_SM_RESP, 2, b"no end"), Unknown),
        (frame(Command.GENERIC_NACK, 2, status=3), Refused),
        (frame(Command.SUBMIT_SM_RESP, 2, b"\0"), Accepted),  # taken, without an id
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Unknown),
        (frame(Command.UNBIND, 1), Unknown),
    ],
)
async def test_it_settles_a_submit_whatever_comes(octets: bytes, result: type) -> None:
    def answer(pdu: Pdu) -> bytes:
        return octets if pdu.command == Command.SUBMIT_SM else polite(pdu)

    async with script(answer) as gateway, channel(ours(gateway)) as sms:
        assert isinstance(await sms.send(message(), key=""), result)


async def test_it_refuses_for_now_what_it_gets_after_the_link_is_gone() -> None:
    batch = Batch()
    async with script(silent) as gateway:
        session = await opened(ours(gateway))
        session.submit([[BODY], [BODY]], batch)
        session.abort("gone")
        session.submit([[BODY]], batch)
        assert await batch.wait() == [Unknown("gone"), Unknown("gone"), NEVER_WRITTEN]
    assert session.free == 100


async def test_it_settles_everything_when_it_is_closed_with_submits_in_flight() -> None:
    async with script(silent) as gateway:
        sms = smpp_channel(ours(gateway, response_timeout_s=60), clock=ManualClock(MORNING))
        await sms.open()
        sending = asyncio.create_task(sms.send_many([message(n) for n in range(3)]))
        await eventually(lambda: gateway.count(Command.SUBMIT_SM) == 3)
        await sms.close()
        results = await asyncio.wait_for(sending, PATIENCE_S)
    assert results == [Unknown("closed by us")] * 3
    assert gateway.count(Command.UNBIND) == 1


async def test_it_asks_whether_the_link_lives_and_drops_one_that_does_not() -> None:
    alive = True

    def answer(pdu: Pdu) -> bytes:
        if pdu.command == Command.SUBMIT_SM:
            return b""
        return polite(pdu) if alive or pdu.command != Command.ENQUIRE_LINK else b""

    async with script(answer) as gateway:
        settings = ours(gateway, enquire_link_s=0.05, response_timeout_s=1.0)
        session = await opened(settings)
        await eventually(lambda: gateway.count(Command.ENQUIRE_LINK) >= 3)
        assert not session.is_lost
        alive = False
        reason = await asyncio.wait_for(asyncio.shield(session.lost), PATIENCE_S)
    assert reason == "no answer to enquire_link"


async def test_it_answers_an_enquiry() -> None:
    def answer(pdu: Pdu) -> bytes:
        enquiry = frame(Command.ENQUIRE_LINK, 77)
        return polite(pdu) + (enquiry if pdu.command == Command.BIND_TRANSCEIVER else b"")

    async with script(answer) as gateway, channel(ours(gateway)):
        await eventually(lambda: gateway.count(Command.ENQUIRE_LINK_RESP) == 1)
    assert Pdu(Command.ENQUIRE_LINK_RESP, 0, 77) in gateway.heard


async def test_it_waits_while_the_gateway_wants_to_be_left_alone() -> None:
    sent_at: list[float] = []

    def answer(pdu: Pdu) -> bytes:
        if pdu.command != Command.SUBMIT_SM:
            return polite(pdu)
        sent_at.append(asyncio.get_running_loop().time())
        throttled = Pdu(Command.SUBMIT_SM_RESP, 0x58, pdu.sequence, "")
        return encode(throttled) if len(sent_at) == 1 else polite(pdu)

    async with script(answer) as gateway, channel(ours(gateway)) as sms:
        first, second = [await sms.send(message(number), key="") for number in (1, 2)]
    assert first == Refused("ESME_RTHROTTLED", is_permanent=False, retry_after_s=1)
    assert isinstance(second, Accepted)
    assert sent_at[1] - sent_at[0] >= 0.9


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: b"", "does not answer"),
        (lambda _: b"SSH-2.0-OpenSSH_9.6 and more\r\n", "hung up on the bind"),
    ],
)
async def test_it_says_what_is_wrong_with_what_listens(
    answer: Callable[[Pdu], bytes], words: str
) -> None:
    async with script(answer) as gateway:
        sms = smpp_channel(ours(gateway, bind_timeout_s=0.2), clock=ManualClock(MORNING))
        with pytest.raises(Unreachable, match=words):
            await sms.open()


async def test_it_binds_again_after_each_failure() -> None:
    binds = 0

    def answer(pdu: Pdu) -> bytes:
        nonlocal binds
        if pdu.command == Command.BIND_TRANSCEIVER:
            binds += 1
            if binds in {2, 3}:
                return encode(Pdu(Command.BIND_TRANSCEIVER | 1 << 31, 0x0D, pdu.sequence))
        return polite(pdu)

    async with script(answer) as gateway, channel(ours(gateway)) as sms:
        gateway.writers[0].transport.abort()
        await eventually(lambda: binds == 4)
        await send_until_accepted(sms)


async def test_it_hands_over_a_receipt_before_the_answer_to_its_submit() -> None:
    receipt = ShortMessage(
        "8613800000001",
        "10690001",
        b"id:00A7 sub:001 dlvrd:001 submit date:2608100100 done date:2608100101 "
        b"stat:DELIVRD err:000 text:",
        esm_class=0x04,
    )

    def answer(pdu: Pdu) -> bytes:
        if pdu.command == Command.SUBMIT_SM:
            return encode(Pdu(Command.DELIVER_SM, 0, 1, receipt)) + encode(
                Pdu(Command.SUBMIT_SM_RESP, 0, pdu.sequence, "A7")
            )
        return polite(pdu)

    async with script(answer) as gateway, channel(ours(gateway)) as sms:
        result = await sms.send(message(), key="")
        told = await arrival(sms)
        await eventually(lambda: gateway.count(Command.DELIVER_SM_RESP) == 1)
    assert isinstance(told, InboundReceipt)
    assert result == Accepted((told.provider_id,)) == Accepted(("a7",))


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for 127.0.0.1, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - TLS looks at the machine's clock
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "gateway.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem)
    return served, ssl.create_default_context(cafile=str(pem))


async def test_it_speaks_through_tls(tmp_path: Path) -> None:
    served, trusted = certificate(tmp_path)
    async with script(polite, tls=served) as gateway:
        settings = SmppSettings("localhost", gateway.port, "duewise", "duewise", tls=trusted)
        told: list[str] = []
        async with channel(settings) as sms:
            result = await sms.send_many([message()], written=lambda: told.append("out"))
            assert isinstance(result[0], Accepted)
        assert told == [], "what is encrypted may wait where we cannot see it: its answer tells"
        strict = SmppSettings(
            "localhost", gateway.port, "duewise", "duewise", tls=ssl.create_default_context()
        )
        with pytest.raises(Unreachable, match="certificate"):
            await smpp_channel(strict, clock=ManualClock(MORNING)).open()
