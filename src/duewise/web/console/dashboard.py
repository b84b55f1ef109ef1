"""The first page: do today's figures tie, where do envelopes stand, how were the days before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.http import HttpRequest
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from duewise.outbox.envelope import SUBMITTED, Balance, State
from duewise.times import local_date
from duewise.web.console.labels import label
from duewise.web.console.records import at
from duewise.web.figures import balance_on, counts_by_day, counts_on, feed_ages
from duewise.web.services import services

DAYS = 14
# Every state, so that a day's bar is as high as its plan.
_CHART = {
    "delivered": "var(--color-green-500)",
    "accepted": "var(--color-primary-500)",
    "sending": "var(--color-primary-300)",
    "ready": "var(--color-primary-200)",
    "cancelled": "var(--color-base-400)",
    "lapsed": "var(--color-base-300)",
    "held": "var(--color-orange-300)",
    "blocked": "var(--color-orange-500)",
    "expired": "var(--color-red-300)",
    "failed": "var(--color-red-500)",
    "unknown": "var(--color-red-700)",
}
assert _CHART.keys() == {state.value for state in State}, "a state is missing from the chart"


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the figures to the context of the console's first page, for those who may see them."""
    if not request.user.has_perm("store.view_envelope"):
        return context
    now = services().clock.now()
    today = local_date(now, services().timezone)
    with services().connect() as conn:
        figures = balance_on(conn, today)
        counts = counts_on(conn, today)
        by_day = counts_by_day(conn, today, days=DAYS)
        feeds = feed_ages(conn, now)
    return context | {
        "today": today,
        "balance": figures,
        "equations": _equations(figures),
        "states": [
            (state.value, label("state_name", state.value), counts.get(state, 0)) for state in State
        ],
        "chart": json.dumps(_chart(by_day)),
        "chart_options": json.dumps(_CHART_OPTIONS),
        "has_days": bool(by_day),
        "feeds": [
            (feed.name, at(feed.complete_until), timesince(feed.complete_until, now))
            for feed in feeds
        ],
    }


_CHART_OPTIONS = {
    "animation": False,
    "maintainAspectRatio": False,
    "scales": {
        "x": {"stacked": True},
        "y": {"stacked": True, "beginAtZero": True, "ticks": {"precision": 0}},
    },
    "plugins": {"legend": {"display": True, "position": "bottom"}},
}


def _equations(figures: Balance) -> list[dict[str, Any]]:
    outer = ("sent", "blocked", "held", "cancelled", "lapsed")
    names = _names()
    return [
        {
            "whole": (names[whole], getattr(figures, whole)),
            "parts": [(names[part], getattr(figures, part)) for part in parts],
        }
        for whole, parts in (("planned", outer), ("submitted", SUBMITTED))
    ]


def _names() -> Mapping[str, str]:
    return {
        "planned": _("planned"),
        "sent": _("sent"),
        "blocked": _("blocked"),
        "held": _("waiting or held"),  # all that may still leave
        "cancelled": _("cancelled"),
        "lapsed": _("lapsed"),
        "submitted": _("submitted"),
        "delivered": _("delivered"),
        "failed": _("failed"),
        "expired": _("expired"),
        "unknown": _("awaited or unknown"),
    }


def _chart(by_day: Mapping[date, Mapping[State, int]]) -> dict[str, Any]:
    return {
        "labels": [day.strftime("%m-%d") for day in by_day],
        "datasets": [
            {
                "label": label("state_name", state),
                "backgroundColor": colour,
                "data": [counts.get(State(state), 0) for counts in by_day.values()],
            }
            for state, colour in _CHART.items()
        ],
    }
