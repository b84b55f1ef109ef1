"""A stream of octets cut into the frames of SMPP 3.4 (section 3.2: each begins with its length)."""

from __future__ import annotations

import struct

from duewise.channels.smpp.pdu import HEADER_LENGTH, PDU_LENGTH_MAX, ProtocolError

_LENGTH = struct.Struct(">I")


class Deframer:
    """Cuts a stream of octets into frames, holding back what is not whole yet."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> list[bytes]:
        """The frames that are whole now. Raises ProtocolError where no frame can begin."""
        octets = self._rest + octets if self._rest else octets
        frames: list[bytes] = []
        at, end = 0, len(octets)
        while end - at >= HEADER_LENGTH:
            (length,) = _LENGTH.unpack_from(octets, at)
            if not HEADER_LENGTH <= length <= PDU_LENGTH_MAX:
                raise ProtocolError(f"command_length {length}")
            if end - at < length:
                break
            frames.append(octets[at : at + length])
            at += length
        self._rest = octets[at:]
        return frames
