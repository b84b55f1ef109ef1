"""Bringing a database up to the schema: when it must be, only then, and by one process at a time."""

import subprocess
import sys

import pytest
from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.utils import translation

from duewise.errors import BadInput
from duewise.store.connection import connect
from duewise.store.schema import is_current, migrate

MIGRATE = """
import sys
from duewise.store.schema import migrate
print(migrate(sys.argv[1]), "django" in sys.modules)
"""


def start(dsn: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", MIGRATE, dsn]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_it_migrates_once_when_two_processes_would(empty_dsn: str) -> None:
    assert not is_current(empty_dsn)
    answers = sorted(
        process.communicate()[0].strip() for process in [start(empty_dsn), start(empty_dsn)]
    )
    assert [answer.split()[0] for answer in answers] == ["False", "True"]
    assert is_current(empty_dsn)


def test_it_sees_that_nothing_is_missing_without_django(dsn: str) -> None:
    assert start(dsn).communicate()[0].strip() == "False False"


def test_it_refuses_a_database_that_is_ahead_of_the_program(dsn: str) -> None:
    with connect(dsn) as conn:
        conn.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('store', '9999_of_tomorrow', '2026-03-01T00:00Z')"
        )
    with pytest.raises(BadInput, match="newer than this program: it has '9999_of_tomorrow'"):
        migrate(dsn)


def test_it_has_a_migration_for_every_change_of_the_models() -> None:
    written = MigrationLoader(None)
    with translation.override(None):  # names in migrations are not translated
        code = ProjectState.from_apps(apps)
        found = MigrationAutodetector(written.project_state(), code).changes(written.graph)
    assert "store" not in found
