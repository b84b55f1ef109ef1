"""Connections to the database of operations: in UTC, and with errors in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from duewise.errors import BadInput, Unreachable

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

SERVER_VERSION_MIN = 150_000
CONNECT_S_MAX = 10
# In the order of the index, too: whoever locks several rows locks them in that of their numbers.
BY_INDEX = " ".join(
    f"-c enable_{way}=off" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
)


def connect(dsn: str, *, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in UTC. Raises Unreachable, or BadInput for a DSN that cannot be read."""
    conninfo = session_dsn(dsn)
    try:
        return psycopg.connect(conninfo, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise _unreachable(error) from error


async def connect_async(
    dsn: str, *, autocommit: bool = False
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """`connect` for workers, who always name their rows. Raises Unreachable or BadInput.

    They go by index from the first statement on: a plan made while a table was small, and kept,
    would read the whole of it when it is large.
    """
    conninfo = session_dsn(dsn, options=BY_INDEX)
    try:
        return await psycopg.AsyncConnection.connect(conninfo, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise _unreachable(error) from error


async def ask_together(
    conn: psycopg.AsyncConnection[Any], *asked: tuple[LiteralString, Mapping[str, Any]]
) -> list[list[tuple[Any, ...]]]:
    """The rows of several statements, one after the other, asked and answered in one round trip.

    Each sees what was committed when it begins, as if it had been sent alone.
    """
    async with conn.pipeline():
        cursors = [await conn.execute(text, values, binary=True) for text, values in asked]
        return [await cursor.fetchall() for cursor in cursors]


def open_pool(dsn: str, *, size_max: int = 8) -> ConnectionPool[psycopg.Connection[Any]]:
    """A pool of such connections; use it in a `with` block, or close it. Raises BadInput."""
    from psycopg_pool import ConnectionPool

    return ConnectionPool(
        session_dsn(dsn),
        min_size=1,
        max_size=size_max,
        timeout=CONNECT_S_MAX,
        open=True,
    )


def session_dsn(dsn: str, *, options: str = "") -> str:
    """The DSN with what every session of ours wants: UTC, a name, a limit on waiting.

    >>> conninfo_to_dict(session_dsn("postgresql://db/duewise?connect_timeout=3"))["options"]
    '-c timezone=UTC'

    Raises BadInput for text that is neither a libpq connection string nor a URL.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise BadInput(  # libpq's own message would repeat the text, password included
            "not a database address",
            source="DUEWISE_DATABASE_URL",
            mend="write it as postgresql://NAME:PASSWORD@HOST:PORT/DATABASE",
        ) from error.with_traceback(None)
    said = f"{given.get('options') or ''} -c timezone=UTC {options}".strip()
    ours: dict[str, Any] = {"connect_timeout": CONNECT_S_MAX, "application_name": "duewise"}
    return make_conninfo(**(ours | given | {"options": said}))


def check_server(dsn: str) -> None:
    """See that a server answers and is new enough. Raises Unreachable or BadInput."""
    with connect(dsn) as conn:
        version = conn.info.server_version
    if version < SERVER_VERSION_MIN:
        raise BadInput(
            f"PostgreSQL {version // 10_000} is too old",
            source="DUEWISE_DATABASE_URL",
            mend=f"use version {SERVER_VERSION_MIN // 10_000} or later",
        )


def _unreachable(error: psycopg.OperationalError) -> Unreachable:
    cause = str(error).strip().split("\n")[0].rstrip(".")
    return Unreachable(
        f"the database does not answer: {cause}. "
        "Mend: see that the server runs and that address and password are right"
    )
