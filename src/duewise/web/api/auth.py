"""Who calls: a bearer token, known to us only by its digest."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security import HttpBearer

from duewise.web.services import caller_of, services

TOKEN_LENGTH_MAX = 256


class TokenAuth(HttpBearer):
    """`Authorization: Bearer …`; the caller's name becomes `request.auth`."""

    def authenticate(self, request: HttpRequest, token: str) -> str | None:  # noqa: ARG002
        return caller_of(token[:TOKEN_LENGTH_MAX], services().api_tokens)


def bearer(request: HttpRequest) -> str | None:
    """The caller's name behind the request's token, or None."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return caller_of(token.strip()[:TOKEN_LENGTH_MAX], services().api_tokens)
