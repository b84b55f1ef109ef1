"""What a session asks of a carrier's protocol: how to say a thing, and what a frame means.

A codec is the only place that knows a protocol. It never fails on what comes in: a frame that
cannot be read has a meaning too (an answer to whom, a refusal to say).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from duewise.channels.base import InboundReceipt, Message, Refused, SendResult
from duewise.channels.wire.framing import ProtocolError
from duewise.channels.wire.text import Concatenation


class LoginRefused(ProtocolError):
    """The gateway does not let us in."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(f"the gateway refused the bind: {why}")
        self.mend = mend


class Answer(NamedTuple):
    """What became of the submit of that sequence number."""

    sequence: int
    result: SendResult
    is_throttled: bool = False


class Response(NamedTuple):
    """The answer to anything else we asked, in the codec's own terms."""

    sequence: int
    body: object


class ReplyPart(NamedTuple):
    """A text from a handset, or a part of one. `name` is the gateway's own, empty if none."""

    source: str
    destination: str
    text: str
    place: Concatenation
    name: str


Answers: TypeAlias = Callable[[Sequence[bytes]], bytes]


class Told(NamedTuple):
    """What the gateway wants acknowledged, and the two answers it may get for each of `names`.

    `said`: receipts that came together, each under a name of its own; or one thing, which is None
    where there is nothing to remember: it is acknowledged at once.
    """

    said: Sequence[InboundReceipt] | ReplyPart | None
    names: Sequence[bytes]
    taken: Answers
    busy: Answers


class Say(NamedTuple):
    """Something to be said at once: an answer to small talk, or a refusal. Empty: nothing."""

    octets: bytes


class Farewell(NamedTuple):
    """The gateway ends the session; `octets` is our answer."""

    octets: bytes


Heard: TypeAlias = Answer | Response | Told | Say | Farewell


class AcceptedAll(NamedTuple):
    """Submits that were accepted, by sequence number, the id that each got; octets that said so."""

    sequences: Sequence[int]
    provider_ids: Sequence[str]
    length: int


NONE_ACCEPTED: Final = AcceptedAll((), (), 0)


class HeardAll(NamedTuple):
    """What the frames of one read mean, by kind, and each kind in its order.

    What was accepted stands apart, as two columns: the sequence number of each submit and the id
    that it got. `others` may hold anything, what was accepted included.
    """

    sequences: Sequence[int]
    provider_ids: Sequence[str]
    told: Sequence[Told]
    others: Sequence[Heard]


def in_order(
    frames: Sequence[bytes],
    quick: Sequence[InboundReceipt | None],
    together: Callable[[Sequence[InboundReceipt], Sequence[bytes]], Told],
    read: Callable[[bytes], Heard],
    others: list[Heard],
) -> list[Told]:
    """What is told in these frames; what else they are goes to `others`.

    `quick`: the receipts among them that were read at once, and are told `together` with those
    beside them; None for what is to be read by itself.
    """
    told, start = list[Told](), 0
    gaps = [place for place, known in enumerate(quick) if known is None]
    for place in (*gaps, len(frames)):
        if receipts := [known for known in quick[start:place] if known is not None]:
            told.append(together(receipts, frames[start:place]))
        start = place + 1
        for octets in frames[place:start]:
            heard = read(octets)
            (told if type(heard) is Told else others).append(heard)  # type: ignore[arg-type]
    return told


class Codec(Protocol):
    """One session's protocol. Frames have `shortest` to `longest` octets, a length first."""

    @property
    def shortest(self) -> int: ...

    @property
    def longest(self) -> int: ...

    @property
    def sequence_max(self) -> int: ...

    def login(self, sequence: int) -> bytes:
        """The first frame. Raises ProtocolError where the account fits none."""
        ...

    def check_login(self, answer: Answer | Response) -> None:
        """Raises LoginRefused."""
        ...

    def logout(self, sequence: int) -> bytes: ...

    def enquiry(self, sequence: int) -> bytes:
        """Whether the other side lives."""
        ...

    def bodies(self, message: Message) -> Sequence[bytes] | Refused:
        """The bodies of a message's submits, in part order; or why there are none."""
        ...

    def submits(self, first: int, bodies: Sequence[bytes]) -> bytes:
        """A submit of each body, under sequence numbers from `first` on."""
        ...

    def read(self, octets: bytes) -> Heard:
        """What one frame means."""
        ...

    def accepted(self, octets: bytes) -> AcceptedAll:
        """The answers with which the octets begin, if all are alike and say yes, as nearly always.

        None of them where the octets do not begin so, or go on with anything else.
        """
        ...

    def hear(self, frames: Sequence[bytes]) -> HeardAll:
        """What many frames mean."""
        ...

    def query(self, provider_id: str, sender_id: str) -> Callable[[int], bytes] | None:
        """How to ask what became of a message under a sequence number; None: one cannot."""
        ...

    def read_state(self, answer: Answer | Response) -> InboundReceipt | None:
        """What the answer to a query says, as a receipt would; None where it says nothing yet."""
        ...
