"""The web as a Django application."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.apps.registry import Apps
from django.db.models.signals import post_migrate

VIEW_TEXT = "store.view_text"


class WebConfig(AppConfig):
    """Templates, static files and, found by Django's admin itself, the pages of `admin`."""

    name = "duewise.web"
    label = "duewise_web"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have the right to read texts made together with Django's own rights."""
        post_migrate.connect(_make_permission, sender=apps.get_app_config("store"))


def _make_permission(using: str, apps: Apps, **_given: object) -> None:
    """The right to read a message's text, beside Django's four rights of the envelope.

    `apps` is what has been migrated so far: without the tables of accounts there is nothing to do.
    """
    try:
        kinds = apps.get_model("contenttypes", "ContentType").objects.using(using)
        rights = apps.get_model("auth", "Permission").objects.using(using)
    except LookupError:
        return
    kind, _ = kinds.get_or_create(app_label="store", model="envelope")
    rights.get_or_create(
        codename=VIEW_TEXT.partition(".")[2],
        content_type=kind,
        defaults={"name": "Can read the text of messages"},
    )
