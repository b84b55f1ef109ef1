"""Codes as people read them, in the language of the page."""

from __future__ import annotations

from django.utils.translation import get_language

from duewise.jobs.explain import Words, amount, load_words, meaning, reason_meaning
from duewise.money import Money, format_money
from duewise.outbox.envelope import State

# The colours of unfold's labels: what needs an eye is warm, what is done is green or grey.
STATE_COLOURS = {
    State.READY.value: "info",
    State.SENDING.value: "info",
    State.ACCEPTED.value: "info",
    State.DELIVERED.value: "success",
    State.FAILED.value: "danger",
    State.EXPIRED.value: "warning",
    State.UNKNOWN.value: "danger",
    State.HELD.value: "warning",
    State.BLOCKED.value: "warning",
}
OUTCOME_COLOURS = {
    "allow": "success",
    "redact": "info",
    "defer": "warning",
    "review": "warning",
    "block": "danger",
}


def words() -> Words:
    """The meanings in the language of the request."""
    return load_words("zh" if (get_language() or "").startswith("zh") else "en")


def label(kind: str, code: str | None) -> str:
    """The meaning of a code; a dash where there is none."""
    return meaning(words(), kind, code) if code else "–"


def why(reason: str | None) -> str:
    """The meaning of an envelope's reason; a dash where there is none."""
    return reason_meaning(words(), reason) if reason else "–"


def money(minor: int | None, currency: str | None) -> str:
    """An amount as people of the page's language write it; a dash where there is none."""
    if minor is None or not currency:
        return "–"
    if (get_language() or "").startswith("zh"):
        return format_money(Money(minor, currency), locale="zh_CN")
    return amount(minor, currency)
