"""Emails from the strategy to a mail server and back: the mailbox, the subject, the bounce."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import polars as pl
from tests.contract.channel_world import free_port
from tests.contract.hook_world import SECRET, call
from tests.contract.test_channel_smtp import Server, bounce, serving
from tests.scenario.desk import MORNING, Desk, admit, open_desk
from tests.scenario.provider_desk import LI, WANG, release, send, with_account

from duewise.channels.heard import Call, Denied, Heard, Listener
from duewise.channels.mailbox import Mailbox
from duewise.config import AccountSection, RoutesSection
from duewise.jobs.approvals import withdraw
from duewise.jobs.delivery_line import listening
from duewise.store.people import upsert_people

MAIL = {
    "provider": "smtp",
    "host": "127.0.0.1",
    "security": "none",
    "mail_from": "notices@lender.example",
}


def by_email(desk: Desk) -> None:
    """The strategy writes emails a day after the due date, and the two have mailboxes."""
    path = desk.app.workspace / "strategy.yaml"
    text = path.read_text(encoding="utf-8")
    mails = "channel: email, template: zh.m1_day15.help.email,"
    written = re.sub(r"channel: sms, template: zh\.m1_day1\.\w+,", mails, text)
    path.write_text(written, encoding="utf-8")
    plain = {"locale": "zh-CN", "timezone": "Asia/Shanghai"}
    people = [plain | {"borrower_id": each, "email": f"{each}@example.com"} for each in (LI, WANG)]
    with desk.app.connect(desk.dsn) as conn:
        upsert_people(conn, pl.DataFrame(people), keyring=desk.app.keyring)


def with_mail(desk: Desk, port: int) -> Desk:
    desk = with_account(desk, "http://127.0.0.1:1/")
    account = AccountSection.model_validate(MAIL | {"port": port})
    (desk.app.workspace / "secrets" / "mail.hook_secret").write_text(SECRET, encoding="utf-8")
    accounts = desk.app.config.accounts | {"mail": account}
    changed = {"accounts": accounts, "routes": RoutesSection(email="mail")}
    return replace(desk, app=replace(desk.app, config=desk.app.config.model_copy(update=changed)))


async def heard(channel: Listener, told: Call) -> Heard | Denied:
    """The answer to a call, once it is stored."""
    said = channel.hear(told)
    return await said if isinstance(said, asyncio.Future) else said


def test_it_writes_no_email_that_nobody_has_approved(tmp_path: Path, dsn: str) -> None:
    desk = open_desk(tmp_path / "workspace", dsn)
    admit(desk, LI)
    by_email(desk)
    with desk.app.connect(dsn) as conn:
        text = desk.app.templates["zh.m1_day15.help.email"]
        withdraw(conn, text, by="Chen", why="a number that is gone", now=MORNING)
    release(desk, LI)
    assert desk.story(LI) == [("blocked", "unapproved_text")]
    desk.assert_ties()


async def test_it_writes_an_email_and_believes_its_bounce(tmp_path: Path, dsn: str) -> None:
    server, mailbox = Server(), Mailbox("lender.example", SECRET, module="duewise.channels.smtp")
    desk = open_desk(tmp_path / "workspace", dsn)
    admit(desk, LI, WANG)
    by_email(desk)
    release(desk, LI, WANG)
    async with serving(server) as port:
        desk = with_mail(desk, port)
        assert await send(desk) == {"accepted": 2, "parts": 2}
    assert sorted(mail.rcpt_tos[0] for mail in server.taken) == [
        "LI@example.com",
        "WANG@example.com",
    ]
    content = server.taken[0].content
    assert isinstance(content, bytes)
    assert message_from_bytes(content, policy=policy.default)["Subject"] == "账户服务通知，请您查阅"
    ids = dict(desk.rows("SELECT borrower_id, envelope_id FROM envelope WHERE channel = 'email'"))
    desk = with_mail(desk, free_port())
    channel = desk.app.lines[1].channel
    assert isinstance(channel, Listener)
    async with listening(
        [channel],
        connect=desk.app.connector(dsn),
        tenant=desk.app.tenant,
        clock=desk.clock,
        done=Counter(),
    ):
        returned = bounce("5.1.1", envid=mailbox.reference(str(ids[LI])))
        assert isinstance(await heard(channel, call(returned, rest=SECRET)), Heard)
        clicked = f"unsubscribe/{mailbox.reference(str(ids[WANG]))}"
        assert isinstance(await heard(channel, call(b"", rest=clicked)), Heard)
    assert desk.story(LI)[-1] == ("failed", "receipt: 5.1.1")
    assert desk.rows("SELECT borrower_id, channel FROM dead_address") == [(LI, "email")]
    assert desk.rows("SELECT borrower_id, channel FROM opt_out") == [(WANG, "email")]
    assert desk.states() == {"failed": 1, "accepted": 1}
