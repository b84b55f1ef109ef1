"""When a message that was refused for now may try again. No retry outlives its message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

ATTEMPTS_MAX = 5
BACKOFF_CAP_S = 3_600
MESSAGE_LIFETIME_S = 86_400
assert ATTEMPTS_MAX * BACKOFF_CAP_S < MESSAGE_LIFETIME_S, "no retry may outlive its message"


@dataclass(frozen=True)
class Retry:
    """Try again, not before that instant."""

    not_before: datetime


@dataclass(frozen=True)
class GiveUp:
    """No further attempt; `reason` is the envelope's."""

    reason: str


def backoff_s(*, attempt: int, base_s: int = 30, cap_s: int = BACKOFF_CAP_S) -> int:
    """Seconds to wait after failed attempt number `attempt`, counted from 1.

    >>> [backoff_s(attempt=n) for n in (1, 2, 3, 9)]
    [30, 60, 120, 3600]
    """
    return min(cap_s, base_s << min(attempt - 1, 32))


def after_refusal(
    *, attempt: int, now: datetime, valid_until: datetime, retry_after_s: int | None, code: str
) -> Retry | GiveUp:
    """What follows a temporary refusal of attempt number `attempt`, counted from 1."""
    if attempt >= ATTEMPTS_MAX:
        return GiveUp(f"refused_{ATTEMPTS_MAX}_times: {code}")
    wait_s = retry_after_s if retry_after_s is not None else backoff_s(attempt=attempt)
    not_before = now + timedelta(seconds=wait_s)
    if not_before >= valid_until:
        return GiveUp(f"refused_until_validity_ended: {code}")
    return Retry(not_before)
