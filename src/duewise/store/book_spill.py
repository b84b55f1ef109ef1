"""Rows set aside on disk by the hash of a column, so that a whole book is never held in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl


class Spill:
    """Rows of one table in `shards` files: all rows that share `by` lie in one of them.

    Write with `append`, then `close`, then `read` shard by shard. The hash holds within one run of
    one program and no longer, which is all a temporary file asks for.
    """

    def __init__(self, folder: Path, name: str, *, shards: int, by: str) -> None:
        self.shards = shards
        self._folder, self._name, self._by = folder, name, by
        self._writers: dict[int, Any] = {}
        self._empty: pl.DataFrame | None = None

    def append(self, rows: pl.DataFrame) -> None:
        """Set the rows aside. All calls give the same columns."""
        self._empty = rows.clear() if self._empty is None else self._empty
        shard = rows.select((pl.col(self._by).hash(seed=0) % self.shards).cast(pl.Int64))
        self._write(rows.with_columns(shard.to_series().alias("_shard")))

    def append_to(self, number: pl.Expr, rows: pl.DataFrame) -> None:
        """Set the rows aside in the shards that `number` says."""
        self._empty = rows.clear() if self._empty is None else self._empty
        self._write(rows.with_columns(number.alias("_shard")))

    def close(self) -> None:
        """No more rows will come."""
        for writer, sink in self._writers.values():
            writer.close()
            sink.close()

    def read(self, shard: int) -> pl.DataFrame | None:
        """The rows of a shard in the order they came; None if there never were any rows at all."""
        import pyarrow as pa

        if shard not in self._writers:
            return self._empty
        with pa.memory_map(str(self._path(shard))) as source:
            table = pa.ipc.open_stream(source).read_all()
            return pl.DataFrame(pl.from_arrow(table)).rechunk()

    def _write(self, rows: pl.DataFrame) -> None:
        import pyarrow as pa

        for key, group in rows.partition_by("_shard", include_key=False, as_dict=True).items():
            table = group.to_arrow()
            shard = int(key[0])
            if shard not in self._writers:
                sink = self._path(shard).open("wb")
                self._writers[shard] = (pa.ipc.new_stream(sink, table.schema), sink)
            self._writers[shard][0].write_table(table)

    def _path(self, shard: int) -> Path:
        return self._folder / f"{self._name}-{shard:04d}.arrow"
