"""The named statements of the hot paths: one file a subject, `-- name` above each statement."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import LiteralString, cast

_NAME = re.compile(r"^-- ([a-z_]+)$", re.MULTILINE)


@cache
def queries(subject: str) -> dict[str, LiteralString]:
    """The statements of `<subject>.sql` by name.

    >>> "due" in queries("outbox")
    True
    """
    text = resources.files(__name__).joinpath(f"{subject}.sql").read_text(encoding="utf-8")
    pieces = _NAME.split(text)
    names, bodies = pieces[1::2], pieces[2::2]
    assert len(set(names)) == len(names), f"a statement of {subject}.sql is named twice"
    # The files ship with the package: as trusted as the code.
    return {
        name: cast("LiteralString", body.strip()) for name, body in zip(names, bodies, strict=True)
    }
