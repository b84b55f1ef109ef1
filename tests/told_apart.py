"""What a session hears together, one by one, as a frame read alone tells it."""

from collections.abc import Iterator, Sequence

from duewise.channels.base import Accepted
from duewise.channels.wire.codec import Answer, HeardAll, ReplyPart, Told


def accepted(heard: HeardAll) -> list[Answer]:
    """What was accepted, an answer each."""
    pairs = zip(heard.sequences, heard.provider_ids, strict=True)
    return [Answer(sequence, Accepted((provider_id,))) for sequence, provider_id in pairs]


def apart(told: Sequence[Told]) -> list[Told]:
    """Receipts each with the name it is answered under; anything else as it is."""
    return [one for each in told for one in _apart(each)]


def _apart(told: Told) -> Iterator[Told]:
    if told.said is None or isinstance(told.said, ReplyPart):
        yield told
        return
    for receipt, name in zip(told.said, told.names, strict=True):
        yield told._replace(said=[receipt], names=[name])
