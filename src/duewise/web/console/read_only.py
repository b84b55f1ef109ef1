"""What all lists of the console share: they show, and nothing in them can be changed."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.admin import ShowFacets, display
from django.db.models import BinaryField, IntegerField, Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from duewise.store import models
from duewise.web.console.labels import label, money

TOKEN_SHOWN = 8
OfEnvelope = models.EnvelopeChange | models.Verdict | models.Submission | models.Receipt


class ReadOnly(ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Nothing can be added, changed or deleted, whatever the account; sealed columns stay out."""

    paginator = InfinitePaginator  # no count over ten million rows
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_filter_submit = True
    list_display_links: tuple[str, ...] | None = None
    actions = None

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By each column as it is: Django's own casts numbers to texts, which no index holds."""
        term = search_term.strip()
        if not term:
            return queryset, False
        columns = {
            name: self.opts.get_field(name.partition("__")[0]) for name in self.search_fields
        }
        is_number = re.fullmatch(r"\d{1,18}", term, re.ASCII)
        asked = [
            Q((name, term))
            for name, column in columns.items()
            if is_number or not isinstance(column, IntegerField)
        ]
        found = queryset.filter(Q(*asked, _connector=Q.OR)) if asked else queryset.none()
        return found, False

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        return False

    def get_fields(self, _request: HttpRequest, _obj: Model | None = None) -> list[str]:
        """Every column but the sealed ones; the number's token is shown shortened."""
        names = [field.name for field in self.opts.fields if not isinstance(field, BinaryField)]
        return ["token" if name == "number_token" else name for name in names]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return self.get_fields(request, obj)

    @display(description=_("number token"))
    def token(self, row: models.Person | models.Envelope | models.Reply) -> str:
        return f"{row.number_token[:TOKEN_SHOWN]}…" if row.number_token else "–"

    @display(description=_("envelope"))
    def of_envelope(self, row: OfEnvelope) -> str | SafeString:
        if row.envelope_id is None:
            return "–"
        return link(reverse("admin:store_envelope_change", args=[row.envelope_id]), row.envelope_id)

    @display(description=_("amount"))
    def amount(self, row: models.Envelope | models.PaymentEvent) -> str:
        return money(row.amount_minor, row.currency)

    @display(description=_("channel"))
    def by_channel(self, row: models.Envelope | models.OptOut) -> str:
        return label("channel", row.channel)


def link(url: str, text: object) -> SafeString:
    """A link in a cell."""
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', url, text
    )


def coloured(text: str, colour: str) -> SafeString:
    """A word on a coloured ground; see `dw-label` in the style sheet."""
    return format_html('<span class="dw-label dw-{}">{}</span>', colour or "default", text)
