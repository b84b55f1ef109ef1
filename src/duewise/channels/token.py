"""Access tokens that a provider gives for a while: asked for once, kept until near their end.

Without a token nothing was asked of the provider, so that the message is still here for certain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import aiohttp

from duewise.channels.base import Refused, SendResult
from duewise.channels.post import Answer, Request, endpoint, exchange
from duewise.times import Clock

EARLY_S: Final = 300  # before its end another is asked for
NO_TOKEN: Final = Refused("no_token", is_permanent=False, retry_after_s=30)


@dataclass(frozen=True, slots=True)
class Token:
    """A provider's token, and how long it is good for."""

    value: str = field(repr=False)
    lifetime_s: int


class TokenVendor(Protocol):
    """What a provider adds that gives tokens. `token` is filled in before each request."""

    token: str

    @property
    def token_endpoint(self) -> str: ...
    def token_request(self, *, at: datetime) -> Request: ...
    def token_of(self, answer: Answer) -> Token | None: ...


class Tokens:
    """The token of one account. Who finds it over asks for another, and the rest wait for it.

    `codes` are the provider's for a token that is over.
    """

    def __init__(self, vendor: TokenVendor, *, clock: Clock, codes: Collection[str]) -> None:
        self._vendor, self._clock, self._codes = vendor, clock, codes
        self._url = endpoint(vendor.token_endpoint)
        self._lock = asyncio.Lock()
        self._until = clock.now()

    def keep(self, token: Token) -> None:
        """Use this token until shortly before its end."""
        early_s = min(EARLY_S, token.lifetime_s // 2)
        self._vendor.token = token.value
        self._until = self._clock.now() + timedelta(seconds=token.lifetime_s - early_s)

    def is_over(self, token: str, result: SendResult) -> bool:
        """Whether the provider calls the token over, whatever it said before; it is dropped."""
        if not isinstance(result, Refused) or result.code not in self._codes:
            return False
        if token == self._vendor.token:
            self._until = self._clock.now()
        return True

    async def get(self, session: aiohttp.ClientSession) -> str | Refused:
        """A token that is good, asked for if need be; or that there is none to be had."""
        async with self._lock:
            if self._clock.now() < self._until:
                return self._vendor.token
            request = self._vendor.token_request(at=self._clock.now())
            answer = await exchange(session, self._url, request)
            token = self._vendor.token_of(answer) if isinstance(answer, Answer) else None
            if token is None or token.lifetime_s <= 0:
                return NO_TOKEN
            self.keep(token)
            return token.value
