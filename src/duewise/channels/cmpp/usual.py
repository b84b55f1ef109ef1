"""What nearly all frames are, read and written in one pass.

Whatever is not written to the letter of the specification is left to `pdu` and `report`, which
read and write all of it; a test holds the two against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from duewise.channels.cmpp.pdu import (
    HEADER_LENGTH,
    LAYOUTS,
    V2,
    V3,
    Command,
    pack_number,
    pack_text,
)

# Sections 8.4.3.2: what answers begin with, what they end with where all is well (Result 0), and
# between them Sequence_Id and Msg_Id.
ACCEPTED: Final = {
    version: (struct.pack(">II", HEADER_LENGTH + 8 + size, Command.SUBMIT_RESP), bytes(size))
    for version, size in ((V2, 1), (V3, 4))
}
_ANSWERS = {V2: struct.Struct(">8xIQx"), V3: struct.Struct(">8xIQ4x")}
_HEADER = struct.Struct(">III")
_PARTS_AT = 8  # after Msg_Id: Pk_total and Pk_number, an octet each


def submit_bodies(head: bytes, number: str, contents: Sequence[bytes], version: int) -> list[bytes]:
    """The bodies of CMPP_SUBMIT (section 8.4.3.1) of a text's parts to one number.

    `head` comes from `pdu.pack_submit_head`; what it says of parts does not matter. Raises
    ProtocolError.
    """
    layout, total = LAYOUTS[version], len(contents)
    before = head[:_PARTS_AT]
    after = head[_PARTS_AT + 2 :] + pack_number(number, layout) + layout.number_type
    return [
        b"%b%c%c%b%b" % (before, total, place, after, pack_text(content, "", layout))
        for place, content in enumerate(contents, start=1)
    ]


def submit_frames(first: int, bodies: Sequence[bytes]) -> bytes:
    """The frames of CMPP_SUBMIT with these bodies, under sequence numbers from `first` on."""
    pack, command = _HEADER.pack, int(Command.SUBMIT)
    return b"".join(
        [
            pack(len(body) + HEADER_LENGTH, command, sequence) + body
            for sequence, body in enumerate(bodies, start=first)
        ]
    )


def accepted_ids(answers: Sequence[bytes], version: int) -> tuple[Sequence[int], Sequence[str]]:
    """The sequence numbers of such answers, and the ids in them."""
    read = list(_ANSWERS[version].iter_unpack(b"".join(answers)))
    return [sequence for sequence, _ in read], [str(msg_id) for _, msg_id in read]
