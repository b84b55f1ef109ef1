"""Another try after a refusal for now: later each time, and never past the message's validity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from duewise.outbox.retry import ATTEMPTS_MAX, GiveUp, Retry, after_refusal

NOW = datetime(2026, 8, 14, 2, tzinfo=UTC)


def _after(attempt: int, *, minutes: int = 600, retry_after_s: int | None = None) -> object:
    return after_refusal(
        attempt=attempt,
        now=NOW,
        valid_until=NOW + timedelta(minutes=minutes),
        retry_after_s=retry_after_s,
        code="ESME_RTHROTTLED",
    )


def test_it_waits_longer_each_time() -> None:
    waits = [_after(attempt).not_before - NOW for attempt in range(1, ATTEMPTS_MAX)]  # type: ignore[attr-defined]
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=30)


def test_it_does_what_the_gateway_asks() -> None:
    assert _after(1, retry_after_s=7) == Retry(NOW + timedelta(seconds=7))


def test_it_gives_up_after_the_last_attempt_and_past_validity() -> None:
    assert _after(ATTEMPTS_MAX) == GiveUp(f"refused_{ATTEMPTS_MAX}_times: ESME_RTHROTTLED")
    assert isinstance(_after(4, minutes=1), GiveUp)
