"""Settings of the web: what is secure by default, and what https adds."""

import pytest

from duewise.web.services import caller_of, token_digest
from duewise.web.settings import web_settings

DSN = "postgresql://li:secret@db.example:6432/duewise?sslmode=require"


def test_it_turns_an_address_into_a_database_of_django() -> None:
    database = web_settings(dsn=DSN, secret_key="k")["DATABASES"]["default"]
    named = {key: database[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    assert named == {
        "NAME": "duewise",
        "USER": "li",
        "PASSWORD": "secret",
        "HOST": "db.example",
        "PORT": "6432",
    }
    assert database["OPTIONS"]["sslmode"] == "require"


def test_it_is_careful_by_default() -> None:
    settings = web_settings(dsn=DSN, secret_key="k")
    assert settings["DEBUG"] is False
    assert "*" not in settings["ALLOWED_HOSTS"]
    assert settings["SESSION_COOKIE_HTTPONLY"]
    assert settings["X_FRAME_OPTIONS"] == "DENY"
    assert "SECURE_HSTS_SECONDS" not in settings


def test_it_insists_on_https_where_there_is_https() -> None:
    settings = web_settings(dsn=DSN, secret_key="k", tls=True, allowed_hosts=["duewise.example"])
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["CSRF_COOKIE_SECURE"]
    assert settings["SECURE_HSTS_SECONDS"] >= 365 * 86_400
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://duewise.example"]


@pytest.mark.parametrize(
    ("token", "caller"), [("one", "core"), ("two", "lake"), ("three", None), ("", None)]
)
def test_it_knows_a_caller_by_the_digest_of_its_token(token: str, caller: str | None) -> None:
    known = {"core": token_digest("one"), "lake": token_digest("two")}
    assert caller_of(token, known) == caller
