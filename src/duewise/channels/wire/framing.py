"""A stream of octets cut into frames that begin with their own length, as SMPP's and CMPP's do."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from duewise.errors import DuewiseError

_LENGTH = struct.Struct(">I")


class ProtocolError(DuewiseError):
    """The octets are not of this protocol, or a value does not fit its field."""


class Deframer:
    """Cuts a stream of octets into frames, holding back what is not whole yet.

    A frame has between `shortest` and `longest` octets, its four octets of length included, so
    no more than `longest` octets and what came last are ever held.
    """

    def __init__(self, *, shortest: int, longest: int) -> None:
        self._shortest, self._longest = shortest, longest
        self._rest = b""

    @property
    def held(self) -> int:
        """How many octets wait for the rest of their frame."""
        return len(self._rest)

    def feed(self, octets: bytes) -> list[bytes]:
        """The frames that are whole now. Raises ProtocolError where no frame can begin."""
        octets = self._rest + octets if self._rest else octets
        frames: list[bytes] = []
        at, end = 0, len(octets)
        shortest, longest, unpack = self._shortest, self._longest, _LENGTH.unpack_from
        while end - at >= shortest:
            (length,) = unpack(octets, at)
            if not shortest <= length <= longest:
                raise ProtocolError(f"a frame of {length} octets")
            if end - at < length:
                break
            frames.append(octets[at : at + length])
            at += length
        self._rest = octets[at:]
        return frames


def between(head: bytes, tail: bytes, names: Sequence[bytes]) -> bytes:
    """A frame for each of the names, which stand between the same octets.

    >>> between(b"<", b">", [b"a", b"b"])
    b'<a><b>'
    """
    return head + (tail + head).join(names) + tail if names else b""


def all_alike(octets: bytes, *, head: bytes, shape: struct.Struct) -> list[tuple[Any, ...]]:
    """The fields of the whole frames of one shape that the octets hold; none if any other is there.

    Each begins with `head`, which is the first field, and has as many octets as `shape`. What is
    behind the last whole one is not looked at.
    """
    count = len(octets) // shape.size
    end = count * shape.size
    last = end - shape.size
    if not octets.startswith(head) or octets[last : last + len(head)] != head:
        return []
    fields = list(shape.iter_unpack(octets if end == len(octets) else octets[:end]))
    return fields if all(each[0] == head for each in fields) else []
