"""The middle of the simulated gateway: takes submits, decides their fate, owes receipts.

It knows nothing of sockets. A submit is recorded before it is answered, so whoever is killed when,
the record and the answers cannot contradict each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from datetime import datetime
from functools import lru_cache, partial
from itertools import count
from json.encoder import encode_basestring as _quoted
from typing import Final, NamedTuple

from duewise.channels.gateway.account import Account
from duewise.channels.gateway.dialect import (
    NEVER,
    Dialect,
    Outgoing,
    Receipt,
    Reply,
    Submission,
)
from duewise.channels.gateway.log import SubmitLog
from duewise.channels.gateway.settings import (
    Fate,
    GatewaySettings,
    LinkLoss,
    fate,
    link_loss,
)
from duewise.times import Clock, ManualClock

PUMP_S: Final = 0.002  # receipts of 2 ms leave together
FATES_MAX: Final = 10_000
PUMP_MAX_S: Final = 0.02


class Taken(NamedTuple):
    """The answer to a submit."""

    status: int
    message_id: str
    loses_link: bool = False


class Hub:
    """One gateway: its accounts, its record, its clock, and the faults ordered for it."""

    def __init__(
        self, settings: GatewaySettings, dialect: Dialect, *, clock: Clock, log: SubmitLog
    ) -> None:
        self.settings, self.dialect, self.clock, self.log = settings, dialect, clock, log
        self.accounts = {name: Account(name, on_change=self._notice) for name in settings.accounts}
        self.throttle_per_s = settings.throttle_per_s
        self.response_s = settings.response_s
        self.stopped = asyncio.Event()
        self.submits = self.accepted = self.refused = self.receipts = self.replies = 0
        self._fates: dict[str, Receipt] = {}  # of the latest, for who asks
        self._fates_before: dict[str, Receipt] = {}
        self._fate = lru_cache(maxsize=1_024)(partial(_drawn, settings))
        self._certain = self._fate("", "") if settings.is_certain else None
        self._noted_at, self._noted = NEVER, ""
        self._refusals: list[int] = []  # the statuses of the next submits, last first
        self._drop_after = 0
        self._owed: list[tuple[datetime, int, Account, Receipt]] = []
        self._numbers = count()
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()

    def take(self, account: Account, submission: Submission, *, now: datetime) -> Taken:
        """Decide on one submit and note it; `log.flush` must come before its answer."""
        self.submits += 1
        loss = self._link_loss() if self._may_lose else "none"
        if loss == "before_taken":
            return Taken(0, "", loses_link=True)
        destined = self._certain or self._destiny(submission)
        refusal = self._refusals.pop() if self._refusals else destined.refusal
        refusal = refusal if now < submission.valid_until else self.dialect.statuses.expired
        if refusal:
            self.refuse(submission, refusal, now=now)
            return Taken(refusal, "", loses_link=loss == "after_taken")
        self.accepted += 1
        message_id = self.dialect.message_id(self.log.next_number(), now=now)
        self._note(submission, now=now, message_id=message_id, word="accepted")
        if destined.stat and submission.wants_receipt:
            self._owe(account, message_id, submission, destined, now=now)
        return Taken(0, message_id, loses_link=loss == "after_taken")

    def refuse(self, submission: Submission, refusal: int, *, now: datetime) -> None:
        """Note a submit that is not taken."""
        self.refused += 1
        self._note(submission, now=now, message_id="", word=self.dialect.name(refusal))

    def reply(self, account: Account, *, source: str, destination: str, text: str) -> str:
        """A text from a handset; queued at once. Returns the gateway's id of it."""
        self.replies += 1
        at = self.clock.now().isoformat()
        words = "\0".join((at, str(self.replies), str(self.submits), source, destination, text))
        digest = hashlib.blake2b(words.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big") >> 1  # room for the numbers of its parts
        items = [
            Reply(number, place, source, destination, part)
            for place, part in enumerate(self.dialect.parts(text, self.replies), start=1)
        ]
        for item in items:
            self.dialect.deliver(0, item)  # what cannot be told is refused here, not on a link
        account.push(items)
        return self.dialect.reply_id(number)

    def known(self, message_id: str) -> Receipt | None:
        """What becomes of a message, if it is one of the latest; its time may not have come."""
        return self._fates.get(message_id) or self._fates_before.get(message_id)

    def order_refusals(self, status_code: int, times: int) -> None:
        """Refuse the next submits with that status."""
        self._refusals = [status_code] * times

    def order_drop(self, after: int) -> None:
        """Lose the link at the `after`th submit from now, taken but not answered."""
        self._drop_after = after

    def release_due(self) -> int:
        """Hand over every receipt that is due by the gateway's clock; how many."""
        now, due = self.clock.now(), dict[str, list[Outgoing]]()
        released = 0
        while self._owed and self._owed[0][0] <= now:
            _, _, account, receipt = heapq.heappop(self._owed)
            due.setdefault(account.name, []).append(receipt)
            released += 1
        self.receipts += released
        for name, items in due.items():
            self.accounts[name].push(items)
        return released

    async def flush(self, *, timeout_s: float) -> int:
        """Release what is due and wait until it is acknowledged, or nobody is bound to take it."""
        released = self.release_due()
        async with asyncio.timeout(timeout_s):
            while not self.stopped.is_set() and not self._is_quiet():
                self._changed.clear()
                await self._changed.wait()
        return released

    def stop(self) -> None:
        """End the gateway; whoever waits for a flush waits no longer."""
        self.stopped.set()
        self._notice()

    async def run(self) -> None:
        """Release receipts by themselves as a running clock reaches them.

        A clock that is set by hand releases nothing by itself: `flush` does.
        """
        if isinstance(self.clock, ManualClock):
            return
        while True:
            if not self._owed:
                self._woken.clear()
                await self._woken.wait()
            self.release_due()
            wait_s = PUMP_S
            if self._owed:
                wait_s = (self._owed[0][0] - self.clock.now()).total_seconds()
            await self.clock.sleep(min(max(wait_s, PUMP_S), PUMP_MAX_S))

    def stats(self) -> dict[str, int | str]:
        """Counts since the start, and when the next receipt is due ("" if none is)."""
        accounts = self.accounts.values()
        return {
            "submits": self.submits,
            "accepted": self.accepted,
            "refused": self.refused,
            "receipts": self.receipts,
            "replies": self.replies,
            "acked": sum(account.acked for account in accounts),
            "in_flight": sum(account.in_flight for account in accounts),
            "waiting": sum(len(account.waiting) for account in accounts),
            "scheduled": len(self._owed),
            "receivers": sum(len(account.receivers) for account in accounts),
            "next_due": self._owed[0][0].isoformat() if self._owed else "",
            "clock": self.clock.now().isoformat(),
        }

    def _owe(
        self,
        account: Account,
        message_id: str,
        submission: Submission,
        destined: Fate,
        *,
        now: datetime,
    ) -> None:
        stat, due_at = destined.stat, now + destined.delay
        if destined.is_early:
            due_at = now
        if due_at > submission.valid_until:
            stat, due_at = "EXPIRED", submission.valid_until
        receipt = Receipt(message_id, submission, stat, destined.code, now, due_at)
        if len(self._fates) >= FATES_MAX:
            self._fates_before, self._fates = self._fates, {}
        self._fates[message_id] = receipt
        for _ in range(2 if destined.is_duplicated else 1):
            if destined.is_early:
                self.receipts += 1
                account.waiting.append(receipt)
            else:
                heapq.heappush(self._owed, (due_at, next(self._numbers), account, receipt))
        if not self._woken.is_set():
            self._woken.set()

    @property
    def _may_lose(self) -> bool:
        return bool(self._drop_after or self.settings.drop_share)

    def _destiny(self, submission: Submission) -> Fate:
        """All parts of a long message share one fate: that of its reference."""
        place = submission.place
        words = submission.text if place.total == 1 else f"{place.reference}\0{place.total}"
        return self._fate(submission.destination.removeprefix("+"), words)

    def _link_loss(self) -> LinkLoss:
        if self._drop_after:
            self._drop_after -= 1
            return "none" if self._drop_after else "after_taken"
        return link_loss(self.settings, self.submits)

    def _is_quiet(self) -> bool:
        return all(account.is_quiet for account in self.accounts.values())

    def _notice(self) -> None:
        self._changed.set()

    def _note(self, submission: Submission, *, now: datetime, message_id: str, word: str) -> None:
        if now is not self._noted_at:  # the submits of one read have one instant
            self._noted_at, self._noted = now, now.isoformat()
        source, destination, reference, text, (_, parts, part), encoding, _, _ = submission
        self.log.append(
            f'{{"time": "{self._noted}", "message_id": "{message_id}", '
            f'"source": {_quoted(source)}, "destination": {_quoted(destination)}, '
            f'"reference": {_quoted(reference)}, "part": {part}, "parts": {parts}, '
            f'"encoding": "{encoding}", "text": {_quoted(text)}, "status": "{word}"}}\n'
        )


def _drawn(settings: GatewaySettings, destination: str, words: str) -> Fate:
    return fate(settings, destination=destination, text=words)
