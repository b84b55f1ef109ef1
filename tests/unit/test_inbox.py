"""Receipts that came together wait together, and each of them counts against the queue's bound."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from duewise.channels.base import InboundReceipt
from duewise.channels.wire.codec import Told
from duewise.channels.wire.framing import between
from duewise.channels.wire.inbox import Inbox
from duewise.times import ManualClock

NOON = datetime(2026, 8, 10, 4, tzinfo=UTC)


class Link:
    """A session that notes what is said in it."""

    def __init__(self) -> None:
        self.said = b""

    def say(self, octets: bytes) -> None:
        self.said += octets


def told(names: str) -> Told:
    receipts = [InboundReceipt(name, "delivered", "000", "", NOON) for name in names]
    answers = (partial(between, head, b"") for head in (b"+", b"-"))
    return Told(receipts, [name.encode() for name in names], *answers)


@pytest.mark.parametrize(
    ("runs", "deliveries", "busy"),
    [
        (["abc"], ["abc"], b""),
        (["abcde"], ["abcd"], b"-e"),
        (["abc", "def"], ["abc", "d"], b"-e-f"),
        (["abcd", "e"], ["abcd"], b"-e"),
    ],
)
async def test_it_takes_what_there_is_room_for_and_answers_it_together(
    runs: Sequence[str], deliveries: Sequence[str], busy: bytes
) -> None:
    inbox, link = Inbox(inbound_max=4, clock=ManualClock(NOON)), Link()
    session: Any = link
    inbox.take(session, [told(names) for names in runs])
    assert (link.said, inbox.queue.qsize()) == (busy, sum(map(len, deliveries)))
    for names in deliveries:
        delivery = inbox.queue.get_nowait()
        assert "".join(each.provider_id for each in delivery.inbound) == names  # type: ignore[union-attr]
        link.said = b""
        await delivery.ack()
        assert link.said == b"".join(b"+%c" % name for name in names.encode())
    assert (inbox.queue.qsize(), inbox.queue.room, inbox.queue.empty()) == (0, 4, True)
