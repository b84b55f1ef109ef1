"""What processes that work side by side are told by their environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = "POLARS_MAX_THREADS"
# A worker's memory serves its next partition: to give it back, and take it anew a page at a time,
# took a seventh of a partition. The second is for the allocator in Polars (jemalloc).
KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),  # the most that glibc takes
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1",
}


@contextmanager
def for_workers(workers: int) -> Iterator[None]:
    """Processes started meanwhile have the settings of workers, but for what is set already."""
    threads = max(1, (os.cpu_count() or 1) // workers)  # all together one a core
    own = {THREADS: str(threads), **KEEP_MEMORY}
    own = {name: value for name, value in own.items() if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            del os.environ[name]
