"""What the simulated gateway asks of a protocol: what was said to it, and how to say a thing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol, TypeAlias

from duewise.channels.wire.codec import Farewell, Say
from duewise.channels.wire.text import Concatenation
from duewise.message.parts import Part

NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Submission(NamedTuple):
    """A submit, whichever protocol brought it. Numbers of subscribers are E.164."""

    source: str
    destination: str
    reference: str
    text: str
    place: Concatenation
    encoding: str
    valid_until: datetime
    wants_receipt: bool


class Receipt(NamedTuple):
    """What became of a submission; `message_id` as it was answered."""

    message_id: str
    submission: Submission
    stat: str
    code: str
    submitted_at: datetime
    done_at: datetime


class Reply(NamedTuple):
    """A part of a text from a handset; `number` is the text's."""

    number: int
    place: int
    source: str
    destination: str
    part: Part


Outgoing: TypeAlias = Receipt | Reply


class Login(NamedTuple):
    """Who wants in and how it is answered; `refusal` 0 lets in."""

    account: str
    refusal: int
    sequence: int
    sends: bool
    hears: bool


class Submitted(NamedTuple):
    """A submit; `refusal` other than 0 where the protocol itself forbids it."""

    sequence: int
    submission: Submission
    refusal: int = 0


class Acked(NamedTuple):
    """An answer to what the gateway told."""

    sequence: int
    is_taken: bool


class Asked(NamedTuple):
    """Somebody wants to know what became of a message."""

    sequence: int
    message_id: str


Said: TypeAlias = Login | Submitted | Acked | Asked | Say | Farewell


class Statuses(NamedTuple):
    """A protocol's codes for what the gateway itself may find, and the names of all."""

    not_bound: int
    already_bound: int
    queue_full: int
    throttled: int
    expired: int
    names: Mapping[int, str]


class Dialect(Protocol):
    """One link's protocol."""

    @property
    def shortest(self) -> int: ...
    @property
    def longest(self) -> int: ...
    @property
    def sequence_max(self) -> int: ...
    @property
    def statuses(self) -> Statuses: ...

    def read(self, octets: bytes, *, now: datetime) -> Said:
        """What a whole frame says."""
        ...

    def name(self, status: int) -> str: ...

    def message_id(self, number: int, *, now: datetime) -> str:
        """The id of a submission, from a number that was never used before."""
        ...

    def reply_id(self, number: int) -> str:
        """What a channel will call the reply of that number."""
        ...

    def parts(self, text: str, reference: int) -> list[Part]:
        """A handset's text in the parts in which it comes."""
        ...

    def login_answer(self, login: Login) -> bytes: ...

    def submit_answer(self, sequence: int, status: int, message_id: str) -> bytes: ...

    def state(self, asked: Asked, known: Receipt | None, *, now: datetime) -> bytes:
        """What became of a message, if it is known and its time has come."""
        ...

    def deliver(self, sequence: int, item: Outgoing) -> bytes: ...

    def farewell(self) -> bytes:
        """Said to who sends what cannot be a frame."""
        ...
