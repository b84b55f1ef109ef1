"""How often Python looks for garbage, in a process that makes much of it."""

from __future__ import annotations

import gc
from typing import Final

COLLECT_AFTER: Final = 50_000  # objects, where Python's own figure is 700


def spare_collector() -> None:
    """Let Python look for garbage seldom, and never in what is there before the first message.

    A chunk makes tens of thousands of objects that die by themselves; each look over all of the
    libraries' objects for them costs as much as some hundred messages.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)
