"""Codes, money and instants as people read them, for our templates."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django import template

from duewise.web.console.labels import OUTCOME_COLOURS, STATE_COLOURS, label, money, why

register = template.Library()


@register.filter
def meaning(code: str | None, kind: str) -> str:
    """The meaning of a code of that kind."""
    return label(kind, code)


@register.filter
def reason(text: str | None) -> str:
    """The meaning of an envelope's reason."""
    return why(text)


@register.filter
def colour(code: str | None) -> str:
    """The colour of a state or outcome."""
    return STATE_COLOURS.get(code or "") or OUTCOME_COLOURS.get(code or "", "default")


@register.filter
def in_currency(minor: int | None, currency: str | None) -> str:
    """Minor units as an amount."""
    return money(minor, currency)


@register.filter
def in_zone(instant: datetime | None, zone: str) -> str:
    """An instant in an IANA zone, to the second; a dash where there is none."""
    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}" if instant else "–"
