"""Arrays as PostgreSQL reads them, made a column at a time: psycopg adapts them item by item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime


def numbers(values: Iterable[int]) -> str:
    """An array of integers.

    >>> numbers([7, 8])
    '{7,8}'
    """
    return f"{{{','.join(map(str, values))}}}"


def texts(values: Sequence[str]) -> str:
    r"""An array of texts. PostgreSQL stores no NUL, so none is left in them.

    >>> print(texts(["a", 'b"', "", "c,}", "d\0e"]))
    {"a","b\"","","c,}","de"}
    """
    if not values:
        return "{}"
    joined = "\0".join(values)
    if joined.count("\0") >= len(values):
        joined = "\0".join(value.replace("\0", "") for value in values)
    joined = joined.replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + joined.replace("\0", '","') + '"}'


def instants(values: Iterable[datetime]) -> str:
    """An array of instants; those that are alike are written once.

    >>> instants([datetime(2026, 8, 14)])
    '{"2026-08-14 00:00:00"}'
    """
    known: dict[datetime, str] = {}
    return texts([known.get(at) or known.setdefault(at, str(at)) for at in values])
