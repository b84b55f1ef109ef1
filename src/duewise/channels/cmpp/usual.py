"""What nearly all frames are, read and written in one pass.

Whatever is not written to the letter of the specification is left to `pdu` and `report`, which
read and write all of it; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from duewise.channels.cmpp.pdu import LAYOUTS, pack_number, pack_text

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
