"""Channels over HTTP, every vendor's alike: no fault is told for a success, and none asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata

import pytest
from aiohttp import web
from tests.contract.channel_world import MORNING, free_port, message
from tests.contract.post_world import SECRET, SPEECHES, Handler, Speech, opened, provider, says

from duewise.channels.base import EXPIRED, Refused, SendResult, Unknown
from duewise.channels.post import ANSWER_BYTES_MAX, Answer
from duewise.errors import BadInput

every_vendor = pytest.mark.parametrize("vendor", SPEECHES)


def for_now(code: str, retry_after_s: int) -> Refused:
    return Refused(code, is_permanent=False, retry_after_s=retry_after_s)


def for_good(code: str) -> Refused:
    return Refused(code, is_permanent=True)


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


Fault = Callable[[Speech], Handler]
FAULTS: dict[str, tuple[Fault, SendResult]] = {
    "busy": (lambda _: says(429, headers={"Retry-After": "17"}), for_now("http_429", 17)),
    "busy for long": (
        lambda _: says(429, headers={"Retry-After": "9" * 9}),
        for_now("http_429", 3_600),
    ),
    "its own error": (lambda it: says(500, it.refused(next(iter(it.codes)))), Unknown("http_500")),
    "elsewhere": (
        lambda _: says(302, headers={"Location": "http://127.0.0.1:1/"}),
        for_good("http_302"),
    ),
    "taken, elsewhere": (lambda it: says(302, it.taken("7")), for_good("http_302")),
    "taken, yet refused": (lambda it: says(400, it.taken("7")), Unknown("contradictory")),
    "denied in no words": (lambda _: says(403, b"denied"), for_good("http_403")),
    "half an object": (lambda _: says(200, b"{"), Unknown("answer_unreadable")),
    "too deep": (lambda _: says(200, b"[" * 60_000), Unknown("answer_unreadable")),
    "no code": (lambda _: says(200, b"{}"), Unknown("answer_without_code")),
    "no id": (lambda it: says(200, it.taken(None)), Unknown("no_id")),
    "too long": (
        lambda _: says(200, b" " * ANSWER_BYTES_MAX + b"{}"),
        Unknown("answer_unreadable"),
    ),
    "hangs up": (lambda _: hang_up, Unknown("ServerDisconnectedError")),
    "hangs up amid": (lambda _: hang_up_amid, Unknown("ClientPayloadError")),
    "drips": (lambda _: drip, Unknown("TimeoutError")),
    "says nothing": (lambda _: say_nothing, Unknown("SocketTimeoutError|TimeoutError")),
}


@every_vendor
@pytest.mark.parametrize("name", FAULTS)
async def test_it_never_asks_twice_and_never_takes_a_fault_for_a_success(
    vendor: str, name: str
) -> None:
    fault, expected = FAULTS[name]
    asked, handler = 0, fault(SPEECHES[vendor])

    async def count(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await handler(request)

    async with provider(count) as endpoint, opened(vendor, endpoint, timeout_s=0.2) as sms:
        result = await sms.send(message(), key="")
    assert asked == 1
    if isinstance(expected, Unknown):
        assert isinstance(result, Unknown)
        assert result.reason in expected.reason.split("|")
    else:
        assert result == expected


CODES = [(vendor, *pair) for vendor, it in SPEECHES.items() for pair in it.codes.items()]
UNLISTED = [(vendor, it.unlisted, "for now") for vendor, it in SPEECHES.items()]


@pytest.mark.parametrize(("vendor", "code", "meant"), CODES + UNLISTED)
def test_it_reads_the_providers_codes(vendor: str, code: str, meant: str) -> None:
    answers: dict[str, SendResult] = {
        "for now": for_now(code, 60),
        "for good": for_good(code),
        "account": replace(for_now(code, 60), is_of_account=True),
        "dead": Refused(code, is_permanent=True, is_address_dead=True),
        "unknown": Unknown(code),
    }
    speech = SPEECHES[vendor]
    channel = speech.opens("http://127.0.0.1:1/")
    assert channel._vendor.meaning(Answer(200, speech.refused(code))) == answers[meant]


@every_vendor
async def test_it_says_that_a_request_without_a_connection_never_left(vendor: str) -> None:
    async with opened(vendor, f"http://127.0.0.1:{free_port()}/") as sms:
        assert await sms.send(message(), key="") == for_now("unreachable", 5)
    assert await sms.send(message(), key="") == for_now("not_open", 1)


async def test_it_does_not_know_what_became_of_a_request_that_close_cut_off() -> None:
    arrived = asyncio.Event()

    async def keep_waiting(request: web.BaseRequest) -> web.StreamResponse:
        arrived.set()
        return await say_nothing(request)

    async with provider(keep_waiting) as endpoint, opened("aliyun", endpoint) as sms:
        sending = asyncio.create_task(sms.send(message(), key=""))
        await arrived.wait()
        await sms.close()
        assert isinstance(await sending, Unknown)


@every_vendor
def test_it_finds_the_channel_by_its_entry_point(vendor: str) -> None:
    (found,) = metadata.entry_points(group="duewise.channels", name=vendor)
    assert found.load() is SPEECHES[vendor].channel


@every_vendor
def test_it_shows_no_secret_and_takes_no_endpoint_in_the_clear(vendor: str) -> None:
    speech = SPEECHES[vendor]
    assert SECRET not in repr(speech.account())
    with pytest.raises(BadInput, match="https"):
        speech.opens("http://sms.example.com/")


@every_vendor
async def test_it_asks_nobody_once_the_validity_has_ended(vendor: str) -> None:
    late = message()._replace(valid_until=MORNING)
    async with provider(says(500)) as endpoint, opened(vendor, endpoint) as channel:
        assert await channel.send(late, key="") == EXPIRED
