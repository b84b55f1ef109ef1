"""Providers that are asked over HTTP: a local one that does as told, and how each vendor speaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from tests.contract.channel_world import MORNING, free_port

from duewise.channels.aliyun import AliyunSettings, aliyun_channel
from duewise.channels.aws import AwsSettings, aws_channel
from duewise.channels.fcm import FcmSettings, fcm_channel
from duewise.channels.jpush import JpushSettings, jpush_channel
from duewise.channels.post import PostChannel, Request
from duewise.channels.signing import AccessKey, Scheme
from duewise.channels.tencent import TencentSettings, tencent_channel
from duewise.channels.token import Token, Tokens
from duewise.channels.twilio import TwilioSettings, twilio_channel
from duewise.channels.wechat import Filed, WechatSettings, wechat_channel
from duewise.times import ManualClock

SECRET = "invented-secret"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "lender",
    "private_key_id": "k1",
    "private_key": SECRET,
    "client_email": "push@lender.iam.gserviceaccount.com",
    "token_uri": "http://127.0.0.1:1/token",
}


@dataclass(frozen=True)
class Speech:
    """A vendor's account, and its words: taken as `id` (or without one), refused by a code."""

    account: Callable[..., Any]
    channel: Callable[..., PostChannel]
    taken: Callable[[str | None], dict[str, Any]]
    refused: Callable[[str], dict[str, Any]]
    codes: Mapping[str, str]
    unlisted: str = "NobodyListedIt"

    def opens(self, endpoint: str, **settings: Any) -> PostChannel:
        account = self.account(endpoint=endpoint, **settings)
        channel = self.channel(account, clock=ManualClock(MORNING))
        if isinstance(channel._tokens, Tokens):  # what asks for one has tests of its own
            channel._tokens.keep(Token("invented", 3_600))
        return channel


def aliyun(**settings: Any) -> AliyunSettings:
    wording = "${name}，您本期应还${sum}元，${day}到期。客服400-000-0000，拒收请回复R"
    return AliyunSettings("key", SECRET, {"SMS_1": wording}, **settings)


def aws(**settings: Any) -> AwsSettings:
    return AwsSettings("key", SECRET, "ap-southeast-1", **settings)


def fcm(**settings: Any) -> FcmSettings:
    return FcmSettings(json.dumps(SERVICE_ACCOUNT), **settings)


def jpush(**settings: Any) -> JpushSettings:
    return JpushSettings("key", SECRET, **settings)


def tencent(**settings: Any) -> TencentSettings:
    wording = "{1}，您本期应还{2}元，{3}到期。客服400-000-0000，拒收请回复R"
    return TencentSettings("key", SECRET, "1400000000", {"1001": wording}, **settings)


def twilio(**settings: Any) -> TwilioSettings:
    return TwilioSettings("AC1", SECRET, **settings)


def wechat(**settings: Any) -> WechatSettings:
    text = "【甲消费金融】{{name}}，您本期应还{{sum}}元，{{day}}到期。客服400-000-0000，拒收请回复R"
    fields = {"thing1": "{{name}}的借款", "amount2": "{{sum}}元", "thing4": "请打开APP"}
    return WechatSettings("wx1", SECRET, {"T1": Filed(text, fields)}, **settings)


def sent_by_tencent(serial: str | None) -> dict[str, Any]:
    named = {} if serial is None else {"SerialNo": serial}
    return {"Response": {"SendStatusSet": [{"Code": "Ok", **named}]}}


SPEECHES = {
    "aliyun": Speech(
        aliyun,
        aliyun_channel,
        lambda i: {"Code": "OK"} | ({} if i is None else {"BizId": i}),
        lambda code: {"Code": code},
        {
            "isv.BUSINESS_LIMIT_CONTROL": "for now",
            "isv.AMOUNT_NOT_ENOUGH": "account",
            "isv.MOBILE_NUMBER_ILLEGAL": "dead",
            "isp.SYSTEM_ERROR": "unknown",
        },
    ),
    "aws": Speech(
        aws,
        aws_channel,
        lambda i: {"MessageId": i},
        lambda code: {"__type": code},
        {
            "ThrottlingException": "for now",
            "AccessDeniedException": "account",
            "ValidationException": "for good",
            "InternalServerException": "unknown",
        },
    ),
    "fcm": Speech(
        fcm,
        fcm_channel,
        lambda i: {"name": i},
        lambda code: {"error": {"code": 400, "status": "X", "details": [{"errorCode": code}]}},
        {
            "QUOTA_EXCEEDED": "for now",
            "SENDER_ID_MISMATCH": "account",
            "UNREGISTERED": "dead",
            "INTERNAL": "unknown",
        },
    ),
    "jpush": Speech(
        jpush,
        jpush_channel,
        lambda i: {"sendno": "0"} | ({} if i is None else {"msg_id": i}),
        lambda code: {"error": {"code": int(code), "message": "x"}},
        {"2002": "for now", "1004": "account", "1011": "dead", "1000": "unknown"},
        unlisted="9999",
    ),
    "tencent": Speech(
        tencent,
        tencent_channel,
        sent_by_tencent,
        lambda code: {"Response": {"Error": {"Code": code}}},
        {
            "LimitExceeded.PhoneNumberOneHourLimit": "for now",
            "FailedOperation.InsufficientBalanceInSmsPackage": "account",
            "InvalidParameterValue.IncorrectPhoneNumber": "dead",
            "InternalError.Timeout": "unknown",
        },
    ),
    "twilio": Speech(
        twilio,
        twilio_channel,
        lambda i: {"status": "queued"} | ({} if i is None else {"sid": i}),
        lambda code: {"code": int(code), "status": 400},
        {"20429": "for now", "20003": "account", "21610": "for good", "30008": "unknown"},
        unlisted="99999",
    ),
    "wechat": Speech(
        wechat,
        wechat_channel,
        lambda i: {"errcode": 0, "errmsg": "ok", "msgid": i},
        lambda code: {"errcode": int(code), "errmsg": "x"},
        {"45011": "for now", "40037": "account", "43004": "dead", "-1": "unknown"},
        unlisted="99999",
    ),
}


@asynccontextmanager
async def provider(handler: Handler) -> AsyncIterator[str]:
    """A provider that does what the test says; its endpoint."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(vendor: str, endpoint: str, **settings: Any) -> AsyncIterator[PostChannel]:
    channel = SPEECHES[vendor].opens(endpoint, **settings)
    await channel.open()
    try:
        yield channel
    finally:
        await channel.close()


def says(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Handler:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=octets, headers=headers)

    return answer


async def authorizations(
    request: web.BaseRequest, scheme: Scheme, *, at: str = "", query: str = ""
) -> tuple[str, str]:
    """What a request says it is signed by, and what we say of the same request."""
    said = request.headers["Authorization"]
    parts = dict(each.strip().split("=", 1) for each in said.split(" ", 1)[1].split(","))
    key_id, *scope = parts["Credential"].split("/")
    headers = {name: request.headers[name] for name in parts["SignedHeaders"].split(";")}
    ours = scheme.authorization(
        Request(query, headers, await request.read()),
        path=request.path,
        key=AccessKey(key_id, SECRET),
        at=at,
        scope=tuple(scope),
    )
    return said, ours
