"""What a finished plan comes to, counted for its report: volumes, stops, hours, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from duewise.jobs.plan_day import read_manifest

GOES = ("allow", "redact")
NONE = "–"


@dataclass(frozen=True)
class PlanFigures:
    """Frames of counts; `manifest` is the plan's.

    `volumes`: step, channel, tone, messages, parts: what goes. `hours`: channel, hour (local),
    messages. `stopped`: outcome, rule, messages: what the guard defers, holds or blocks, by every
    rule that fired. `reasons`: reason, borrowers: who is not written to.
    """

    manifest: Mapping[str, Any]
    volumes: pl.DataFrame
    hours: pl.DataFrame
    stopped: pl.DataFrame
    reasons: pl.DataFrame


def plan_figures(folder: Path, *, zone: str) -> PlanFigures:
    """The figures of a plan's folder, hours in `zone`. Raises BadInput without a finished plan."""
    manifest = read_manifest(folder)
    rows = pl.scan_parquet(folder / "plan.parquet")
    is_proposed = pl.col("decision") == "proposed"
    goes = rows.filter(is_proposed & pl.col("outcome").is_in(GOES))
    volumes = (
        goes.group_by("step", "channel", pl.col("tone").fill_null(NONE))
        .agg(messages=pl.len(), parts=pl.col("parts").sum())
        .sort("step", "channel", "tone")
    )
    hour = pl.col("not_before").dt.convert_time_zone(zone).dt.hour().cast(pl.Int32)
    hours = goes.group_by("channel", hour=hour).agg(messages=pl.len()).sort("channel", "hour")
    stopped = (
        rows.filter(is_proposed & ~pl.col("outcome").is_in(GOES))
        .select("outcome", pl.col("rules").alias("rule"))
        .explode("rule")
        .group_by("outcome", pl.col("rule").fill_null(NONE))
        .agg(messages=pl.len())
        .sort("messages", "rule", descending=[True, False])
    )
    reasons = (
        rows.filter(~is_proposed)
        .group_by("reason")
        .agg(borrowers=pl.len())
        .sort("borrowers", "reason", descending=[True, False])
    )
    counted = pl.collect_all([volumes, hours, stopped, reasons])
    return PlanFigures(manifest, *counted)
