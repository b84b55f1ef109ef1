"""A stream of octets cut into frames that begin with their own length, as SMPP's and CMPP's do."""

from __future__ import annotations

import struct

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
