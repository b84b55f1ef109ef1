"""What the API says when it cannot: one shape for every error, that of RFC 9457."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse

CONTENT_TYPE = "application/problem+json"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
) -> HttpResponse:
    """`{type, title, status, detail, errors: [{where, detail}]}`; `type` is a URN with `code`."""
    body = {
        "type": f"urn:duewise:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": list(errors),
    }
    response = JsonResponse(body, status=status, json_dumps_params={"ensure_ascii": False})
    response.headers["Content-Type"] = CONTENT_TYPE
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def is_api(request: HttpRequest) -> bool:
    """Whether a program asked, and so wants a problem rather than a page."""
    return request.path.startswith(("/api/", "/metrics", "/healthz", "/readyz"))
