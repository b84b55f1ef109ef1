"""Databases for the tests: the embedded server, and another one where its address is given.

`dsn` is a fresh, migrated database, cloned from a template in some tens of milliseconds and dropped
afterwards. With DUEWISE_TEST_DATABASE_URL every test that asks for one runs on both servers; the
role in that address must be allowed to create databases.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import psycopg
import pytest
from django.conf import settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_django import DjangoDbBlocker

from duewise.store.connection import connect
from duewise.store.schema import migrate
from duewise.store.seal import Keyring
from duewise.store.server import running_server

OTHER_SERVER = os.environ.get("DUEWISE_TEST_DATABASE_URL")
SERVERS = ("embedded", "server") if OTHER_SERVER else ("embedded",)
_NUMBERS = itertools.count(1)
DROP_TRIES_MAX = 100


@pytest.fixture(scope="session", params=SERVERS)
def server_dsn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server on which databases may be made; it lives as long as the session."""
    url = OTHER_SERVER if request.param == "server" else None
    with running_server(_shared_folder(tmp_path_factory) / "server", database_url=url) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template_dsn(server_dsn: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A migrated database that nobody is connected to, made once a process."""
    with _database(server_dsn) as dsn:
        if not settings.configured:
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
            django.setup()
        with django_db_blocker.unblock():
            migrate(dsn)
        yield dsn


@pytest.fixture
def empty_dsn(server_dsn: str) -> Iterator[str]:
    """A fresh database without any table."""
    with _database(server_dsn) as dsn:
        yield dsn


@pytest.fixture
def dsn(server_dsn: str, template_dsn: str) -> Iterator[str]:
    """A fresh database of the test's own, with the whole schema."""
    with _database(server_dsn, template=conninfo_to_dict(template_dsn)) as dsn:
        yield dsn


@pytest.fixture
def conn(dsn: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection to it, one transaction at a time; nothing is committed at the end."""
    connection = connect(dsn)
    yield connection
    connection.close()


@pytest.fixture
def keyring() -> Keyring:
    """Keys that are the same in every run, and nonces that count."""
    return Keyring({1: b"k" * 32}, b"i" * 32, _counting())


def _counting() -> Callable[[int], bytes]:
    counter = itertools.count(1)
    return lambda size: b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))


def _shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The same folder in every worker of pytest-xdist: they share one server by its locks."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def _database(server_dsn: str, *, template: dict[str, Any] | None = None) -> Iterator[str]:
    name = sql.Identifier(f"test_{os.getpid()}_{next(_NUMBERS)}")
    source = sql.Identifier(str(template["dbname"]) if template else "template1")
    with connect(server_dsn, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(name, source)
        )
    try:
        yield make_conninfo(server_dsn, dbname=name.as_string().strip('"'))
    finally:
        _drop(server_dsn, name)


def _drop(server_dsn: str, name: sql.Identifier) -> None:
    """Drop the database; the server's own vacuum, which we may not end, is waited for."""
    with connect(server_dsn, autocommit=True) as admin:
        for _ in range(DROP_TRIES_MAX):
            try:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            except psycopg.errors.InsufficientPrivilege:
                time.sleep(0.2)
            else:
                return
    raise TimeoutError(f"{name} is in use and cannot be dropped")
