"""Processor time that processes have spent, as proc(5) tells it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from psycopg import Connection


def server_of(conn: Connection[Any]) -> int:
    """The process of the database server behind a session."""
    return int(_stat(conn.info.backend_pid)[1])


def tree_s(root: int) -> float:
    """Processor seconds of a process and its children, the ended ones included."""
    ticks = sum(map(int, _stat(root)[11:15]))
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = _stat(int(folder.name))
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == root:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
