"""Frames with a promise: named columns of stated types, checked where a frame crosses a border."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from duewise.errors import BadInput

Schema = Mapping[str, pl.DataType | type[pl.DataType]]
INSTANT = pl.Datetime("us", "UTC")


def empty(schema: Schema) -> pl.DataFrame:
    """A frame without rows that keeps the promise."""
    return pl.DataFrame(schema=dict(schema))


def completed(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The frame with the schema's columns that it lacks, null in every row.

    >>> completed(pl.DataFrame({"a": [1]}), {"a": pl.Int64, "b": pl.String}).row(0)
    (1, None)
    """
    lacking = [name for name in schema if name not in frame.columns]
    return frame.with_columns(pl.lit(None, schema[name]).alias(name) for name in lacking)


def conform(frame: pl.DataFrame, schema: Schema, *, name: str) -> pl.DataFrame:
    """The frame with exactly the schema's columns, in its order, cast to its types.

    Raises BadInput that names the missing column.
    """
    missing = [column for column in schema if column not in frame.columns]
    if missing:
        raise BadInput(
            f"table {name!r} lacks column {missing[0]!r}",
            mend=f"columns found: {', '.join(frame.columns)}",
        )
    return frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
