"""SMS over one SMPP bind: long texts in parts, one answer a message, the bind kept up.

All parts of a message go out on one bind, and their answers fold into one: a message is accepted
when every part is, refused when none was taken, and unknown in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Final

from duewise.channels.base import (
    Accepted,
    Capabilities,
    Delivery,
    Message,
    Refused,
    SendResult,
    Unknown,
)
from duewise.channels.smpp import status
from duewise.channels.smpp.inbox import Inbox
from duewise.channels.smpp.pdu import (
    NO_TLVS,
    ProtocolError,
    ShortMessage,
    Tag,
    encode_short_message,
)
from duewise.channels.smpp.session import BindRefused, Session, open_session
from duewise.channels.smpp.settings import SmppSettings, backoff_s
from duewise.channels.smpp.text import NPI_ISDN, TON_INTERNATIONAL, UDHI, absolute_time, source_plan
from duewise.errors import BadInput, Unreachable
from duewise.message.parts import split
from duewise.times import Clock

PART_TRIES_MAX: Final = 5
RECEIPT_REQUESTED: Final = 1  # section 5.2.17: a receipt for success and for failure
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

NOT_BOUND: Final = Refused("not_bound", is_permanent=False, retry_after_s=1)
INVALID_ADDRESS: Final = Refused("invalid_address", is_permanent=True)
INVALID_MESSAGE: Final = Refused("invalid_message", is_permanent=True)
TOO_MANY_PARTS: Final = Refused("too_many_parts", is_permanent=True)


class SmppChannel:
    """A `base.Channel` over SMPP 3.4."""

    def __init__(self, settings: SmppSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._listening_since: datetime | None = None
        self._inbox = Inbox(settings, clock=clock)
        self._session: Session | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._next_slot_at = 0.0
        self._turn = asyncio.Lock()  # one message at a time gathers its places in the window

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def inbound(self) -> asyncio.Queue[Delivery]:
        return self._inbox.queue

    @property
    def listening_since(self) -> datetime | None:
        is_away = self._session is None or self._session.is_lost
        return None if is_away else self._listening_since

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            parts_max=self._settings.parts_max,
            receipts=True,
            replies=True,
            idempotent=False,  # the protocol has no idempotency key
            echoes_reference=self._settings.echoes_reference,
        )

    async def open(self) -> None:
        """Bind, and stay bound until `close`. Raises Unreachable, BadInput for the settings."""
        place = f"{self._settings.host}:{self._settings.port}"
        try:
            self._session = await open_session(self._settings, self._inbox.take)
        except BindRefused as error:
            raise Unreachable(f"{place}: {error}. Mend: {_bind_mend(error.status)}") from None
        except TimeoutError:
            raise Unreachable(
                f"the SMS gateway at {place} does not answer. Mend: check host, port and TLS"
            ) from None
        except ConnectionResetError as error:
            raise Unreachable(
                f"what listens at {place} hung up on the bind ({error}). Mend: check port and TLS"
            ) from None
        except OSError as error:
            raise Unreachable(
                f"no SMS gateway at {place} ({error.strerror or error}). "
                "Mend: start it (`duewise gateway`) or check host and port"
            ) from None
        except ProtocolError as error:
            raise BadInput(
                f"the account cannot be put into a bind: {error}", mend="check its settings"
            ) from None
        self._listening_since = self._clock.now()
        self._keeper = asyncio.create_task(self._keep_bound())

    async def close(self) -> None:
        """Unbind. What was in flight without an answer is Unknown."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self._session is not None:
            await self._session.unbind()
        self._inbox.close()

    async def send(self, message: Message, *, key: str) -> SendResult:  # noqa: ARG002 - no keys here
        """Send one message; SMPP has no idempotency key, so `key` stays here."""
        (result,) = await self.send_many([message])
        return result

    async def send_many(self, messages: Sequence[Message]) -> list[SendResult]:
        """Send several through the window; results in the order of the messages."""
        session = self._session
        if session is None or session.is_lost:
            return [NOT_BOUND] * len(messages)
        sent = _Batch()
        plans: list[Refused | tuple[list[bytes], int]] = []
        for message in messages:
            bodies = self._bodies(message)
            if isinstance(bodies, Refused):
                plans.append(bodies)
                continue
            plans.append((bodies, len(sent.results)))
            if pause_s := session.pause_s:
                await asyncio.sleep(pause_s)
            await self._submit(session, bodies, sent)
        results = await sent.wait()
        return [
            plan
            if isinstance(plan, Refused)
            else await self._finish(session, plan[0], results[plan[1] : plan[1] + len(plan[0])])
            for plan in plans
        ]

    async def _submit(self, session: Session, bodies: Sequence[bytes], batch: _Batch) -> None:
        """Submit the parts of a message in one write, so that none of them goes out alone.

        A loss between two writes would leave half a message with the borrower. Only where the
        window is smaller than the message must its parts go one by one.
        """
        if self._settings.rate_per_s is not None:
            await self._pace(self._settings.rate_per_s, places=len(bodies))
        is_whole = len(bodies) <= self._settings.window
        async with self._turn:
            for body in bodies:
                await session.room()
                if not is_whole:
                    session.submit(body, batch.expect())
            if is_whole:
                for body in bodies:
                    session.submit(body, batch.expect())

    async def _pace(self, rate_per_s: float, *, places: int) -> None:
        """Wait for the next slots of the contract's rate, given in order of asking."""
        now = asyncio.get_running_loop().time()
        self._next_slot_at = max(now, self._next_slot_at) + places / rate_per_s
        if (wait_s := self._next_slot_at - now) > places / rate_per_s:
            await asyncio.sleep(wait_s)

    async def _finish(
        self, session: Session, bodies: Sequence[bytes], results: list[SendResult]
    ) -> SendResult:
        """One answer for a message; parts refused for now are tried again once others are out."""
        tries = 1
        while _can_complete(results) and not session.is_lost and tries < PART_TRIES_MAX:
            await asyncio.sleep(self._settings.throttle_retry_s)
            again = _Batch()
            places = [at for at, result in enumerate(results) if isinstance(result, Refused)]
            for at in places:
                await self._submit(session, [bodies[at]], again)
            for at, result in zip(places, await again.wait(), strict=True):
                results[at] = result
            tries += 1
        return fold(results)

    def _bodies(self, message: Message) -> list[bytes] | Refused:
        """The submit_sm bodies of a message, in part order; or why there are none."""
        if _E164.fullmatch(message.address) is None:
            return INVALID_ADDRESS
        try:
            parts = split(message.text, reference=message.envelope_id)
        except BadInput:
            return TOO_MANY_PARTS
        if len(parts) > self._settings.parts_max:
            return TOO_MANY_PARTS
        ton, npi, source = source_plan(message.sender_id or self._settings.sender_id)
        validity = _validity(message.valid_until) if message.valid_until else ""
        tlvs = NO_TLVS
        if self._settings.echoes_reference and message.reference:
            tlvs = {Tag.REFERENCE: message.reference.encode("ascii", "replace") + b"\0"}
        try:
            return [
                encode_short_message(
                    ShortMessage(
                        source,
                        message.address[1:],
                        part.udh + part.payload,
                        part.data_coding,
                        UDHI if part.udh else 0,
                        RECEIPT_REQUESTED,
                        validity,
                        tlvs,
                        ton,
                        npi,
                        TON_INTERNATIONAL,
                        NPI_ISDN,
                    )
                )
                for part in parts
            ]
        except ProtocolError:
            return INVALID_MESSAGE

    async def _keep_bound(self) -> None:
        """Bind again whenever the link is lost, waiting longer after each failure."""
        assert self._session is not None
        while True:
            await asyncio.wait((self._session.lost,))
            attempt = 1
            while self._session.is_lost:
                await asyncio.sleep(backoff_s(attempt=attempt, base_s=self._settings.reconnect_s))
                attempt += 1
                with contextlib.suppress(ProtocolError, TimeoutError, OSError):
                    self._session = await open_session(self._settings, self._inbox.take)
                    self._listening_since = self._clock.now()


class _Batch:
    """The results of several submits, and the moment when all of them are known."""

    def __init__(self) -> None:
        self.results: list[SendResult | None] = []
        self._missing = 0
        self._all_known: asyncio.Future[None] | None = None

    def expect(self) -> partial[None]:
        """One more result to come; the callable that takes it."""
        self.results.append(None)
        self._missing += 1
        return partial(self._settle, len(self.results) - 1)

    async def wait(self) -> list[SendResult]:
        if self._missing:
            self._all_known = asyncio.get_running_loop().create_future()
            await self._all_known
        return [result for result in self.results if result is not None]

    def _settle(self, place: int, result: SendResult) -> None:
        self.results[place] = result
        self._missing -= 1
        if not self._missing and self._all_known is not None and not self._all_known.done():
            self._all_known.set_result(None)


def fold(results: Sequence[SendResult]) -> SendResult:
    """One answer from the answers of all parts.

    >>> fold([Accepted(("a",)), Accepted(("b",))])
    Accepted(provider_ids=('a', 'b'))
    >>> fold([Accepted(("a",)), Refused("ESME_RTHROTTLED", is_permanent=False)])
    Unknown(reason='partly accepted: 1 of 2 parts')
    """
    if len(results) == 1:
        return results[0]
    accepted = [result for result in results if isinstance(result, Accepted)]
    refused = [result for result in results if isinstance(result, Refused)]
    if len(accepted) == len(results):
        return Accepted(tuple(each for result in accepted for each in result.provider_ids))
    if len(refused) == len(results):
        return next((result for result in refused if result.is_permanent), refused[0])
    if accepted:
        return Unknown(f"partly accepted: {len(accepted)} of {len(results)} parts")
    return next(result for result in results if isinstance(result, Unknown))


def _can_complete(results: Sequence[SendResult]) -> bool:
    """Some parts are out, and the others were refused only for now."""
    return any(isinstance(result, Accepted) for result in results) and (
        any(isinstance(result, Refused) for result in results)
        and not any(
            isinstance(result, Unknown) or (isinstance(result, Refused) and result.is_permanent)
            for result in results
        )
    )


def _bind_mend(status_code: int) -> str:
    match status_code:
        case status.INVALID_PASSWORD | status.INVALID_SYSTEM_ID | status.BIND_FAILED:
            return "check system id and password"
        case status.ALREADY_BOUND:
            return "another sender is bound to this account; stop it or ask for more binds"
        case _:
            return "ask the carrier"


@lru_cache(maxsize=1_024)
def _validity(valid_until: datetime) -> str:
    return absolute_time(valid_until)
