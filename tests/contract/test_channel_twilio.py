"""Twilio: asked as its own SDK asks, and a status callback believed as its own validator does."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from tests.contract.channel_world import LI, LINE, REMINDER, message
from tests.contract.post_world import SECRET, opened, provider
from twilio.request_validator import RequestValidator

from duewise.channels.base import Accepted, Refused
from duewise.channels.post import Answer
from duewise.channels.twilio import Twilio, TwilioSettings, is_signed
from duewise.errors import BadInput

Said = tuple[str, str, dict[str, str]]
SERVICE = {"messaging_service_sid": "MG1"}


def ask_by_sdk(endpoint: str, by: dict[str, str]) -> None:
    from twilio.rest import Client

    client = Client("AC1", SECRET)
    client.api.base_url = endpoint.rstrip("/")
    client.messages.create(to=LI, body=REMINDER, validity_period=36_000, **by)
    client.http_client.session.close()


@pytest.mark.parametrize(("settings", "by"), [({}, {"from_": LINE}), (SERVICE, SERVICE)])
async def test_it_asks_as_twilios_own_sdk_does(
    settings: dict[str, Any], by: dict[str, str]
) -> None:
    heard: list[Said] = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        form = dict(parse_qsl((await request.read()).decode()))
        heard.append((request.path, request.headers["Authorization"], form))
        return web.json_response({"sid": "SM7", "status": "queued"}, status=201)

    async with provider(keep) as endpoint, opened("twilio", endpoint, **settings) as sms:
        await asyncio.to_thread(ask_by_sdk, endpoint, by)
        assert await sms.send(message(), key="") == Accepted(("sm7",))
    assert len(heard) == 2
    assert heard[0] == heard[1]


def test_it_does_not_ask_for_a_message_whose_time_is_over() -> None:
    vendor, late = Twilio(TwilioSettings("AC1", SECRET)), message()
    assert late.valid_until is not None
    assert vendor.request(late, at=late.valid_until) == Refused("expired", is_permanent=True)


def test_it_takes_a_message_that_failed_at_once_for_refused() -> None:
    failed = {"sid": "SM7", "status": "failed", "error_code": 30_006}
    meant = Twilio(TwilioSettings("AC1", SECRET)).meaning(Answer(201, failed))
    assert meant == Refused("30006", is_permanent=True, is_address_dead=True)


def test_it_refuses_an_account_that_is_none() -> None:
    with pytest.raises(BadInput, match="AC"):
        Twilio(TwilioSettings("AC1/../AC2", SECRET))


FORM = {"MessageSid": "SM7", "MessageStatus": "delivered", "To": LI, "Note": "你好 & more"}
URLS = [
    "https://sms.example.com/status?route=a%20b",
    "https://sms.example.com/status",
    "https://sms.example.com:443/status",
    "https://sms.example.com:8443/status",
    "http://127.0.0.1/status",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("signed_url", URLS)
def test_it_believes_the_callbacks_that_twilios_validator_believes(
    url: str, signed_url: str
) -> None:
    theirs = RequestValidator(SECRET)
    signature = theirs.compute_signature(signed_url, FORM)
    assert is_signed(url, FORM.items(), signature, token=SECRET) == theirs.validate(
        url, FORM, signature
    )


def test_it_believes_no_callback_that_was_changed_or_signed_by_another() -> None:
    signature = RequestValidator(SECRET).compute_signature(URLS[0], FORM)
    forged = FORM | {"MessageStatus": "failed"}
    assert is_signed(URLS[0], FORM.items(), signature, token=SECRET)
    assert not is_signed(URLS[0], forged.items(), signature, token=SECRET)
    assert not is_signed(URLS[0], FORM.items(), signature, token="another")
    assert not is_signed(URLS[0], FORM.items(), "签", token=SECRET)
