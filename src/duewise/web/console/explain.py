"""The explain page: why this borrower was, or was not, contacted on this day."""

from __future__ import annotations

from typing import Any

import structlog
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from duewise.store.explain import Explanation, explain
from duewise.times import local_date
from duewise.web.apps import VIEW_TEXT
from duewise.web.services import services

BORROWER_LENGTH_MAX = 100
log = structlog.get_logger()


class ExplainForm(forms.Form):
    """Which borrower, which day."""

    borrower = forms.CharField(
        label=_("Borrower"), max_length=BORROWER_LENGTH_MAX, widget=UnfoldAdminTextInputWidget
    )
    date = forms.DateField(
        label=_("As-of date"),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        input_formats=["%Y-%m-%d"],
    )


def explain_page(request: HttpRequest) -> HttpResponse:
    """The form and, once it is filled in, the answer. Texts only for those with the right."""
    if not request.user.has_perm("store.view_envelope"):
        raise PermissionDenied
    asked = request.GET.copy()
    if "date" not in asked:
        today = local_date(services().clock.now(), services().timezone)
        asked["date"] = today.isoformat()
    form = ExplainForm(asked) if "borrower" in asked else ExplainForm(initial=asked.dict())
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Explain"),
        "form": form,
        "may_read": request.user.has_perm(VIEW_TEXT),
    }
    if form.is_bound and form.is_valid():
        context["explanation"] = _explained(request, form.cleaned_data)
    return TemplateResponse(request, "duewise/explain.html", context)


def _explained(request: HttpRequest, asked: dict[str, Any]) -> Explanation:
    may_read = request.user.has_perm(VIEW_TEXT)
    with services().connect() as conn:
        found = explain(
            conn,
            workspace=services().workspace,
            borrower_id=asked["borrower"],
            as_of=asked["date"],
            keyring=services().keyring if may_read else None,
        )
    read = [story.envelope_id for story in found.stories if story.text is not None]
    if read:
        log.info("text.read", account=request.user.pk, envelopes=read)
    return found
