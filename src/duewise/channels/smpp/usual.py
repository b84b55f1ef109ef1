"""What nearly all frames are, read and written in one pass.

Whatever is not written to the letter of the specification is left to `pdu` and `receipt`, which
read and write all of it; a test holds the two against each other.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from duewise.channels.base import InboundReceipt, ReceiptStatus, normalise_provider_id
from duewise.channels.smpp.pdu import (
    HEADER_LENGTH,
    MESSAGE_ID_MAX,
    SHORT_MESSAGE_MAX,
    Command,
    Tag,
    decode_tlvs,
    packed,
)
from duewise.channels.smpp.receipt import ReceiptFields, receipt_of
from duewise.channels.smpp.text import NPI_ISDN, source_plan
from duewise.channels.wire.codec import NONE_ACCEPTED, AcceptedAll
from duewise.channels.wire.framing import ProtocolError, all_alike
from duewise.channels.wire.text import TON_INTERNATIONAL

# Command and status of an answer that says yes; what is behind its header is its submit's id.
ACCEPTED: Final = struct.pack(">II", Command.SUBMIT_SM_RESP, 0)
DELIVER: Final = struct.pack(">I", Command.DELIVER_SM)
RECEIPT_REQUESTED: Final = 1  # section 5.2.17: a receipt for success and for failure
ALIKE_MIN: Final = 4  # receipts, before it pays to look where their fields are
_HEADER = struct.Struct(">IIII")
_INTERNATIONAL = bytes((TON_INTERNATIONAL, NPI_ISDN))
# Section 4.6.1 with esm_class 4, and the text of appendix B in printable ASCII.
_RECEIPT = re.compile(
    rb"[^\0]{0,5}\0..[^\0]{0,20}\0..[^\0]{0,20}\0\x04..[^\0]{0,16}\0[^\0]{0,16}\0....(.)"
    rb"id:([!-~]{1,64}) sub:\d+ dlvrd:\d+ submit date:\d+ (done date:\d+ stat:[A-Z]+"
    rb" err:[0-9A-Za-z]+) text:",
    re.DOTALL,
)
_SUBMITTED: Final = b" submit date:"
_WORDS = re.compile(rb"done date:(\d+) stat:([A-Z]+) err:([0-9A-Za-z]+)")
# Section 3.2.4: id, state and our reference, in this order and nothing else.
_PARAMETERS = re.compile(
    rb"\x00\x1e\x00(.)([!-~]{1,64})\0\x04\x27\x00\x01(.)"
    rb"(?:\x14\x01\x00(.)([^\0]{0,64})\0)?\Z",
    re.DOTALL,
)
_UNSAID: Final = datetime.min.replace(tzinfo=UTC)


def accepted_alike(octets: bytes) -> AcceptedAll:
    """The answers in whole frames that all say yes and have ids of one length."""
    length = int.from_bytes(octets[:4], "big")
    if octets[4:12] != ACCEPTED or not 1 < length - HEADER_LENGTH <= MESSAGE_ID_MAX:
        return NONE_ACCEPTED
    fields = all_alike(octets, head=octets[:12], shape=_answer(length - HEADER_LENGTH - 1))
    if not fields:
        return NONE_ACCEPTED
    _, sequences, ids, ends = zip(*fields, strict=True)
    if any(ends) or 0 in b"".join(ids):
        return NONE_ACCEPTED
    return AcceptedAll(sequences, _normal_ids(ids), len(fields) * length)


@lru_cache(maxsize=MESSAGE_ID_MAX)
def _answer(id_length: int) -> struct.Struct:
    """A submit_sm_resp (section 4.4.2): all before its sequence number, that, the id, its NUL."""
    return struct.Struct(f">12sI{id_length}sB")


def is_usual_answer(octets: bytes) -> bool:
    """Whether the body of a submit_sm_resp is an id that is not empty, and nothing behind it."""
    last = len(octets) - 1
    return HEADER_LENGTH < last < HEADER_LENGTH + MESSAGE_ID_MAX and (
        octets.find(0, HEADER_LENGTH) == last
    )


def accepted_ids(answers: Sequence[bytes]) -> tuple[Sequence[int], Sequence[str]]:
    """The sequence numbers of such answers and, in their normal form, the ids in them."""
    sequences = struct.unpack(f">{len(answers)}I", b"".join([each[12:16] for each in answers]))
    return sequences, _normal_ids([each[HEADER_LENGTH:-1] for each in answers])


def _normal_ids(ids: Sequence[bytes]) -> Sequence[str]:
    """`normalise_provider_id` for ids without NUL."""
    joined = b"\0".join(ids)
    if joined.replace(b"\0", b"").isalnum() and b"\x000" not in b"\0" + joined:  # as nearly all are
        return joined.lower().decode("ascii").split("\0")
    return [normalise_provider_id(each.decode("latin-1")) for each in ids]


def read_receipts(
    frames: Sequence[bytes], *, received_at: datetime, zone: tzinfo
) -> list[InboundReceipt | None]:
    """The receipt in each frame of a deliver_sm; None where it is any other, or none."""
    read = _read_alike(frames, zone) or [_read(octets, zone) for octets in frames]
    ids = iter(_normal_ids([each[0] for each in read if each is not None]))
    return [
        None
        if each is None
        else InboundReceipt(
            next(ids),
            each[1].status,
            each[1].code,
            each[2].decode("latin-1"),
            each[1].at or received_at,
        )
        for each in read
    ]


def _read_alike(frames: Sequence[bytes], zone: tzinfo) -> list[_Receipt | None]:
    """`_read` for receipts that differ in a few fields only, which have one length; else nothing.

    What a gateway tells together is so: the fields are cut out of all frames at the same places.
    """
    is_one_length = len(frames) >= ALIKE_MIN and len(set(map(len, frames))) == 1
    if not (is_one_length and (spans := _spans(frames[0]))):
        return []
    borders = [0, *(border for span in spans for border in span), len(frames[0])]
    shape = struct.Struct("".join(f"{end - start}s" for start, end in pairwise(borders)))
    columns = list(zip(*shape.iter_unpack(b"".join(frames)), strict=True))
    if any(column.count(column[0]) < len(frames) for column in columns[::2]):
        return []
    _, sources, ids, dates, words, _, receipted, states, references = columns[1::2]
    texts = b"".join(ids + receipted)
    if not (texts.isalnum() and b"".join(dates).isdigit()) or 0 in b"".join(sources + references):
        return []
    ends = list(zip(words, states, strict=True))
    known = {end: _word(*end, zone) for end in set(ends) if _WORDS.fullmatch(end[0])}
    told = [word for word in map(known.get, ends) if word is not None]
    if len(told) < len(frames):
        return []
    return list(zip(receipted, told, references, strict=True))


def _spans(octets: bytes) -> list[tuple[int, int]]:
    """Where in a usual receipt the fields are in which it may differ from others like it.

    Sequence number, source, id, submit date, end, text, id once more, state, reference.
    """
    found = _RECEIPT.match(octets, HEADER_LENGTH)
    if found is None:
        return []
    end = found.start(2) - 3 + found[1][0]
    usual = _PARAMETERS.match(octets, end) if found.end() <= end else None
    if usual is None or not _is_told_right(usual):
        return []
    source = octets.index(0, HEADER_LENGTH) + 3
    submitted = octets.index(_SUBMITTED, found.end(2)) + len(_SUBMITTED)
    return [
        (12, HEADER_LENGTH),
        (source, octets.index(0, source)),
        found.span(2),
        (submitted, found.start(3) - 1),
        found.span(3),
        (found.end(), end),
        usual.span(2),
        usual.span(3),
        usual.span(5) if usual[4] else (len(octets), len(octets)),
    ]


def _read(octets: bytes, zone: tzinfo) -> _Receipt | None:
    """Id, end and reference of the message of which a receipt tells."""
    found = _RECEIPT.match(octets, HEADER_LENGTH)
    if found is None:
        return None
    size, provider_id, words = found.groups()
    end = found.start(2) - 3 + size[0]
    if not found.end() <= end <= len(octets):
        return None
    state = reference = b""
    if end < len(octets):
        try:
            receipted, state, reference = _parameters(octets, end)
        except ProtocolError:
            return None
        provider_id = provider_id if receipted is None else receipted
    word = _word(words, state, zone)
    return word and (provider_id, word, reference)


def _parameters(octets: bytes, at: int) -> tuple[bytes | None, bytes, bytes]:
    """Id, state and our reference from the optional parameters. Raises ProtocolError."""
    usual = _PARAMETERS.match(octets, at)
    if usual is not None and _is_told_right(usual):
        _, provider_id, state, _, reference = usual.groups(b"")
        return provider_id, state, reference
    tlvs = decode_tlvs(octets, at)
    receipted = tlvs.get(Tag.RECEIPTED_MESSAGE_ID)
    return (
        None if receipted is None else receipted.partition(b"\0")[0],
        tlvs.get(Tag.MESSAGE_STATE, b"")[:1],
        tlvs.get(Tag.REFERENCE, b"").partition(b"\0")[0],
    )


def _is_told_right(usual: re.Match[bytes]) -> bool:
    """Whether the lengths in these parameters are those of id and reference."""
    length, provider_id, _, named, reference = usual.groups(b"")
    return length[0] == len(provider_id) + 1 and (not named or named[0] == len(reference) + 1)


class _Word(NamedTuple):
    """What many receipts have in common: how it ended, and when; `at` None: it does not say."""

    status: ReceiptStatus
    code: str
    at: datetime | None


_Receipt: TypeAlias = tuple[bytes, _Word, bytes]  # id, end and reference of the message


@lru_cache(maxsize=4_096)
def _word(words: bytes, state: bytes, zone: tzinfo) -> _Word | None:
    """The end of the message; None where it has none yet. `state`: the octet of message_state."""
    tlvs: dict[int, bytes] = {Tag.MESSAGE_STATE: state} if state else {}
    found = _WORDS.fullmatch(words)
    assert found is not None, "it was part of a longer pattern"
    done_date, stat, code = (octets.decode() for octets in found.groups())
    fields = ReceiptFields("", stat, code, done_date)
    receipt = receipt_of(fields, tlvs, received_at=_UNSAID, zone=zone)
    if receipt is None:
        return None
    return _Word(receipt.status, receipt.code, None if receipt.at is _UNSAID else receipt.at)


@lru_cache(maxsize=64)
def source_of(sender_id: str) -> bytes:
    """The fields of a submit_sm up to its source. Raises ProtocolError."""
    ton, npi, source = source_plan(sender_id)
    return b"\0" + bytes((ton, npi)) + packed(source, 21) + _INTERNATIONAL


def submit_frames(first: int, bodies: Sequence[bytes]) -> bytes:
    """The frames of submit_sm with these bodies, under sequence numbers from `first` on."""
    pack, command = _HEADER.pack, int(Command.SUBMIT_SM)
    return b"".join(
        [
            pack(len(body) + HEADER_LENGTH, command, 0, sequence) + body
            for sequence, body in enumerate(bodies, start=first)
        ]
    )


def submit_head(
    source: bytes, destination: str, *, esm_class: int, validity: bytes, data_coding: int
) -> bytes:
    """The body of a submit_sm (section 4.4.1) that asks for a receipt, up to its sm_length.

    `source` comes from `source_of`, `destination` is E.164 without its plus sign, `validity` is
    packed. Raises ProtocolError.
    """
    return b"%b%b%c\0\0\0%b%c\0%c\0" % (
        source,
        packed(destination, 21),
        esm_class,
        validity,
        RECEIPT_REQUESTED,
        data_coding,
    )


def submit_body(head: bytes, text: bytes, tlvs: bytes) -> bytes:
    """That head with a text, and with optional parameters that are packed. Raises ProtocolError."""
    if len(text) > SHORT_MESSAGE_MAX:
        raise ProtocolError(f"short_message of {len(text)} octets")
    return b"%b%c%b%b" % (head, len(text), text, tlvs)
