"""The middle of the simulated gateway: takes submits, decides their fate, owes receipts.

It knows nothing of sockets. A submit is recorded before it is answered, so whoever is killed when,
the record and the answers cannot contradict each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Final, NamedTuple

from duewise.channels.gateway.account import Account, Outgoing
from duewise.channels.gateway.log import SubmitLog
from duewise.channels.gateway.settings import (
    Fate,
    GatewaySettings,
    IdForm,
    LinkLoss,
    fate,
    link_loss,
)
from duewise.channels.smpp import status
from duewise.channels.smpp.pdu import (
    ShortMessage,
    Tag,
    c_string,
    encode_short_message,
)
from duewise.channels.smpp.receipt import RECEIPT_TYPE, STATE_NUMBERS, write_fields
from duewise.channels.smpp.text import NPI_ISDN, UDHI, read_text, source_plan
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import TON_INTERNATIONAL, Concatenation
from duewise.channels.wire.times import read_time
from duewise.message.parts import GSM7, UCS2, split
from duewise.times import Clock, ManualClock

PUMP_S: Final = 0.002  # receipts of 2 ms leave together
PUMP_MAX_S: Final = 0.02
RECEIPT_WANTED: Final = 0x03  # section 5.2.17
NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Taken(NamedTuple):
    """The answer to a submit."""

    status: int
    message_id: str
    loses_link: bool = False


class Receipt(NamedTuple):
    """A receipt that is owed."""

    account: Account
    message_id: str
    message: ShortMessage
    stat: str
    code: str
    submitted_at: datetime
    done_at: datetime


class Hub:
    """One gateway: its accounts, its record, its clock, and the faults ordered for it."""

    def __init__(self, settings: GatewaySettings, *, clock: Clock, log: SubmitLog) -> None:
        self.settings, self.clock, self.log = settings, clock, log
        self.accounts = {
            system_id: Account(system_id, on_change=self._notice) for system_id in settings.accounts
        }
        self.throttle_per_s = settings.throttle_per_s
        self.response_s = settings.response_s
        self.stopped = asyncio.Event()
        self.submits = self.accepted = self.refused = self.receipts = self.replies = 0
        self._refusals: list[int] = []  # the statuses of the next submits, last first
        self._drop_after = 0
        self._owed: list[tuple[datetime, int, Receipt]] = []
        self._numbers = count()
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()

    def take(self, account: Account, message: ShortMessage, *, now: datetime) -> Taken:
        """Decide on one submit and note it; `log.flush` must come before its answer."""
        self.submits += 1
        loss = self._link_loss()
        if loss == "before_taken":
            return Taken(status.OK, "", loses_link=True)
        text, place = read_text(message)
        destined = _destiny(self.settings, message, text, place)
        valid_until = _valid_until(message.validity_period, now)
        refusal = self._refusals.pop() if self._refusals else destined.refusal
        refusal = refusal if now < valid_until else status.EXPIRY_INVALID
        if refusal:
            self.refuse(message, refusal, now=now)
            return Taken(refusal, "", loses_link=loss == "after_taken")
        self.accepted += 1
        message_id = self.log.next_id()
        self._note(message, text, place, now=now, message_id=message_id, word="accepted")
        if destined.stat and message.registered_delivery & RECEIPT_WANTED:
            self._owe(account, message_id, message, destined, now=now, valid_until=valid_until)
        return Taken(status.OK, message_id, loses_link=loss == "after_taken")

    def refuse(self, message: ShortMessage, refusal: int, *, now: datetime) -> None:
        """Note a submit that is not taken."""
        self.refused += 1
        text, place = read_text(message)
        self._note(message, text, place, now=now, message_id="", word=status.name(refusal))

    def reply(self, account: Account, *, source: str, destination: str, text: str) -> str:
        """A text from a handset; queued at once. Returns the gateway's id of it."""
        self.replies += 1
        at = self.clock.now().isoformat()
        words = "\0".join((at, str(self.replies), str(self.submits), source, destination, text))
        reply_id = f"mo-{hashlib.blake2b(words.encode(), digest_size=12).hexdigest()}"
        ton, npi, digits = source_plan(source)
        account.push(
            [
                Outgoing(
                    encode_short_message(
                        ShortMessage(
                            digits,
                            destination,
                            part.udh + part.payload,
                            part.data_coding,
                            UDHI if part.udh else 0,
                            tlvs={Tag.REFERENCE: reply_id.encode() + b"\0"},
                            source_ton=ton,
                            source_npi=npi,
                            dest_npi=NPI_ISDN,
                        )
                    ),
                    is_receipt=False,
                )
                for part in split(text, reference=self.replies)
            ]
        )
        return reply_id

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
            receipt = heapq.heappop(self._owed)[2]
            body = Outgoing(_receipt_body(receipt, self.settings.receipt_id_form), is_receipt=True)
            due.setdefault(receipt.account.system_id, []).append(body)
            released += 1
        self.receipts += released
        for system_id, items in due.items():
            self.accounts[system_id].push(items)
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
        message: ShortMessage,
        destined: Fate,
        *,
        now: datetime,
        valid_until: datetime,
    ) -> None:
        stat, due_at = destined.stat, now + destined.delay
        if destined.is_early:
            due_at = now
        if due_at > valid_until:
            stat, due_at = "EXPIRED", valid_until
        receipt = Receipt(account, message_id, message, stat, destined.code, now, due_at)
        for _ in range(2 if destined.is_duplicated else 1):
            if destined.is_early:
                self.receipts += 1
                body = _receipt_body(receipt, self.settings.receipt_id_form)
                account.waiting.append(Outgoing(body, is_receipt=True))
            else:
                heapq.heappush(self._owed, (due_at, next(self._numbers), receipt))
        self._woken.set()

    def _link_loss(self) -> LinkLoss:
        if self._drop_after:
            self._drop_after -= 1
            return "none" if self._drop_after else "after_taken"
        return link_loss(self.settings, self.submits)

    def _is_quiet(self) -> bool:
        return all(account.is_quiet for account in self.accounts.values())

    def _notice(self) -> None:
        self._changed.set()

    def _note(
        self,
        message: ShortMessage,
        text: str,
        place: Concatenation,
        *,
        now: datetime,
        message_id: str,
        word: str,
    ) -> None:
        self.log.append(
            {
                "time": now.isoformat(),
                "message_id": message_id,
                "source": _plus(message.source_ton, message.source),
                "destination": _plus(message.dest_ton, message.destination),
                "reference": c_string(message.tlvs.get(Tag.REFERENCE, b"")),
                "part": place.number,
                "parts": place.total,
                "encoding": UCS2.name if message.data_coding == UCS2.data_coding else GSM7.name,
                "text": text,
                "status": word,
            }
        )


def spell_id(message_id: str, form: IdForm) -> str:
    """The message id as this gateway's receipts write it.

    >>> [spell_id("ff", form) for form in ("same", "upper", "padded", "decimal")]
    ['ff', 'FF', '0000ff', '255']
    """
    match form:
        case "upper":
            return message_id.upper()
        case "padded":
            return f"0000{message_id}"
        case "decimal":
            return str(int(message_id, 16))
        case _:
            return message_id


def _destiny(
    settings: GatewaySettings, message: ShortMessage, text: str, place: Concatenation
) -> Fate:
    """All parts of a long message share one fate: that of its reference."""
    words = text if place.total == 1 else f"{place.reference}\0{place.total}"
    return fate(settings, destination=message.destination, text=words)


def _receipt_body(receipt: Receipt, form: IdForm) -> bytes:
    message, spelled = receipt.message, spell_id(receipt.message_id, form)
    text = write_fields(
        spelled,
        stat=receipt.stat,
        code=receipt.code,
        submitted_at=receipt.submitted_at,
        done_at=receipt.done_at,
    )
    tlvs: dict[int, bytes] = {
        Tag.RECEIPTED_MESSAGE_ID: spelled.encode() + b"\0",
        Tag.MESSAGE_STATE: bytes((STATE_NUMBERS[receipt.stat],)),
    }
    if reference := message.tlvs.get(Tag.REFERENCE):
        tlvs[Tag.REFERENCE] = reference
    return encode_short_message(
        ShortMessage(
            message.destination,
            message.source,
            text.encode("ascii"),
            0,
            RECEIPT_TYPE,
            0,
            "",
            tlvs,
            message.dest_ton,
            message.dest_npi,
            message.source_ton,
            message.source_npi,
        )
    )


@lru_cache(maxsize=1_024)
def _valid_until(validity_period: str, now: datetime) -> datetime:
    """The end of validity; over already where it cannot be read."""
    try:
        return read_time(validity_period, now=now) or NEVER
    except ProtocolError:
        return now


def _plus(ton: int, digits: str) -> str:
    return f"+{digits}" if ton == TON_INTERNATIONAL else digits
