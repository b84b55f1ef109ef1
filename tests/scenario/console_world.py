"""The web process in a test: Django on the test's own database, with the story told to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client, override_settings
from pytest_django import DjangoDbBlocker
from tests.scenario.console_story import KEYRING, NOW, tell

from duewise.jobs.ingest import record_payments
from duewise.jobs.promises import record_promises
from duewise.store.connection import connect
from duewise.store.schema import django_database
from duewise.times import ManualClock
from duewise.web.services import Services, token_digest

TOKEN = "a token of the core system"


@dataclass(frozen=True)
class World:
    """What a test of the web holds: services, the story's envelopes, and visitors."""

    services: Services
    envelopes: dict[str, int]

    def visitor(self, *rights: str, language: str = "en", is_superuser: bool = False) -> Client:
        """A browser, logged in to an account with these rights (`view_envelope`, …)."""
        name = "-".join(rights) or ("root" if is_superuser else "nobody")
        account, _ = User.objects.get_or_create(
            username=name, is_staff=True, is_superuser=is_superuser
        )
        account.user_permissions.set(Permission.objects.filter(codename__in=rights))
        client = Client(headers={"accept-language": language})
        client.force_login(account)
        return client

    def program(self, token: str = TOKEN) -> Client:
        """A program that calls the API with a token."""
        return Client(headers={"authorization": f"Bearer {token}"})


# All that promises ask of the lender.
LENDER: Any = SimpleNamespace(currency="CNY", strategy=SimpleNamespace(timezone="Asia/Shanghai"))


@contextmanager
def open_world(
    dsn: str, workspace: Path, blocker: DjangoDbBlocker, **given: object
) -> Iterator[World]:
    """Django turned to this database until the block ends; `given` replaces services."""
    parts: dict[str, Any] = {
        "clock": ManualClock(NOW),
        "connect": lambda: connect(dsn),
        "keyring": KEYRING,
        "workspace": workspace,
        "record_payments": record_payments,
        "record_promises": partial(record_promises, tenant=LENDER),
        "api_tokens": {"core": token_digest(TOKEN)},
    }
    services = Services(**parts | given)
    django = connections["default"]
    before = dict(django.settings_dict)
    with services.connect() as conn:
        envelopes = tell(conn, workspace)
    django.settings_dict.update(django_database(dsn))
    try:
        with blocker.unblock(), override_settings(DUEWISE=services):
            yield World(services, envelopes)
    finally:
        django.close()
        django.settings_dict.clear()
        django.settings_dict.update(before)
