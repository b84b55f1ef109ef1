"""Is the process alive, is it ready, and how is the outbox doing: for machines that watch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

import psycopg
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from psycopg import Connection

from duewise.errors import Unreachable
from duewise.jobs.routes import paused_routes
from duewise.web.api.auth import bearer
from duewise.web.figures import all_counts, due, feed_ages, receipt_counts
from duewise.web.problems import problem
from duewise.web.services import services


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; asks nobody else."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has this version's schema, 503 otherwise.

    Feeds are told with their age and do not decide: an old feed defers messages by itself.
    """
    checks: dict[str, Any] = {"database": False, "migrations": False, "feeds": {}}
    try:
        executor = MigrationExecutor(connection)
        checks["database"] = True
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        checks["migrations"] = not plan
        if checks["migrations"]:
            with services().connect() as conn:
                ages = feed_ages(conn, services().clock.now())
            checks["feeds"] = {feed.name: round(feed.age_s) for feed in ages}
    except (DatabaseError, psycopg.Error, Unreachable):
        checks["database"] = False
    is_ready = checks["database"] and checks["migrations"]
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse({"status": "ready" if is_ready else "not_ready", **checks}, status=status)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text format; needs an API token like the API itself."""
    if bearer(request) is None:
        return problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "A valid API token is needed.")
    registry = CollectorRegistry()
    registry.register(_Figures())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    """Reads the figures when asked, so that every process tells the same."""

    def describe(self) -> list[Metric]:
        return []  # or the registry would ask the database when this is registered

    def collect(self) -> Iterator[Metric]:
        now = services().clock.now()
        with services().connect() as conn:
            yield from _families(conn, now)


def _families(conn: Connection[Any], now: datetime) -> Iterator[Metric]:
    states = GaugeMetricFamily("duewise_envelopes", "Envelopes by state.", labels=["state"])
    for state, count in all_counts(conn).items():
        states.add_metric([state.value], count)
    yield states
    receipts = GaugeMetricFamily("duewise_receipts", "Receipts by status.", labels=["status"])
    for status, count in receipt_counts(conn).items():
        receipts.add_metric([status], count)
    yield receipts
    routes = GaugeMetricFamily(
        "duewise_route_out", "1: nothing leaves by this route now.", labels=["route", "by"]
    )
    for route, resume_at in paused_routes(conn):
        routes.add_metric([route, "itself" if resume_at else "operator"], 1)
    yield routes
    ages = GaugeMetricFamily(
        "duewise_feed_age_seconds", "Seconds since a feed was complete.", labels=["feed"]
    )
    for feed in feed_ages(conn, now):
        ages.add_metric([feed.name], feed.age_s)
    yield ages
    waiting, oldest_s = due(conn, now)
    yield GaugeMetricFamily("duewise_envelopes_due", "Envelopes past their hour.", value=waiting)
    yield GaugeMetricFamily(
        "duewise_envelopes_due_age_seconds", "How long the oldest of them waits.", value=oldest_s
    )
