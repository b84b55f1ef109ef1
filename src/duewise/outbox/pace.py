"""How many messages go together: as many as a route wrote lately in half a second.

So a payment does not wait much longer for a notice on its way, and no judgment lies longer before
its message is written, however slow a gateway is that tells of the write.
"""

from __future__ import annotations

from typing import Final

FIRST: Final = 100
WRITE_S_MAX: Final = 0.5


def next_size(size: int, *, written: int, took_s: float, most: int) -> int:
    """Messages of the next chunk, `written` messages having taken so long; at most twice as many.

    `took_s` is 0 where only answers told, which say nothing of the pace.

    >>> next_size(100, written=100, took_s=0.01, most=1_000)
    200
    >>> next_size(1_000, written=1_000, took_s=5.0, most=1_000)
    100
    >>> next_size(10, written=1, took_s=30.0, most=1_000)
    1
    """
    fits = int(written * WRITE_S_MAX / took_s) if took_s > 0 else most
    return max(1, min(most, 2 * size, fits))
