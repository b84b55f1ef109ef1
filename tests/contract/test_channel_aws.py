"""AWS: asked as botocore asks and signed as botocore signs; the table's reasons are AWS's own."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from aiohttp import web
from tests.contract.channel_world import LI, LINE, REMINDER, message
from tests.contract.post_world import SECRET, authorizations, aws, opened, provider

from duewise.channels.aws import SIGV4, Aws
from duewise.channels.base import Accepted, Refused
from duewise.channels.post import Answer
from duewise.channels.table import table


def sdk(endpoint: str) -> Any:
    from botocore.session import Session

    return Session().create_client(
        "pinpoint-sms-voice-v2",
        region_name="ap-southeast-1",
        endpoint_url=endpoint,
        aws_access_key_id="key",
        aws_secret_access_key=SECRET,
    )


def ask_by_sdk(endpoint: str) -> None:
    client = sdk(endpoint)
    client.send_text_message(
        DestinationPhoneNumber=LI,
        OriginationIdentity=LINE,
        MessageBody=REMINDER,
        MessageType="TRANSACTIONAL",
        TimeToLive=43_200,
        Context={"reference": "e1"},
    )
    client.close()


async def test_it_asks_and_signs_as_botocore_does() -> None:
    heard, pairs = [], []

    async def keep(request: web.BaseRequest) -> web.StreamResponse:
        names = ("X-Amz-Target", "Content-Type")
        said = [request.headers[name] for name in names]
        heard.append((request.path, said, json.loads(await request.read())))
        pairs.append(await authorizations(request, SIGV4, at=request.headers["X-Amz-Date"]))
        return web.json_response({"MessageId": "00A7"})

    async with provider(keep) as endpoint, opened("aws", endpoint) as sms:
        await asyncio.to_thread(ask_by_sdk, endpoint)
        assert await sms.send(message(), key="") == Accepted(("a7",))
    assert len(heard) == 2
    assert heard[0] == heard[1]
    assert [theirs == ours for theirs, ours in pairs] == [True, True]


def test_it_does_not_ask_for_a_message_whose_time_is_all_but_over() -> None:
    late = message()
    assert late.valid_until is not None
    at = late.valid_until - timedelta(seconds=4)
    assert Aws(aws()).request(late, at=at) == Refused("expired", is_permanent=True)


def test_it_reads_the_reason_before_the_exceptions_name() -> None:
    named = {"__type": "com.amazonaws.sms#ConflictException"}
    why = {"Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT"}
    meant = Aws(aws()).meaning(Answer(400, named | why))
    assert meant == Refused("DESTINATION_PHONE_NUMBER_OPTED_OUT", is_permanent=True)
    unlisted = Refused("ConflictException", is_permanent=False, retry_after_s=60)
    assert Aws(aws()).meaning(Answer(400, named)) == unlisted


def test_it_finds_its_endpoint_by_the_region() -> None:
    assert Aws(aws()).endpoint == "https://sms-voice.ap-southeast-1.amazonaws.com/"


def test_it_lists_only_exceptions_and_reasons_that_aws_has() -> None:
    model = sdk("http://127.0.0.1:1/").meta.service_model
    known = {name for name in model.shape_names if name.endswith("Exception")}
    for name in model.shape_names:
        if name.endswith("ExceptionReason"):
            known |= set(model.shape_for(name).enum)
    of_every_service = {
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
    assert set(table("duewise.channels.aws")["codes"]) - known == of_every_service
