"""Emails to a real SMTP server: every answer is what it is, and what comes back is told rightly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.channel_world import MORNING, free_port, message
from tests.contract.hook_world import SECRET, call

from duewise.channels.base import Accepted, InboundReceipt, InboundReply, Message, Refused, Unknown
from duewise.channels.heard import FORGED, Denied, Heard
from duewise.channels.mailbox import Mailbox
from duewise.channels.smtp import SmtpChannel, SmtpSettings, smtp_channel
from duewise.errors import BadInput
from duewise.times import ManualClock

MODULE = "duewise.channels.smtp"
TEXT = "王女士您好，您尾号1234的借款将于8月14日到期，应还1,234.56元。\n客服95123。"
ID = Mailbox("lender.example", SECRET, module=MODULE).message_id("7")
SIGNED = ID.partition("@")[0]


def mail(address: str = "wang@example.com", **more: Any) -> Message:
    plain = message(7, text=TEXT, address=address)._replace(reference="7", title="账户服务通知")
    return plain._replace(**more)


class Server:
    """What a mail server says at each step; it keeps what it took."""

    def __init__(self, says: str = "", to: str = "") -> None:
        self.says, self.to = says, to
        self.taken: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds it by this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        if self.to == "rcpt" and address != "later@example.com":
            return self.says
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.to == "hang up":
            assert server.transport is not None
            server.transport.close()
        if self.to == "silence":
            await asyncio.sleep(1)
        self.taken.append(envelope)
        return self.says if self.to == "data" else "250 OK"


@asynccontextmanager
async def serving(handler: Server, **options: Any) -> AsyncIterator[int]:
    """A server of aiosmtpd in this very loop; its port."""
    loop = asyncio.get_running_loop()
    running: list[SMTP] = []

    def one() -> SMTP:
        running.append(SMTP(handler, loop=loop, enable_SMTPUTF8=True, **options))
        return running[-1]

    server = await loop.create_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for each in running:
            if each.transport is not None:
                each.transport.close()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(port: int, **settings: Any) -> AsyncIterator[SmtpChannel]:
    account: dict[str, Any] = {
        "mail_from": "notices@lender.example",
        "security": "none",
        "timeout_s": 0.3,
    }
    account |= {"from_name": "甲消费金融", "bounce_to": "back@lender.example", "connections": 2}
    account |= {"hook_secret": SECRET, "callback_url": "https://hooks.example.com/hooks/mail"}
    made = SmtpSettings(host="127.0.0.1", port=port, **(account | settings))
    channel = smtp_channel(made, clock=ManualClock(MORNING))
    await channel.open()
    try:
        yield channel
    finally:
        await channel.close()


async def test_it_hands_a_mail_over_as_any_reader_shows_it() -> None:
    server = Server()
    async with serving(server) as port, opened(port) as channel:
        assert await channel.send(mail(), key="") == Accepted((ID,))
    (envelope,) = server.taken
    assert envelope.mail_from == f"back+{SIGNED}@lender.example"
    assert envelope.rcpt_tos == ["wang@example.com"]
    assert isinstance(envelope.content, bytes)
    read = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(read, EmailMessage)
    assert read.get_content().replace("\r\n", "\n") == TEXT + "\n"
    assert (read["Subject"], read["To"]) == ("账户服务通知", "wang@example.com")
    assert read["From"].addresses[0].display_name == "甲消费金融"
    assert read["Message-ID"] == f"<{ID}>"
    assert read["Date"].datetime == MORNING
    assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (
        f"<https://hooks.example.com/hooks/mail/unsubscribe/{SIGNED}>" in read["List-Unsubscribe"]
    )
    assert all(line.isascii() for line in bytes(read).splitlines())


ANSWERS: list[tuple[str, str, Any]] = [
    ("rcpt", "550 5.1.1 no such user", Refused("5.1.1", is_permanent=True, is_address_dead=True)),
    ("rcpt", "450 4.2.0 greylisted", Refused("4.2.0", is_permanent=False, retry_after_s=300)),
    ("rcpt", "552 5.2.2 mailbox full", Refused("5.2.2", is_permanent=False, retry_after_s=300)),
    ("data", "554 5.6.0 not with that", Refused("5.6.0", is_permanent=True)),
    ("data", "451 try again", Refused("451", is_permanent=False, retry_after_s=300)),
    (
        "data",
        "550 5.7.26 not authenticated",
        Refused("5.7.26", is_permanent=False, retry_after_s=300, is_of_account=True),
    ),
    ("hang up", "", Unknown("SMTPServerDisconnected")),
    ("silence", "", Unknown("SMTPReadTimeoutError")),
]


@pytest.mark.parametrize(("at", "says", "result"), ANSWERS)
async def test_it_takes_each_answer_for_what_it_is(at: str, says: str, result: Any) -> None:
    async with serving(Server(says, at)) as port, opened(port) as channel:
        assert await channel.send(mail(), key="") == result
        if at == "rcpt":  # the same connection is good for the next
            assert isinstance(await channel.send(mail("later@example.com"), key=""), Accepted)


async def test_it_says_what_never_left() -> None:
    async with opened(free_port()) as channel:
        assert await channel.send(mail(), key="") == Refused(
            "unreachable", is_permanent=False, retry_after_s=5
        )
        over = mail(valid_until=MORNING - timedelta(seconds=1))
        assert await channel.send(over, key="") == Refused("expired", is_permanent=True)
        bad = await channel.send(mail("wang@example.com\r\nBcc: x"), key="")
        assert bad == Refused("no_address", is_permanent=True, is_address_dead=True)
        broken = await channel.send(mail(title="a\nBcc: x@example.com"), key="")
        assert broken == Refused("unfit_text", is_permanent=True)
    assert await channel.send(mail(), key="") == Refused(
        "not_open", is_permanent=False, retry_after_s=1
    )


@pytest.mark.filterwarnings("ignore:Session.login_data is deprecated")  # the server's own
async def test_it_logs_in_and_says_when_it_may_not() -> None:
    def check(*given: Any) -> AuthResult:
        return AuthResult(success=given[-1].password == b"right", handled=False)

    options = {"authenticator": check, "auth_require_tls": False}
    async with serving(Server(), **options) as port:
        for password, result in (("right", Accepted((ID,))), ("wrong", None)):
            async with opened(port, username="lender", password=password) as channel:
                said = await channel.send(mail(), key="")
                if result is not None:
                    assert said == result
                else:
                    assert isinstance(said, Refused)
                    assert (said.code, said.is_permanent) == ("login_refused", False)


async def test_it_takes_a_new_connection_where_the_server_let_go_of_the_old_one() -> None:
    server = Server()
    async with serving(server, timeout=0.05) as port, opened(port) as channel:
        assert isinstance(await channel.send(mail(), key=""), Accepted)
        await asyncio.sleep(0.15)
        results = await channel.send_many([mail() for _ in range(5)])
    assert [type(each) for each in results] == [Accepted] * 5
    assert len(server.taken) == 6


def bounce(
    status: str, action: str = "failed", *, original: str = "", envid: str = SIGNED
) -> bytes:
    """A delivery status notification as Postfix writes it."""
    returned = f"Message-ID: <{original}>\r\nSubject: x\r\n" if original else "Subject: x\r\n"
    named = f"Original-Envelope-Id: {envid}\r\n" if envid else ""
    return (
        "From: MAILER-DAEMON@mx.example.com (Mail Delivery System)\r\n"
        "To: back@lender.example\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nI'm sorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.example.com\r\n{named}\r\n"
        f"Final-Recipient: rfc822; wang@example.com\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 unknown\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b--\r\n"
    ).encode()


def complaint() -> bytes:
    return (
        "From: fbl@example.com\r\nTo: back@lender.example\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{ID}>\r\n\r\nx\r\n--b--\r\n"
    ).encode()


def answer(text: str, **headers: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Message-ID"] = "wang@example.com", "<a1@example.com>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()


def receipt(status: Any, code: str, *, is_dead: bool = False) -> InboundReceipt:
    return InboundReceipt(ID, status, code, "7", MORNING, is_dead)


TOLD: list[tuple[bytes, Any]] = [
    (bounce("5.1.1"), [receipt("failed", "5.1.1", is_dead=True)]),
    (bounce("5.2.2", envid="", original=ID), [receipt("failed", "5.2.2")]),
    (bounce("4.4.7"), [receipt("expired", "4.4.7")]),
    (bounce("4.4.1", "delayed"), []),
    (bounce("2.0.0", "delivered"), [receipt("delivered", "2.0.0")]),
    (bounce("5.1.1", envid=f"7-{'0' * 16}"), []),  # nobody who had the message
    (bounce("5.1.1", envid="", original="8-x@lender.example"), []),
    (answer("OK", In_Reply_To=f"<{ID}>", Auto_Submitted="auto-replied"), []),
    (answer("who is this"), []),
]


@pytest.mark.parametrize(("body", "told"), TOLD)
async def test_it_reads_what_comes_back(body: bytes, told: Any) -> None:
    assert Mailbox("lender.example", SECRET, module=MODULE).hear(
        call(body, rest=SECRET), at=MORNING
    ) == Heard(tuple(told))


def heard(body: bytes = b"", *, rest: str = SECRET, change: Callable[..., Any] = replace) -> Any:
    asked = change(call(body, rest=rest), method="POST")
    return Mailbox("lender.example", SECRET, module=MODULE).hear(asked, at=MORNING)


def test_it_ends_the_emails_for_whoever_complains_or_clicks() -> None:
    (complained,) = heard(complaint()).inbound
    (clicked,) = heard(rest=f"unsubscribe/{SIGNED}").inbound
    (wrote,) = heard(answer("x", In_Reply_To=f"<{ID}>", Subject="unsubscribe")).inbound
    assert complained == clicked == wrote
    assert (clicked.reference, clicked.text) == ("7", "unsubscribe")
    assert heard(rest=f"unsubscribe/7-{'0' * 16}") == FORGED
    assert heard(complaint(), rest="guessed") == FORGED
    scanned = replace(call(b"", rest=f"unsubscribe/{SIGNED}"), method="GET")
    mailbox = Mailbox("lender.example", SECRET, module=MODULE)
    assert mailbox.hear(scanned, at=MORNING) == Denied(405, "not_a_post")


def test_it_reads_what_a_person_answers_and_not_what_is_quoted() -> None:
    text = "已还\n\nOn Mon, 10 Aug 2026, Lender wrote:\n> 您好"
    (reply,) = heard(answer(text, In_Reply_To=f"<{ID}>")).inbound
    assert isinstance(reply, InboundReply)
    assert (reply.text, reply.reference) == ("已还", "7")


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=60).map(lambda cut: bounce("5.1.1")[: 20 * len(cut)] + cut),
    )
)
def test_it_never_falls_over_a_mail(body: bytes) -> None:
    assert isinstance(heard(body), Heard | Denied)


def test_it_refuses_an_account_that_would_write_in_the_clear() -> None:
    with pytest.raises(BadInput, match="clear"):
        smtp_channel(
            SmtpSettings("mx.example.com", "a@example.com", security="none"),
            clock=ManualClock(MORNING),
        )
    with pytest.raises(BadInput, match="mail address"):
        smtp_channel(SmtpSettings("mx.example.com", "nobody"), clock=ManualClock(MORNING))
