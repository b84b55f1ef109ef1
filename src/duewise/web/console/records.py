"""What is on record about one envelope, as tables for its page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.template.defaultfilters import date as format_date
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from duewise.store import models
from duewise.web.console.labels import label, why

ROWS_MAX = 200
Title = str | Promise


@dataclass(frozen=True)
class Table:
    """A titled table of cells."""

    title: Title
    headers: Sequence[Title]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Records:
    """Everything below the envelope's own columns, and where its day is explained."""

    explain_url: str
    tables: Sequence[Table]


def records_of(envelope_id: str) -> Records | None:
    """The records of an envelope; None if there is no such envelope."""
    if not envelope_id.isdecimal():
        return None
    envelope = models.Envelope.objects.only("borrower_id", "as_of").filter(pk=envelope_id).first()
    if envelope is None:
        return None
    asked = {"borrower": envelope.borrower_id, "date": envelope.as_of.isoformat()}
    return Records(
        explain_url=reverse("explain", query=asked),
        tables=[
            _verdicts(envelope.pk),
            _changes(envelope.pk),
            _submissions(envelope.pk),
            _receipts(envelope.pk),
        ],
    )


def _verdicts(pk: int) -> Table:
    found = models.Verdict.objects.filter(envelope_id=pk).order_by("verdict_id")[:ROWS_MAX]
    rows = [
        (at(row.at), label("gate", row.gate), label("outcome", row.outcome), _rules(row.rules))
        for row in found
    ]
    return Table(_("Verdicts"), (_("at"), _("gate"), _("outcome"), _("rules")), rows)


def _changes(pk: int) -> Table:
    found = models.EnvelopeChange.objects.filter(envelope_id=pk).order_by("change_id")[:ROWS_MAX]
    rows = [
        (
            at(row.at),
            label("state_name", row.old_state),
            label("state_name", row.new_state),
            why(row.reason),
        )
        for row in found
    ]
    return Table(_("State changes"), (_("at"), _("from"), _("to"), _("reason")), rows)


def _submissions(pk: int) -> Table:
    found = models.Submission.objects.filter(envelope_id=pk).order_by("part")[:ROWS_MAX]
    rows = [(at(row.accepted_at), row.part, row.route, row.provider_id) for row in found]
    return Table(_("Submissions"), (_("at"), _("part"), _("route"), _("provider id")), rows)


def _receipts(pk: int) -> Table:
    found = models.Receipt.objects.filter(envelope_id=pk).order_by("at")[:ROWS_MAX]
    once = {(row.route, row.provider_id, row.status): row for row in reversed(found)}
    rows = [
        (at(row.at), row.route, row.provider_id, label("receipt", row.status), row.code or "–")
        for row in reversed(once.values())
    ]
    headers = (_("at"), _("route"), _("provider id"), _("status"), _("code"))
    return Table(_("Receipts"), headers, rows)


def _rules(rules: Iterable[str]) -> str:
    return "; ".join(f"{rule} {label('rule', rule)}" for rule in rules) or "–"


def at(instant: datetime) -> str:
    """An instant in the console's zone, to the second."""
    return format_date(localtime(instant), "Y-m-d H:i:s")
