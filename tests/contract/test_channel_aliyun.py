"""Aliyun: signed as its own SDK signs, with the values that the approved wording holds."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, parse_qsl

from aiohttp import web
from tests.contract.channel_world import LI, message
from tests.contract.post_world import SECRET, SPEECHES, authorizations, opened, provider

from duewise.channels.aliyun import ACS3, canonical_query
from duewise.channels.approved import NO_TEMPLATE
from duewise.channels.base import Accepted

UNFIT = message(2, text="【甲】another text")


def ask_by_sdk(place: str) -> None:
    from alibabacloud_dysmsapi20170525.client import Client
    from alibabacloud_dysmsapi20170525.models import SendSmsRequest
    from alibabacloud_tea_openapi.models import Config

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


async def test_it_signs_as_aliyuns_own_sdk_does() -> None:
    pairs = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        query = canonical_query(dict(parse_qsl(request.rel_url.raw_query_string)))
        pairs.append(await authorizations(request, ACS3, query=query))
        return web.json_response(SPEECHES["aliyun"].taken("00A7^0"))

    async with provider(keep) as endpoint, opened("aliyun", endpoint) as sms:
        await asyncio.to_thread(ask_by_sdk, endpoint.removeprefix("http://").strip("/"))
        assert await sms.send(message(), key="") == Accepted(("a7^0",))
    assert len(pairs) == 2
    assert [theirs == ours for theirs, ours in pairs] == [True, True]


async def test_it_asks_aliyun_for_the_values_of_the_approved_template() -> None:
    heard: list[dict[str, list[str]]] = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(parse_qs(request.rel_url.raw_query_string))
        return web.json_response({"Code": "OK", "BizId": "7"})

    async with provider(keep) as endpoint, opened("aliyun", endpoint) as sms:
        assert await sms.send_many([message(), UNFIT]) == [Accepted(("7",)), NO_TEMPLATE]
    assert heard == [
        {
            "OutId": ["e1"],
            "PhoneNumbers": [LI[1:]],
            "SignName": ["甲消费金融"],
            "TemplateCode": ["SMS_1"],
            "TemplateParam": ['{"name": "Li", "sum": "1,234.56", "day": "8月10日"}'],
        }
    ]
