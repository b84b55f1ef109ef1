"""The operations of the API: each reads its question, asks one function, and answers."""

# ruff: noqa: ARG001  ninja knows the request by this name

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from ninja import Path, Query, Router
from pydantic import Field

from duewise.jobs.ingest import Payment
from duewise.jobs.promises import Promise
from duewise.outbox.envelope import State
from duewise.store.explain import explain
from duewise.store.models import Envelope, Feed
from duewise.store.sql import queries
from duewise.web.api.schemas import (
    LIST_MAX,
    PAGE_MAX,
    BalanceBody,
    Code,
    EnvelopeBody,
    EnvelopePage,
    FeedBody,
    PaymentBody,
    Problem,
    PromiseBody,
    RecordedBody,
    WatermarkBody,
)
from duewise.web.figures import balance_on
from duewise.web.services import services

router = Router()
ID_MAX = 2**63 - 1
_PROBLEMS: dict[Any, Any] = dict.fromkeys((401, 404, 413, 422, 503), Problem)

Payments = Annotated[list[PaymentBody], Field(min_length=1, max_length=LIST_MAX)]
Promises = Annotated[list[PromiseBody], Field(min_length=1, max_length=LIST_MAX)]
EnvelopeId = Annotated[int, Field(ge=1, le=ID_MAX)]


@router.post("/payments", response={200: RecordedBody, **_PROBLEMS}, tags=["payments"])
def post_payments(request: HttpRequest, payments: PaymentBody | Payments) -> dict[str, int]:
    """Tell one payment or a list of up to 10 000.

    All are written or none. A `payment_id` told before is counted as a duplicate and changes
    nothing, so a request may be repeated. Unsent messages of the borrowers concerned are held.
    """
    told = payments if isinstance(payments, list) else [payments]
    with services().connect() as conn:
        result = services().record_payments(
            conn,
            [Payment(**payment.model_dump()) for payment in told],
            now=services().clock.now(),
        )
    return {"recorded": result.recorded, "duplicates": result.duplicates, "held": result.held}


@router.post("/promises", response={200: RecordedBody, **_PROBLEMS}, tags=["promises"])
def post_promises(request: HttpRequest, promises: PromiseBody | Promises) -> dict[str, int]:
    """Tell one promise to pay or a list of up to 10 000.

    All are taken down or none. A `promise_ref` told before is counted as a duplicate and changes
    nothing. Unsent messages of the borrowers concerned are held.
    """
    told = promises if isinstance(promises, list) else [promises]
    with services().connect() as conn:
        taken = services().record_promises(
            conn,
            [Promise(**promise.model_dump()) for promise in told],
            now=services().clock.now(),
        )
    return asdict(taken)


@router.post("/feeds/{name}/watermark", response={200: FeedBody, **_PROBLEMS}, tags=["feeds"])
def post_watermark(
    request: HttpRequest, name: Path[Code], watermark: WatermarkBody
) -> dict[str, Any]:
    """Say up to which instant a feed is complete. The watermark never goes back."""
    asked = {"name": name, "complete_until": watermark.complete_until}
    with services().connect() as conn:
        conn.execute(queries("inbound")["set_feed"], asked)
    return {"name": name, "complete_until": Feed.objects.get(pk=name).complete_until}


@router.get(
    "/envelopes/{envelope_id}", response={200: EnvelopeBody, **_PROBLEMS}, tags=["envelopes"]
)
def get_envelope(request: HttpRequest, envelope_id: Path[EnvelopeId]) -> Envelope:
    """One envelope."""
    envelope = _public().filter(pk=envelope_id).first()
    if envelope is None:
        raise Http404(f"There is no envelope {envelope_id}.")
    return envelope


@router.get("/envelopes", response={200: EnvelopePage, **_PROBLEMS}, tags=["envelopes"])
def list_envelopes(
    request: HttpRequest,
    borrower: Query[Code | None] = None,
    state: Query[State | None] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    cursor: Annotated[EnvelopeId | None, Query()] = None,
) -> dict[str, Any]:
    """Envelopes, newest first; give `next_cursor` back as `cursor` for the page after."""
    found = _public().order_by("-envelope_id")
    if borrower is not None:
        found = found.filter(borrower_id=borrower)
    if state is not None:
        found = found.filter(state=state.value)
    if cursor is not None:
        found = found.filter(envelope_id__lt=cursor)
    page = list(found[: limit + 1])
    more = len(page) > limit
    return {"items": page[:limit], "next_cursor": page[limit - 1].pk if more else None}


@router.get("/explain", response={200: dict[str, Any], **_PROBLEMS}, tags=["explain"])
def get_explanation(
    request: HttpRequest, borrower: Query[Code], date: Query[date]
) -> dict[str, Any]:
    """Everything on record about a borrower and a day. Texts stay sealed: they are for people."""
    with services().connect() as conn:
        found = explain(conn, workspace=services().workspace, borrower_id=borrower, as_of=date)
    return asdict(found)


@router.get("/balance", response={200: BalanceBody, **_PROBLEMS}, tags=["balance"])
def get_balance(request: HttpRequest, as_of: Query[date]) -> dict[str, Any]:
    """Both equations of the outbox over one as-of date."""
    with services().connect() as conn:
        found = balance_on(conn, as_of)
    return {"as_of": as_of, **asdict(found), "ties": found.ties}


def _public() -> QuerySet[Envelope]:
    """Envelopes without their sealed text."""
    return Envelope.objects.defer("text_sealed", "facts")
