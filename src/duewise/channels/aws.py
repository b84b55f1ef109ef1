"""SMS by AWS (`End User Messaging`): `SendTextMessage` of API 2022-03-31, signed by SigV4."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from yarl import URL

from duewise.channels.base import (
    EXPIRED,
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
    UNREADABLE,
    Call,
    Denied,
    Fetch,
    Heard,
    Hearing,
    json_objects,
)
from duewise.channels.post import (
    Answer,
    PostChannel,
    Request,
    accepted,
    seconds_left,
)
from duewise.channels.signing import AccessKey, Scheme
from duewise.channels.sns import CONFIRMATIONS, Topic, is_amazons
from duewise.channels.table import capabilities, receipt_status, refusal
from duewise.times import Clock

SIGV4: Final = Scheme("AWS4-HMAC-SHA256", prefix="AWS4")
SERVICE: Final = "sms-voice"
VALIDITY_S_MIN: Final = 5
VALIDITY_S_MAX: Final = 259_200


@dataclass(frozen=True)
class AwsSettings:
    """One account. With an `origin` (a pool, say), it chooses the number; else the sender.

    `configuration_set` says where events go; `topic_arn` is the SNS topic that calls us with them.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str
    origin: str | None = None
    sender_id: str | None = None
    configuration_set: str | None = None
    topic_arn: str | None = None
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

    def __init__(self, settings: AwsSettings) -> None:
        self._settings, self.name = settings, settings.name
        self._origin = settings.origin or settings.sender_id
        self.endpoint = settings.endpoint or f"https://{SERVICE}.{settings.region}.amazonaws.com/"
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._topic = Topic(settings.topic_arn) if settings.topic_arn else None
        self._confirmed: str | None = None
        is_called = settings.topic_arn is not None
        self.capabilities = replace(capabilities(__name__), receipts=is_called, replies=is_called)
        self._key = AccessKey(settings.access_key_id, settings.secret_access_key)

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """The signed request of a message; what is still held when its time is over, AWS drops."""
        left = seconds_left(message, at=at, longest=VALIDITY_S_MAX)
        if left < VALIDITY_S_MIN:
            return EXPIRED
        asked = {
            "DestinationPhoneNumber": message.address,
            "OriginationIdentity": self._origin or message.sender_id,
            "MessageBody": message.text,
            "MessageType": self._settings.message_type,
            "TimeToLive": left,
            "Context": {"reference": message.reference},
        }
        if self._settings.configuration_set:
            asked["ConfigurationSetName"] = self._settings.configuration_set
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

    def hear(self, call: Call, *, at: datetime) -> Hearing:
        """A notification of the topic: an event of a text, or a text to us."""
        items = json_objects(call.body)
        if isinstance(items, Denied):
            return items
        if self._topic is None or len(items) != 1:
            return FORGED
        (words,) = items
        doubt = self._topic.verify(words, at=at)
        if doubt is not None:
            return doubt
        if words["Type"] in CONFIRMATIONS:
            return self._confirm(str(words.get("SubscribeURL")), str(words["Type"]))
        told = json_objects(str(words.get("Message")).encode())
        return UNREADABLE if isinstance(told, Denied) else Heard(tuple(_told(told, at)))

    def learn(self, url: str, octets: bytes) -> None:
        """The certificate that was fetched, or that the subscription is confirmed."""
        if url == self._confirmed or self._topic is None:
            return
        self._topic.learn(url, octets)

    def _confirm(self, url: str, kind: str) -> Hearing:
        """A subscription that is ours is confirmed by a visit; that one ended needs no answer."""
        if kind == "UnsubscribeConfirmation" or url == self._confirmed:
            self._confirmed = None
            return Heard()
        if not is_amazons(url):
            return FORGED
        self._confirmed = url
        return Fetch(url)

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


def _told(events: Sequence[Mapping[str, Any]], at: datetime) -> Iterator[Inbound]:
    """What the events tell that is a last word, or a reply."""
    for event in events:
        match event:
            case {"eventType": str(word), "messageId": str(name)}:
                status = receipt_status(__name__, word)
                context = event.get("context")
                reference = context.get("reference", "") if isinstance(context, dict) else ""
                if status is not None:
                    yield InboundReceipt(
                        normalise_provider_id(name), status, word, str(reference), at
                    )
            case {"inboundMessageId": str(name), "messageBody": str(text)}:
                source, to = event.get("originationNumber", ""), event.get("destinationNumber", "")
                yield InboundReply(name, str(source), str(to), text, at)
