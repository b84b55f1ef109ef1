"""Lists of rows and blocks: page after page shows each thing once, and unfolds what it shows."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model, QuerySet
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker
from tests.scenario.console_story import DAY, NOW, PLANNED
from tests.scenario.console_world import World, open_world

from duewise.store import models
from duewise.web.console import pages
from duewise.web.console.pages import Asked, Position, asked_of, read_page

ALL = Asked({}, None, None, "")
COLUMNS: dict[type[Model], tuple[str, ...]] = {
    models.Receipt: ("receipt_id", "provider_id", "status", "code", "reference", "at"),
    models.Verdict: ("verdict_id", "gate", "at", "outcome"),
    models.EnvelopeChange: ("change_id", "at", "old_state", "new_state", "reason"),
}
CODES: tuple[tuple[type[Model], str, str], ...] = (
    (models.Receipt, "status", "delivered"),
    (models.Receipt, "status", "failed"),
    (models.Verdict, "gate", "wire"),
    (models.Verdict, "outcome", "block"),
    (models.EnvelopeChange, "new_state", "delivered"),
)
# Sixty envelopes in seven blocks, one of which ended none, and rows between them. The second block's
# number among the rows is higher than the third's.
ENVELOPES = """
INSERT INTO envelope (key, plan_id, as_of, borrower_id, loan_id, step, arm, propensity,
                      stage, channel, template, template_hash, amount_minor, currency,
                      due_date, facts, parts, sender_id, number_token, not_before,
                      valid_until, state, changed_at, created_at, reason, sent_in,
                      told_in, attempt)
SELECT 'k' || n, 'p', %(day)s, 'b' || n, 'l', 's', 'a', 1, 'overdue', 'sms', 't', 'h',
       1, 'CNY', %(day)s, '{}', 1, '1069', 't', %(at)s, %(at)s, 'delivered', %(at)s,
       %(at)s, '', b, nullif(b, 4), 1
  FROM generate_series(1, 60) AS n, LATERAL (SELECT floor(sqrt(n))::int AS b) AS chosen
"""
BLOCKS = """
CREATE TEMPORARY TABLE told AS
SELECT sent_in AS b, sent_in * 100 + CASE sent_in WHEN 2 THEN 150 ELSE 0 END AS number,
       array_agg(envelope_id ORDER BY envelope_id) AS ids,
       %(at)s::timestamptz + sent_in * interval '1 hour' AS at
  FROM envelope WHERE sent_in IS NOT NULL GROUP BY sent_in
"""
TOLD = (
    """
    INSERT INTO receipt_block (block_id, route, taken_at, receipt_id, envelope_ids,
                               provider_ids, codes, refs, at_us)
    SELECT b, 'smpp', at, number, ids, ARRAY(SELECT 'id-' || i FROM unnest(ids) AS i),
           ARRAY['000'], ARRAY[''],
           ARRAY(SELECT (extract(epoch FROM at) * 1000000)::bigint FROM unnest(ids))
      FROM told
    """,
    """
    INSERT INTO verdict_block (block_id, at, rulebook_hash, first_verdict, last_verdict,
                               verdict_ids, envelope_ids, facts)
    SELECT b, at, 'h', number, number + cardinality(ids) - 1,
           ARRAY(SELECT number + n FROM generate_series(0, cardinality(ids) - 1) AS n), ids,
           array_to_string(ARRAY(SELECT '{}' FROM unnest(ids)), E'\\n')
      FROM told
    """,
    """
    INSERT INTO change_block (change_id, block_id, at, old_state, new_state, reason,
                              envelope_ids)
    SELECT number, b, at, 'accepted', 'delivered', 'receipt: 000', ids FROM told
    """,
    """
    INSERT INTO receipt_row (receipt_id, route, provider_id, status, code, reference, at,
                             envelope_id)
    SELECT number + n, 'smpp', 'row-' || number || '-' || n, 'failed', '', '', at, ids[1]
      FROM told, generate_series(31, 36) AS n
    """,
    """
    INSERT INTO verdict_row (verdict_id, envelope_id, gate, at, outcome, rules,
                             rulebook_hash, facts)
    SELECT number + n, ids[1], 'plan', at, 'block', '{}', 'h', '{}'
      FROM told, generate_series(31, 36) AS n
    """,
    """
    INSERT INTO change_row (change_id, envelope_id, at, new_state, reason)
    SELECT number + n, ids[1], at, 'failed', '' FROM told, generate_series(31, 36) AS n
    """,
)


@pytest.fixture
def world(dsn: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with open_world(dsn, tmp_path, django_db_blocker) as opened:
        with opened.services.connect() as conn:
            conn.execute(ENVELOPES, {"day": DAY, "at": PLANNED})
            conn.execute(BLOCKS, {"at": PLANNED})
            for statement in TOLD:
                conn.execute(statement.encode())
        yield opened


def walk(queryset: QuerySet[Any], asked: Asked = ALL, *, size: int) -> list[Any]:
    """All pages, one after the other."""
    shown: list[Any] = []
    start: Position | None = None
    for _ in range(500):
        page = read_page(queryset, asked, start, size=size)
        assert len(page.shown) <= size
        shown += page.shown
        if page.older is None:
            return shown
        assert page.older != start
        start = page.older
    raise AssertionError("it has no end")


@pytest.mark.usefixtures("world")
def test_it_shows_each_thing_once_page_after_page() -> None:
    for model, columns in COLUMNS.items():
        names = (*columns, "envelope_id")
        whole = Counter(model._default_manager.values_list(*names))
        assert len(whole) > 90
        every = model._default_manager.all()
        once = walk(every, size=500)
        for size in (3, 50):
            shown = walk(every, size=size)
            told = Counter(tuple(getattr(each, name) for name in names) for each in shown)
            assert told == whole, (model, size)
            assert [place(each) for each in shown] == [place(each) for each in once]
        keys = [each.pk for each in once if not each.page_block]
        assert keys == sorted(keys, reverse=True)
        in_blocks = [each.page_block for each in once if each.page_block]
        assert in_blocks == sorted(in_blocks, reverse=True)


def place(each: Any) -> tuple[int, int, int]:
    return each.page_block, each.page_place, each.pk


@pytest.mark.usefixtures("world")
def test_it_filters_what_it_reads_a_stretch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SCANNED", 9)
    monkeypatch.setattr(pages, "BLOCKS_MAX", 2)
    monkeypatch.setattr(pages, "LOOKS", 2)
    at: datetime = PLANNED + timedelta(hours=5)
    for model, column, code in CODES:
        for span in ({}, {"at__gte": at, "at__lte": at + timedelta(minutes=1)}):
            found = model._default_manager.filter(**{column: code}, **span)
            asked = asked_of(found, "")
            assert asked.codes == {column: code}
            assert (asked.since is None) == (not span)
            shown = walk(found, asked, size=5)
            assert len(shown) == found.count() > 0, (column, code, span)


@pytest.mark.usefixtures("world")
def test_it_unfolds_no_more_blocks_than_a_page_shows() -> None:
    """Ten of the newest: six rows, and four of the twelve of one block."""
    with CaptureQueriesContext(
        connection,
    ) as told:
        page = read_page(models.Receipt.objects.all(), ALL, None, size=10)
    assert len(page.shown) == 10
    (stretch,) = [each["sql"] for each in told if "page_key" in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + stretch.replace("%", "%%"))
        nodes = list(_nodes(cursor.fetchone()[0][0]["Plan"]))
    unfolded = [node for node in nodes if node.get("Alias") == "each"]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in unfolded) == 12
    read = {node.get("Relation Name") for node in nodes} - {None}
    assert read == {"receipt_row", "receipt_block", "envelope"}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def test_it_goes_on_by_a_link_and_finds_by_a_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin.site._registry[models.Receipt], "list_per_page", 20)
    visitor, seen, query = world.visitor(is_superuser=True), 0, ""
    for number in range(1, 100):
        answer = visitor.get(f"/console/store/receipt/{query}")
        seen += answer.content.decode().count("field-of_envelope")
        assert " results" not in answer.content.decode(), "nobody has counted them"
        changes = answer.context["cl"]
        assert ("Newest" in answer.content.decode()) == (number > 1)
        if not changes.older:
            break
        query = changes.older
    assert seen == models.Receipt.objects.count()
    assert number > 3

    last = models.Envelope.objects.latest("envelope_id")
    models.Submission.objects.create(
        envelope_id=last.pk, route="smpp", provider_id=f"id-{last.pk}", part=1, accepted_at=NOW
    )

    def found(query: str, page: str = "receipt") -> int:
        answer = visitor.get(f"/console/store/{page}/{query}")
        return answer.content.decode().count("field-of_envelope")

    assert found(f"?q=id-{last.pk}") == found(f"?q={last.pk}") == 1
    assert found("?q=row-700-31") == found("?q=0A1B2C3D") == 1
    assert found("?q=nothing") == found("?q=nothing", "verdict") == 0
    assert found(f"?q={last.pk}", "verdict") == found(f"?q={last.pk}", "envelopechange") - 1 == 1
    assert found("?status=failed") == 20
    assert found(f"?status=failed&p={query.partition('p=')[2]}") == 20, "a page of another question"
    with monkeypatch.context() as patched:
        patched.setattr(pages, "SCANNED", 9)
        patched.setattr(pages, "LOOKS", 2)
        nothing = visitor.get("/console/store/receipt/?status=expired").content.decode()
    assert "There may be more further back." in nothing
    assert ">Older<" in nothing
    with world.services.connect() as conn:
        conn.execute(
            "INSERT INTO receipt_row (route, provider_id, status, code, reference, at, envelope_id)"
            " VALUES ('smpp', %s, 'delivered', '', '', %s, %s)",
            [f"id-{last.pk}", NOW, last.pk],
        )
    assert found(f"?q={last.pk}") == 1, "told to two sessions in the same instant"
    page = visitor.get(f"/console/store/envelope/{last.pk}/change/").content.decode()
    assert page.count(f"id-{last.pk}<") == 2, "submitted once, told once"
