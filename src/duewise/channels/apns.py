"""Push by Apple (APNs): HTTP/2, under a token signed by ES256, a new one before its hour is over.

What a locked phone shows is the title only; the text travels beside it and is seen in the app.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

import httpx
import jwt

from duewise.channels.base import (
    EXPIRED,
    Accepted,
    Arrivals,
    Capabilities,
    Message,
    Refused,
    SendResult,
    Unknown,
    nobody,
    normalise_provider_id,
)
from duewise.channels.post import (
    ANSWER_BYTES_MAX,
    NEVER_LEFT,
    NOT_OPEN,
    REDIRECT,
    SERVER_ERROR,
    TOO_MANY_REQUESTS,
    endpoint,
    seconds_left,
)
from duewise.channels.table import capabilities, refusal
from duewise.errors import BadInput
from duewise.times import Clock

OK: Final = 200
TOKEN_S: Final = 2_400  # Apple wants one of twenty minutes to an hour
VALIDITY_S_MAX: Final = 2_592_000
DEAD: Final = Refused("BadDeviceToken", is_permanent=True, is_address_dead=True)
_DEVICE: Final = re.compile(r"[0-9a-fA-F]{8,400}")
logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write each device's address


@dataclass(frozen=True)
class ApnsSettings:
    """One app of a team. `key` is the text of the team's `.p8` file, `topic` the bundle's id.

    `ca_file`: whom to believe instead of the usual authorities.
    """

    team_id: str
    key_id: str
    topic: str
    key: str = field(repr=False)
    ca_file: str | None = None
    name: str = "apns"
    endpoint: str = "https://api.push.apple.com/"
    timeout_s: float = 10.0
    requests_max: int = 500


def apns_channel(settings: ApnsSettings, *, clock: Clock) -> ApnsChannel:
    """A `base.Channel` over an app at Apple. Raises BadInput for bad settings."""
    return ApnsChannel(settings, clock=clock)


class ApnsChannel:
    """A `base.Channel` over one HTTP/2 connection, many requests at once."""

    capabilities: Capabilities = capabilities(__name__)

    def __init__(self, settings: ApnsSettings, *, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._url = f"{str(endpoint(settings.endpoint)).rstrip('/')}/3/device/"
        self._inbound = Arrivals()
        self._http: httpx.AsyncClient | None = None
        self._token, self._signed_at = "", 0
        self._room = asyncio.Semaphore(settings.requests_max)
        self._bearer(clock.now())

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def inbound(self) -> Arrivals:
        return self._inbound

    @property
    def listening_since(self) -> datetime | None:
        """Never: Apple tells nothing afterwards."""
        return None

    async def open(self) -> None:
        """Get ready. Whether the key is good, the first answer says."""
        trusted = ssl.create_default_context(cafile=self._settings.ca_file)
        self._http = httpx.AsyncClient(
            http1=False,
            http2=True,
            verify=trusted,
            timeout=self._settings.timeout_s,
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of the connection; what is in flight becomes `Unknown`."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def send(self, message: Message, *, key: str) -> SendResult:  # noqa: ARG002 - no keys here
        """Send one message, once."""
        if self._http is None:
            return NOT_OPEN
        now = self._clock.now()
        left = seconds_left(message, at=now, longest=VALIDITY_S_MAX)
        if left < 1:
            return EXPIRED
        if not _DEVICE.fullmatch(message.address):
            return DEAD
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, message.reference))
        headers = {
            "authorization": f"bearer {self._bearer(now)}",
            "apns-id": name,
            "apns-topic": self._settings.topic,
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": str(int(now.timestamp()) + left),
        }
        async with self._room:
            return await self._asked(self._http, message, headers)

    async def send_many(
        self,
        messages: Sequence[Message],
        *,
        written: Callable[[], None] = nobody,  # noqa: ARG002 - the answers tell
    ) -> list[SendResult]:
        """Send several side by side, the results in the order of the messages."""
        return list(await asyncio.gather(*map(partial(self.send, key=""), messages)))

    async def _asked(
        self, http: httpx.AsyncClient, message: Message, headers: dict[str, str]
    ) -> SendResult:
        try:
            async with http.stream(
                "POST", self._url + message.address, content=payload(message), headers=headers
            ) as response:
                octets = bytearray()
                async for chunk in response.aiter_raw():
                    octets += chunk
                    if len(octets) > ANSWER_BYTES_MAX:
                        return Unknown("answer_unreadable")
                name = response.headers.get("apns-id") or headers["apns-id"]
                return meaning(response.status_code, bytes(octets), name)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return NEVER_LEFT
        except (httpx.TransportError, RuntimeError) as error:  # closed while it was asked
            return Unknown(type(error).__name__)

    def _bearer(self, at: datetime) -> str:
        """The team's token, signed anew when it gets old. Raises BadInput for no key."""
        instant = int(at.timestamp())
        if not self._signed_at <= instant < self._signed_at + TOKEN_S:
            its = self._settings
            try:
                self._token = jwt.encode(
                    {"iss": its.team_id, "iat": instant},
                    its.key,
                    algorithm="ES256",
                    headers={"kid": its.key_id},
                )
            except (jwt.PyJWTError, ValueError, TypeError):
                raise BadInput("not a key of Apple's", mend="take the text of the .p8") from None
            self._signed_at = instant
        return self._token


def payload(message: Message) -> bytes:
    """What the device is sent: a title on the locked screen, the text for the app."""
    shown = {"alert": {"title": message.title or message.text}, "sound": "default"}
    told = {"aps": shown, "text": message.text, "reference": message.reference}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def meaning(status: int, octets: bytes, name: str) -> SendResult:
    """Apple's answer: taken under a name, or a reason; a failure without one may have gone out.

    >>> meaning(410, b'{"reason": "Unregistered"}', "").is_address_dead
    True
    """
    if status == OK:
        return Accepted((normalise_provider_id(name),))
    try:
        words = json.loads(octets)
    except (ValueError, RecursionError):
        words = None
    match words:
        case {"reason": str(reason)}:
            return refusal(__name__, reason)
    if status >= SERVER_ERROR or status < REDIRECT:
        return Unknown(f"http_{status}")
    return Refused(f"http_{status}", is_permanent=status != TOO_MANY_REQUESTS)
