"""How Django knows the schema of operations."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class StoreConfig(AppConfig):
    """The app `store`: the tables of `models`, the migrations beside them."""

    name = "duewise.store"
    label = "store"
    verbose_name = _("operations")
    default_auto_field = "django.db.models.BigAutoField"
