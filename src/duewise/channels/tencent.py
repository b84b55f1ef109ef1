"""SMS by Tencent Cloud: `SendSms` of API version 2021-01-11, signed by TC3-HMAC-SHA256.

Tencent takes no free text but a template it has approved and its values in order (`approved`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from yarl import URL

from duewise.channels.approved import NO_TEMPLATE, Wordings
from duewise.channels.base import Message, Refused, SendResult, Unknown
from duewise.channels.post import Answer, PostChannel, Request, accepted
from duewise.channels.signing import AccessKey, Scheme
from duewise.channels.table import capabilities, refusal
from duewise.times import Clock

TC3: Final = Scheme("TC3-HMAC-SHA256", prefix="TC3")
MARK: Final = r"\{(\d+)\}"


@dataclass(frozen=True)
class TencentSettings:
    """One account. `templates`: Tencent's template id to the approved wording with `{1}`, `{2}`."""

    secret_id: str
    secret_key: str = field(repr=False)
    app_id: str
    templates: Mapping[str, str]
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

    capabilities = capabilities(__name__)

    def __init__(self, settings: TencentSettings) -> None:
        self._app_id, self._region = settings.app_id, settings.region
        self.name, self.endpoint = settings.name, settings.endpoint
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._key = AccessKey(settings.secret_id, settings.secret_key)
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
