"""SMS by AWS (`End User Messaging`): `SendTextMessage` of API version 2022-03-31, signed by SigV4."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from yarl import URL

from duewise.channels.base import Message, Refused, SendResult, Unknown
from duewise.channels.post import (
    EXPIRED,
    Answer,
    PostChannel,
    Request,
    accepted,
    seconds_left,
)
from duewise.channels.signing import AccessKey, Scheme
from duewise.channels.table import capabilities, refusal
from duewise.times import Clock

SIGV4: Final = Scheme("AWS4-HMAC-SHA256", prefix="AWS4")
SERVICE: Final = "sms-voice"
VALIDITY_S_MIN: Final = 5
VALIDITY_S_MAX: Final = 259_200


@dataclass(frozen=True)
class AwsSettings:
    """One account. With an `origin` (a pool, say), it chooses the number; else the sender."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str
    origin: str | None = None
    message_type: Literal["TRANSACTIONAL", "PROMOTIONAL"] = "TRANSACTIONAL"
    name: str = "aws"
    endpoint: str | None = None
    timeout_s: float = 10.0
    requests_max: int = 50


def aws_channel(settings: AwsSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over an AWS account. Raises BadInput for bad settings."""
    return PostChannel(Aws(settings), clock=clock)


class Aws:
    """How AWS is asked, and what it answers; a `post.Vendor`."""

    capabilities = capabilities(__name__)

    def __init__(self, settings: AwsSettings) -> None:
        self._settings, self.name = settings, settings.name
        self.endpoint = settings.endpoint or f"https://{SERVICE}.{settings.region}.amazonaws.com/"
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._key = AccessKey(settings.access_key_id, settings.secret_access_key)

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """The signed request of a message; what is still held when its time is over, AWS drops."""
        left = seconds_left(message, at=at, longest=VALIDITY_S_MAX)
        if left < VALIDITY_S_MIN:
            return EXPIRED
        asked = {
            "DestinationPhoneNumber": message.address,
            "OriginationIdentity": self._settings.origin or message.sender_id,
            "MessageBody": message.text,
            "MessageType": self._settings.message_type,
            "TimeToLive": left,
            "Context": {"reference": message.reference},
        }
        return self._signed(json.dumps(asked).encode(), at)

    def meaning(self, answer: Answer) -> SendResult:
        """A `MessageId`, or an exception's `Reason`, or its type where it gives none."""
        match answer.words:
            case {"__type": str(), "Reason": str(code)}:
                return refusal(__name__, code)
            case {"__type": str(name)}:
                return refusal(__name__, name.rpartition("#")[2])
            case {"MessageId": provider_id}:
                return accepted(answer, provider_id)
        return Unknown("answer_without_code")

    def _signed(self, body: bytes, at: datetime) -> Request:
        url, instant = URL(self.endpoint), at.astimezone(UTC)
        stamp = f"{instant:%Y%m%dT%H%M%SZ}"
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "host": url.host_port_subcomponent or "",
            "x-amz-date": stamp,
            "x-amz-target": "PinpointSMSVoiceV2.SendTextMessage",
        }
        said = SIGV4.authorization(
            Request("", headers, body),
            path=url.path,
            key=self._key,
            at=stamp,
            scope=(f"{instant:%Y%m%d}", self._settings.region, SERVICE, "aws4_request"),
        )
        return Request("", headers | {"authorization": said}, body)
