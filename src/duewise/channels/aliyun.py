"""SMS by Aliyun: `SendSms` of API version 2017-05-25, signed by ACS3-HMAC-SHA256.

Aliyun takes no free text but a template it has approved and the values in it (`approved`).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from duewise.channels.approved import NO_TEMPLATE, Wordings
from duewise.channels.base import (
    Inbound,
    InboundReceipt,
    InboundReply,
    Message,
    ReceiptStatus,
    Refused,
    SendResult,
    Unknown,
    normalise_provider_id,
)
from duewise.channels.heard import (
    FORGED,
    Call,
    Hearing,
    beijing_time,
    heard_of,
    hook_secret,
    json_objects,
    knows_secret,
    name_of,
)
from duewise.channels.post import Answer, PostChannel, Request, accepted
from duewise.channels.signing import AccessKey, Scheme
from duewise.channels.table import capabilities, refusal
from duewise.times import Clock

ACS3: Final = Scheme("ACS3-HMAC-SHA256", separator=",")
TAKEN: Final = b'{"code":0,"msg":"ok"}'
MARK: Final = r"\$\{(\w+)\}"


@dataclass(frozen=True)
class AliyunSettings:
    """One account. `templates`: Aliyun's template code to the approved wording with `${values}`.

    `hook_secret` ends the address that Aliyun is told to push receipts and replies to.
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    templates: Mapping[str, str]
    hook_secret: str | None = field(default=None, repr=False)
    name: str = "aliyun"
    endpoint: str = "https://dysmsapi.aliyuncs.com/"
    timeout_s: float = 10.0
    requests_max: int = 50


def aliyun_channel(settings: AliyunSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over an Aliyun account. Raises BadInput for bad settings."""
    return PostChannel(Aliyun(settings), clock=clock)


class Aliyun:
    """How Aliyun is asked, and what it answers; a `post.Vendor`."""

    def __init__(self, settings: AliyunSettings) -> None:
        self.name, self.endpoint = settings.name, settings.endpoint
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._key = AccessKey(settings.access_key_id, settings.access_key_secret)
        self._secret = hook_secret(settings.hook_secret)
        is_called = settings.hook_secret is not None
        self.capabilities = replace(capabilities(__name__), receipts=is_called, replies=is_called)
        self._wordings = Wordings(settings.templates, mark=MARK)

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """The signed request of a message, `at` an instant; a nonce makes it good only once."""
        fit = self._wordings.fit(message.text)
        if fit is None:
            return NO_TEMPLATE
        query = canonical_query(
            {
                "OutId": message.reference,
                "PhoneNumbers": message.address.removeprefix("+"),
                "SignName": fit.signature,
                "TemplateCode": fit.code,
                "TemplateParam": json.dumps(fit.values, ensure_ascii=False),
            }
        )
        return self._signed(query, at)

    def meaning(self, answer: Answer) -> SendResult:
        """`Code` of the answer as one of three; `BizId` is the provider's id."""
        code = answer.words.get("Code")
        if not isinstance(code, str):
            return Unknown("answer_without_code")
        if code == "OK":
            return accepted(answer, answer.words.get("BizId"))
        return refusal(__name__, code)

    def hear(self, call: Call, *, at: datetime) -> Hearing:
        """An array of status reports (`SmsReport`) or of replies (`SmsUp`)."""
        if not knows_secret(call, self._secret):
            return FORGED
        return heard_of(json_objects(call.body), partial(_told, at=at), answer=TAKEN)

    def learn(self, url: str, octets: bytes) -> None:
        """Nothing is fetched."""

    def _signed(self, query: str, at: datetime) -> Request:
        url = URL(self.endpoint)
        headers = {
            "host": url.host_port_subcomponent or "",
            "x-acs-action": "SendSms",
            "x-acs-version": "2017-05-25",
            "x-acs-date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        }
        said = ACS3.authorization(Request(query, headers), path=url.path, key=self._key)
        return Request(query, headers | {"authorization": said})


def _told(item: Mapping[str, Any], *, at: datetime) -> Inbound | None:
    match item:
        case {"content": str(text), "phone_number": str(number)}:
            to, sent = str(item.get("dest_code", "")), item.get("send_time")
            name = str(item.get("sequence_id") or name_of(number, to, text, sent))
            return InboundReply(name, number, to, text, beijing_time(sent, otherwise=at))
        case {"biz_id": str(name), "success": bool(is_there)}:
            status: ReceiptStatus = "delivered" if is_there else "failed"
            code, reference = str(item.get("err_code", "")), str(item.get("out_id", ""))
            when = beijing_time(item.get("report_time"), otherwise=at)
            return InboundReceipt(normalise_provider_id(name), status, code, reference, when)
    return None


def canonical_query(values: Mapping[str, str]) -> str:
    """Parameters in order of name, percent-encoded by RFC 3986 (Aliyun, "V3 signature", step 1).

    >>> canonical_query({"b": "a b", "a": "*~"})
    'a=%2A~&b=a%20b'
    """
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(values.items())
    )
