"""What identifies in CMPP: the proof that opens a connection, and the 64 bits of a message's id."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final, NamedTuple

_GATEWAY_BITS: Final = 22
_NUMBER_BITS: Final = 16
LOW_BITS: Final = _GATEWAY_BITS + _NUMBER_BITS


class MsgId(NamedTuple):
    """Section 8.4.3.2: when and where a message got its id, and its number there.

    Month 4 bits, day 5, hour 5, minute 6, second 6, gateway 22, number 16.
    """

    month: int
    day: int
    hour: int
    minute: int
    second: int
    gateway: int
    number: int


_WIDTHS: Final = MsgId(4, 5, 5, 6, 6, _GATEWAY_BITS, _NUMBER_BITS)


def unpack_msg_id(packed: int) -> MsgId:
    """The seven fields of the 64 bits.

    >>> unpack_msg_id(pack_msg_id(MsgId(8, 10, 9, 0, 1, 106_901, 7)))
    MsgId(month=8, day=10, hour=9, minute=0, second=1, gateway=106901, number=7)
    """
    fields = []
    for width in reversed(_WIDTHS):
        fields.append(packed & ((1 << width) - 1))
        packed >>= width
    return MsgId(*reversed(fields))


def pack_msg_id(fields: MsgId) -> int:
    """The 64 bits of the seven fields, each cut to its width."""
    packed = 0
    for value, width in zip(fields, _WIDTHS, strict=True):
        packed = packed << width | value & ((1 << width) - 1)
    return packed


def timestamp(instant: datetime) -> int:
    """MMDDHHMMSS read as a number, as CONNECT carries it.

    >>> timestamp(datetime(2026, 8, 10, 9, 0, 1))
    810090001
    """
    return int(f"{instant:%m%d%H%M%S}")


def source_proof(source_addr: str, secret: str, stamp: int) -> bytes:
    """AuthenticatorSource (8.4.1.1): MD5 of address, nine NUL, shared secret, ten-digit timestamp.

    >>> source_proof("901234", "1234", 1_021_080_510).hex()
    '079dd235c30e065ccbbfd14ba18e7da1'
    """
    return _md5(source_addr.encode("latin-1"), bytes(9), secret.encode(), f"{stamp:010}".encode())


def gateway_proof(status: bytes, proof: bytes, secret: str) -> bytes:
    """AuthenticatorISMG (8.4.1.2): MD5 of the status octets, AuthenticatorSource, shared secret."""
    return _md5(status, proof, secret.encode())


def _md5(*parts: bytes) -> bytes:
    """The digest is the protocol's choice: it keeps the secret off the wire, and no more."""
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()
