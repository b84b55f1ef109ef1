"""Channels over HTTP: the vendor's own SDK signs the same, and no fault is told for a success."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from aiohttp import web
from tests.contract.channel_world import LI, MORNING, free_port, message

from duewise.channels.aliyun import AliyunSettings, aliyun_channel, canonical_query, sign
from duewise.channels.base import Accepted, Refused, Unknown
from duewise.channels.post import ANSWER_BYTES_MAX, PostChannel
from duewise.errors import BadInput
from duewise.times import ManualClock

SECRET = "invented-secret"
TEMPLATES = {"SMS_1": "${name}，您本期应还${sum}元，${day}到期。客服400-000-0000，拒收请回复R"}
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def for_now(code: str, retry_after_s: int) -> Refused:
    return Refused(code, is_permanent=False, retry_after_s=retry_after_s)


def for_good(code: str) -> Refused:
    return Refused(code, is_permanent=True)


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
async def opened(endpoint: str, **settings: Any) -> AsyncIterator[PostChannel]:
    given = AliyunSettings("key", SECRET, TEMPLATES, endpoint=endpoint, **settings)
    channel = aliyun_channel(given, clock=ManualClock(MORNING))
    await channel.open()
    try:
        yield channel
    finally:
        await channel.close()


def signature_of(request: web.BaseRequest, body: bytes) -> tuple[str, str]:
    """The signature a request carries, and the one we make of the same request."""
    said = dict(part.split("=", 1) for part in request.headers["Authorization"][17:].split(","))
    headers = {name: request.headers[name] for name in said["SignedHeaders"].split(";")}
    query = canonical_query(dict(parse_qsl(request.rel_url.raw_query_string)))
    return said["Signature"], sign(request.path, query, headers, body, secret=SECRET)


def ask_by_sdk(endpoint: str) -> None:
    from alibabacloud_dysmsapi20170525.client import Client
    from alibabacloud_dysmsapi20170525.models import SendSmsRequest
    from alibabacloud_tea_openapi.models import Config

    place = endpoint.removeprefix("http://").strip("/")
    config = Config(access_key_id="key", access_key_secret=SECRET, endpoint=place, protocol="http")
    values = {"name": "Li", "sum": "1,234.56"}
    Client(config).send_sms(
        SendSmsRequest(
            phone_numbers="8613800000001",
            sign_name="甲消费金融",
            template_code="SMS_1",
            template_param=str(values),
        )
    )


async def test_it_signs_as_the_vendors_own_sdk_does() -> None:
    pairs = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        pairs.append(signature_of(request, await request.read()))
        return web.json_response({"Code": "OK", "BizId": "00A7^0"})

    async with provider(keep) as endpoint, opened(endpoint) as sms:
        await asyncio.to_thread(ask_by_sdk, endpoint)
        result = await sms.send(message(), key="")
    assert result == Accepted(("a7^0",))
    assert len(pairs) == 2
    assert [theirs == ours for theirs, ours in pairs] == [True, True]


async def test_it_sends_the_values_of_the_approved_template() -> None:
    heard: list[dict[str, list[str]]] = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(parse_qs(request.rel_url.raw_query_string))
        return web.json_response({"Code": "OK", "BizId": "7"})

    async with provider(keep) as endpoint, opened(endpoint) as sms:
        results = await sms.send_many([message(), message(2, text="【甲】another text")])
    assert results == [Accepted(("7",)), for_good("no_approved_template")]
    assert heard == [
        {
            "OutId": ["e1"],
            "PhoneNumbers": [LI[1:]],
            "SignName": ["甲消费金融"],
            "TemplateCode": ["SMS_1"],
            "TemplateParam": ['{"name": "Li", "sum": "1,234.56", "day": "8月10日"}'],
        }
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", for_now("isv.BUSINESS_LIMIT_CONTROL", 60)),
        ("isv.AMOUNT_NOT_ENOUGH", for_good("isv.AMOUNT_NOT_ENOUGH")),
        ("isv.MOBILE_NUMBER_ILLEGAL", for_good("isv.MOBILE_NUMBER_ILLEGAL")),
        ("isp.SYSTEM_ERROR", Unknown("isp.SYSTEM_ERROR")),
        ("isv.NOBODY_LISTED_IT", for_now("isv.NOBODY_LISTED_IT", 60)),
    ],
)
async def test_it_reads_the_providers_codes(code: str, expected: object) -> None:
    async def refuse(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"Code": code})

    async with provider(refuse) as endpoint, opened(endpoint) as sms:
        assert await sms.send(message(), key="") == expected


def says(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Handler:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return answer


async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang_up_amid(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"Code": "OK"')
    return await hang_up(request)


async def drip(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(100):
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


async def say_nothing(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(1)
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (says(429, headers={"Retry-After": "17"}), for_now("http_429", 17)),
        (says(429, headers={"Retry-After": "9" * 9}), for_now("http_429", 3_600)),
        (says(500, b'{"Code": "isv.OUT_OF_SERVICE"}'), Unknown("http_500")),
        (says(302, headers={"Location": "http://127.0.0.1:1/"}), for_good("http_302")),
        (says(302, b'{"Code": "OK", "BizId": "7"}'), for_good("http_302")),
        (says(400, b'{"Code": "OK", "BizId": "7"}'), Unknown("contradictory")),
        (says(403, b"denied"), for_good("http_403")),
        (says(200, b"{"), Unknown("answer_unreadable")),
        (says(200, b"[" * 60_000), Unknown("answer_unreadable")),
        (says(200, b"{}"), Unknown("answer_without_code")),
        (says(200, b'{"Code": "OK"}'), Unknown("no_id")),
        (says(200, b" " * ANSWER_BYTES_MAX + b"{}"), Unknown("answer_unreadable")),
        (hang_up, Unknown("ServerDisconnectedError")),
        (hang_up_amid, Unknown("ClientPayloadError")),
        (drip, Unknown("TimeoutError")),
        (say_nothing, Unknown("SocketTimeoutError|TimeoutError")),
    ],
)
async def test_it_never_asks_twice_and_never_takes_a_fault_for_a_success(
    handler: Handler, expected: Refused | Unknown
) -> None:
    asked = 0

    async def count(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await handler(request)

    async with provider(count) as endpoint, opened(endpoint, timeout_s=0.3) as sms:
        result = await sms.send(message(), key="")
    assert asked == 1
    if isinstance(expected, Unknown):
        assert isinstance(result, Unknown)
        assert result.reason in expected.reason.split("|")
    else:
        assert result == expected


async def test_it_says_that_a_request_without_a_connection_never_left() -> None:
    async with opened(f"http://127.0.0.1:{free_port()}/") as sms:
        assert await sms.send(message(), key="") == for_now("unreachable", 5)
    assert await sms.send(message(), key="") == for_now("not_open", 1)


async def test_it_does_not_know_what_became_of_a_request_that_close_cut_off() -> None:
    arrived = asyncio.Event()

    async def keep_waiting(request: web.BaseRequest) -> web.StreamResponse:
        arrived.set()
        return await say_nothing(request)

    async with provider(keep_waiting) as endpoint, opened(endpoint) as sms:
        sending = asyncio.create_task(sms.send(message(), key=""))
        await arrived.wait()
        await sms.close()
        assert isinstance(await sending, Unknown)


def test_it_finds_the_channel_by_its_entry_point() -> None:
    (found,) = metadata.entry_points(group="duewise.channels", name="aliyun")
    assert found.load() is aliyun_channel


@pytest.mark.parametrize("wording", ["${name}${sum}元", "${name}，${1}元"])
def test_it_refuses_a_wording_whose_values_cannot_be_told_apart(wording: str) -> None:
    with pytest.raises(BadInput, match="value"):
        aliyun_channel(
            AliyunSettings("key", SECRET, {"SMS_1": wording}), clock=ManualClock(MORNING)
        )


def test_it_shows_no_secret_and_takes_no_endpoint_in_the_clear() -> None:
    settings = AliyunSettings("key", SECRET, TEMPLATES, endpoint="http://sms.example.com/")
    assert SECRET not in repr(settings)
    with pytest.raises(BadInput, match="https"):
        aliyun_channel(settings, clock=ManualClock(MORNING))
