"""SMS by Twilio: the Messages resource of API version 2010-04-01, under Basic authentication."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Final
from urllib.parse import urlencode, urlsplit

from aiohttp import encode_basic_auth

from duewise.channels.base import (
    EXPIRED,
    InboundReceipt,
    InboundReply,
    Message,
    Refused,
    SendResult,
    Unknown,
    normalise_provider_id,
)
from duewise.channels.heard import FORGED, UNREADABLE, Call, Heard, Hearing, form_fields
from duewise.channels.post import (
    Answer,
    PostChannel,
    Request,
    accepted,
    seconds_left,
)
from duewise.channels.table import capabilities, receipt_status, refusal
from duewise.errors import BadInput
from duewise.times import Clock

VALIDITY_S_MAX: Final = 36_000
REFERENCE: Final = "reference"
FIELDS_MAX: Final = 200


@dataclass(frozen=True)
class TwilioSettings:
    """One account. With a messaging service, it chooses the number; else the message's sender.

    `callback_url` is where Twilio tells what became of a message; none: it is not asked to.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    messaging_service_sid: str | None = None
    sender_id: str | None = None
    callback_url: str | None = None
    name: str = "twilio"
    endpoint: str = "https://api.twilio.com/"
    timeout_s: float = 10.0
    requests_max: int = 50


def twilio_channel(settings: TwilioSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over a Twilio account. Raises BadInput for bad settings."""
    return PostChannel(Twilio(settings), clock=clock)


class Twilio:
    """How Twilio is asked, and what it answers; a `post.Vendor`."""

    def __init__(self, settings: TwilioSettings) -> None:
        if not settings.account_sid.isalnum():
            sid = settings.account_sid
            raise BadInput(f"not an account SID: {sid!r}", mend="give the one that begins with AC")
        place = f"2010-04-01/Accounts/{settings.account_sid}/Messages.json"
        self.name, self.endpoint = settings.name, f"{settings.endpoint.rstrip('/')}/{place}"
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._service, self._token = settings.messaging_service_sid, settings.auth_token
        self._sender_id = settings.sender_id
        self._callback = settings.callback_url
        has_receipts = settings.callback_url is not None
        self.capabilities = replace(capabilities(__name__), receipts=has_receipts)
        self._headers = {
            "authorization": encode_basic_auth(settings.account_sid, settings.auth_token),
            "content-type": "application/x-www-form-urlencoded",
        }

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """The form of a message; what is still queued when its time is over, Twilio drops."""
        left = seconds_left(message, at=at, longest=VALIDITY_S_MAX)
        if left < 1:
            return EXPIRED
        form = {
            "To": message.address,
            "ValidityPeriod": str(left),
            "Body": message.text,
        }
        by = ("From", self._sender_id or message.sender_id)
        if self._service:
            by = ("MessagingServiceSid", self._service)
        if self._callback:
            form["StatusCallback"] = f"{self._callback}?{urlencode({REFERENCE: message.reference})}"
        return Request("", self._headers, urlencode([*form.items(), by]).encode())

    def meaning(self, answer: Answer) -> SendResult:
        """An error's `code`, or a message's `sid`; one that failed at once has not left."""
        match answer.words:
            case {"code": int(code)} | {"status": "failed", "error_code": int(code)}:
                return refusal(__name__, str(code))
            case {"status": str()}:
                return accepted(answer, answer.words.get("sid"))
        return Unknown("answer_without_code")

    def hear(self, call: Call, *, at: datetime) -> Hearing:
        """A status callback or an incoming message; both signed by the account's token."""
        try:
            form = form_fields(call.body.decode(), most=FIELDS_MAX)
        except ValueError:
            return UNREADABLE
        signature = call.headers.get("x-twilio-signature", "")
        if not is_signed(call.url, form, signature, token=self._token):
            return FORGED
        words = dict(form)
        match words:
            case {"MessageSid": name, "From": source, "To": to, "Body": text}:
                return Heard((InboundReply(name, source, to, text, at),))
            case {"MessageSid": name, "MessageStatus": word}:
                return self._receipt(name, word, words, call.query.get(REFERENCE, ""), at)
        return UNREADABLE

    def learn(self, url: str, octets: bytes) -> None:
        """Nothing is fetched."""

    def _receipt(
        self, name: str, word: str, words: Mapping[str, str], reference: str, at: datetime
    ) -> Heard:
        status = receipt_status(__name__, word)
        if status is None:
            return Heard()
        code = words.get("ErrorCode") or word
        asked = refusal(__name__, code)
        is_dead = isinstance(asked, Refused) and asked.is_address_dead
        named = normalise_provider_id(name)
        return Heard((InboundReceipt(named, status, code, reference, at, is_dead),))


def is_signed(url: str, form: Iterable[tuple[str, str]], signature: str, *, token: str) -> bool:
    """Whether a status callback comes from Twilio: its `X-Twilio-Signature`, by HMAC-SHA1.

    `url` as Twilio was told to call it, `form` the fields of the body, a field's every value once
    (Twilio, "Validate the signature"). Twilio signs with the port or without it: both count.
    Raises ValueError where `url` is no address.

    >>> is_signed("https://sms.example.com/", [], "forged", token="invented")
    False
    """
    fields = "".join(name + value for name, value in sorted(set(form)))
    given = signature.encode()
    return any(
        hmac.compare_digest(base64.b64encode(_hmac(token, place + fields)), given)
        for place in chain((url,), _spellings(url))
    )


def _spellings(url: str) -> Iterator[str]:
    """The same address without its port, and with it."""
    parts = urlsplit(url)
    bare = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for each in (bare, f"{bare}:{port}"):
        yield parts._replace(netloc=each).geturl()


def _hmac(token: str, text: str) -> bytes:
    return hmac.digest(token.encode(), text.encode(), "sha1")
