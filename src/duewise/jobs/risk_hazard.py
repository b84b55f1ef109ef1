"""The hazard of paying as a job: rows of a book's lapses, a fit with its card, the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from duewise.book.ledger import ledger
from duewise.book.product import Products
from duewise.errors import BadInput
from duewise.jobs.risk import VERSIONS_OF, Registered, Request, Watched, read_frame
from duewise.risk.card import read_source
from duewise.risk.cured import CURED, OUTCOME, lapsed, of_lapsed, with_cure
from duewise.risk.features import feature_table, features_of, morning
from duewise.risk.folds import drawn_groups
from duewise.risk.hazard import TREES, USUAL, FittedHazard, fit_hazard
from duewise.risk.hazard_check import OURS, HazardCheck, check_hazard, hazard_guards
from duewise.risk.hazard_monitor import SCORE, findings, performance, worse_than_usual
from duewise.risk.inputs import Inconclusive
from duewise.risk.monitor import Limits, Reference, drift, model_in_use, reference
from duewise.store import models_registry as registry

if TYPE_CHECKING:
    from duewise.risk.hazard import Hazard
    from duewise.store.book import Book

# No multiple of a week: else a day past due would always be the same day of the week.
EVERY_DAYS = 5
BORROWERS_MAX = 30_000  # past due; a lapse makes up to thirty rows, and more add little
NAMES = ("borrower_id", "loan_id", "number", "as_of", "due_date", "from_day")


def write_lapses(
    book: Book,
    products: Products,
    dates: Sequence[date],
    *,
    known_until: date,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `out` (Parquet): as_of, LAPSED, features and outcome of each loan past due; the rows.

    `known_until` is the last day of which every payment is in the book.
    """
    parts = []
    for number in range(book.partitions):
        parts.append(_lapses_of(book, number, products, dates, known_until=known_until))
        if progress:
            progress(number + 1, book.partitions)
    rows = pl.concat(parts, how="diagonal")
    unfinished = out.with_name(f".{out.name}")
    rows.write_parquet(unfinished)
    unfinished.replace(out)
    return rows.height


def _lapses_of(
    book: Book, number: int, products: Products, dates: Sequence[date], *, known_until: date
) -> pl.DataFrame:
    zone, tables, given = book.timezone, book.loan_tables(number), book.features(number)
    end = morning(known_until + timedelta(days=1), zone)
    later = ledger(tables, products, as_of=known_until, known_at=end, zone=zone)
    parts = []
    for day in dates:
        at = morning(day, zone)
        known = ledger(tables, products, as_of=day, known_at=at, zone=zone)
        rows = features_of(known, tables.payments, known_at=at, given=given)
        past_due = of_lapsed(rows, lapsed(known)).with_columns(as_of=pl.lit(day))
        parts.append(with_cure(past_due, later))
    return pl.concat(parts)


def fit(path: Path, asked: Request) -> Registered | Inconclusive:
    """Judge the hazard on later mornings, make it of all of them, and register it if it may be.

    Every fit writes a card. Raises BadInput for a file that holds no lapses, or a column no model
    can use; Inconclusive where there is too little.
    """
    read, sha256 = _read(path)
    rows = _some(read, seed=asked.seed)
    names = _features_of(rows, asked.columns.protected)
    groups = asked.columns.groups
    settings = asked.settings or TREES
    found = check_hazard(
        rows,
        names,
        groups=groups,
        seed=asked.seed,
        folds=asked.folds,
        settings=settings,
        progress=asked.progress,
    )
    if isinstance(found, Inconclusive):
        return found
    hazard = fit_hazard(rows, names, groups=groups, seed=asked.seed, settings=settings)
    if isinstance(hazard, Inconclusive):
        return hazard
    last = _last(asked.workspace, rows)
    guards = hazard_guards(found, last=last, groups=groups, seed=asked.seed)
    columns = replace(asked.columns, target=CURED, time="as_of")
    fitted = FittedHazard(CURED, hazard, _references(hazard, rows, names))
    card = {
        "version": registry.version_of(fitted),
        "target": CURED,
        "made_at": asked.now.isoformat(),
        "registered": all(guard.holds for guard in guards),
        "guards": [asdict(guard) for guard in guards],
        "source": asdict(read_source(rows, columns, name=path.name, sha256=sha256)),
        "versions": {name: version(name) for name in VERSIONS_OF},
        "split": "by borrower and time",
        "judged": found.judged.height,
        "features": list(names),
        "protected": list(columns.protected),
        "parts": dict(zip(hazard.parts, hazard.weights, strict=True)),
        "calibrated_by": hazard.calibration.kind,
        "metrics": found.metrics.to_dicts(),
        "calibration": found.calibration.to_dicts(),
        "groups": _groups(found, columns.protected),
    }
    folder = registry.save(asked.workspace, fitted, card, asked.render(card))
    if card["registered"]:
        registry.promote(asked.workspace, CURED, folder.name)
    return Registered(folder, card)


def monitor(path: Path, *, workspace: Path, now: datetime, groups: str = "borrower_id") -> Watched:
    """Look at what the champion foresees of these mornings, and at what has become of them by now.

    `path` holds the rows that `write_lapses` writes. What is to be used is written beside the
    champion, so that plans follow it and say so: the hazard, the usual day, or nothing. Raises
    BadInput for a file that holds no lapses, or where no hazard is registered.
    """
    rows = _read(path)[0]
    fitted = registry.load_hazard(workspace)
    hazard, usual = fitted.hazard, fitted.hazard.usual()
    foreseen = {OURS: hazard.probability_cured(rows)}
    if usual is not None:
        foreseen[USUAL] = usual.probability_cured(rows)
    scored = rows.with_columns(pl.Series(SCORE, foreseen[OURS][:, -1]))
    drifted = drift(fitted.references, scored, unread=hazard.inputs.unread(rows))
    performed = performance(rows, foreseen, groups=groups)
    worse = (
        worse_than_usual(rows, foreseen[OURS], foreseen[USUAL], groups=groups)
        if usual is not None
        else (0.0, 0.0)
    )
    found = findings(drifted, performed, worse=worse, limits=Limits())
    in_use = model_in_use(list(found.items()))
    said = {name: [each.value for each in past] for name, past in found.items()}
    registry.use(workspace, CURED, {"model": in_use, "findings": said, "at": now.isoformat()})
    version = registry.champion_version(workspace, CURED) or ""
    return Watched(version, in_use, said, drifted, performed)


def _references(hazard: Hazard, rows: pl.DataFrame, names: Sequence[str]) -> dict[str, Reference]:
    """Where the features lay, and what was foreseen of these mornings by day 30."""
    score = pl.Series(SCORE, hazard.probability_cured(rows)[:, -1])
    return {SCORE: reference(score), **{name: reference(rows[name]) for name in names}}


def _read(path: Path) -> tuple[pl.DataFrame, str]:
    """The rows of a file of lapses, and its SHA-256."""
    read, sha256 = read_frame(path)
    lacking = sorted({*NAMES, *OUTCOME} - set(read.columns))
    if lacking:
        mend = f"fit it of a book, by `duewise risk fit BOOK --target {CURED}`"
        raise BadInput(f"column {lacking[0]!r} is missing", source=str(path), mend=mend)
    return read, sha256


def _some(rows: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """The rows of at most BORROWERS_MAX borrowers, drawn by the seed."""
    who = rows["borrower_id"]
    if (count := who.n_unique()) <= BORROWERS_MAX:
        return rows
    return rows[drawn_groups(who, share=BORROWERS_MAX / count, seed=seed)]


def _features_of(rows: pl.DataFrame, protected: Sequence[str]) -> tuple[str, ...]:
    """All but names, outcome, what is protected, and shipped features that nobody fills."""
    shipped = {feature.name for feature in feature_table()}
    unfilled = {
        name for name in shipped & set(rows.columns) if rows[name].null_count() == len(rows)
    }
    other = {*NAMES, *OUTCOME, *protected, *unfilled}
    return tuple(name for name in rows.columns if name not in other)


def _last(workspace: Path, rows: pl.DataFrame) -> Hazard | None:
    """The last champion, if these rows have the columns that it reads."""
    if registry.champion_version(workspace, CURED) is None:
        return None
    last = registry.load_hazard(workspace).hazard
    own = {"day", "weekday", "day_of_month"}
    return last if set(last.inputs.names) - own <= set(rows.columns) else None


def _groups(found: HazardCheck, protected: Sequence[str]) -> list[dict[str, Any]]:
    """By protected group: what was foreseen and what was paid by day 30."""
    paid = found.judged.select(*protected, paid=pl.col("is_cured")).with_columns(
        probability=pl.Series(found.probability["hazard"][:, -1])
    )
    tables = [
        paid.group_by(group=pl.col(name).cast(pl.String))
        .agg(rows=pl.len(), probability=pl.col("probability").mean(), paid=pl.col("paid").mean())
        .with_columns(bias=pl.col("probability") - pl.col("paid"), column=pl.lit(name))
        .sort("group", nulls_last=True)
        for name in protected
    ]
    return pl.concat(tables).select("column", pl.exclude("column")).to_dicts() if tables else []
