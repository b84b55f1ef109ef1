"""Filters over codes: their choices come from our own words, never from a scan of the table."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from unfold.contrib.filters.admin import DropdownFilter

from duewise.web.console.labels import words


def code_filter(column: str, kind: str, title: str | Promise) -> type[SimpleListFilter]:
    """A drop-down over the codes of a kind, for a column of that name."""
    return type(
        f"{column.title()}Filter",
        (_CodeFilter,),
        {"title": title, "parameter_name": column, "kind": kind},
    )


class _CodeFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types
    kind: str

    def lookups(
        self, _request: HttpRequest, _model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return list(words()[self.kind].items())

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(**{self.parameter_name: chosen}) if chosen else queryset
