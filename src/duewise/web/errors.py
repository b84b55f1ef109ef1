"""Pages for what went wrong: a page for a person, a problem for a program, never a traceback."""

# ruff: noqa: ARG001  Django hands the exception over by this name

from __future__ import annotations

import traceback
from collections.abc import Callable
from http import HTTPStatus

import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from duewise.web.problems import is_api, problem

log = structlog.get_logger()


def log_failure(event: str, error: Exception) -> None:
    """Where it broke, without the message and the values: those may belong to a borrower."""
    places = [f"{at.filename}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)]
    log.error(event, error=type(error).__name__, places=places[-8:])


class QuietErrors:
    """Answers a page's failure itself, so that Django's own log never tells its values."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, Http404 | PermissionDenied | SuspiciousOperation):
            return None
        log_failure("page.failed", error)
        return server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The request cannot be understood."""
    return _answer(request, HTTPStatus.BAD_REQUEST, "bad_request", _("Bad request"))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The account lacks the right."""
    return _answer(request, HTTPStatus.FORBIDDEN, "forbidden", _("You may not see this page"))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """There is nothing here."""
    return _answer(request, HTTPStatus.NOT_FOUND, "not_found", _("There is no such page"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Our mistake; the log has it."""
    said = _("Something went wrong on our side; it has been logged")
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", said)


def _answer(request: HttpRequest, status: HTTPStatus, code: str, said: str) -> HttpResponse:
    if is_api(request):
        return problem(status, code, status.phrase)
    page = render_to_string("duewise/error.html", {"said": said, "status": status.value})
    return HttpResponse(page, status=status)
