"""The gateway's own record: one JSON line a submit, on disk before the submit is answered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_LOOK_BACK: Final = 4_096
FIRST_ID: Final = 1 << 36  # so that no id begins with a zero


class SubmitLog:
    """Appends to `path`. What `flush` has written outlives a kill of this process.

    A kill in the midst of it may tear the last line, of a submit that was not answered: it is cut
    off at the next start, and is no record.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        _cut_torn_line(self._file)
        self._lines: list[str] = []
        # Every id adds a line longer than 1 octet, so ids that start at the size never repeat.
        self._next_number = FIRST_ID + os.fstat(self._file).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def next_numbers(self, count: int) -> Sequence[int]:
        """Numbers for message ids that this log has never seen; each is to have its line."""
        first = self._next_number + 1
        self._next_number += count
        return range(first, first + count)

    def append(self, line: str) -> None:
        """Remember a line, its end included, for the next `flush`."""
        self._lines.append(line)

    def flush(self) -> None:
        """Hand all lines to the operating system, in one write where it takes them."""
        if not self._lines:
            return
        octets = memoryview("".join(self._lines).encode("utf-8", "replace"))
        self._lines.clear()
        while octets:
            octets = octets[os.write(self._file, octets) :]


def _cut_torn_line(file: int) -> None:
    """End the file behind its last whole line."""
    end = size = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - _LOOK_BACK)
        whole = os.pread(file, end - start, start).rfind(b"\n") + 1
        end = start + whole
        if whole:
            break
    if end < size:
        os.ftruncate(file, end)
