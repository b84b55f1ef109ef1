"""Early warning as jobs: fit and judge a model, register it if it may be, watch it, score by it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from duewise.errors import BadInput
from duewise.risk.boosting import Settings
from duewise.risk.card import model_card, read_source
from duewise.risk.fairness import group_figures
from duewise.risk.features import KEY, feature_table
from duewise.risk.fit import (
    SCORE,
    Columns,
    Fitted,
    Validation,
    cross_validate,
    fit_models,
    learners,
)
from duewise.risk.guards import SERVED, Guard, absolute_guards, relative_guards
from duewise.risk.inputs import Inconclusive
from duewise.risk.interval import differences
from duewise.risk.monitor import Limits, drift, findings, model_in_use, performance
from duewise.risk.reasons import Words, reasons
from duewise.risk.target import TARGETS
from duewise.store import models_registry as registry

VERSIONS_OF = ("duewise", "lightgbm", "numpy", "polars", "scipy")
SIGNS = {"+": 1, "-": -1, "": 0}


@dataclass(frozen=True)
class Request:
    """What is asked of a fit. `render` makes the card's page of its data."""

    workspace: Path
    columns: Columns
    now: datetime
    render: Callable[[Mapping[str, Any]], str]
    seed: int = 0
    folds: int = 5
    settings: Settings | None = None
    progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True)
class Registered:
    """What became of a fit: its folder, and the card, which says whether it was registered."""

    folder: Path
    card: dict[str, Any]


def read_frame(path: Path) -> tuple[pl.DataFrame, str]:
    """A Parquet file of features, and its SHA-256. Raises BadInput for another kind of file."""
    content = path.read_bytes()
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        mend = "write the features as Parquet"
        raise BadInput("not a Parquet file", source=str(path), mend=mend) from error
    return frame, hashlib.sha256(content).hexdigest()


def read_dictionary(path: Path) -> tuple[dict[str, int], Words]:
    """Signs and words of features, from a CSV file: name, sign (+, - or empty), reason_en, _zh."""
    rows = pl.read_csv(path, infer_schema=False).fill_null("")
    lacking = {"name", "sign", "reason_en", "reason_zh"} - set(rows.columns)
    if lacking:
        raise BadInput(f"column {min(lacking)!r} is missing", source=str(path), mend="add it")
    wrong = rows.with_row_index("line", offset=2).filter(~pl.col("sign").is_in(list(SIGNS)))
    if len(wrong):
        line, sign = wrong.select("line", "sign").row(0)
        mend = "write +, - or nothing"
        raise BadInput(f"{sign!r} is no sign", source=str(path), line=line, mend=mend)
    signs = {row["name"]: SIGNS[row["sign"]] for row in rows.iter_rows(named=True) if row["sign"]}
    words = {
        row["name"]: {"en": row["reason_en"], "zh": row["reason_zh"]}
        for row in rows.iter_rows(named=True)
    }
    return signs, words


def book_columns(target: str, protected: Sequence[str] = (), known_after_days: int = 60) -> Columns:
    """What the columns of `risk rows` are for, with the signs of the shipped features."""
    signs = {feature.name: feature.sign for feature in feature_table() if feature.sign}
    return Columns(
        target,
        "borrower_id",
        time="as_of",
        known_after_days=known_after_days,
        money="next_amount",
        protected=tuple(protected),
        signs=signs,
    )


def shipped_words() -> Words:
    """What a risk is put down to, for the shipped features."""
    return {feature.name: feature.reason for feature in feature_table()}


def prepare(frame: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, Columns]:
    """The rows whose outcome is known, and the columns with their features named.

    No feature: what names a row, any outcome, and a shipped feature that this book never fills
    (nobody can learn from it; a lender's own column without values is refused later, by name).
    """
    target = columns.target
    known = frame.filter(pl.col(target).is_not_null()) if target in frame.columns else frame
    shipped = {feature.name for feature in feature_table()}
    unfilled = {
        name for name in shipped & set(known.columns) if known[name].null_count() == len(known)
    }
    other = {*KEY, *TARGETS, *(f"unknown_{name}" for name in TARGETS)}
    features = tuple(name for name in columns.features_of(known) if name not in other | unfilled)
    # What falls due next is money and a feature alike: it is known beforehand.
    owed = [columns.money] if columns.money in shipped - unfilled else []
    return known, replace(columns, features=(*features, *(name for name in owed if name)))


@dataclass(frozen=True)
class Judged:
    """A model, and its card as far as it alone goes: what it is registered by is `guards`."""

    fitted: Fitted
    guards: tuple[Guard, ...]
    card: dict[str, Any]


def fit(path: Path, asked: Request) -> Registered | Inconclusive:
    """Judge a model of the file's rows, make it of all of them, and register it if it may be.

    Every fit writes a card. The last champion is judged on the same rows; should it have seen some
    of them, that is in its favour.
    """
    found = _judged(path, asked)
    return found if isinstance(found, Inconclusive) else _registered([found], asked)[0]


def fit_together(
    path: Path, asked: Request, targets: Sequence[str]
) -> list[Registered] | tuple[str, Inconclusive]:
    """`fit` of each target on the same rows; all are registered, or none.

    With the target of which too little is known: then nothing is written.
    """
    found = []
    for target in targets:
        each = _judged(path, replace(asked, columns=replace(asked.columns, target=target)))
        if isinstance(each, Inconclusive):
            return target, each
        found.append(each)
    return _registered(found, asked)


def _registered(found: Sequence[Judged], asked: Request) -> list[Registered]:
    """Written, and champions if no guard of any is broken."""
    broken = {each.fitted.target for each in found if not all(g.holds for g in each.guards)}
    written = []
    for each in found:
        others = broken - {each.fitted.target}
        said = (
            f"its guards hold for every target of this fit ({', '.join(sorted(others))} broke one)"
        )
        guards = [
            *each.guards,
            *([Guard("together", said, len(others), holds=False)] if others else []),
        ]
        named = {
            "version": registry.version_of(each.fitted),
            **each.card,
            "registered": not broken,
            "guards": [asdict(guard) for guard in guards],
        }
        folder = registry.save(asked.workspace, each.fitted, named, asked.render(named))
        written.append(Registered(folder, named))
    if not broken:
        for each, one in zip(found, written, strict=True):
            registry.promote(asked.workspace, each.fitted.target, one.folder.name)
    return written


def _judged(path: Path, asked: Request) -> Judged | Inconclusive:
    read, sha256 = read_frame(path)
    frame, columns = prepare(read, asked.columns)
    asked = replace(asked, columns=columns)
    found = cross_validate(
        frame,
        columns.target,
        columns.groups,
        seed=asked.seed,
        folds=asked.folds,
        columns=columns,
        models=learners(asked.settings),
        progress=asked.progress,
    )
    if isinstance(found, Inconclusive):
        return found
    fitted = fit_models(frame, columns, seed=asked.seed, settings=asked.settings)
    if isinstance(fitted, Inconclusive):
        return fitted
    groups = group_figures(found.predictions, frame, model=SERVED, protected=columns.protected)
    guards = (*absolute_guards(found, groups), *_against_champion(frame, found, asked))
    card = model_card(
        fitted,
        found,
        source=read_source(frame, columns, name=path.name, sha256=sha256),
        columns=columns,
        frame=frame,
        groups=groups,
        guards=guards,
        made_at=asked.now,
        versions={name: version(name) for name in VERSIONS_OF},
    )
    return Judged(fitted, guards, card)


def _against_champion(frame: pl.DataFrame, found: Validation, asked: Request) -> list[Guard]:
    """The guards against the last champion; none where it cannot score these rows."""
    target = asked.columns.target
    if registry.champion_version(asked.workspace, target) is None:
        return []
    last = registry.load(asked.workspace, target)
    rows = frame[found.predictions["row"].to_numpy()]
    try:
        before = last.boosting.probability(rows)
    except BadInput:
        return []
    compared = differences(
        found.predictions["target"].to_numpy(),
        found.predictions[SERVED].to_numpy(),
        before,
        groups=rows[asked.columns.groups],
        seed=asked.seed,
    )
    return relative_guards(compared)


@dataclass(frozen=True)
class Watched:
    """What the monitor found of a champion: frames of `risk.monitor`, and what is to be used."""

    version: str
    in_use: str
    findings: dict[str, list[str]]
    drift: pl.DataFrame
    performance: pl.DataFrame


def monitor(
    path: Path, *, workspace: Path, target: str, segment: str, now: datetime, seed: int = 0
) -> Watched:
    """Look at what a champion scores now, and at the outcomes that are known by now.

    The target's column may be null where the outcome is open, or absent. What is to be used is
    written beside the champion, so that plans follow it and say so.
    """
    frame, _ = read_frame(path)
    if segment not in frame.columns:
        mend = f"columns found: {', '.join(frame.columns)}"
        raise BadInput(f"no column {segment!r} to divide by", source=str(path), mend=mend)
    fitted = registry.load(workspace, target)
    chosen = registry.champion_version(workspace, target) or ""
    card = registry.load_card(workspace, target, chosen)
    known = frame if target in frame.columns else frame.with_columns(pl.lit(None).alias(target))
    drifted, performed, found = {}, {}, {}
    for name, model in (("boosting", fitted.boosting), ("scorecard", fitted.scorecard)):
        scored = known.with_columns(pl.Series(SCORE, model.probability(frame)))
        outcomes = scored.select(segment, SCORE, target=target)
        drifted[name] = _drift_of(fitted, scored, name)
        performed[name] = performance(outcomes, segment=segment, seed=seed)
        found[name] = findings(
            drifted[name],
            performed[name],
            score=SCORE,
            auc_before=_auc_of(card, name),
            limits=Limits(),
        )
    in_use = model_in_use(list(found.items()))
    said = {name: [each.value for each in past] for name, past in found.items()}
    registry.use(workspace, target, {"model": in_use, "findings": said, "at": now.isoformat()})
    return Watched(chosen, in_use, said, drifted["boosting"], performed["boosting"])


def _drift_of(fitted: Fitted, scored: pl.DataFrame, model: str) -> pl.DataFrame:
    """Of the features that the model uses; of the score for boosting, whose reference is kept."""
    names = (
        fitted.references
        if model == "boosting"
        else {name: fitted.references[name] for name in fitted.scorecard.bins}
    )
    unread = fitted.boosting.inputs.unread(scored)
    return drift({name: fitted.references[name] for name in names}, scored, unread=unread)


def _auc_of(card: Mapping[str, Any], model: str) -> float:
    return next(
        float(row["point"])
        for row in card["metrics"]
        if row["model"] == model and row["metric"] == "auc"
    )


def score(
    path: Path, *, workspace: Path, target: str, words: Words
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The file's rows with probability, the model used, and the three reasons in both languages.

    And of how many rows a feature could not be read and was taken for missing. Raises BadInput
    where the monitor has set the model aside for rules.
    """
    frame, _ = read_frame(path)
    fitted = registry.load(workspace, target)
    used = registry.in_use(workspace, target)
    if used == "rules":
        mend = "fit a new model, or plan by rules"
        raise BadInput("the monitor has set both models aside", source=str(workspace), mend=mend)
    boosting, card = fitted.boosting, fitted.scorecard
    if used == "boosting":
        found = boosting.probability(frame), boosting.contributions(frame), boosting.inputs.names
    else:
        found = card.probability(frame), card.contributions(frame), tuple(card.bins)
    probability, contributions, names = found
    told = reasons(contributions, names, frame, words=words)
    scored = frame.with_columns(pl.Series("probability", probability), pl.lit(used).alias("model"))
    return pl.concat([scored, told], how="horizontal"), boosting.inputs.unread(frame)
