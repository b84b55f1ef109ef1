"""Bringing a database up to the schema: Django's migrations, run only where one is missing.

The check costs one query and imports no Django, so every command can afford it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from duewise.errors import BadInput
from duewise.store.connection import connect, session_dsn

STORE = ("duewise.store",)
_LOCK = 5_731_907_203  # any number of ours: two processes must not migrate side by side
_ALIAS = "migrating"


def is_current(dsn: str, *, packages: Sequence[str] = STORE) -> bool:
    """Whether every migration on disk of these app packages is applied.

    Raises Unreachable, and BadInput where the database is ahead of the program.
    """
    wanted = {
        (_label(name), path.stem) for name in {*STORE, *packages} for path in _migrations(name)
    }
    with connect(dsn, autocommit=True) as conn:
        applied = _applied(conn)
    ahead = sorted(name for label, name in applied - wanted if label == _label(STORE[0]))
    if ahead:
        raise BadInput(
            f"the database is newer than this program: it has {ahead[-1]!r}",
            mend="install the Duewise version that was used on it last, or a later one",
        )
    return wanted <= applied


def migrate(dsn: str, *, packages: Sequence[str] = STORE) -> bool:
    """Apply the migrations that are missing; False if there was nothing to do.

    Whoever wants more apps than the store's configures Django first. Raises Unreachable.
    """
    if is_current(dsn, packages=packages):
        return False
    with connect(dsn, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if is_current(dsn, packages=packages):
            return False  # another process was quicker
        _run_django(dsn)
    return True


def django_settings(dsn: str) -> dict[str, Any]:
    """The least that Django needs for the store's app alone, for `settings.configure`."""
    return {
        "DATABASES": {"default": django_database(dsn)},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": ["duewise.store.apps.StoreConfig"],
        "LOGGING_CONFIG": None,
        "TIME_ZONE": "UTC",
        "USE_TZ": True,
    }


def django_database(dsn: str) -> dict[str, Any]:
    """A DSN as Django's database settings. Raises BadInput."""
    given = {name: str(value) for name, value in conninfo_to_dict(session_dsn(dsn)).items()}
    theirs = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST"}
    named = {django: given.pop(libpq, "") for libpq, django in (*theirs.items(), ("port", "PORT"))}
    return {"ENGINE": "django.db.backends.postgresql", **named, "OPTIONS": given}


def _run_django(dsn: str) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    if not settings.configured:
        settings.configure(**django_settings(dsn))
    django.setup()
    # Under a name of its own: the database to migrate need not be the one Django is set up for.
    connections.settings |= connections.configure_settings(
        {"default": settings.DATABASES["default"], _ALIAS: django_database(dsn)}
    )
    try:
        call_command("migrate", database=_ALIAS, interactive=False, verbosity=0)
    finally:
        connections[_ALIAS].close()
        del connections[_ALIAS], connections.settings[_ALIAS]


def _applied(conn: psycopg.Connection[tuple[Any, ...]]) -> set[tuple[str, str]]:
    try:
        return set(conn.execute("SELECT app, name FROM django_migrations").fetchall())
    except psycopg.errors.UndefinedTable:
        return set()


def _label(package: str) -> str:
    return package.rpartition(".")[2]


def _migrations(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"no package {package}"
    places = spec.submodule_search_locations or ()
    return sorted(path for place in places for path in Path(place).glob("migrations/[0-9]*.py"))
