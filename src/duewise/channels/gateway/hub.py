"""The middle of the simulated gateway: takes submits, decides their fate, owes receipts.

It knows nothing of sockets. A submit is recorded before it is answered, so whoever is killed when,
the record and the answers cannot contradict each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial
from json.encoder import encode_basestring as _quoted
from typing import Final, NamedTuple, TypeAlias

from duewise.channels.gateway.account import Account
from duewise.channels.gateway.dialect import (
    Dialect,
    Ending,
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

Answer: TypeAlias = tuple[int, str]  # to a submit: 0 and its id, or a status and ""
PUMP_S: Final = 0.005  # receipts of 5 ms leave together
ENDINGS_MAX: Final = 10_000
PUMP_MAX_S: Final = 0.02
_receipt = partial(tuple.__new__, Receipt)  # in a third of the time of its own `__new__`


class Taken(NamedTuple):
    """The answers to submits, in their order; with the last of them the link may be lost."""

    answers: list[Answer]
    loses_link: bool


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
        self._endings: dict[str, Ending] = {}  # of the latest, for who asks
        self._endings_before: dict[str, Ending] = {}
        self._fate = lru_cache(maxsize=1_024)(partial(_drawn, settings))
        self._certain = self._fate("", "") if settings.is_certain else None
        self._refusals: list[int] = []  # the statuses of the next submits, last first
        self._drop_after = 0
        self._owed: dict[tuple[datetime, str], list[Receipt]] = {}  # by when and to whom
        self._dues: list[tuple[datetime, str]] = []  # the same keys, the earliest first
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()

    def take(self, account: Account, submits: Sequence[Submission], *, now: datetime) -> Taken:
        """Decide on submits and note them; `log.flush` must come before their answers."""
        fates, loses_link = self._decided(submits)
        ids = self.dialect.message_ids(self.log.next_numbers(len(fates)), now=now)
        answers, noted, drawn, refused = list[Answer](), now.isoformat(), None, self.refused
        for submission, destined, message_id in zip(submits, fates, ids, strict=False):
            is_late = now >= submission.valid_until
            if is_late or destined.refusal:
                refusal = self.dialect.statuses.expired if is_late else destined.refusal
                answers.append(self.refuse(submission, refusal, now=now))
                continue
            self.log.append(_line(submission, noted, message_id, "accepted"))
            answers.append((0, message_id))
            if destined.stat and submission.wants_receipt:
                if destined is not drawn:  # nearly all of a read have one fate
                    drawn, ending = destined, _ending(destined, now)
                self._owe(account, _receipt((message_id, submission, ending)), destined)
        self.accepted += len(answers) - (self.refused - refused)
        self._woken.set()
        return Taken(answers, loses_link)

    def refuse(self, submission: Submission, refusal: int, *, now: datetime) -> Answer:
        """Note a submit that is not taken."""
        self.refused += 1
        self.log.append(_line(submission, now.isoformat(), "", self.dialect.name(refusal)))
        return refusal, ""

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

    def known(self, message_id: str) -> Ending | None:
        """What becomes of a message, if it is one of the latest; its time may not have come."""
        return self._endings.get(message_id) or self._endings_before.get(message_id)

    def order_refusals(self, status_code: int, times: int) -> None:
        """Refuse the next submits with that status."""
        self._refusals = [status_code] * times

    def order_drop(self, after: int) -> None:
        """Lose the link at the `after`th submit from now, taken but not answered."""
        self._drop_after = after

    def release_due(self) -> int:
        """Hand over every receipt that is due by the gateway's clock; how many."""
        now, released = self.clock.now(), 0
        due = defaultdict[str, list[Receipt]](list)
        while self._dues and self._dues[0][0] <= now:
            key = heapq.heappop(self._dues)
            due[key[1]] += self._owed.pop(key)
        for name, receipts in due.items():
            released += len(receipts)
            self.accounts[name].push(receipts)
        self.receipts += released
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
            if not self._dues:
                self._woken.clear()
                await self._woken.wait()
            self.release_due()
            wait_s = PUMP_S
            if self._dues:
                wait_s = (self._dues[0][0] - self.clock.now()).total_seconds()
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
            "scheduled": sum(map(len, self._owed.values())),
            "receivers": sum(len(account.receivers) for account in accounts),
            "next_due": self._dues[0][0].isoformat() if self._dues else "",
            "clock": self.clock.now().isoformat(),
        }

    def _decided(self, submits: Sequence[Submission]) -> tuple[list[Fate], bool]:
        """The fate of each, as far as the link lives; and whether it is lost."""
        if self._certain and not (self._refusals or self._may_lose):
            self.submits += len(submits)
            return [self._certain] * len(submits), False
        fates = list[Fate]()
        for submission in submits:
            self.submits += 1
            loss = self._link_loss() if self._may_lose else "none"
            if loss == "before_taken":
                return fates, True
            destined = self._certain or self._destiny(submission)
            if self._refusals:
                destined = destined._replace(refusal=self._refusals.pop())
            fates.append(destined)
            if loss == "after_taken":
                return fates, True
        return fates, False

    def _owe(self, account: Account, receipt: Receipt, destined: Fate) -> None:
        message_id, submission, ending = receipt
        if ending.done_at > submission.valid_until:
            ending = ending._replace(stat="EXPIRED", done_at=submission.valid_until)
            receipt = receipt._replace(ending=ending)
        if len(self._endings) >= ENDINGS_MAX:
            self._endings_before, self._endings = self._endings, {}
        self._endings[message_id] = ending
        receipts = [receipt, receipt] if destined.is_duplicated else [receipt]
        if destined.is_early:
            self.receipts += len(receipts)
            account.waiting.extend(receipts)
            return
        key = (ending.done_at, account.name)
        owed = self._owed.get(key)
        if owed is None:
            owed = self._owed[key] = []
            heapq.heappush(self._dues, key)
        owed.extend(receipts)

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


def _drawn(settings: GatewaySettings, destination: str, words: str) -> Fate:
    return fate(settings, destination=destination, text=words)


def _ending(destined: Fate, now: datetime) -> Ending:
    """How a message ends that is taken now, if it is valid for so long."""
    done_at = now if destined.is_early else now + destined.delay
    return Ending(destined.stat, destined.code, now, done_at)


def _line(submission: Submission, noted: str, message_id: str, word: str) -> str:
    """A line of the record."""
    _, source, destination, reference, text, (_, parts, part), encoding, _, _, _ = submission
    return (
        f'{{"time": "{noted}", "message_id": "{message_id}", '
        f'"source": {_quoted(source)}, "destination": {_quoted(destination)}, '
        f'"reference": {_quoted(reference)}, "part": {part}, "parts": {parts}, '
        f'"encoding": "{encoding}", "text": {_quoted(text)}, "status": "{word}"}}\n'
    )
