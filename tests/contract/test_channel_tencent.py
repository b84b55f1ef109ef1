"""Tencent Cloud: signed as its own SDK signs, with the approved wording's values in order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from tests.contract.channel_world import LI, message
from tests.contract.post_world import SECRET, SPEECHES, authorizations, opened, provider

from duewise.channels.approved import NO_TEMPLATE
from duewise.channels.base import Accepted, Refused
from duewise.channels.table import table
from duewise.channels.tencent import TC3

UNFIT = message(2, text="【甲】another text")


def ask_by_sdk(place: str) -> None:
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the SDK's own making
async def test_it_signs_as_tencents_own_sdk_does() -> None:
    pairs = []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        at = request.headers["X-TC-Timestamp"]
        pairs.append(await authorizations(request, TC3, at=at))
        return web.json_response(SPEECHES["tencent"].taken("00A7^0"))

    async with provider(keep) as endpoint, opened("tencent", endpoint) as sms:
        await asyncio.to_thread(ask_by_sdk, endpoint.removeprefix("http://").strip("/"))
        assert await sms.send(message(), key="") == Accepted(("a7^0",))
    assert len(pairs) == 2
    assert [theirs == ours for theirs, ours in pairs] == [True, True]


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
