"""What a gate saw, as text for a record, and a frame again to be judged anew: nothing personal.

The text of a message is not among it; the record holds a keyed token of it instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from duewise.frames import INSTANT
from duewise.guard.cap import EVENTS
from duewise.guard.evidence import canonical
from duewise.guard.facts import FACTS, Kind

PERSONAL = "msg.text"
_KEYS = ("key", "borrower_id")
_EVENT = tuple(name for name in EVENTS if name != "borrower_id")
_ISO_INSTANT, _ISO_DATE = "%Y-%m-%dT%H:%M:%S%.6fZ", "%Y-%m-%d"


def facts_texts(facts: pl.DataFrame) -> list[str]:
    """Per message its facts as a JSON object, keys in order, no spaces; null where not known."""
    names = sorted(name for name in facts.columns if name not in (*_KEYS, PERSONAL))
    told = pl.struct(pl.col(names)).struct.json_encode()
    return _as_text(facts.select(names)).select(told).to_series().to_list()


def history_texts(borrower_ids: Sequence[str], history: pl.DataFrame) -> list[str]:
    """Per message the contacts of its borrower as a canonical JSON list, oldest first."""
    events: dict[str, list[list[Any]]] = {}
    told = _as_text(history.select("borrower_id", *_EVENT).sort("at", *_EVENT[1:-1]))
    for borrower, *event in told.iter_rows():
        events.setdefault(borrower, []).append(event)
    texts = {name: canonical(found).decode() for name, found in events.items()}
    return [texts.get(borrower, "[]") for borrower in borrower_ids]


def facts_frame(records: Sequence[Mapping[str, Any]], texts: Sequence[str | None]) -> pl.DataFrame:
    """Facts of records as `judge` needs them, with `key` (the verdict) and `borrower_id`."""
    rows = [record["facts"] for record in records]
    names = [name for name in FACTS if any(name in row for row in rows)]
    return pl.DataFrame(
        {
            "key": [str(record["verdict"]) for record in records],
            # A verdict sees its own contacts only: the same borrower's later ones are not its own.
            "borrower_id": [str(record["verdict"]) for record in records],
            **{name: _column(name, [row.get(name) for row in rows]) for name in names},
            PERSONAL: pl.Series(PERSONAL, texts, dtype=pl.String),
        }
    )


def history_frame(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The contacts of records as `judge` needs them."""
    rows = [(str(record["verdict"]), *event) for record in records for event in record["history"]]
    text = {name: pl.String() if name == "at" else dtype for name, dtype in EVENTS.items()}
    schema = {"borrower_id": pl.String(), **{name: text[name] for name in _EVENT}}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(_instants(pl.col("at"))).select(*EVENTS)


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.col(pl.Date).dt.strftime(_ISO_DATE),
        pl.col(pl.Datetime("us", "UTC")).dt.strftime(_ISO_INSTANT),
    )


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    fact = FACTS[name]
    if fact.kind is Kind.INSTANT:
        return (
            pl.Series(name, values, dtype=pl.String)
            .to_frame()
            .select(_instants(pl.col(name)))
            .to_series()
        )
    if fact.kind is Kind.DATE:
        return pl.Series(name, values, dtype=pl.String).str.to_date(_ISO_DATE)
    return pl.Series(name, values, dtype=fact.dtype, strict=False)


def _instants(column: pl.Expr) -> pl.Expr:
    return column.str.to_datetime(_ISO_INSTANT, time_unit="us", time_zone="UTC").cast(INSTANT)
