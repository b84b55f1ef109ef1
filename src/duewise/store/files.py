"""Files that are either wholly there or not there at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` to `path` in one step, durably, in place of what was there.

    A crash leaves the old file or the new one. `mode` holds from the first byte. Raises OSError.
    """
    with _fresh(path, content, mode) as fresh:
        fresh.replace(path)


def write_once(path: Path, content: bytes, *, mode: int = 0o644) -> bool:
    """The same, but never over a file that is there: then False, and it stays as it is."""
    with _fresh(path, content, mode) as fresh:
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            return False
    return True


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write in pieces, that appears under its name when the block ends without error."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with fresh.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def private_folder(folder: Path) -> Path:
    """The folder, made with mode 0700 if it is not there yet; its parents keep theirs."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _fresh(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """The content in a file beside `path`, durable; gone afterwards, its new name is not."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)
