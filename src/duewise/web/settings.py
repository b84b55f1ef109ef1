"""Django's settings for the web process, from a few plain arguments; no file and no environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duewise.store.schema import django_database
from duewise.web.console.menu import UNFOLD

HERE = Path(__file__).parent
BODY_BYTES_MAX = 8 * 1024 * 1024
SESSION_S = 12 * 3_600
CONNECTION_S = 60
HSTS_S = 365 * 86_400
PASSWORD_LENGTH_MIN = 12
LANGUAGES = {"zh-hans": "简体中文", "en": "English"}

_VALIDATION = "django.contrib.auth.password_validation."


def web_settings(
    *,
    dsn: str,
    secret_key: str,
    debug: bool = False,
    language: str = "zh-hans",
    time_zone: str = "Asia/Shanghai",
    static_root: Path | None = None,
    allowed_hosts: Sequence[str] = ("localhost", "127.0.0.1", "[::1]"),
    tls: bool = False,
) -> dict[str, Any]:
    """Settings to pass to `django.conf.settings.configure`.

    `dsn` is a libpq connection string or URL. `static_root` is a folder of collected static files;
    None serves them from the installed packages. `tls` says that browsers come by https, ended by
    a proxy on this machine that sets X-Forwarded-Proto: cookies become secure and HSTS is sent.
    """
    return {
        "DEBUG": debug,
        "SECRET_KEY": secret_key,
        "ALLOWED_HOSTS": list(allowed_hosts),
        "ROOT_URLCONF": "duewise.web.urls",
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "DATABASES": {"default": _database(dsn)},
        "DATA_UPLOAD_MAX_MEMORY_SIZE": BODY_BYTES_MAX,
        "APPEND_SLASH": True,
        "UNFOLD": UNFOLD,
        "DUEWISE": None,  # the services, once there is a process to serve
        **_apps(),
        **_language(language, time_zone),
        **_static(static_root),
        **_accounts(),
        **_transport(tls, allowed_hosts),
        "LOGGING_CONFIG": None,
    }


def _database(dsn: str) -> dict[str, Any]:
    return django_database(dsn) | {"CONN_MAX_AGE": CONNECTION_S, "CONN_HEALTH_CHECKS": True}


def _apps() -> dict[str, Any]:
    return {
        "INSTALLED_APPS": [
            "duewise.web.apps.WebConfig",
            "unfold",
            "unfold.contrib.filters",
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "django.contrib.postgres",
            "ninja",  # its own documentation pages, instead of a content network's
            "duewise.store.apps.StoreConfig",
        ],
        "MIDDLEWARE": [
            "duewise.web.security.SecurityHeaders",
            "django.middleware.security.SecurityMiddleware",
            "whitenoise.middleware.WhiteNoiseMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "duewise.web.errors.QuietErrors",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    }


def _language(language: str, time_zone: str) -> dict[str, Any]:
    return {
        "LANGUAGE_CODE": language,
        "LANGUAGES": [*LANGUAGES.items()],
        "LOCALE_PATHS": [str(HERE / "locale")],
        "LANGUAGE_COOKIE_SAMESITE": "Lax",
        "LANGUAGE_COOKIE_HTTPONLY": True,
        "FORMAT_MODULE_PATH": "duewise.web.formats",
        "USE_I18N": True,
        "USE_TZ": True,
        "TIME_ZONE": time_zone,
    }


def _static(static_root: Path | None) -> dict[str, Any]:
    return {
        "STATIC_URL": "/static/",
        "STATIC_ROOT": str(static_root) if static_root else None,
        "WHITENOISE_USE_FINDERS": static_root is None,
        "WHITENOISE_AUTOREFRESH": False,
        "WHITENOISE_MAX_AGE": 3_600,
    }


def _accounts() -> dict[str, Any]:
    return {
        "LOGIN_URL": "admin:login",
        "LOGIN_REDIRECT_URL": "admin:index",
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": _VALIDATION + "UserAttributeSimilarityValidator"},
            {
                "NAME": _VALIDATION + "MinimumLengthValidator",
                "OPTIONS": {"min_length": PASSWORD_LENGTH_MIN},
            },
            {"NAME": _VALIDATION + "CommonPasswordValidator"},
            {"NAME": _VALIDATION + "NumericPasswordValidator"},
        ],
        "SESSION_COOKIE_AGE": SESSION_S,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_EXPIRE_AT_BROWSER_CLOSE": True,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Lax",
        # One process with threads, so its memory is enough to count attempts to log in.
        "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    }


def _transport(tls: bool, allowed_hosts: Sequence[str]) -> dict[str, Any]:  # noqa: FBT001
    common = {
        "X_FRAME_OPTIONS": "DENY",
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
        "SECURE_REFERRER_POLICY": "same-origin",
        "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin",
    }
    if not tls:
        return common
    return common | {
        # That the browser came by https is the server's word (see `server`), not a header's.
        "SECURE_SSL_REDIRECT": True,
        "SECURE_REDIRECT_EXEMPT": [r"^healthz$", r"^readyz$"],
        "SECURE_HSTS_SECONDS": HSTS_S,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "LANGUAGE_COOKIE_SECURE": True,
        "CSRF_TRUSTED_ORIGINS": [f"https://{host}" for host in allowed_hosts],
    }
