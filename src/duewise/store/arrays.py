"""Arrays as PostgreSQL reads them, made a column at a time: psycopg adapts them item by item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def numbers(values: Iterable[int | None]) -> str:
    """An array of Python's own integers, or of nulls among them.

    >>> numbers([7, None, 8])
    '{7, NULL, 8}'
    """
    return "{" + str([*values])[1:-1].replace("None", "NULL") + "}"


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


def microseconds(values: Iterable[datetime]) -> str:
    """An array of instants as microseconds since 1970, which are read faster than dates.

    >>> microseconds([datetime(1970, 1, 2, tzinfo=UTC)])
    '{86400000000}'
    """
    values = [*values]
    known = {at: (at - _EPOCH) // _US for at in set(values)}
    return numbers(map(known.__getitem__, values))
