"""From settings and services to a WSGI application: the one place where Django is configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings

from duewise.store import schema

if TYPE_CHECKING:  # these need the settings
    from django.core.handlers.wsgi import WSGIHandler

    from duewise.web.services import Services

# Whose tables the web needs, beside the store's own.
PACKAGES = (
    *schema.STORE,
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
)


def build_wsgi(web_settings: Mapping[str, Any], services: Services) -> WSGIHandler:
    """The application. Configures Django, which a process can do only once."""
    configure(web_settings, services)
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def configure(web_settings: Mapping[str, Any], services: Services | None = None) -> None:
    """Settings and applications without a server: to migrate, or to make an account."""
    settings.configure(**{**web_settings, "DUEWISE": services})
    django.setup()


def migrate(dsn: str) -> bool:
    """Bring accounts, sessions and operations up to date; False if there was nothing to do.

    Django is configured. Raises Unreachable, and BadInput where the database is ahead.
    """
    return schema.migrate(dsn, packages=PACKAGES)


def make_operator(name: str, password: str) -> None:
    """Make an account that may do everything; one that exists gets the password.

    Django is configured and the database up to date. Raises BadInput for a weak password.
    """
    from django.contrib.auth.models import User
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError
    from django.db import connections

    from duewise.errors import BadInput

    account, _ = User.objects.get_or_create(username=name)
    try:
        validate_password(password, account)
    except ValidationError as error:
        raise BadInput(" ".join(error.messages), mend="choose a longer, rarer one") from error
    account.is_staff = account.is_superuser = True
    account.set_password(password)
    account.save()
    connections.close_all()  # or it would stay open, idle, as long as the server
