"""What providers call us about: believed only as their own verifier would, read as they document it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.channel_world import LI, LINE, MORNING
from tests.contract.hook_world import (
    CERTIFICATE,
    SECRET,
    Amazon,
    by_json,
    by_twilio,
    call,
)
from tests.contract.post_world import aliyun, aws, tencent

from duewise.channels.aliyun import Aliyun
from duewise.channels.aws import Aws
from duewise.channels.base import InboundReceipt, InboundReply
from duewise.channels.heard import FORGED, UNREADABLE, Call, Denied, Fetch, Heard, Hearing
from duewise.channels.tencent import Tencent
from duewise.channels.twilio import Twilio, TwilioSettings
from duewise.errors import BadInput

TOPIC = "arn:aws:sns:ap-southeast-1:000000000000:texts"
SENT = {"MessageSid": "SM7", "MessageStatus": "delivered", "To": LI, "AccountSid": "AC1"}


def twilio() -> Twilio:
    return Twilio(
        TwilioSettings("AC1", SECRET, callback_url="https://hooks.example.com/hooks/main")
    )


VENDORS: dict[str, Any] = {
    "aliyun": lambda: Aliyun(aliyun(hook_secret=SECRET)),
    "aws": lambda: Aws(aws(topic_arn=TOPIC)),
    "tencent": lambda: Tencent(tencent(hook_secret=SECRET)),
    "twilio": twilio,
}


def receipt(name: str, status: Any, code: str, reference: str = "", at: datetime = MORNING) -> Any:
    return InboundReceipt(name, status, code, reference, at)


ALIYUN = {
    "phone_number": "13800000001",
    "report_time": "2026-08-10 09:00:00",
    "success": True,
    "err_code": "DELIVERED",
    "biz_id": "00900619746936498440^0",
    "out_id": "7",
}
TENCENT = {
    "user_receive_time": "2026-08-10 09:00:00",
    "nationcode": "86",
    "mobile": "13800000001",
    "report_status": "FAIL",
    "errmsg": "MK:0005",
    "sid": "2645:F8",
}
TOLD: list[tuple[str, Call, Any]] = [
    (
        "twilio",
        by_twilio(SENT, query="reference=7"),
        [receipt("sm7", "delivered", "delivered", "7")],
    ),
    (
        "twilio",
        by_twilio(SENT | {"MessageStatus": "undelivered", "ErrorCode": "30005"}),
        [receipt("sm7", "failed", "30005")._replace(is_address_dead=True)],  # unknown handset
    ),
    ("twilio", by_twilio(SENT | {"MessageStatus": "sent"}), []),
    (
        "twilio",
        by_twilio({"MessageSid": "SM8", "From": LI, "To": LINE, "Body": "退订"}),
        [InboundReply("SM8", LI, LINE, "退订", MORNING)],
    ),
    (
        "aliyun",
        by_json([ALIYUN, ALIYUN | {"success": False, "err_code": "MK:0001", "biz_id": "B2"}]),
        [
            receipt("900619746936498440^0", "delivered", "DELIVERED", "7"),
            receipt("b2", "failed", "MK:0001", "7"),
        ],
    ),
    (
        "aliyun",
        by_json(
            [
                {
                    "phone_number": "13800000001",
                    "content": "已还",
                    "send_time": "2026-08-10 09:00:00",
                    "dest_code": "9901",
                    "sequence_id": 81,
                }
            ]
        ),
        [InboundReply("81", "13800000001", "9901", "已还", MORNING)],
    ),
    (
        "tencent",
        by_json([TENCENT, TENCENT | {"report_status": "SUCCESS", "user_receive_time": "later"}]),
        [receipt("2645:f8", "failed", "MK:0005"), receipt("2645:f8", "delivered", "MK:0005")],
    ),
]


@pytest.mark.parametrize(("vendor", "said", "told"), TOLD)
def test_it_reads_what_a_provider_tells(vendor: str, said: Call, told: Any) -> None:
    heard = VENDORS[vendor]().hear(said, at=MORNING)
    assert isinstance(heard, Heard)
    assert list(heard.inbound) == told


def test_it_reads_a_reply_of_tencent() -> None:
    words = {"extend": "01", "mobile": "13800000001", "nationcode": "86", "text": "T"}
    words |= {"sign": "甲", "time": 1_786_323_600}  # type: ignore[dict-item]
    heard = VENDORS["tencent"]().hear(by_json(words), at=MORNING)
    (reply,) = heard.inbound
    assert (reply.source, reply.destination, reply.text) == (LI, "01", "T")
    assert reply.at == datetime(2026, 8, 10, 1, tzinfo=UTC)
    assert heard.answer == b'{"result":0,"errmsg":"OK"}'
    again = VENDORS["tencent"]().hear(by_json(words), at=MORNING.replace(hour=2))
    assert again.inbound == heard.inbound


FORGERIES = [
    ("twilio", by_twilio(SENT, token="another")),
    ("twilio", call(b"MessageSid=SM7&MessageStatus=delivered")),
    ("aliyun", by_json([ALIYUN], secret="")),
    ("aliyun", by_json([ALIYUN], secret=SECRET[:-1])),
    ("tencent", by_json([TENCENT], secret=SECRET + "/")),
    ("tencent", by_json([TENCENT], secret="秘密")),
]


@pytest.mark.parametrize(("vendor", "said"), FORGERIES)
def test_it_believes_nobody_else(vendor: str, said: Call) -> None:
    assert VENDORS[vendor]().hear(said, at=MORNING) == FORGED


def test_it_believes_nobody_where_no_secret_was_agreed() -> None:
    assert Aliyun(aliyun()).hear(by_json([ALIYUN], secret=""), at=MORNING) == FORGED
    assert not Aliyun(aliyun()).capabilities.receipts
    with pytest.raises(BadInput, match="too short"):
        Tencent(tencent(hook_secret="short"))


@pytest.mark.parametrize(
    ("body", "denied"),
    [
        (b"{", UNREADABLE),
        (b"[1]", UNREADABLE),
        (b'[{"biz_id": 7}]', UNREADABLE),
        (b"[" * 9_000, UNREADABLE),
        (json.dumps([ALIYUN] * 1_001).encode(), Denied(413, "too_many_items")),
    ],
)
def test_it_says_what_it_cannot_take(body: bytes, denied: Denied) -> None:
    assert VENDORS["aliyun"]().hear(call(body, rest=SECRET), at=MORNING) == denied


def test_it_takes_what_can_be_read_of_a_batch_and_counts_the_rest() -> None:
    heard = VENDORS["aliyun"]().hear(by_json([ALIYUN, {"biz_id": 7}]), at=MORNING)
    assert (len(heard.inbound), heard.unreadable) == (1, 1)


EVENT = {
    "eventType": "TEXT_DELIVERED",
    "isFinal": True,
    "messageId": "862A8790-60C0",
    "context": {"reference": "7"},
}
SMS_IN = {
    "originationNumber": LI,
    "destinationNumber": LINE,
    "messageBody": "T",
    "inboundMessageId": "c7",
}


def hear(vendor: Aws, amazon: Amazon, words: dict[str, str]) -> Hearing:
    """One call, and whatever it makes us fetch."""
    heard = vendor.hear(by_json(words), at=MORNING)
    while isinstance(heard, Fetch):
        vendor.learn(heard.url, amazon.pem if heard.url == CERTIFICATE else b"<ok/>")
        heard = vendor.hear(by_json(words), at=MORNING)
    return heard


def test_it_believes_amazon_by_the_certificate_that_amazon_serves() -> None:
    vendor, amazon = VENDORS["aws"](), Amazon()
    said = amazon.says(EVENT)
    assert vendor.hear(by_json(said), at=MORNING) == Fetch(CERTIFICATE)
    assert hear(vendor, amazon, said) == Heard(
        (receipt("862a8790-60c0", "delivered", "TEXT_DELIVERED", "7"),)
    )
    assert hear(vendor, amazon, amazon.says(SMS_IN)) == Heard(
        (InboundReply("c7", LI, LINE, "T", MORNING),)
    )
    assert hear(vendor, amazon, amazon.says(EVENT | {"eventType": "TEXT_SUCCESSFUL"})) == Heard()


def test_it_confirms_a_subscription_of_its_own_topic_by_one_visit() -> None:
    vendor, amazon = VENDORS["aws"](), Amazon()
    place = "https://sns.ap-southeast-1.amazonaws.com/?Action=ConfirmSubscription&Token=7"
    asks = {"kind": "SubscriptionConfirmation", "Token": "7", "SubscribeURL": place}
    said = amazon.says("You have chosen to subscribe", **asks)
    assert vendor.hear(by_json(said), at=MORNING) == Fetch(CERTIFICATE)
    vendor.learn(CERTIFICATE, amazon.pem)
    assert vendor.hear(by_json(said), at=MORNING) == Fetch(place)
    assert hear(vendor, amazon, said) == Heard()
    elsewhere = amazon.says("", **(asks | {"SubscribeURL": "https://example.com/"}))
    assert hear(vendor, amazon, elsewhere) == FORGED


@pytest.mark.parametrize(
    "changed",
    [
        {"TopicArn": TOPIC + "2"},
        {"SignatureVersion": "1"},
        {"SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com.example.com/1.pem"},
        {"SigningCertURL": "http://sns.ap-southeast-1.amazonaws.com/1.pem"},
    ],
)
def test_it_believes_no_other_topic_and_no_other_host(changed: dict[str, str]) -> None:
    amazon = Amazon()
    assert hear(VENDORS["aws"](), amazon, amazon.says(EVENT, **changed)) == FORGED


def test_it_believes_no_notification_that_was_changed_or_whose_certificate_is_over() -> None:
    amazon = Amazon()
    said = amazon.says(EVENT)
    forged = said | {"Message": json.dumps(EVENT | {"messageId": "another"})}
    assert hear(VENDORS["aws"](), amazon, forged) == FORGED
    assert hear(VENDORS["aws"](), Amazon(days=0), said) == FORGED


@pytest.mark.parametrize("vendor", VENDORS)
@settings(max_examples=40, deadline=None)
@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda t: t.encode())))
def test_it_never_falls_over_a_body(vendor: str, body: bytes) -> None:
    heard = VENDORS[vendor]().hear(call(body, rest=SECRET), at=MORNING)
    assert isinstance(heard, Denied) or heard.inbound == ()
