"""The record of who approved which text: to be read, never changed."""

from __future__ import annotations

from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter

from duewise.store import models
from duewise.web.console.filters import code_filter
from duewise.web.console.labels import label
from duewise.web.console.read_only import ReadOnly, coloured

APPROVAL_COLOURS = {"approved": "success", "withdrawn": "danger"}
HASH_SHOWN = 12


class TemplateApprovalAdmin(ReadOnly):
    """Who approved or withdrew a text, in which wording, and why."""

    list_display = ("at", "template", "said", "by", "author", "wording", "why")
    list_filter = (code_filter("what", "approval", _("said")), ("at", RangeDateTimeFilter))
    search_fields = ("template__exact", "content_hash__startswith")
    search_help_text = _("Name of a template in full, or the beginning of a content hash")
    ordering = ("-approval_id",)

    @display(description=_("said"))
    def said(self, row: models.TemplateApproval) -> SafeString:
        return coloured(label("approval", row.what), APPROVAL_COLOURS.get(row.what, ""))

    @display(description=_("content hash"))
    def wording(self, row: models.TemplateApproval) -> str:
        return row.content_hash[:HASH_SHOWN]
