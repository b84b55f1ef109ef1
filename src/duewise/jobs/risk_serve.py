"""The models in use, loaded once; and a book's open loans scored by them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from duewise.book.product import Products
from duewise.errors import BadInput
from duewise.risk.features import KEY, features
from duewise.risk.serve import FORESEEN, Served, foresee
from duewise.store import models_registry as registry

if TYPE_CHECKING:
    from duewise.risk.fit import Fitted
    from duewise.store.book import Book

RULES = "rules"  # what the monitor says where neither model is to be trusted
MODELS_MAX = 2 * len(FORESEEN)


def served_models(workspace: Path) -> tuple[Served, ...]:
    """The champion of each target, by what the monitor says is to be used; none by rules."""
    found = []
    for target in FORESEEN:
        version = registry.champion_version(workspace, target)
        used = registry.in_use(workspace, target)
        if version is not None and used != RULES:
            fitted = _loaded(workspace, target, version)
            model = fitted.boosting if used == "boosting" else fitted.scorecard
            found.append(Served(target, f"{used} {version}", model))
    return tuple(found)


@lru_cache(maxsize=MODELS_MAX)
def _loaded(workspace: Path, target: str, version: str) -> Fitted:
    return registry.load(workspace, target, version)


def score_book(
    book: Book,
    products: Products,
    models: tuple[Served, ...],
    *,
    as_of: date,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `out` (Parquet): KEY and FORESEEN of each loan with an instalment to come; the rows.

    Raises BadInput without a model.
    """
    if not models:
        raise BadInput("no model to score by", mend="fit one by `duewise risk fit`")
    parts = []
    for number in range(book.partitions):
        rows = features(
            book.loan_tables(number),
            products,
            as_of=as_of,
            zone=book.timezone,
            given=book.features(number),
        )
        scores = foresee(models, rows)
        parts.append(rows.select(KEY).join(scores, on="loan_id", maintain_order="left"))
        if progress:
            progress(number + 1, book.partitions)
    scored = pl.concat(parts)
    unfinished = out.with_name(f".{out.name}")
    scored.write_parquet(unfinished)
    unfinished.replace(out)
    return scored.height
