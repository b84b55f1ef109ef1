"""Push by JPush (极光推送): REST API v3, under Basic authentication.

What a locked phone shows is the title only; the text travels beside it and is seen in the app.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiohttp import encode_basic_auth

from duewise.channels.base import EXPIRED, Message, Refused, SendResult, Unknown
from duewise.channels.post import (
    Answer,
    PostChannel,
    Request,
    accepted,
    seconds_left,
)
from duewise.channels.table import capabilities, refusal
from duewise.times import Clock

VALIDITY_S_MAX: Final = 864_000


@dataclass(frozen=True)
class JpushSettings:
    """One app. `is_production`: Apple devices have the app from the store, not a test build."""

    app_key: str
    master_secret: str = field(repr=False)
    is_production: bool = True
    name: str = "jpush"
    endpoint: str = "https://api.jpush.cn/v3/push"
    timeout_s: float = 10.0
    requests_max: int = 20


def jpush_channel(settings: JpushSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over a JPush app. Raises BadInput for bad settings."""
    return PostChannel(Jpush(settings), clock=clock)


class Jpush:
    """How JPush is asked, and what it answers; a `post.Vendor`."""

    capabilities = capabilities(__name__)

    def __init__(self, settings: JpushSettings) -> None:
        self.name, self.endpoint = settings.name, settings.endpoint
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        self._is_production = settings.is_production
        self._headers = {
            "authorization": encode_basic_auth(settings.app_key, settings.master_secret),
            "content-type": "application/json",
        }

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """A message to one registration; what its phone does not fetch in time, JPush drops."""
        left = seconds_left(message, at=at, longest=VALIDITY_S_MAX)
        if left < 1:
            return EXPIRED
        shown = {
            "alert": message.title or message.text,
            "extras": {"text": message.text, "reference": message.reference},
        }
        asked = {
            "platform": ["android", "ios"],
            "audience": {"registration_id": [message.address]},
            "notification": {"android": shown, "ios": shown},
            "options": {"time_to_live": left, "apns_production": self._is_production},
        }
        return Request("", self._headers, json.dumps(asked, ensure_ascii=False).encode())

    def meaning(self, answer: Answer) -> SendResult:
        """A `msg_id`, or the error's `code`."""
        match answer.words:
            case {"error": {"code": int(code)}}:
                return refusal(__name__, str(code))
            case {"sendno": _, **rest}:
                name = rest.get("msg_id")
                return accepted(answer, str(name) if isinstance(name, int) else name)
        return Unknown("answer_without_code")
