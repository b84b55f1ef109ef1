"""How the console looks and what its sidebar holds: the settings of unfold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Permission = Callable[[HttpRequest], bool]


def _may(permission: str) -> Permission:
    return lambda request: request.user.has_perm(permission)


def _list(model: str, title: str | Promise, icon: str, app: str = "store") -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may(f"{app}.view_{model}"),
    }


def _style(_request: HttpRequest) -> str:
    return static("duewise/console.css")


def _icon(_request: HttpRequest) -> str:
    return static("duewise/favicon.svg")


NAVIGATION = [
    {
        "title": _("Today"),
        "items": [
            {"title": _("Dashboard"), "icon": "monitoring", "link": reverse_lazy("admin:index")},
            {
                "title": _("Explain"),
                "icon": "quiz",
                "link": reverse_lazy("explain"),
                "permission": _may("store.view_envelope"),
            },
            _list("planrun", _("Plans"), "event_note"),
        ],
    },
    {
        "title": _("Messages"),
        "separator": True,
        "items": [
            _list("envelope", _("Envelopes"), "mail"),
            _list("envelopechange", _("State changes"), "swap_horiz"),
            _list("verdict", _("Verdicts"), "gavel"),
            _list("submission", _("Submissions"), "outbox"),
            _list("receipt", _("Receipts"), "mark_email_read"),
            _list("reply", _("Replies"), "reply"),
            _list("templateapproval", _("Approvals"), "verified"),
        ],
    },
    {
        "title": _("Borrowers"),
        "separator": True,
        "items": [
            _list("person", _("People"), "groups"),
            _list("optout", _("Opt-outs"), "do_not_disturb_on"),
            _list("case", _("Cases"), "folder_shared"),
            _list("promise", _("Promises"), "handshake"),
            _list("paymentevent", _("Payments"), "payments"),
            _list("feed", _("Feeds"), "database"),
        ],
    },
    {
        "title": _("Access"),
        "separator": True,
        "items": [
            _list("user", _("Accounts"), "person", "auth"),
            _list("group", _("Roles"), "group", "auth"),
            {"title": _("API"), "icon": "api", "link": reverse_lazy("api-1:openapi-view")},
        ],
    },
]

# A calm blue; unfold's own accent is a violet.
_BLUE = {
    "50": "oklch(97% .014 254.604)",
    "100": "oklch(93.2% .032 255.585)",
    "200": "oklch(88.2% .059 254.128)",
    "300": "oklch(80.9% .105 251.813)",
    "400": "oklch(70.7% .165 254.624)",
    "500": "oklch(62.3% .214 259.815)",
    "600": "oklch(54.6% .245 262.881)",
    "700": "oklch(48.8% .243 264.376)",
    "800": "oklch(42.4% .199 265.638)",
    "900": "oklch(37.9% .146 265.522)",
    "950": "oklch(28.2% .091 267.935)",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Duewise",
    "SITE_HEADER": "Duewise",
    "SITE_SUBHEADER": _("The right word before the due date"),
    "SITE_SYMBOL": "notifications_active",
    "SITE_URL": None,
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "STYLES": [_style],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "COLORS": {"primary": _BLUE},
    "LOGIN": {"form": "duewise.web.console.login.LoginForm"},
    "DASHBOARD_CALLBACK": "duewise.web.console.dashboard.dashboard",
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": NAVIGATION},
}
