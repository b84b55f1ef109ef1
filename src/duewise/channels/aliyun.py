"""SMS by Aliyun: `SendSms` of API version 2017-05-25, signed by ACS3-HMAC-SHA256.

Aliyun takes no free text but a template it has approved and the values in it (`approved`).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from yarl import URL

from duewise.channels.approved import NO_TEMPLATE, Wordings
from duewise.channels.base import Message, Refused, SendResult, Unknown
from duewise.channels.post import Answer, PostChannel, Request, accepted
from duewise.channels.signing import AccessKey, Scheme
from duewise.channels.table import capabilities, refusal
from duewise.times import Clock

ACS3: Final = Scheme("ACS3-HMAC-SHA256", separator=",")
MARK: Final = r"\$\{(\w+)\}"


@dataclass(frozen=True)
class AliyunSettings:
    """One account. `templates`: Aliyun's template code to the approved wording with `${values}`."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    templates: Mapping[str, str]
    name: str = "aliyun"
    endpoint: str = "https://dysmsapi.aliyuncs.com/"
    timeout_s: float = 10.0
    requests_max: int = 50


def aliyun_channel(settings: AliyunSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over an Aliyun account. Raises BadInput for bad settings."""
    return PostChannel(Aliyun(settings), clock=clock)


class Aliyun:
    """How Aliyun is asked, and what it answers; a `post.Vendor`."""

    capabilities = capabilities(__name__)

    def __init__(self, settings: AliyunSettings) -> None:
        self.name, self.endpoint = settings.name, settings.endpoint
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._key = AccessKey(settings.access_key_id, settings.access_key_secret)
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


def canonical_query(values: Mapping[str, str]) -> str:
    """Parameters in order of name, percent-encoded by RFC 3986 (Aliyun, "V3 signature", step 1).

    >>> canonical_query({"b": "a b", "a": "*~"})
    'a=%2A~&b=a%20b'
    """
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(values.items())
    )
