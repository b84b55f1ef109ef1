"""Each vendor over HTTP: asked as its own SDK asks, with the values its wording holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from aiohttp import web
from tests.contract.channel_world import LI, message
from tests.contract.post_world import SECRET, SPEECHES, authorizations, opened, provider

from duewise.channels.aliyun import ACS3, canonical_query
from duewise.channels.base import Accepted, Refused
from duewise.channels.post import table
from duewise.channels.tencent import TC3

NO_TEMPLATE = Refused("no_approved_template", is_permanent=True)
UNFIT = message(2, text="【甲】another text")


def aliyun_sdk(place: str) -> None:
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


def tencent_sdk(place: str) -> None:
    from tencentcloud.common.credential import Credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.sms.v20210111.models import SendSmsRequest
    from tencentcloud.sms.v20210111.sms_client import SmsClient

    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=place))
    asked = SendSmsRequest()
    asked.PhoneNumberSet, asked.SmsSdkAppId, asked.TemplateId = [LI], "1400000000", "1001"
    asked.SignName, asked.TemplateParamSet = "甲消费金融", ["Li", "1,234.56", "8月10日"]
    SmsClient(Credential("key", SECRET), "ap-guangzhou", profile).SendSms(asked)


async def by_acs3(request: web.BaseRequest) -> tuple[str, str]:
    query = canonical_query(dict(parse_qsl(request.rel_url.raw_query_string)))
    return await authorizations(request, ACS3, query=query)


async def by_tc3(request: web.BaseRequest) -> tuple[str, str]:
    return await authorizations(request, TC3, at=request.headers["X-TC-Timestamp"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the SDK's own making
@pytest.mark.parametrize(
    ("vendor", "sdk", "signed"), [("aliyun", aliyun_sdk, by_acs3), ("tencent", tencent_sdk, by_tc3)]
)
async def test_it_signs_as_the_vendors_own_sdk_does(
    vendor: str, sdk: Callable[[str], None], signed: Callable[[web.BaseRequest], Any]
) -> None:
    pairs = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        pairs.append(await signed(request))
        return web.json_response(SPEECHES[vendor].taken("00A7^0"))

    async with provider(keep) as endpoint, opened(vendor, endpoint) as sms:
        await asyncio.to_thread(sdk, endpoint.removeprefix("http://").strip("/"))
        result = await sms.send(message(), key="")
    assert result == Accepted(("a7^0",))
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


async def test_it_asks_tencent_for_the_values_of_the_approved_template_in_order() -> None:
    heard: list[dict[str, Any]] = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(json.loads(await request.read()))
        return web.json_response(SPEECHES["tencent"].taken("2:7"))

    async with provider(keep) as endpoint, opened("tencent", endpoint) as sms:
        assert await sms.send_many([message(), UNFIT]) == [Accepted(("2:7",)), NO_TEMPLATE]
    assert heard == [
        {
            "PhoneNumberSet": [LI],
            "SmsSdkAppId": "1400000000",
            "SignName": "甲消费金融",
            "TemplateId": "1001",
            "TemplateParamSet": ["Li", "1,234.56", "8月10日"],
            "SessionContext": "e1",
        }
    ]


async def test_it_reads_tencents_word_on_the_one_number() -> None:
    async def refuse(_: web.BaseRequest) -> web.StreamResponse:
        code = "FailedOperation.PhoneNumberInBlacklist"
        return web.json_response({"Response": {"SendStatusSet": [{"Code": code}]}})

    async with provider(refuse) as endpoint, opened("tencent", endpoint) as sms:
        result = await sms.send(message(), key="")
    assert result == Refused("FailedOperation.PhoneNumberInBlacklist", is_permanent=True)


def test_it_lists_only_codes_that_tencents_sdk_knows() -> None:
    from tencentcloud.sms.v20210111 import errorcodes

    known = {code for name, code in vars(errorcodes).items() if name.isupper()}
    listed = {
        code
        for code in table("duewise.channels.tencent")["codes"]
        if not code.startswith("AuthFailure.")
    }
    assert listed - known == {"InternalError", "RequestLimitExceeded"}  # of every product
