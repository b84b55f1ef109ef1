"""The console: pages for people, in both languages, that show and never change."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.cache import cache
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker
from tests.scenario.console_story import DAY, TEXT
from tests.scenario.console_world import World, open_world

from duewise.web.console.login import ATTEMPTS_MAX

LISTS = (
    "envelope",
    "envelopechange",
    "verdict",
    "submission",
    "receipt",
    "reply",
    "planrun",
    "person",
    "optout",
    "case",
    "promise",
    "templateapproval",
    "paymentevent",
    "feed",
)
EXPLAIN = f"/console/explain/?borrower=Li&date={DAY}"


@pytest.fixture
def world(dsn: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with open_world(dsn, tmp_path, django_db_blocker) as opened:
        yield opened


def text_of(answer: HttpResponseBase) -> str:
    assert isinstance(answer, HttpResponse)
    return answer.content.decode()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_it_renders_every_page_in_both_languages(world: World, language: str) -> None:
    visitor = world.visitor(is_superuser=True, language=language)
    envelope = reverse("admin:store_envelope_change", args=[world.envelopes["Li"]])
    lists = [reverse(f"admin:store_{name}_changelist") for name in LISTS]
    accounts = ["/console/auth/user/", "/console/auth/user/add/", "/console/auth/group/"]
    for page in ["/console/", EXPLAIN, envelope, *lists, *accounts]:
        answer = visitor.get(page)
        assert answer.status_code == 200, page
        assert f'lang="{language}"' in text_of(answer), page


def test_it_speaks_both_languages(world: World) -> None:
    chinese = text_of(world.visitor(is_superuser=True, language="zh-hans").get("/console/"))
    english = text_of(world.visitor(is_superuser=True, language="en").get("/console/"))
    assert "今日待发件平衡" in chinese
    assert "两式均平" in chinese
    assert "Both equations tie" in english


def test_it_switches_language_for_a_browser(world: World) -> None:
    visitor = world.visitor(is_superuser=True, language="en")
    asked = {"language": "zh-hans", "next": "/console/"}
    assert visitor.post("/console/language/", asked).status_code == 302
    assert "总览" in text_of(visitor.get("/console/"))


def test_it_lets_nobody_change_operations(world: World) -> None:
    request = world.visitor(is_superuser=True).get("/console/").wsgi_request
    writable = [
        model.__name__
        for model, page in admin.site._registry.items()
        if model._meta.app_label == "store"
        and (
            page.has_add_permission(request)
            or page.has_change_permission(request)
            or page.has_delete_permission(request)
        )
    ]
    assert writable == []
    assert len(LISTS) == sum(m._meta.app_label == "store" for m in admin.site._registry)


def test_it_refuses_a_forged_change(world: World) -> None:
    visitor = world.visitor(is_superuser=True)
    page = reverse("admin:store_envelope_change", args=[world.envelopes["Li"]])
    assert visitor.post(page, {"state": "ready"}).status_code == 403
    assert visitor.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403
    assert visitor.get(reverse("admin:store_envelope_add")).status_code == 403


def test_it_shows_an_envelope_with_all_its_records(world: World) -> None:
    page = reverse("admin:store_envelope_change", args=[world.envelopes["Sun"]])
    shown = text_of(world.visitor(is_superuser=True).get(page))
    for expected in ("CN-CAP-05 at most 3 overdue SMS", "blocked", "when released", "date=2026-08"):
        assert expected in shown
    delivered = reverse("admin:store_envelope_change", args=[world.envelopes["Li"]])
    shown = text_of(world.visitor(is_superuser=True).get(delivered))
    assert "0A1B2C3D" in shown
    assert "DELIVRD" in shown


def test_it_never_shows_what_is_sealed(world: World) -> None:
    visitor = world.visitor(is_superuser=True)
    pages = [reverse(f"admin:store_{name}_changelist") for name in LISTS]
    pages += [
        reverse("admin:store_person_change", args=["Li"]),
        reverse("admin:store_envelope_change", args=[world.envelopes["Li"]]),
    ]
    for page in pages:
        shown = text_of(visitor.get(page))
        for secret in (TEXT, "the borrower</", "+8613800000000", "sealed", "t" * 32):
            assert secret not in shown, page


def test_it_filters_and_searches(world: World) -> None:
    visitor = world.visitor(is_superuser=True)
    rows = {
        query: text_of(visitor.get(f"/console/store/envelope/{query}")).count("field-opened")
        for query in (
            "",
            "?state=held",
            "?q=Li",
            f"?q={world.envelopes['Zhao']}",
            "?q=nobody",
            "?as_of_from=2026-08-11&as_of_to=2026-08-11",
        )
    }
    assert rows == {
        "": 4,
        "?state=held": 1,
        "?q=Li": 1,
        f"?q={world.envelopes['Zhao']}": 1,
        "?q=nobody": 0,
        "?as_of_from=2026-08-11&as_of_to=2026-08-11": 0,
    }
    searched = visitor.get(f"/console/store/envelope/?q={world.envelopes['Zhao']}")
    assert "::" not in str(searched.context["cl"].queryset.query), "a cast is in no index"


def test_it_shows_texts_only_to_those_with_the_right(world: World) -> None:
    without = text_of(world.visitor("view_envelope").get(EXPLAIN))
    assert TEXT not in without
    assert "Sealed; your account may not read texts." in without
    assert TEXT in text_of(world.visitor("view_envelope", "view_text").get(EXPLAIN))


def test_it_explains_nothing_without_the_right_to_see_envelopes(world: World) -> None:
    answer = world.visitor("view_planrun").get(EXPLAIN)
    assert answer.status_code == 403
    assert "Li" not in text_of(answer)
    assert "balance" not in text_of(world.visitor("view_planrun").get("/console/")).lower()


@pytest.mark.parametrize(
    "query", ["?borrower=", "?borrower=Li&date=soon", "?borrower=" + "x" * 101]
)
def test_it_asks_again_for_a_question_it_cannot_read(world: World, query: str) -> None:
    answer = world.visitor(is_superuser=True).get(f"/console/explain/{query}")
    assert answer.status_code == 200
    assert "explanation" not in (answer.context_data or {})


@pytest.mark.usefixtures("world")
def test_it_sends_strangers_to_the_login() -> None:
    for page in ("/", "/console/", EXPLAIN, "/console/store/person/"):
        answer = Client().get(page, follow=True)
        assert answer.redirect_chain[-1][0].startswith("/console/login/"), page


@pytest.mark.usefixtures("world")
def test_it_opens_the_dashboard_after_the_login() -> None:
    cache.clear()
    right = {"username": "guard", "password": "correct horse battery"}
    User.objects.create_user(**right, is_staff=True)
    assert Client().post("/console/login/", right).headers["Location"] == "/console/"


@pytest.mark.usefixtures("world")
def test_it_stops_guessing_of_passwords() -> None:
    cache.clear()
    User.objects.create_user("guard", password="correct horse battery", is_staff=True)
    visitor = Client(headers={"accept-language": "en"})
    page = "/console/login/"
    for _ in range(ATTEMPTS_MAX):
        visitor.post(page, {"username": "guard", "password": "guess"})
    right = {"username": "Guard", "password": "correct horse battery"}
    assert "Too many wrong passwords" in text_of(visitor.post(page, right))
    cache.clear()
    right["username"] = "guard"
    assert visitor.post(page, right).status_code == 302


def test_it_lets_no_page_load_from_elsewhere(world: World) -> None:
    answer = world.visitor(is_superuser=True).get("/console/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert 'src="http' not in text_of(answer)
    assert "<script>" not in text_of(answer)


def test_it_finds_the_charts_in_the_installed_packages() -> None:
    assert finders.find("unfold/js/chart/chart.js")
    assert finders.find("duewise/console.css")


def test_it_tells_no_details_when_it_fails(world: World) -> None:
    def broken() -> NoReturn:
        raise RuntimeError("a secret of Li")

    visitor = world.visitor(is_superuser=True)
    object.__setattr__(world.services, "connect", broken)
    answer = visitor.get("/console/")
    assert answer.status_code == 500
    assert "secret" not in text_of(answer)
    assert "it has been logged" in text_of(answer)
