"""SMS by Tencent Cloud: `SendSms` of API version 2021-01-11, signed by TC3-HMAC-SHA256.

Tencent takes no free text but a template it has approved and its values in order (`approved`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeGuard

from yarl import URL

from duewise.channels.approved import NO_TEMPLATE, Wordings
from duewise.channels.base import (
    Inbound,
    InboundReceipt,
    InboundReply,
    Message,
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
from duewise.channels.table import capabilities, receipt_status, refusal
from duewise.times import Clock

TC3: Final = Scheme("TC3-HMAC-SHA256", prefix="TC3")
TAKEN: Final = b'{"result":0,"errmsg":"OK"}'
SECONDS_MAX: Final = 2**33
MARK: Final = r"\{(\d+)\}"


@dataclass(frozen=True)
class TencentSettings:
    """One account. `templates`: Tencent's template id to the approved wording with `{1}`, `{2}`.

    `hook_secret` ends the address that Tencent is told to call with receipts and replies.
    """

    secret_id: str
    secret_key: str = field(repr=False)
    app_id: str
    templates: Mapping[str, str]
    hook_secret: str | None = field(default=None, repr=False)
    region: str = "ap-guangzhou"
    name: str = "tencent"
    endpoint: str = "https://sms.tencentcloudapi.com/"
    timeout_s: float = 10.0
    requests_max: int = 50


def tencent_channel(settings: TencentSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over a Tencent Cloud account. Raises BadInput for bad settings."""
    return PostChannel(Tencent(settings), clock=clock)


class Tencent:
    """How Tencent Cloud is asked, and what it answers; a `post.Vendor`."""

    def __init__(self, settings: TencentSettings) -> None:
        self._app_id, self._region = settings.app_id, settings.region
        self.name, self.endpoint = settings.name, settings.endpoint
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._key = AccessKey(settings.secret_id, settings.secret_key)
        self._secret = hook_secret(settings.hook_secret)
        is_called = settings.hook_secret is not None
        self.capabilities = replace(capabilities(__name__), receipts=is_called, replies=is_called)
        self._wordings = Wordings(settings.templates, mark=MARK)

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """The signed request of a message, `at` an instant."""
        fit = self._wordings.fit(message.text)
        if fit is None:
            return NO_TEMPLATE
        asked = {
            "PhoneNumberSet": [message.address],
            "SmsSdkAppId": self._app_id,
            "SignName": fit.signature,
            "TemplateId": fit.code,
            "TemplateParamSet": [fit.values[name] for name in sorted(fit.values, key=int)],
            "SessionContext": message.reference,
        }
        return self._signed(json.dumps(asked).encode(), at)

    def meaning(self, answer: Answer) -> SendResult:
        """The one number's `Code`, or the whole request's; `SerialNo` is the provider's id."""
        match answer.words.get("Response"):
            case {"Error": {"Code": str(code)}}:
                return refusal(__name__, code)
            case {"SendStatusSet": [{"Code": "Ok"} as sent]}:
                return accepted(answer, sent.get("SerialNo"))
            case {"SendStatusSet": [{"Code": str(code)}]}:
                return refusal(__name__, code)
        return Unknown("answer_without_code")

    def hear(self, call: Call, *, at: datetime) -> Hearing:
        """An array of status reports, or one reply."""
        if not knows_secret(call, self._secret):
            return FORGED
        return heard_of(json_objects(call.body), partial(_told, at=at), answer=TAKEN)

    def learn(self, url: str, octets: bytes) -> None:
        """Nothing is fetched."""

    def _signed(self, body: bytes, at: datetime) -> Request:
        url, instant = URL(self.endpoint), at.astimezone(UTC)
        signed = {
            "content-type": "application/json",
            "host": url.host_port_subcomponent or "",
        }
        stamp, date = str(int(instant.timestamp())), f"{instant:%Y-%m-%d}"
        said = TC3.authorization(
            Request("", signed, body),
            path=url.path,
            key=self._key,
            at=stamp,
            scope=(date, "sms", "tc3_request"),
        )
        headers = {
            "authorization": said,
            "x-tc-action": "SendSms",
            "x-tc-region": self._region,
            "x-tc-timestamp": stamp,
            "x-tc-version": "2021-01-11",
        }
        return Request("", signed | headers, body)


def _told(item: Mapping[str, Any], *, at: datetime) -> Inbound | None:
    match item:
        case {"text": str(text), "mobile": str(number), "nationcode": str(country)}:
            source, to, sent = f"+{country}{number}", str(item.get("extend", "")), item.get("time")
            name = name_of(source, to, text, sent)
            when = datetime.fromtimestamp(sent, UTC) if _is_instant(sent) else at
            return InboundReply(name, source, to, text, when)
        case {"sid": str(name), "report_status": str(word)}:
            status = receipt_status(__name__, word) or "unknown"
            when = beijing_time(item.get("user_receive_time"), otherwise=at)
            code = str(item.get("errmsg", ""))
            return InboundReceipt(normalise_provider_id(name), status, code, "", when)
    return None


def _is_instant(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 < value < SECONDS_MAX
