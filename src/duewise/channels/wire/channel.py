"""SMS over a carrier's wire: long texts in parts, one answer a message, the links kept up.

All parts of a message go out on one link, and their answers fold into one: a message is accepted
when every part is, refused when none was taken, and unknown in between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple, Protocol

from duewise.channels.base import (
    EXPIRED,
    Accepted,
    Arrivals,
    Capabilities,
    InboundReceipt,
    Message,
    Refused,
    SendResult,
    Unknown,
    nobody,
)
from duewise.channels.wire.batch import Batch, Outcome
from duewise.channels.wire.codec import Codec, LoginRefused
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.inbox import Inbox
from duewise.channels.wire.session import LinkSettings, Session, open_session
from duewise.channels.wire.window import NEVER_WRITTEN
from duewise.errors import BadInput, Unreachable
from duewise.times import Clock

PART_TRIES_MAX: Final = 5
TOGETHER_MAX: Final = 16  # messages encoded one after the other for one link
BACKOFF_CAP_S: Final = 30.0
NOT_BOUND: Final = Refused("not_bound", is_permanent=False, retry_after_s=1)


class LineSettings(LinkSettings, Protocol):
    """What a channel needs to know of an account beside what its sessions do."""

    @property
    def name(self) -> str: ...
    @property
    def rate_per_s(self) -> float | None: ...
    @property
    def reconnect_s(self) -> float: ...
    @property
    def inbound_max(self) -> int: ...


class Leg(NamedTuple):
    """One link to keep up: how to speak on it, and whether it carries submits, receipts or both."""

    codec: Callable[[], Codec]
    sends: bool = True
    hears: bool = True


class WireChannel:
    """A `base.Channel` over any codec and any number of links."""

    def __init__(
        self,
        settings: LineSettings,
        legs: Sequence[Leg],
        *,
        capabilities: Capabilities,
        clock: Clock,
    ) -> None:
        self._settings, self._capabilities, self._clock = settings, capabilities, clock
        self._inbox = Inbox(inbound_max=settings.inbound_max, clock=clock)
        self._lines = [_Line(leg, settings, self._inbox) for leg in legs]
        self._heard_since: datetime | None = None
        self._next_slot_at = 0.0

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def inbound(self) -> Arrivals:
        return self._inbox.queue

    @property
    def listening_since(self) -> datetime | None:
        return self._heard_since if any(line.hears for line in self._lines) else None

    async def open(self) -> None:
        """Log in, and stay so until `close`. Raises Unreachable, BadInput for the settings."""
        for line in self._lines:
            try:
                await line.open()
            except (ProtocolError, OSError) as error:  # TimeoutError is an OSError
                await self.close()
                raise self._trouble(error) from None
        self._heard_since = self._clock.now()
        for line in self._lines:
            line.keep(self._note_up)

    async def close(self) -> None:
        """Log out. What was in flight without an answer is Unknown."""
        for line in self._lines:
            await line.close()
        self._inbox.close()

    async def send(self, message: Message, *, key: str) -> SendResult:  # noqa: ARG002 - no keys here
        """Send one message; no carrier's protocol has an idempotency key, so `key` stays here."""
        (result,) = await self.send_many([message])
        return result

    async def send_many(
        self, messages: Sequence[Message], *, written: Callable[[], None] = nobody
    ) -> list[SendResult]:
        """Send several through the window; results in the order of the messages."""
        if self._pick() is None:
            return [NOT_BOUND] * len(messages)
        batch, plans = Batch(), list[_Plan | Refused]()
        for start in range(0, len(messages), TOGETHER_MAX):
            plans += await self._submit(messages[start : start + TOGETHER_MAX], batch)
        batch.when_written(partial(self._call_soon, written))
        outcomes = await batch.wait()
        if (ids := _ids_of(outcomes)) is not None:
            return [plan if isinstance(plan, Refused) else plan.accepted(ids) for plan in plans]
        return [
            plan if isinstance(plan, Refused) else await self._finish(plan, outcomes)
            for plan in plans
        ]

    async def query(self, provider_id: str, *, sender_id: str = "") -> InboundReceipt | None:
        """Ask what became of an accepted message whose receipt stays away.

        None where the gateway does not know yet, does not say, or cannot be asked: then the
        receipt, or the end of its time, must tell.
        """
        session = self._pick()
        if session is None:
            return None
        asked = session.codec.query(provider_id, sender_id)
        if asked is None:
            return None
        try:
            return session.codec.read_state(await session.ask(asked))
        except (ProtocolError, OSError):
            return None

    def _pick(self) -> Session | None:
        """The link with the most room, of those that are up and send."""
        up = [line.session for line in self._lines if line.sends and line.session is not None]
        return up[0] if len(up) == 1 else max(up, key=_room_of, default=None)

    async def _ready(self) -> Session | None:
        """The same, once it has room for more; None where there is none."""
        while (session := self._pick()) is not None:
            await session.room()
            if not session.is_lost:
                return session
        return None

    async def _submit(self, messages: Sequence[Message], batch: Batch) -> list[_Plan | Refused]:
        """Submit messages on one link; where the outcome of each will be."""
        session = await self._ready()
        if session is None:
            return [NEVER_WRITTEN] * len(messages)
        plans, going = list[_Plan | Refused](), list[Sequence[bytes]]()
        place, now = len(batch.outcomes), self._clock.now()
        for message in messages:
            bodies = EXPIRED if message.is_over(now) else session.codec.bodies(message)
            if isinstance(bodies, Refused):
                plans.append(bodies)
                continue
            plans.append(_Plan(session, bodies, place))
            going.append(bodies)
            place += len(bodies)
        if self._settings.rate_per_s is None:
            session.submit(going, batch)
            return plans
        for bodies in going:
            await self._pace(self._settings.rate_per_s, places=len(bodies))
            session.submit([bodies], batch)
        return plans

    def _call_soon(self, written: Callable[[], None]) -> None:
        """Behind the write that is about to be done; in vain, if it has to wait for its link."""

        def tell() -> None:
            if all(line.is_flushed for line in self._lines):
                written()

        asyncio.get_running_loop().call_soon(tell)

    async def _pace(self, rate_per_s: float, *, places: int) -> None:
        """Wait for the next slots of the contract's rate, given in order of asking."""
        now = asyncio.get_running_loop().time()
        self._next_slot_at = max(now, self._next_slot_at) + places / rate_per_s
        if (wait_s := self._next_slot_at - now) > places / rate_per_s:
            await asyncio.sleep(wait_s)

    async def _finish(self, plan: _Plan, outcomes: Sequence[Outcome]) -> SendResult:
        """One answer for a message; parts refused for now are tried again once others are out."""
        session, bodies, start = plan
        results = [as_result(outcome) for outcome in outcomes[start : start + len(bodies)]]
        tries = 1
        while _can_complete(results) and not session.is_lost and tries < PART_TRIES_MAX:
            await asyncio.sleep(self._settings.throttle_retry_s)
            again = Batch()
            places = [at for at, result in enumerate(results) if isinstance(result, Refused)]
            session.submit([[bodies[at]] for at in places], again)
            for at, outcome in zip(places, await again.wait(), strict=True):
                results[at] = as_result(outcome)
            tries += 1
        return fold(results)

    def _note_up(self, line: _Line) -> None:
        """A link is up again: receipts are heard from now on, unless another one heard them."""
        if line.hears and not any(each.hears for each in self._lines if each is not line):
            self._heard_since = self._clock.now()

    def _trouble(self, error: Exception) -> Exception:
        """Why a link cannot be opened, and what to do about it."""
        place = f"{self._settings.host}:{self._settings.port}"
        match error:
            case LoginRefused():
                return Unreachable(f"{place}: {error}. Mend: {error.mend}")
            case ProtocolError():
                said = f"the account cannot be put into a bind: {error}"
                return BadInput(said, mend="check its settings")
            case TimeoutError():
                why = f"the SMS gateway at {place} does not answer. Mend: check host, port and TLS"
            case ConnectionResetError():
                why = f"what listens at {place} hung up on the bind ({error}). "
                why += "Mend: check port and TLS"
            case _:
                why = f"no SMS gateway at {place} ({getattr(error, 'strerror', None) or error}). "
                why += "Mend: start it (`duewise gateway`) or check host and port"
        return Unreachable(why)


class _Plan(NamedTuple):
    """A message's link, its parts, and where in the batch their results begin."""

    session: Session
    bodies: Sequence[bytes]
    start: int

    def accepted(self, provider_ids: Sequence[str]) -> Accepted:
        """The message's one answer, where every submit of the batch was accepted."""
        return Accepted(tuple(provider_ids[self.start : self.start + len(self.bodies)]))


class _Line:
    """One leg's session, and the task that logs in anew whenever it is lost."""

    def __init__(self, leg: Leg, settings: LineSettings, inbox: Inbox) -> None:
        self._leg, self._settings, self._inbox = leg, settings, inbox
        self._session: Session | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def session(self) -> Session | None:
        """The session while it is up."""
        return None if self._session is None or self._session.is_lost else self._session

    @property
    def is_flushed(self) -> bool:
        return self._session is None or self._session.is_flushed

    @property
    def sends(self) -> bool:
        return self._leg.sends

    @property
    def hears(self) -> bool:
        return self._leg.hears and self.session is not None

    async def open(self) -> None:
        self._session = await open_session(self._leg.codec(), self._settings, self._inbox.take)

    def keep(self, on_up: Callable[[_Line], None]) -> None:
        self._keeper = asyncio.create_task(self._keep_up(on_up))

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self._session is not None:
            await self._session.logout()

    async def _keep_up(self, on_up: Callable[[_Line], None]) -> None:
        """Log in again whenever the link is lost, waiting longer after each failure."""
        assert self._session is not None
        while True:
            await asyncio.wait((self._session.lost,))
            attempt = 1
            while self._session.is_lost:
                await asyncio.sleep(backoff_s(attempt=attempt, base_s=self._settings.reconnect_s))
                attempt += 1
                with contextlib.suppress(ProtocolError, OSError):
                    await self.open()
                    on_up(self)


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
    if len(accepted) == len(results):
        return Accepted(tuple(each for result in accepted for each in result.provider_ids))
    refused = [result for result in results if isinstance(result, Refused)]
    if len(refused) == len(results):
        return next((result for result in refused if result.is_permanent), refused[0])
    if accepted:
        return Unknown(f"partly accepted: {len(accepted)} of {len(results)} parts")
    return next(result for result in results if isinstance(result, Unknown))


def _ids_of(outcomes: Sequence[Outcome]) -> Sequence[str] | None:
    """The ids, where each of them was accepted under one, as nearly always."""
    ids = [outcome for outcome in outcomes if type(outcome) is str]
    return ids if len(ids) == len(outcomes) else None


def as_result(outcome: Outcome) -> SendResult:
    """A submit's outcome as an answer of its own.

    >>> as_result("a7f")
    Accepted(provider_ids=('a7f',))
    """
    return Accepted((outcome,)) if isinstance(outcome, str) else outcome


def backoff_s(*, attempt: int, base_s: float) -> float:
    """Seconds to wait before login number `attempt`, counted from 1.

    >>> [backoff_s(attempt=n, base_s=0.5) for n in (1, 2, 3, 99)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return float(min(BACKOFF_CAP_S, base_s * 2 ** min(attempt - 1, 16)))


def _can_complete(results: Sequence[SendResult]) -> bool:
    """Some parts are out, and the others were refused only for now."""
    return any(isinstance(result, Accepted) for result in results) and (
        any(isinstance(result, Refused) for result in results)
        and not any(
            isinstance(result, Unknown) or (isinstance(result, Refused) and result.is_permanent)
            for result in results
        )
    )


def _room_of(session: Session) -> int:
    return session.free
