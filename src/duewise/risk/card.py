"""The model card as plain data: what a model is, of what it was made, and how it was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from duewise.risk.fit import Columns, Fitted, Validation
from duewise.risk.guards import Guard
from duewise.risk.monitor import Limits

IMPORTANT_MAX = 20
EXPLAINED_ROWS = 2_000  # for the mean weight of a feature: evenly taken, in the frame's order


@dataclass(frozen=True)
class Source:
    """Where the rows came from. `sha256` is of the file as it was read."""

    name: str
    sha256: str
    rows: int
    borrowers: int
    first_date: date | None
    last_date: date | None


def read_source(frame: pl.DataFrame, columns: Columns, *, name: str, sha256: str) -> Source:
    """The source of a frame, with its window where there is a time column."""
    times = frame[columns.time] if columns.time else None
    return Source(
        name,
        sha256,
        len(frame),
        frame[columns.groups].n_unique(),
        times.min() if times is not None else None,  # type: ignore[arg-type]
        times.max() if times is not None else None,  # type: ignore[arg-type]
    )


def model_card(
    fitted: Fitted,
    found: Validation,
    *,
    source: Source,
    columns: Columns,
    frame: pl.DataFrame,
    groups: pl.DataFrame,
    guards: Sequence[Guard],
    made_at: datetime,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Everything a reader may ask, ready for JSON. `groups` as by `fairness.group_figures`."""
    return {
        "target": fitted.target,
        "made_at": made_at.isoformat(),
        "registered": all(guard.holds for guard in guards),
        "guards": [asdict(guard) for guard in guards],
        "source": asdict(source),
        "versions": dict(versions),
        "split": "by borrower and time" if columns.time else "by borrower",
        "known_after_days": columns.known_after_days,
        "features": list(fitted.boosting.inputs.names),
        "signs": dict(fitted.boosting.inputs.signs),
        "protected": list(columns.protected),
        "trees": fitted.boosting.trees,
        "calibrated_by": {
            "boosting": fitted.boosting.calibration.kind,
            "scorecard": fitted.scorecard.calibration.kind,
        },
        "metrics": found.metrics.to_dicts(),
        "differences": found.differences.to_dicts(),
        "calibration": found.calibration.to_dicts(),
        "curve": found.curve.to_dicts(),
        "gains": found.gains.to_dicts(),
        "groups": groups.to_dicts(),
        "weights": weights(fitted, frame).to_dicts(),
        "scorecard": {
            "base": fitted.scorecard.base,
            "points": fitted.scorecard.table().to_dicts(),
        },
        "limits": asdict(Limits()),
    }


def weights(fitted: Fitted, frame: pl.DataFrame) -> pl.DataFrame:
    """feature, weight: the mean size of its share in the log-odds; the weightiest first."""
    step = max(1, len(frame) // EXPLAINED_ROWS)
    shares = fitted.boosting.contributions(frame.gather_every(step))[:, :-1]
    table = pl.DataFrame(
        {"feature": fitted.boosting.inputs.names, "weight": np.abs(shares).mean(axis=0)}
    )
    return table.sort("weight", "feature", descending=[True, False]).head(IMPORTANT_MAX)
