"""The JSON API, version 1: payments in, envelopes and explanations out."""

from __future__ import annotations

from http import HTTPStatus

import psycopg
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from duewise.errors import BadInput, Unreachable
from duewise.web.api.auth import TokenAuth
from duewise.web.api.operations import router
from duewise.web.errors import log_failure
from duewise.web.problems import problem

ERRORS_TOLD_MAX = 20

api = NinjaAPI(
    title="Duewise",
    version="1",
    description="Payments and feeds in, envelopes, balances and explanations out.",
    auth=TokenAuth(),
    urls_namespace="api-1",
)
api.add_router("", router)


@api.exception_handler(ValidationError)
def _invalid(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [
        {"where": ".".join(str(part) for part in one["loc"]), "detail": str(one["msg"])}
        for one in error.errors[:ERRORS_TOLD_MAX]
    ]
    said = f"{len(error.errors)} value(s) cannot be taken; nothing was written."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", said, errors=errors)


@api.exception_handler(BadInput)
def _bad_input(_request: HttpRequest, error: BadInput) -> HttpResponse:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_input", str(error))


@api.exception_handler(AuthenticationError)
def _unauthorized(_request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "A valid API token is needed.")


@api.exception_handler(Http404)
def _not_found(_request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(HTTPStatus.NOT_FOUND, "not_found", str(error) or "There is no such thing.")


@api.exception_handler(RequestDataTooBig)
def _too_big(_request: HttpRequest, _error: RequestDataTooBig) -> HttpResponse:
    return problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "Send fewer payments in one request."
    )


@api.exception_handler(HttpError)
def _refused(_request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(error.status_code, "refused", str(error))


@api.exception_handler(Unreachable)
@api.exception_handler(DatabaseError)
@api.exception_handler(psycopg.Error)
def _no_database(_request: HttpRequest, error: Exception) -> HttpResponse:
    log_failure("api.database_failed", error)
    said = "The database does not answer; nothing was written. Try again."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", said)


@api.exception_handler(Exception)
def _failed(_request: HttpRequest, error: Exception) -> HttpResponse:
    log_failure("api.failed", error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Our mistake; it was logged.")
