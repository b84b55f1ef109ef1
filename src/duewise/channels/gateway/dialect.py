"""What the simulated gateway asks of a protocol: what was said to it, and how to say a thing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol, TypeAlias

from duewise.channels.wire.codec import Farewell, Say
from duewise.channels.wire.text import Concatenation
from duewise.message.parts import Part

NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Submission(NamedTuple):
    """A submit, whichever protocol brought it. Numbers of subscribers are E.164.

    It is answered under `sequence`. `refusal` is 0 unless the protocol itself forbids it.
    """

    sequence: int
    source: str
    destination: str
    reference: str
    text: str
    place: Concatenation
    encoding: str
    valid_until: datetime
    wants_receipt: bool
    refusal: int = 0


class Ending(NamedTuple):
    """How and when a message ends; those of one read that end alike share it."""

    stat: str
    code: str
    submitted_at: datetime
    done_at: datetime


class Receipt(NamedTuple):
    """What became of a submission; `message_id` as it was answered."""

    message_id: str
    submission: Submission
    ending: Ending


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


class Acked(NamedTuple):
    """An answer to what the gateway told."""

    sequence: int
    is_taken: bool


class Asked(NamedTuple):
    """Somebody wants to know what became of a message."""

    sequence: int
    message_id: str


Said: TypeAlias = Login | Submission | Acked | Asked | Say | Farewell


class Heard(NamedTuple):
    """A run of frames: good submits, what was acknowledged as taken, and what was said after them.

    Each kind in its order; whether a submit or an acknowledgement came first tells nothing.
    """

    submits: list[Submission]
    taken: list[int]
    other: Said | None


def in_runs(said: Iterable[Said]) -> Iterator[Heard]:
    """What is said, in as few runs as its order allows; nothing is read before its turn."""
    submits, taken = list[Submission](), list[int]()
    for each in said:
        if type(each) is Submission and not each.refusal:
            submits.append(each)
        elif type(each) is Acked and each.is_taken:
            taken.append(each.sequence)
        else:
            yield Heard(submits, taken, each)
            submits, taken = [], []
    yield Heard(submits, taken, None)


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

    def hear(self, frames: Sequence[bytes], *, now: datetime) -> Iterator[Heard]:
        """What many say. A frame is read once what is said before it has been dealt with."""
        ...

    def taken(self, octets: bytes) -> tuple[Sequence[int], int]:
        """What is acknowledged by the frames with which the octets begin, and their length.

        It may be less than all of them, and nothing.
        """
        ...

    def name(self, status: int) -> str: ...

    def message_ids(self, numbers: Sequence[int], *, now: datetime) -> list[str]:
        """The ids of submissions, from numbers that were never used before."""
        ...

    def reply_id(self, number: int) -> str:
        """What a channel will call the reply of that number."""
        ...

    def parts(self, text: str, reference: int) -> list[Part]:
        """A handset's text in the parts in which it comes."""
        ...

    def login_answer(self, login: Login) -> bytes: ...

    def submit_answer(self, sequence: int, status: int, message_id: str) -> bytes: ...

    def state(self, asked: Asked, known: Ending | None, *, now: datetime) -> bytes:
        """What became of a message, if it is known and its time has come."""
        ...

    def deliver(self, sequence: int, item: Outgoing) -> bytes: ...

    def farewell(self) -> bytes:
        """Said to who sends what cannot be a frame."""
        ...
