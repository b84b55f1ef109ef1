"""A Parquet file for others, written table by table: whole or not there.

Money is written as the whole numbers it is in memory, and told to be decimals in the file's footer.
The writer would turn each amount by itself, which takes longer than to write it; the bytes are the
same. Of its footers this knows one thing alone: that the schema stands before the number of rows.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from duewise.errors import IntegrityBroken

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

_MAGIC = b"PAR1"
_LENGTH_BYTES = 4  # of the footer, before the magic bytes that end the file
_PIECE_BYTES = 1 << 20
_NAMES_BYTES = 1 << 26  # so many bytes of names stand in a row group once, and not per row


class ParquetFile:
    """A Parquet file that is there once its block has ended well; each table is a row group.

    The columns `uneven` are not compressed: so much varies in them that it takes longer than to
    write them.
    """

    def __init__(self, path: Path, *, uneven: Collection[str] = ()) -> None:
        self._path, self._unfinished = path, path.with_name(f".{path.name}")
        self._uneven = uneven
        self._sink: pa.NativeFile | None = None
        self._writer: ParquetWriter | None = None
        self._schemas: list[pa.Schema] = []  # as it is written, as it is promised

    def __enter__(self) -> Self:
        return self

    def write(self, table: pa.Table) -> None:
        plain = _in_whole_numbers(table)
        if self._writer is None:
            self._schemas = [plain.schema, table.schema]
            self._sink = _sink(self._unfinished)
            self._writer = _writer(self._sink, plain.schema, self._uneven)
        self._writer.write_table(plain, row_group_size=max(table.num_rows, 1))

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
            if self._sink is not None:
                self._sink.close()
            if kind is None:
                _tell_types(self._unfinished, *self._schemas)
                self._unfinished.replace(self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)


def _sink(path: Path) -> pa.NativeFile:
    """The file, written in large pieces: a page is two calls of the system else."""
    import pyarrow as pa

    return pa.BufferedOutputStream(pa.OSFile(str(path), "wb"), _PIECE_BYTES)


def _writer(
    where: pa.NativeFile | BytesIO, schema: pa.Schema, uneven: Collection[str] = ()
) -> ParquetWriter:
    from pyarrow.parquet import ParquetWriter
    from pyarrow.types import is_dictionary

    return ParquetWriter(
        where,
        schema,
        compression={f.name: "none" if f.name in uneven else "lz4" for f in schema},
        use_dictionary=[f.name for f in schema if is_dictionary(f.type)],
        dictionary_pagesize_limit=_NAMES_BYTES,
        write_statistics=False,
        store_schema=False,  # the types are the files' contract, not our buffers'
        store_decimal_as_integer=True,
        write_batch_size=1 << 17,
        data_page_size=1 << 18,
    )


def _in_whole_numbers(table: pa.Table) -> pa.Table:
    """The same bytes with decimals of 64 bits as whole numbers."""
    import pyarrow as pa

    fields = [f.with_type(pa.int64()) if _is_money(f) else f for f in table.schema]
    columns = [
        _relabelled(column, pa.int64()) if _is_money(f) else column
        for f, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _is_money(field: pa.Field) -> bool:
    from pyarrow.types import is_decimal64

    return bool(is_decimal64(field.type))


def _relabelled(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    chunks = [
        pa.Array.from_buffers(kind, len(c), c.buffers(), c.null_count, c.offset)
        for c in column.chunks
    ]
    return pa.chunked_array(chunks, kind)


def _tell_types(path: Path, plain: pa.Schema, promised: pa.Schema) -> None:
    """Put the promised schema into the footer of a file that was written with the plain one.

    Raises IntegrityBroken where the file would not read as promised.
    """
    from pyarrow import BufferReader
    from pyarrow.parquet import read_schema

    empty, wanted = _empty_file(plain), _empty_file(promised)
    with path.open("r+b") as file:
        start, footer = _footer(file)
        # Up to the number of rows, which is 0 in the one alone, the two are the same.
        (_, without), (_, within) = _footer(BytesIO(empty)), _footer(BytesIO(wanted))
        pairs = zip(without, footer, strict=False)
        end = next((n for n, (a, b) in enumerate(pairs) if a != b), len(without))
        footer = within.removesuffix(without[end:]) + footer[end:]
        file.seek(start)
        file.truncate()
        file.write(footer + len(footer).to_bytes(_LENGTH_BYTES, "little") + _MAGIC)
    if not read_schema(path).equals(read_schema(BufferReader(wanted))):
        raise IntegrityBroken(f"{path.name} would not read as the columns that were promised")


def _empty_file(schema: pa.Schema) -> bytes:
    file = BytesIO()
    _writer(file, schema).close()
    return file.getvalue()


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Where the footer of a Parquet file starts, and the footer."""
    end = file.seek(-_LENGTH_BYTES - len(_MAGIC), os.SEEK_END)
    start = end - int.from_bytes(file.read(_LENGTH_BYTES), "little")
    file.seek(start)
    return start, file.read(end - start)
