"""Roll rates and vintages for people: a heat map in the terminal, a page with the curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from duewise.book.history import CLOSED
from duewise.jobs.rolls import Rolls
from duewise.web.report import words
from duewise.web.report.render import render_page

CURVES = (1, 30, 90)  # days late that the page draws
SHOWN = 30  # … and of which figures are shown
MONTHS_SHOWN = 12  # in the terminal
OF = {"count": "loans", "balance": "balance outstanding on the earlier date"}
OF_VINTAGE = {"count": "loans", "balance": "principal disbursed"}
_PALE, _STRONG = (255, 243, 224), (214, 110, 50)


@dataclass(frozen=True)
class _Heat:
    """A table of shares: what a row is of, and its cells; None where there is none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[float | None, ...]], ...]


def show_rolls(found: Rolls, *, by: str) -> Group:
    """Something `rich.console.Console.print` shows: pooled roll rates and vintages, shaded."""
    vintages = _vintages(found.vintages, by=by)
    months = len(vintages.columns) - MONTHS_SHOWN
    note = f"{months} later months are in vintages.parquet" if months > 0 else ""
    return Group(
        Text(f"Roll rates, % of {OF[by]}, {_range(found)}", style="bold"),
        _table("from", _matrix(found, by=by)),
        Text(_vintage_title(by), style="bold"),
        _table("month", vintages),
        Text(note, style="dim"),
    )


def render_rolls(found: Rolls, *, by: str) -> str:
    """The page as one string that asks nothing of any network."""
    matrix, vintages = _matrix(found, by=by), _vintages(found.vintages, by=by)
    shown = {
        "range": _range(found),
        "of": OF[by],
        "matrix": _cells(matrix),
        "vintage_title": _vintage_title(by),
        "vintages": _cells(vintages),
        "curves": [{"name": f"late-{days}", "days": days} for days in CURVES],
    }
    curves = {f"late-{days}": _curves(found.vintages, days, by=by) for days in CURVES}
    return render_page("rolls", shown, curves)


def _range(found: Rolls) -> str:
    return f"{found.dates[0]} to {found.dates[-1]}, {len(found.dates)} dates"


def _vintage_title(by: str) -> str:
    return f"Ever {SHOWN} days late, % of {OF_VINTAGE[by]}, by months on book"


def _matrix(found: Rolls, *, by: str) -> _Heat:
    cells = {
        (row["from_bucket"], row["to_bucket"]): row[f"share_by_{by}"]
        for row in found.pooled.iter_rows(named=True)
    }
    sizes = dict(found.pooled.group_by("from_bucket").agg(pl.col("loans").sum()).rows())
    met = {name for pair in cells for name in pair}
    columns = tuple(name for name in (*found.buckets, CLOSED) if name in met)
    return _Heat(
        columns,
        tuple(
            (name, sizes[name], tuple(cells.get((name, to), 0.0) for to in columns))
            for name in columns
            if name in sizes
        ),
    )


def _vintages(shares: pl.DataFrame, *, by: str) -> _Heat:
    shown = shares.filter(pl.col("late_days") == SHOWN)
    months = sorted(shown["months_on_book"].unique())
    return _Heat(
        tuple(str(month) for month in months),
        tuple(
            (f"{vintage:%Y-%m}", loans, tuple(ever.get(month) for month in months))
            for vintage, loans, ever in _by_vintage(shown, by=by)
        ),
    )


def _by_vintage(shares: pl.DataFrame, *, by: str) -> Iterator[tuple[Any, int, dict[int, float]]]:
    """Each month's vintage with its loans and the share of them that was ever late, by age."""
    ever = f"ever_by_{'principal' if by == 'balance' else by}"
    for (vintage,), rows in shares.group_by("vintage", maintain_order=True):
        ages = dict(rows.select("months_on_book", ever).rows())
        yield vintage, rows["loans"].max(), ages  # type: ignore[misc]


def _curves(shares: pl.DataFrame, days: int, *, by: str) -> dict[str, Any]:
    chosen = shares.filter(pl.col("late_days") == days, pl.col("ever_by_count").is_not_null())
    months = sorted(chosen["months_on_book"].unique())
    return {
        "labels": months,
        "lines": [
            {
                "label": f"{vintage:%Y-%m}",
                "data": [_percent(ever.get(month)) for month in months],
            }
            for vintage, _, ever in _by_vintage(chosen, by=by)
        ],
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _cells(heat: _Heat) -> dict[str, Any]:
    return {
        "columns": heat.columns,
        "rows": [
            {
                "name": name,
                "loans": words.number(loans),
                "cells": [
                    {"text": _shown(share), "shade": f"{100 * (share or 0):.1f}"}
                    for share in shares
                ],
            }
            for name, loans, shares in heat.rows
        ],
    }


def _table(corner: str, heat: _Heat) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in (corner, "loans", *heat.columns[:MONTHS_SHOWN]):
        table.add_column(name, justify="left" if name == corner else "right", no_wrap=True)
    for name, loans, shares in heat.rows:
        cells = [Text(_shown(share), style=_shade(share)) for share in shares[:MONTHS_SHOWN]]
        table.add_row(Text(name), words.number(loans), *cells)
    return table


def _shown(share: float | None) -> str:
    if not share:
        return words.NOTHING if share is None else "·"
    return f"{100 * share:.1f}"


def _shade(share: float | None) -> str:
    if not share:
        return "dim"
    red, green, blue = (
        round(pale + (strong - pale) * share) for pale, strong in zip(_PALE, _STRONG, strict=True)
    )
    return f"black on rgb({red},{green},{blue})"
