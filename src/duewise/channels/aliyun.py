"""SMS by Aliyun: `SendSms` of API version 2017-05-25, signed by ACS3-HMAC-SHA256.

Aliyun takes no free text but a template it has approved and the values in it. Which template a text
was written from, and with which values, is read off the text: one that fits none is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

import yaml
from yarl import URL

from duewise.channels.base import (
    Accepted,
    Capabilities,
    Message,
    Refused,
    SendResult,
    Unknown,
    normalise_provider_id,
)
from duewise.channels.post import CLIENT_ERROR, Answer, PostChannel, Request, refusal
from duewise.errors import BadInput
from duewise.times import Clock

ALGORITHM: Final = "ACS3-HMAC-SHA256"
NO_TEMPLATE: Final = Refused("no_approved_template", is_permanent=True)
_VALUE = re.compile(r"\$\{(\w+)\}")
_SIGNATURE = re.compile(r"【([^】]+)】")


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

    capabilities = Capabilities(
        parts_max=10, receipts=False, replies=False, idempotent=False, echoes_reference=False
    )

    def __init__(self, settings: AliyunSettings) -> None:
        self._settings = settings
        self.name, self.endpoint = settings.name, settings.endpoint
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._patterns = {code: pattern(text) for code, text in settings.templates.items()}

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """The signed request of a message, `at` an instant; a nonce makes it good only once."""
        signed_by = _SIGNATURE.match(message.text)
        fit = signed_by and self._fit(message.text[signed_by.end() :])
        if not signed_by or not fit:
            return NO_TEMPLATE
        query = canonical_query(
            {
                "OutId": message.reference,
                "PhoneNumbers": message.address.removeprefix("+"),
                "SignName": signed_by[1],
                "TemplateCode": fit[0],
                "TemplateParam": json.dumps(fit[1], ensure_ascii=False),
            }
        )
        return Request(query, self._headers(query, at))

    def meaning(self, answer: Answer) -> SendResult:
        """`Code` of the answer as one of three; `BizId` is the provider's id."""
        code, biz_id = answer.words.get("Code"), answer.words.get("BizId")
        if not isinstance(code, str):
            return Unknown("answer_without_code")
        if code == "OK" and answer.status >= CLIENT_ERROR:
            return Unknown("contradictory")
        if code == "OK":
            is_named = isinstance(biz_id, str) and biz_id.strip()
            provider_id = normalise_provider_id(str(biz_id))
            return Accepted((provider_id,)) if is_named else Unknown("no_id")
        return refusal(code, table()["codes"].get(code), retry_after_s=table()["retry_after_s"])

    def _fit(self, text: str) -> tuple[str, dict[str, str]] | None:
        """The first template that the text was written from, and its values."""
        fits = ((code, each.fullmatch(text)) for code, each in self._patterns.items())
        return next(((code, fit.groupdict()) for code, fit in fits if fit), None)

    def _headers(self, query: str, at: datetime) -> dict[str, str]:
        url = URL(self.endpoint)
        headers = {
            "host": url.host_port_subcomponent or "",
            "x-acs-action": "SendSms",
            "x-acs-version": "2017-05-25",
            "x-acs-date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        }
        key = self._settings.access_key_secret
        signature = sign(url.path, query, headers, b"", secret=key)
        names = ";".join(sorted(headers))
        credential = f"Credential={self._settings.access_key_id}"
        said = f"{ALGORITHM} {credential},SignedHeaders={names},Signature={signature}"
        return headers | {"Authorization": said}


@cache
def table() -> dict[str, Any]:
    """Aliyun's codes and what each asks for, from the table beside this file."""
    text = (resources.files("duewise.channels") / "aliyun.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def pattern(wording: str) -> re.Pattern[str]:
    """What texts written from an approved wording look like. Raises BadInput for a vague one.

    >>> pattern("应还${sum}元").fullmatch("应还12.30元").groupdict()
    {'sum': '12.30'}
    """
    pieces, seen = _VALUE.split(wording), set[str]()
    if "" in pieces[2:-1:2]:
        raise BadInput(f"two values touch in {wording!r}", mend="put words between them")
    if not all(name.isidentifier() for name in pieces[1::2]):
        raise BadInput(f"a value's name begins with a digit in {wording!r}", mend="use a letter")
    for place in range(1, len(pieces), 2):
        name = pieces[place]
        pieces[place] = f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
        seen.add(name)
    return re.compile("".join(p if n % 2 else re.escape(p) for n, p in enumerate(pieces)))


def canonical_query(values: Mapping[str, str]) -> str:
    """Parameters in order of name, percent-encoded by RFC 3986 (Aliyun, "V3 signature", step 1).

    >>> canonical_query({"b": "a b", "a": "*~"})
    'a=%2A~&b=a%20b'
    """
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(values.items())
    )


def sign(path: str, query: str, headers: Mapping[str, str], body: bytes, *, secret: str) -> str:
    """ACS3-HMAC-SHA256 of a POST, in hexadecimal (Aliyun, "V3 request body and signature").

    `headers` are those to be signed, names in lower case; `query` is canonical.
    """
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    digest = hashlib.sha256(body).hexdigest()
    canonical = "\n".join(("POST", path, query, lines, ";".join(names), digest))
    stated = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), stated.encode(), hashlib.sha256).hexdigest()
