"""A message cut into the parts a carrier takes; or why no carrier would take it."""

from __future__ import annotations

import re
from typing import Final

from duewise.channels.base import Message, Refused
from duewise.errors import BadInput
from duewise.message.parts import Encoding, Part, split

INVALID_ADDRESS: Final = Refused("invalid_address", is_permanent=True)
INVALID_MESSAGE: Final = Refused("invalid_message", is_permanent=True)
TOO_MANY_PARTS: Final = Refused("too_many_parts", is_permanent=True)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def parts_of(
    message: Message, *, parts_max: int, encoding: Encoding | None = None
) -> list[Part] | Refused:
    """The parts of a message to a number in E.164, joined under its envelope's number.

    `encoding` is the one that serves, where the carrier takes only that.

    >>> parts_of(Message(7, "e7", "13800000000", "", "T"), parts_max=10).code
    'invalid_address'
    """
    if _E164.fullmatch(message.address) is None:
        return INVALID_ADDRESS
    try:
        parts = split(message.text, reference=message.envelope_id, encoding=encoding)
    except BadInput:
        return TOO_MANY_PARTS
    return parts if len(parts) <= parts_max else TOO_MANY_PARTS
