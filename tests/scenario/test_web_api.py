"""The API: what programs may tell and ask, and the one shape of every refusal."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import psycopg
import pytest
from django.test import Client, override_settings
from pytest_django import DjangoDbBlocker
from tests.scenario.console_story import DAY, NOW, TEXT
from tests.scenario.console_world import World, open_world

from duewise.jobs.ingest import Payment, RecordResult
from duewise.web.api.schemas import LIST_MAX

Answer: TypeAlias = Any  # a response of the test client, which adds `json`
PAYMENT = {
    "payment_id": "P-77",
    "loan_id": "L-Li",
    "paid_at": "2026-08-10T11:30:00+08:00",
    "amount": "868.40",
}


@pytest.fixture
def world(dsn: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with open_world(dsn, tmp_path, django_db_blocker) as opened:
        yield opened


def post(client: Client, path: str, body: object) -> Answer:
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def assert_problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """RFC 9457: the same five members, whatever went wrong."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    said: dict[str, Any] = json.loads(answer.content)
    assert set(said) == {"type", "title", "status", "detail", "errors"}
    assert (said["type"], said["status"]) == (f"urn:duewise:problem:{code}", status)
    assert "Traceback" not in answer.content.decode()
    return said


def test_it_records_a_payment_once_however_often_it_is_told(world: World) -> None:
    program = world.program()
    assert post(program, "payments", PAYMENT).json() == {"recorded": 1, "duplicates": 0, "held": 0}
    again = [PAYMENT, PAYMENT | {"payment_id": "P-78", "loan_id": "L-Wang"}]
    assert post(program, "payments", again).json() == {"recorded": 1, "duplicates": 1, "held": 0}
    with world.services.connect() as conn:
        row = conn.execute(
            "SELECT amount_minor, currency, known_at FROM payment_event WHERE payment_id = 'P-77'"
        ).fetchone()
    assert row == (86_840, "CNY", NOW)


def test_it_holds_what_is_unsent_when_a_payment_is_told(world: World) -> None:
    with world.services.connect() as conn:
        conn.execute(
            "UPDATE envelope SET state = 'ready', changed_at = %s WHERE borrower_id = 'Wang'",
            [NOW],
        )
    told = post(world.program(), "payments", PAYMENT | {"loan_id": "L-Wang"})
    assert told.json()["held"] == 1
    asked = world.program().get(f"/api/v1/envelopes/{world.envelopes['Wang']}").json()
    assert (asked["state"], asked["reason"]) == ("held", "payment_event")


def test_it_hands_payments_to_the_service_it_was_given(
    dsn: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    handed: list[Any] = []

    def record(conn: object, payments: Sequence[Payment], *, now: datetime) -> RecordResult:
        handed.extend([conn, *payments, now])
        return RecordResult(recorded=1, duplicates=0, held=0)

    with open_world(dsn, tmp_path, django_db_blocker, record_payments=record) as world:
        assert post(world.program(), "payments", PAYMENT).status_code == 200
    assert (handed[1].payment_id, str(handed[1].amount), handed[2]) == ("P-77", "868.40", NOW)


def test_it_takes_promises_down_once_and_all_or_none(world: World) -> None:
    promise = {"promise_ref": "K-1", "borrower_id": "Wang", "day": "2026-08-14", "amount": "500"}
    program = world.program()
    with world.services.connect() as conn:
        conn.execute("UPDATE envelope SET state = 'ready' WHERE borrower_id = 'Wang'")
    assert post(program, "promises", promise).json() == {"recorded": 1, "duplicates": 0, "held": 1}
    stranger = {"promise_ref": "K-2", "borrower_id": "Nobody", "day": "2026-08-14"}
    said = assert_problem(post(program, "promises", [promise, stranger]), 422, "bad_input")
    assert "unknown borrower 'Nobody'" in said["detail"]
    long_over = post(program, "promises", promise | {"promise_ref": "K-3", "day": "2026-08-01"})
    assert_problem(long_over, 422, "bad_input")
    assert_problem(post(program, "promises", promise | {"amount": "0"}), 422, "invalid")
    again = [promise, promise | {"promise_ref": "K-4", "loan_id": "L-Wang"}]
    assert post(program, "promises", again).json()["duplicates"] == 1
    with world.services.connect() as conn:
        found = conn.execute("SELECT ref, amount_minor, source FROM promise ORDER BY 1").fetchall()
    assert found == [("K-1", 50_000, "api"), ("K-4", 50_000, "api")]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-1.00"}, "amount"),
        ({"amount": "1e30"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"paid_at": "2026-08-10T11:30:00"}, "paid_at"),
        ({"paid_at": "soon"}, "paid_at"),
        ({"payment_id": ""}, "payment_id"),
        ({"payment_id": "x" * 101}, "payment_id"),
        ({"payment_id": "a\u0000b"}, "payment_id"),
        ({"kind": "gift"}, "kind"),
        ({"kind": "reversal"}, "payments"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_it_refuses_a_payment_it_cannot_read(
    world: World, change: dict[str, str], where: str
) -> None:
    said = assert_problem(post(world.program(), "payments", PAYMENT | change), 422, "invalid")
    assert any(where in error["where"] for error in said["errors"])


def test_it_takes_all_payments_of_a_request_or_none(world: World) -> None:
    told = [PAYMENT, PAYMENT | {"payment_id": "P-79", "loan_id": "L-Unknown"}]
    said = assert_problem(post(world.program(), "payments", told), 422, "bad_input")
    assert "unknown loan 'L-Unknown'" in said["detail"]
    with world.services.connect() as conn:
        found = conn.execute("SELECT 1 FROM payment_event WHERE payment_id = 'P-77'").fetchone()
    assert found is None


def test_it_bounds_lists_and_bodies(world: World) -> None:
    many = [PAYMENT | {"payment_id": f"P-{n}"} for n in range(LIST_MAX + 1)]
    assert_problem(post(world.program(), "payments", many), 422, "invalid")
    assert_problem(post(world.program(), "payments", []), 422, "invalid")
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1_000):
        assert_problem(post(world.program(), "payments", many[:20]), 413, "too_large")


def test_it_refuses_a_body_that_is_not_json(world: World) -> None:
    answer = world.program().post("/api/v1/payments", "{", content_type="application/json")
    assert_problem(answer, 400, "refused")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("said", ["", "Bearer", "Bearer wrong", "Basic x", "Bearer " + "x" * 9_000])
def test_it_answers_only_callers_it_knows(said: str) -> None:
    answer = Client(headers={"authorization": said}).get("/api/v1/envelopes")
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_it_does_not_take_a_browser_session_for_a_token(world: World) -> None:
    visitor = world.visitor(is_superuser=True)
    assert_problem(visitor.get("/api/v1/envelopes"), 401, "unauthorized")


def test_it_raises_a_watermark_and_never_lowers_it(world: World) -> None:
    until = {"complete_until": "2026-08-10T11:59:30+08:00"}
    earlier = {"complete_until": "2026-08-10T09:00:00+08:00"}
    for body in (until, earlier):
        told = post(world.program(), "feeds/payments/watermark", body)
        assert told.json() == {"name": "payments", "complete_until": "2026-08-10T03:59:30Z"}


def test_it_pages_through_envelopes(world: World) -> None:
    program = world.program()
    first = program.get("/api/v1/envelopes?limit=3").json()
    rest = program.get(f"/api/v1/envelopes?limit=3&cursor={first['next_cursor']}").json()
    ids = [item["envelope_id"] for page in (first, rest) for item in page["items"]]
    assert ids == sorted(world.envelopes.values(), reverse=True)
    assert rest["next_cursor"] is None
    held = program.get("/api/v1/envelopes?state=held&borrower=Wang").json()["items"]
    assert [item["envelope_id"] for item in held] == [world.envelopes["Wang"]]


@pytest.mark.parametrize(
    "path",
    ["envelopes?limit=201", "envelopes?limit=0", "envelopes?state=lost", "envelopes?cursor=-1",
     "envelopes/0", "envelopes/x", "explain?borrower=Li", "explain?borrower=Li&date=x",
     "balance", "balance?as_of=2026-13-01"],
)  # fmt: skip
def test_it_bounds_every_question(world: World, path: str) -> None:
    assert_problem(world.program().get(f"/api/v1/{path}"), 422, "invalid")


def test_it_says_what_is_not_there(world: World) -> None:
    assert_problem(world.program().get("/api/v1/envelopes/999999"), 404, "not_found")
    assert_problem(world.program().get("/api/v1/nothing"), 404, "not_found")


def test_it_gives_nothing_personal_away(world: World) -> None:
    program = world.program()
    pages = (
        f"envelopes/{world.envelopes['Li']}",
        "envelopes",
        f"explain?borrower=Li&date={DAY}",
        f"explain?borrower=Wang&date={DAY}",
    )
    for page in pages:
        told = json.dumps(program.get(f"/api/v1/{page}").json(), ensure_ascii=False)
        assert TEXT not in told, page
        assert "我没有借过这笔钱" not in told, page
        assert "sealed" not in told, page


def test_it_explains_a_day(world: World) -> None:
    told = world.program().get(f"/api/v1/explain?borrower=Sun&date={DAY}").json()
    assert told["considered"][0]["decision"] == "proposed"
    assert told["stories"][0]["state"] == "blocked"
    assert told["stories"][0]["findings"][1]["rules"] == ["CN-CAP-05", "CN-HRS-03"]
    assert told["stories"][0]["text"] is None


def test_it_tells_a_balance_that_ties(world: World) -> None:
    told = world.program().get(f"/api/v1/balance?as_of={DAY}").json()
    assert told == {
        "as_of": "2026-08-10",
        "planned": 4,
        "sent": 1,
        "blocked": 1,
        "held": 1,
        "cancelled": 1,
        "lapsed": 0,
        "submitted": 1,
        "delivered": 1,
        "failed": 0,
        "expired": 0,
        "unknown": 0,
        "ties": True,
    }


def test_it_says_when_the_database_is_away(
    dsn: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    with open_world(dsn, tmp_path, django_db_blocker) as world:

        def away() -> NoReturn:
            raise psycopg.OperationalError("password of the server")

        object.__setattr__(world.services, "connect", away)
        said = assert_problem(post(world.program(), "payments", PAYMENT), 503, "unavailable")
        assert "password" not in json.dumps(said)


@pytest.mark.usefixtures("world")
def test_it_describes_itself_without_the_network() -> None:
    schema = Client().get("/api/v1/openapi.json").json()
    assert sorted(schema["paths"]) == [
        "/api/v1/balance",
        "/api/v1/envelopes",
        "/api/v1/envelopes/{envelope_id}",
        "/api/v1/explain",
        "/api/v1/feeds/{name}/watermark",
        "/api/v1/payments",
        "/api/v1/promises",
    ]
    page = Client().get("/api/v1/docs").content.decode()
    assert "/static/ninja/swagger-ui-bundle.js" in page
    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page
