"""Push by Firebase Cloud Messaging: HTTP v1, under an access token of a service account.

What a locked phone shows is the title only; the text travels beside it and is seen in the app.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import jwt

from duewise.channels.base import EXPIRED, Message, Refused, SendResult, Unknown
from duewise.channels.post import (
    Answer,
    PostChannel,
    Request,
    accepted,
    seconds_left,
)
from duewise.channels.table import capabilities, refusal
from duewise.channels.token import Token, Tokens
from duewise.errors import BadInput
from duewise.times import Clock

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_S: Final = 3_600
VALIDITY_S_MAX: Final = 2_419_200
TOKEN_OVER: Final = frozenset({"UNAUTHENTICATED"})
_KNOWN: Final = ("project_id", "private_key_id", "private_key", "client_email", "token_uri")


@dataclass(frozen=True)
class FcmSettings:
    """One Firebase project. `service_account` is the JSON key file of a service account."""

    service_account: str = field(repr=False)
    name: str = "fcm"
    endpoint: str = "https://fcm.googleapis.com/"
    timeout_s: float = 10.0
    requests_max: int = 100


def fcm_channel(settings: FcmSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over a Firebase project. Raises BadInput for bad settings."""
    vendor = Fcm(settings)
    return PostChannel(vendor, clock=clock, tokens=Tokens(vendor, clock=clock, codes=TOKEN_OVER))


class Fcm:
    """How Firebase is asked, and what it answers; a `post.Vendor` and a `token.TokenVendor`."""

    capabilities = capabilities(__name__)

    def __init__(self, settings: FcmSettings) -> None:
        self._account = _account(settings.service_account)
        place = f"v1/projects/{self._account['project_id']}/messages:send"
        self.name, self.endpoint = settings.name, f"{settings.endpoint.rstrip('/')}/{place}"
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self.token = ""

    @property
    def token_endpoint(self) -> str:
        return self._account["token_uri"]

    def token_request(self, *, at: datetime) -> Request:
        """A signed word of the account for a token (RFC 7523)."""
        issued, account = int(at.timestamp()), self._account
        claims = {"iss": account["client_email"], "scope": SCOPE, "aud": account["token_uri"]}
        assertion = jwt.encode(
            claims | {"iat": issued, "exp": issued + ASSERTION_S},
            account["private_key"],
            algorithm="RS256",
            headers={"kid": account["private_key_id"]},
        )
        form = {"grant_type": GRANT, "assertion": assertion}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return Request("", headers, urlencode(form).encode())

    def token_of(self, answer: Answer) -> Token | None:
        match answer.words:
            case {"access_token": str(value), "expires_in": int(seconds)}:
                return Token(value, seconds)
        return None

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """A message to one device; what its phone does not fetch in time, Firebase drops."""
        left = seconds_left(message, at=at, longest=VALIDITY_S_MAX)
        if left < 1:
            return EXPIRED
        asked = {
            "token": message.address,
            "notification": {"title": message.title or message.text},
            "data": {"text": message.text, "reference": message.reference},
            "android": {"ttl": f"{left}s", "priority": "HIGH"},
            "apns": {"headers": {"apns-expiration": str(int(at.timestamp()) + left)}},
        }
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        return Request("", headers, json.dumps({"message": asked}).encode())

    def meaning(self, answer: Answer) -> SendResult:
        """A message's `name`; or the error's own code, or its status where it gives none."""
        match answer.words:
            case {"error": {"details": [*details]} as error}:
                codes = (each.get("errorCode") for each in details if isinstance(each, dict))
                return refusal(__name__, str(next(filter(None, codes), error.get("status"))))
            case {"error": {"status": str(status)}}:
                return refusal(__name__, status)
            case {"name": name}:
                return accepted(answer, name)
        return Unknown("answer_without_code")


def _account(text: str) -> Mapping[str, str]:
    """The service account's fields. Raises BadInput that shows nothing of them."""
    try:
        found: dict[str, Any] = json.loads(text)
        return {name: str(found[name]) for name in _KNOWN}
    except (ValueError, KeyError, TypeError):
        raise BadInput(
            "not the key file of a service account", mend="take the JSON that Google gives"
        ) from None
