"""The models in use, loaded once; and a book's open loans scored by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from duewise.book.ledger import ledger
from duewise.book.product import Products
from duewise.errors import BadInput
from duewise.risk.serve import FORESEEN, Served, ServedHazard, foresee, unread

if TYPE_CHECKING:
    from duewise.risk.fit import Fitted
    from duewise.store.book import Book

MODELS = "models"  # their folder in the workspace
RULES = "rules"  # what the monitor says where neither model is to be trusted
MODELS_MAX = 2 * len(FORESEEN)


def served_models(workspace: Path) -> tuple[Served, ...]:
    """The champion of each target, by what the monitor says is to be used; none by rules."""
    if not (workspace / MODELS).is_dir():
        return ()  # … and a sender starts without the fitting library
    from duewise.store import models_registry as registry

    found = []
    for target in FORESEEN:
        version = registry.champion_version(workspace, target)
        used = registry.in_use(workspace, target)
        if version is not None and used != RULES:
            fitted = _loaded(workspace, target, version)
            model = fitted.boosting if used == "boosting" else fitted.scorecard
            found.append(Served(target, f"{used} {version}", model, model.inputs))
    return tuple(found)


def served_hazard(workspace: Path) -> ServedHazard | None:
    """The hazard of paying that was registered last; None where there is none.

    By the monitor's word its usual day stands in for it, or nothing does.
    """
    if not (workspace / MODELS).is_dir():
        return None
    from duewise.risk.cured import CURED
    from duewise.store import models_registry as registry

    version = registry.champion_version(workspace, CURED)
    if version is None:
        return None
    return _loaded_hazard(workspace, version, registry.in_use(workspace, CURED))


@lru_cache(maxsize=2)
def _loaded_hazard(workspace: Path, version: str, used: str) -> ServedHazard:
    from duewise.risk.hazard import USUAL
    from duewise.store import models_registry as registry

    if used == RULES:
        return ServedHazard(f"nothing, hazard {version} being set aside", None)
    found = registry.load_hazard(workspace, version).hazard
    if used == USUAL:
        return ServedHazard(f"the usual day of hazard {version}", found.usual())
    return ServedHazard(f"hazard {version}", found)


@lru_cache(maxsize=MODELS_MAX)
def _loaded(workspace: Path, target: str, version: str) -> Fitted:
    from duewise.store import models_registry as registry

    return registry.load(workspace, target, version)


@dataclass(frozen=True)
class Scored:
    """How many loans were scored; of how many a column held what no model can read."""

    rows: int
    unread: Mapping[str, int]


def score_book(
    book: Book,
    products: Products,
    models: tuple[Served, ...],
    *,
    as_of: date,
    out: Path,
    hazard: ServedHazard | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scored:
    """Write `out` (Parquet): KEY and the columns of PROBABILITIES of each open loan.

    Raises BadInput without a model.
    """
    if not models and hazard is None:
        raise BadInput("no model to score by", mend="fit one by `duewise risk fit`")
    from duewise.risk.cured import lapsed, of_lapsed
    from duewise.risk.features import KEY, features_of, morning

    parts, not_read = [], Counter[str]()
    at = morning(as_of, book.timezone)
    for number in range(book.partitions):
        tables = book.loan_tables(number)
        known = ledger(tables, products, as_of=as_of, known_at=at, zone=book.timezone)
        given = book.features(number)
        rows = features_of(known, tables.payments, known_at=at, given=given)
        lapses = of_lapsed(rows, lapsed(known))
        scores = foresee(models, rows, hazard=hazard, lapses=lapses)
        not_read.update(unread(models, rows, hazard=hazard))
        parts.append(rows.select(KEY).join(scores, on="loan_id", maintain_order="left"))
        if progress:
            progress(number + 1, book.partitions)
    scored = pl.concat(parts)
    unfinished = out.with_name(f".{out.name}")
    scored.write_parquet(unfinished)
    unfinished.replace(out)
    return Scored(scored.height, dict(sorted(not_read.items())))
