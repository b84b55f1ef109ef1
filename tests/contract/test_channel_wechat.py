"""WeChat: fields read off the text, one token for all, and calls signed as its manual has it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from tests.contract.channel_world import MORNING, message
from tests.contract.hook_world import call
from tests.contract.post_world import SECRET, provider, wechat

from duewise.channels.base import Accepted, InboundReceipt, InboundReply, Refused
from duewise.channels.heard import FORGED, UNREADABLE, Call, Denied, Heard
from duewise.channels.token import Token, Tokens
from duewise.channels.wechat import Filed, Wechat, WechatSettings, wechat_channel
from duewise.errors import BadInput
from duewise.times import ManualClock

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
TOKEN = "invented-token"


class Platform:
    """Gives one token after the other and takes messages under the last of them only."""

    def __init__(self) -> None:
        self.given = 0
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        if request.path == "/cgi-bin/stable_token":
            assert body == {"grant_type": "client_credential", "appid": "wx1", "secret": SECRET}
            self.given += 1
            return web.json_response({"access_token": f"t/{self.given}", "expires_in": 7_200})
        self.asked.append((request.path, body))
        if request.query["access_token"] != f"t/{self.given}":
            return web.json_response({"errcode": 40_001, "errmsg": "invalid credential"})
        return web.json_response({"errcode": 0, "errmsg": "ok", "msgid": 200_228_332})


def note() -> Any:
    return message(7, address=OPENID)._replace(reference="7")


async def test_it_fills_the_fields_of_the_filed_template_under_one_token() -> None:
    its, clock = Platform(), ManualClock(MORNING)
    async with provider(its.answer) as endpoint:
        channel = wechat_channel(
            wechat(endpoint=endpoint, page="https://m.example.com"), clock=clock
        )
        await channel.open()
        sent = await channel.send_many([note() for _ in range(4)])
        assert sent == [Accepted(("200228332",))] * 4
        assert its.given == 1
        its.given += 1  # somebody else had a new one made: ours is over
        assert await channel.send(note(), key="") == Accepted(("200228332",))
        assert its.given == 3
        clock.set(MORNING + timedelta(hours=2))
        assert await channel.send(note(), key="") == Accepted(("200228332",))
        assert its.given == 4
        await channel.close()
    path, body = its.asked[0]
    assert path == "/cgi-bin/message/template/send"
    assert body == {
        "touser": OPENID,
        "template_id": "T1",
        "client_msg_id": "7",
        "url": "https://m.example.com",
        "data": {
            "thing1": {"value": "Li的借款"},
            "amount2": {"value": "1,234.56元"},
            "thing4": {"value": "请打开APP"},
        },
    }


async def test_it_takes_a_subscription_message_without_a_name_for_taken() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.path == "/cgi-bin/message/subscribe/bizsend"
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    async with provider(answer) as endpoint:
        account = wechat(endpoint=endpoint, messages="subscription")
        channel = wechat_channel(account, clock=ManualClock(MORNING))
        assert not channel.capabilities.receipts
        assert isinstance(channel._tokens, Tokens)
        channel._tokens.keep(Token("t", 60))
        await channel.open()
        assert await channel.send(note(), key="") == Accepted(())
        unfit = await channel.send(note()._replace(text="another"), key="")
        assert unfit == Refused("no_approved_template", is_permanent=True)
        await channel.close()


def told(xml: str, *, token: str = TOKEN, **query: str) -> Call:
    """A call as WeChat's server makes it."""
    pair = {"timestamp": "1786323600", "nonce": "4711"}
    signature = hashlib.sha1("".join(sorted([token, *pair.values()])).encode()).hexdigest()
    return replace(call(xml.encode()), query=pair | {"signature": signature} | query)


def account() -> Wechat:
    given = wechat()
    return Wechat(WechatSettings(given.app_id, SECRET, given.templates, hook_token=TOKEN))


EVENT = (
    "<xml><ToUserName><![CDATA[gh_7]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
    "<CreateTime>1786323600</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    "<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>200163836</MsgID>"
    "<Status><![CDATA[{status}]]></Status></xml>"
)
TEXT = (
    "<xml><ToUserName>gh_7</ToUserName><FromUserName>{openid}</FromUserName><CreateTime>9</CreateTime>"
    "<MsgType>text</MsgType><Content><![CDATA[已还]]></Content><MsgId>234</MsgId></xml>"
)


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        ("success", "delivered"),
        ("failed:user block", "failed"),
        ("failed: system failed", "failed"),
    ],
)
def test_it_reads_what_became_of_a_message(status: str, meant: Any) -> None:
    heard = account().hear(told(EVENT.format(openid=OPENID, status=status)), at=MORNING)
    receipt = InboundReceipt("200163836", meant, status, "", MORNING)
    assert heard == Heard((receipt,), b"success")


def test_it_hears_what_followers_write_and_answers_the_set_up() -> None:
    heard = account().hear(told(TEXT.format(openid=OPENID)), at=MORNING)
    assert isinstance(heard, Heard)
    (reply,) = heard.inbound
    assert isinstance(reply, InboundReply)
    assert (reply.inbound_id, reply.source, reply.text) == ("234", OPENID, "已还")
    set_up = replace(told("", echostr="5511"), method="GET")
    assert account().hear(set_up, at=MORNING) == Heard((), b"5511")


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><xml><MsgType>&b;</MsgType></xml>'


@pytest.mark.parametrize(
    ("said", "denied"),
    [
        (told(TEXT, token="another"), FORGED),
        (replace(told(TEXT), query={}), FORGED),
        (told("<xml>"), UNREADABLE),
        (told(""), UNREADABLE),
        (told(BOMB), UNREADABLE),
    ],
)
def test_it_believes_nobody_else_and_unfolds_nothing(said: Call, denied: Denied) -> None:
    assert account().hear(said, at=MORNING) == denied
    assert Wechat(wechat()).hear(told(TEXT), at=MORNING) == FORGED


def test_it_refuses_fields_that_the_text_has_no_value_for() -> None:
    filed = {"T1": Filed("应还{{sum}}元", {"amount2": "{{total}}"})}
    with pytest.raises(BadInput, match="no value 'total'"):
        Wechat(WechatSettings("wx1", SECRET, filed))
    plain = Wechat(WechatSettings("wx1", SECRET, {"T1": Filed("应还{{amount1}}元")}))
    asked = plain.request(note()._replace(text="应还9.00元"), at=MORNING)
    assert not isinstance(asked, Refused)
    assert json.loads(asked.body)["data"] == {"amount1": {"value": "9.00"}}
