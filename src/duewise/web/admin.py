"""The lists and pages of the console. Operations are read only; only accounts can be edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from duewise.store import models
from duewise.web.console.approvals import TemplateApprovalAdmin
from duewise.web.console.filters import code_filter
from duewise.web.console.labels import OUTCOME_COLOURS, STATE_COLOURS, label, why
from duewise.web.console.pages import OfRowsAndBlocks
from duewise.web.console.read_only import ReadOnly, coloured, link
from duewise.web.console.records import records_of

Fieldsets = tuple[tuple[str | Promise | None, dict[str, tuple[str | tuple[str, ...], ...]]], ...]


_ENVELOPE_FIELDSETS: Fieldsets = (
    (
        None,
        {
            "fields": (
                ("shown_state", "because"),
                ("borrower_id", "loan_id"),
                ("amount", "due_date"),
                ("in_stage", "by_channel"),
                ("step", "arm", "propensity"),
                ("not_before", "valid_until"),
                ("changed_at", "attempt"),
            )
        },
    ),
    (
        _("Technical details"),
        {
            "fields": (
                "key",
                ("plan_id", "as_of"),
                ("template", "template_hash"),
                ("sender_id", "parts", "token"),
                ("created_at", "wired_at"),
                "facts",
            )
        },
    ),
)


@admin.register(models.Envelope)
class EnvelopeAdmin(ReadOnly):
    """Envelopes, and on one envelope's page everything on record about it."""

    list_display = (
        "opened",
        "as_of",
        "borrower_id",
        "step",
        "arm",
        "in_stage",
        "by_channel",
        "amount",
        "shown_state",
        "because",
        "changed_at",
    )
    list_filter = (
        code_filter("state", "state_name", _("state")),
        code_filter("stage", "stage", _("stage")),
        code_filter("channel", "channel", _("channel")),
        ("as_of", RangeDateFilter),
    )
    search_fields = ("borrower_id__exact", "key__exact", "loan_id__exact", "envelope_id__exact")
    search_help_text = _("Borrower, loan, key or envelope number, in full")
    ordering = ("-envelope_id",)
    change_form_before_template = "duewise/envelope_records.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Envelope]:
        found: QuerySet[models.Envelope] = super().get_queryset(request)
        return found.defer("text_sealed")

    def get_fieldsets(self, _request: HttpRequest, _obj: Model | None = None) -> Fieldsets:
        return _ENVELOPE_FIELDSETS

    def get_fields(self, _request: HttpRequest, _obj: Model | None = None) -> list[str]:
        rows = (row for _title, options in _ENVELOPE_FIELDSETS for row in options["fields"])
        return [name for row in rows for name in ((row,) if isinstance(row, str) else row)]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        shown = {**(extra_context or {}), "records": records_of(object_id)}
        answer: HttpResponse = super().change_view(request, object_id, form_url, shown)
        return answer

    @display(description=_("envelope"), ordering="envelope_id")
    def opened(self, row: models.Envelope) -> SafeString:
        return link(reverse("admin:store_envelope_change", args=[row.pk]), row.pk)

    @display(description=_("state"), ordering="state")
    def shown_state(self, row: models.Envelope) -> SafeString:
        return coloured(label("state_name", row.state), STATE_COLOURS.get(row.state, ""))

    @display(description=_("stage"))
    def in_stage(self, row: models.Envelope) -> str:
        return label("stage", row.stage)

    @display(description=_("reason"))
    def because(self, row: models.Envelope) -> str:
        return why(row.reason)


@admin.register(models.EnvelopeChange)
class EnvelopeChangeAdmin(OfRowsAndBlocks):
    """Every change of state."""

    list_display = ("at", "of_envelope", "from_state", "to_state", "because")
    list_filter = (code_filter("new_state", "state_name", _("to")), ("at", RangeDateTimeFilter))
    search_fields = ("envelope_id__exact",)
    search_help_text = _("Envelope number, in full")
    ordering = ("-change_id",)

    @display(description=_("from"))
    def from_state(self, row: models.EnvelopeChange) -> str:
        return label("state_name", row.old_state)

    @display(description=_("to"))
    def to_state(self, row: models.EnvelopeChange) -> SafeString:
        return coloured(label("state_name", row.new_state), STATE_COLOURS.get(row.new_state, ""))

    @display(description=_("reason"))
    def because(self, row: models.EnvelopeChange) -> str:
        return why(row.reason)


@admin.register(models.Verdict)
class VerdictAdmin(OfRowsAndBlocks):
    """The guard's word at each gate."""

    list_display = ("at", "of_envelope", "at_gate", "shown_outcome", "fired", "next_allowed_at")
    list_filter = (
        code_filter("outcome", "outcome", _("outcome")),
        code_filter("gate", "gate", _("gate")),
        ("at", RangeDateTimeFilter),
    )
    search_fields = ("envelope_id__exact",)
    search_help_text = _("Envelope number, in full")
    ordering = ("-verdict_id",)

    @display(description=_("gate"))
    def at_gate(self, row: models.Verdict) -> str:
        return label("gate", row.gate)

    @display(description=_("outcome"))
    def shown_outcome(self, row: models.Verdict) -> SafeString:
        return coloured(label("outcome", row.outcome), OUTCOME_COLOURS.get(row.outcome, ""))

    @display(description=_("rules"))
    def fired(self, row: models.Verdict) -> str:
        return "; ".join(f"{rule} {label('rule', rule)}" for rule in row.rules) or "–"


@admin.register(models.Submission)
class SubmissionAdmin(ReadOnly):
    """What gateways accepted."""

    list_display = ("accepted_at", "of_envelope", "route", "provider_id", "part")
    list_filter = (("accepted_at", RangeDateTimeFilter),)
    search_fields = ("envelope_id__exact", "provider_id__exact")
    search_help_text = _("Envelope number or provider id, in full")
    ordering = ("-submission_id",)


@admin.register(models.Receipt)
class ReceiptAdmin(OfRowsAndBlocks):
    """What gateways said later."""

    list_display = ("at", "of_envelope", "route", "provider_id", "shown_status", "code")
    list_filter = (code_filter("status", "receipt", _("status")), ("at", RangeDateTimeFilter))
    search_fields = ("envelope_id__exact", "provider_id__exact")
    search_help_text = _("Envelope number or provider id, in full")
    ordering = ("-receipt_id",)

    @display(description=_("status"))
    def shown_status(self, row: models.Receipt) -> SafeString:
        return coloured(label("receipt", row.status), STATE_COLOURS.get(row.status, ""))


@admin.register(models.Reply)
class ReplyAdmin(ReadOnly):
    """What borrowers answered; the text stays sealed."""

    list_display = ("at", "borrower_id", "route", "understood", "acted", "done_at", "done_by")
    list_filter = (
        code_filter("intent", "intent", _("intent")),
        code_filter("action", "action", _("action")),
        ("at", RangeDateTimeFilter),
    )
    search_fields = ("borrower_id__exact",)
    search_help_text = _("Borrower, in full")
    ordering = ("-reply_id",)

    @display(description=_("intent"))
    def understood(self, row: models.Reply) -> str:
        return label("intent", row.intent)

    @display(description=_("action"))
    def acted(self, row: models.Reply) -> str:
        return label("action", row.action)


@admin.register(models.PlanRun)
class PlanRunAdmin(ReadOnly):
    """Plans, with what they were decided by."""

    list_display = (
        "plan_id",
        "as_of",
        "planned_at",
        "released_at",
        "strategy",
        "borrowers",
        "proposals",
        "held_out",
    )
    list_display_links = ("plan_id",)
    list_filter = (("as_of", RangeDateFilter),)
    search_fields = ("plan_id__exact", "strategy__exact")
    ordering = ("-planned_at",)


@admin.register(models.Person)
class PersonAdmin(ReadOnly):
    """People without their names and numbers: whether each is on file, never what it is."""

    list_display = (
        "borrower_id",
        "has_name",
        "has_phone",
        "state_of_number",
        "belongs_to_other",
        "locale",
        "timezone",
        "explained",
    )
    list_filter = (code_filter("number_state", "number_state", _("number state")),)
    search_fields = ("borrower_id__exact",)
    search_help_text = _("Borrower, in full")
    ordering = ("borrower_id",)

    @display(description=_("name on file"), boolean=True)
    def has_name(self, row: models.Person) -> bool:
        return row.name_sealed is not None

    @display(description=_("number on file"), boolean=True)
    def has_phone(self, row: models.Person) -> bool:
        return row.phone_sealed is not None

    @display(description=_("number state"))
    def state_of_number(self, row: models.Person) -> str:
        return label("number_state", row.number_state)

    @display(description=_("wrong party"))
    def belongs_to_other(self, row: models.Person) -> SafeString | str:
        return coloured(gettext("wrong party"), "danger") if row.is_wrong_party else "–"

    @display(description=_("Explain"))
    def explained(self, row: models.Person) -> SafeString:
        return link(reverse("explain", query={"borrower": row.borrower_id}), _("Explain"))


@admin.register(models.OptOut)
class OptOutAdmin(ReadOnly):
    """Refusals of a channel."""

    list_display = ("at", "borrower_id", "by_channel", "source", "is_active")
    list_filter = (code_filter("channel", "channel", _("channel")), ("at", RangeDateTimeFilter))
    search_fields = ("borrower_id__exact",)
    search_help_text = _("Borrower, in full")
    ordering = ("-at",)


@admin.register(models.Case)
class CaseAdmin(ReadOnly):
    """What changes what may be said."""

    list_display = ("borrower_id", "of_kind", "opened_at", "closed_at", "source")
    list_filter = (code_filter("kind", "case", _("kind")), ("opened_at", RangeDateTimeFilter))
    search_fields = ("borrower_id__exact",)
    search_help_text = _("Borrower, in full")
    ordering = ("-opened_at",)

    @display(description=_("kind"))
    def of_kind(self, row: models.Case) -> str:
        return label("case", row.kind)


@admin.register(models.Promise)
class PromiseAdmin(ReadOnly):
    """What borrowers promised; whether it was kept, the ledger says each day."""

    list_display = (
        "promise_id",
        "made_at",
        "borrower_id",
        "loan_id",
        "day",
        "amount",
        "source",
        "cancelled_at",
        "ended",
        "explained",
    )
    list_filter = (("day", RangeDateFilter), ("made_at", RangeDateTimeFilter))
    search_fields = ("borrower_id__exact", "loan_id__exact")
    search_help_text = _("Borrower or loan, in full")
    ordering = ("-promise_id",)

    @display(description=_("cancelled because"))
    def ended(self, row: models.Promise) -> str:
        return label("promise_reason", row.cancel_reason)

    @display(description=_("Explain"))
    def explained(self, row: models.Promise) -> SafeString:
        return link(reverse("explain", query={"borrower": row.borrower_id}), _("Explain"))


@admin.register(models.PaymentEvent)
class PaymentEventAdmin(ReadOnly):
    """Payments learned since the book's snapshot."""

    list_display = (
        "payment_id",
        "borrower_id",
        "loan_id",
        "paid_at",
        "known_at",
        "amount",
        "of_kind",
        "source",
    )
    list_filter = (code_filter("kind", "kind", _("kind")), ("paid_at", RangeDateTimeFilter))
    search_fields = ("payment_id__exact", "borrower_id__exact", "loan_id__exact")
    search_help_text = _("Payment, borrower or loan, in full")
    ordering = ("-known_at",)

    @display(description=_("kind"))
    def of_kind(self, row: models.PaymentEvent) -> str:
        return label("kind", row.kind)


@admin.register(models.Feed)
class FeedAdmin(ReadOnly):
    """Up to when each source of facts is complete."""

    list_display = ("name", "complete_until")


admin.site.register(models.TemplateApproval, TemplateApprovalAdmin)
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AccountAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Accounts of operators."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class RoleAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Groups of rights."""
