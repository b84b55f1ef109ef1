"""What the composition root hands to the web: the parts of the system that pages and API call."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from psycopg import Connection

from duewise.jobs.ingest import Payment, RecordResult
from duewise.jobs.promises import Promise, Taken
from duewise.store.seal import Keyring
from duewise.times import Clock


class RecordPayments(Protocol):
    """Writes payments once each and holds unsent envelopes of their borrowers, in one transaction.

    Raises BadInput for a payment that cannot be taken; then none is.
    """

    def __call__(
        self, conn: Connection[Any], payments: Sequence[Payment], *, now: datetime
    ) -> RecordResult: ...


class RecordPromises(Protocol):
    """Takes promises down once each and holds unsent envelopes of their borrowers, in like manner.

    Raises BadInput for a promise that cannot be taken; then none is.
    """

    def __call__(
        self, conn: Connection[Any], promises: Sequence[Promise], *, now: datetime
    ) -> Taken: ...


@dataclass(frozen=True)
class Services:
    """Handed over once, at start.

    `connect` gives each caller a connection of its own, for requests run side by side; it commits
    when its block ends well and rolls back when not. `workspace` holds the journal.
    `api_tokens` maps a caller's name to the SHA-256 hex digest of its token.
    """

    clock: Clock
    connect: Callable[[], AbstractContextManager[Connection[Any]]]
    keyring: Keyring
    workspace: Path
    record_payments: RecordPayments
    record_promises: RecordPromises
    api_tokens: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "Asia/Shanghai"


def services() -> Services:
    """The services of this process."""
    given = getattr(settings, "DUEWISE", None)
    assert isinstance(given, Services), "the process was configured without services"
    return given


def token_digest(token: str) -> str:
    """What is kept of a token: the SHA-256 of its UTF-8 bytes, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def caller_of(token: str, tokens: Mapping[str, str]) -> str | None:
    """The name behind a token, or None. Every digest is compared, each in constant time."""
    digest = token_digest(token)
    found = [name for name, known in tokens.items() if hmac.compare_digest(digest, known)]
    return found[0] if found else None
