"""What machines ask: alive, ready, and how is the outbox."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker
from tests.scenario.console_world import World, open_world

from duewise.errors import Unreachable


@pytest.fixture
def world(dsn: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with open_world(dsn, tmp_path, django_db_blocker) as opened:
        yield opened


def test_it_is_alive_without_asking_anybody() -> None:
    assert Client().get("/healthz").json() == {"status": "ok"}


@pytest.mark.usefixtures("world")
def test_it_is_ready_with_database_and_schema() -> None:
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "database": True,
        "migrations": True,
        "feeds": {"payments": 95},
    }


def test_it_is_not_ready_behind_the_schema(world: World) -> None:
    with world.services.connect() as conn:
        conn.execute("DELETE FROM django_migrations WHERE app = 'store'")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["migrations"] is False


def test_it_is_not_ready_without_the_database(world: World) -> None:
    def away() -> NoReturn:
        raise Unreachable

    object.__setattr__(world.services, "connect", away)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] is False


def test_it_measures_the_outbox_for_those_with_a_token(world: World) -> None:
    assert Client().get("/metrics").status_code == 401
    told = world.program().get("/metrics").content.decode()
    for line in (
        'duewise_envelopes{state="delivered"} 1.0',
        'duewise_envelopes{state="ready"} 0.0',
        'duewise_receipts{status="delivered"} 1.0',
        'duewise_feed_age_seconds{feed="payments"} 95.0',
        "duewise_envelopes_due 0.0",
    ):
        assert line in told.splitlines(), line
