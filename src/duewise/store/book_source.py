"""A lender's files in bounded chunks: CSV (plain or gzip, UTF-8, GB18030 or UTF-16) and Parquet.

Every row knows the line it starts on. A CSV block is cut into records by counting quotes, so that a
row with too few or too many fields is one reject and not a shift of all that follows.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from duewise.book.intake import FILE, LINE
from duewise.errors import BadInput

BLOCK_BYTES = 16 << 20
RECORD_BYTES_MAX = 1 << 20
ROWS_PER_CHUNK = 200_000
_QUOTE, _NEWLINE = ord('"'), ord("\n")
Int64s = npt.NDArray[np.int64]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class SourceFile:
    """One file: where it is, how it is written, and the hash of its bytes."""

    path: Path
    index: int
    encoding: str
    separator: str
    sha256: str
    size_bytes: int

    @property
    def is_parquet(self) -> bool:
        return self.path.suffix == ".parquet"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file with `_file` and `_line`, and the lines that are no rows: (line, why)."""

    file: int
    rows: pl.DataFrame
    bad: tuple[tuple[int, str], ...] = ()


def find_files(source: Path, name: str, *, is_only: bool) -> list[Path]:
    """The files that `name` (a file name or a pattern) means in `source`, in order of name.

    `source` may itself be the file when the mapping reads one only. Raises BadInput.
    """
    if source.is_file():
        if is_only:
            return [source]
        raise BadInput(
            "this mapping reads several files", source=str(source), mend="give their folder"
        )
    if not source.is_dir():
        raise BadInput("there is no such file or folder", source=str(source))
    for pattern in (name, f"{name}.gz", f"{Path(name).stem}.parquet"):
        found = sorted(path for path in source.glob(pattern) if path.is_file())
        if found:
            return found
    there = sorted(path.name for path in source.iterdir() if path.is_file())
    raise BadInput(
        f"no file {name!r} in this folder",
        source=str(source),
        mend=f"files found: {', '.join(there[:20]) or 'none'}",
    )


def inspect(
    path: Path, index: int, *, encoding: str, separator: str, progress: Progress
) -> SourceFile:
    """Read the file once for its hash and, where `encoding` is `auto`, what it is written in."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as raw:
        while block := raw.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
            progress(len(block))
    if encoding == "auto":
        encoding = "binary" if path.suffix == ".parquet" else _encoding(path)
    return SourceFile(path, index, encoding, separator, digest.hexdigest(), size)


def _encoding(path: Path) -> str:
    """What the text is written in: UTF-16 by its mark, UTF-8 if all of it is, else GB18030."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _content(path) as (content, _):
        block = content.read(BLOCK_BYTES)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while block:
                decoder.decode(block)
                block = content.read(BLOCK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "gb18030"
    return "utf-8-sig"


def header(file: SourceFile) -> list[str]:
    """The names of the file's columns. Raises BadInput."""
    if file.is_parquet:
        return list(_parquet_schema(file))
    with open_text(file) as text:
        try:
            names = [name.strip() for name in next(csv.reader(text, delimiter=file.separator))]
        except StopIteration:
            raise BadInput("the file is empty", source=file.path.name) from None
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise BadInput(f"two columns are called {double!r}", source=file.path.name, line=1)
    return names


def chunks(file: SourceFile, *, progress: Progress) -> Iterator[Chunk]:
    """The file's rows, chunk by chunk, in order. Raises BadInput for a file that is cut off."""
    return _parquet_chunks(file, progress) if file.is_parquet else _csv_chunks(file, progress)


@contextmanager
def open_text(file: SourceFile) -> Iterator[IO[str]]:
    """The file as text with its newlines as they are. Raises BadInput on reading."""
    with _content(file.path) as (content, _):
        yield io.TextIOWrapper(content, encoding=file.encoding, newline="")


@contextmanager
def _content(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file's bytes, unzipped and as they lie; faults of archive and encoding as BadInput."""
    try:
        with path.open("rb") as raw:
            is_zipped = path.suffix == ".gz"
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if is_zipped else raw, raw
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise BadInput(
            f"the file cannot be read to its end: {error}",
            source=path.name,
            mend="copy or export it again; nothing was loaded",
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"the text is not {error.encoding}",
            source=path.name,
            mend="say `encoding: …` in the mapping",
        ) from error


def _csv_chunks(file: SourceFile, progress: Progress) -> Iterator[Chunk]:
    names = header(file)
    line, rest = 1, b""
    for block in _utf8_blocks(file, progress):
        buffer, is_last = rest + block, not block
        if is_last and buffer and not buffer.endswith(b"\n"):
            buffer += b"\n"
        cut = _cut(buffer, file, line, is_last=is_last)
        if cut.ends.size:
            yield _chunk(buffer, cut, names, file)
            line, rest = cut.next_line, buffer[cut.ends[-1] :]
        else:
            rest = buffer


def _utf8_blocks(file: SourceFile, progress: Progress) -> Iterator[bytes]:
    """The file's text in UTF-8, block by block; an empty block says that it has ended."""
    decoder = codecs.getincrementaldecoder(file.encoding)()
    with _content(file.path) as (content, raw):
        told = 0
        while block := content.read(BLOCK_BYTES):
            progress(raw.tell() - told)
            told = raw.tell()
            if text := decoder.decode(block):
                yield text.encode()
        yield from filter(None, [decoder.decode(b"", final=True).encode()])
    yield b""


@dataclass(frozen=True)
class _Cut:
    """The records of a buffer: where each starts and ends, its fields, the line it starts on."""

    starts: Int64s
    ends: Int64s
    fields: Int64s
    lines: Int64s
    next_line: int
    is_open: bool


def _cut(buffer: bytes, file: SourceFile, line: int, *, is_last: bool) -> _Cut:
    data = np.frombuffer(buffer, np.uint8)
    quotes = np.flatnonzero(data == _QUOTE)
    newlines = np.flatnonzero(data == _NEWLINE)
    separators = np.flatnonzero(data == ord(file.separator))
    # Inside quotes an odd number of them has gone before; a doubled quote counts twice.
    is_end = np.searchsorted(quotes, newlines) % 2 == 0
    separators = separators[np.searchsorted(quotes, separators) % 2 == 0]
    is_open = bool(is_last and newlines.size and not is_end[-1])
    if is_open:
        is_end[-1] = True
    ends = newlines[is_end] + 1
    lines = line + np.append(0, np.flatnonzero(is_end) + 1)
    lengths = np.diff(ends, prepend=0, append=len(buffer))
    if lengths.max(initial=0) > RECORD_BYTES_MAX and len(buffer) > RECORD_BYTES_MAX:
        raise _stray_quote(file, int(lines[lengths.argmax()]))
    return _Cut(
        starts=ends - lengths[:-1],
        ends=ends,
        fields=np.diff(np.searchsorted(separators, ends), prepend=0) + 1,
        lines=lines[:-1],
        next_line=int(lines[-1]),
        is_open=is_open,
    )


def _chunk(buffer: bytes, cut: _Cut, names: list[str], file: SourceFile) -> Chunk:
    """The records of a buffer, parsed; those that are no rows set apart."""
    is_blank = _blank(buffer, cut)
    is_row = (cut.fields == len(names)) & ~is_blank
    if cut.is_open:
        is_row[-1] = False
    is_bad = ~is_row & ~is_blank
    if cut.lines[0] == 1:
        is_row[0] = is_bad[0] = False
    bad = tuple(_no_row(cut, int(number), names, file) for number in np.flatnonzero(is_bad))
    wanted = np.flatnonzero(is_row)
    if not wanted.size:
        rows = pl.DataFrame(schema=_texts(names))
        return Chunk(file.index, _placed(rows, file, cut.lines[wanted]), bad)
    if wanted.size == wanted[-1] - wanted[0] + 1:
        body = buffer[cut.starts[wanted[0]] : cut.ends[wanted[-1]]]
    else:
        body = b"".join(buffer[cut.starts[n] : cut.ends[n]] for n in wanted)
    rows = _parse(body, names, file, cut.lines[wanted])
    return Chunk(file.index, _placed(rows, file, cut.lines[wanted]), bad)


def _blank(buffer: bytes, cut: _Cut) -> npt.NDArray[np.bool_]:
    lengths = cut.ends - cut.starts
    starts_with_return = np.frombuffer(buffer, np.uint8)[cut.starts] == ord("\r")
    blank: npt.NDArray[np.bool_] = (lengths == 1) | ((lengths == len("\r\n")) & starts_with_return)
    return blank


def _no_row(cut: _Cut, number: int, names: list[str], file: SourceFile) -> tuple[int, str]:
    """What is wrong with a record that has not the header's number of fields."""
    line = int(cut.lines[number])
    after = int(cut.lines[number + 1]) if number + 1 < len(cut.lines) else cut.next_line
    if after > line + 1:
        raise _stray_quote(file, line)
    if cut.is_open and number + 1 == len(cut.lines):
        return line, "the file ends inside this row"
    return line, f"{cut.fields[number]} fields, the header has {len(names)}"


def _parse(body: bytes, names: list[str], file: SourceFile, lines: Int64s) -> pl.DataFrame:
    try:
        rows = pl.read_csv(body, has_header=False, schema=_texts(names), separator=file.separator)
    except pl.exceptions.PolarsError as error:
        raise _stray_quote(file, int(lines[0])) from error
    if rows.height != lines.size:
        raise _stray_quote(file, int(lines[0]))
    return rows


def _texts(names: list[str]) -> dict[str, type[pl.String]]:
    return dict.fromkeys(names, pl.String)


def _placed(rows: pl.DataFrame, file: SourceFile, lines: Int64s) -> pl.DataFrame:
    """The rows with the file and the line that each stands on."""
    return rows.with_columns(
        pl.lit(file.index, pl.Int32).alias(FILE), pl.Series(LINE, lines, pl.Int64)
    )


def _stray_quote(file: SourceFile, line: int) -> BadInput:
    return BadInput(
        "a quotation mark is opened here, or a little further on, and not closed in its row",
        source=file.path.name,
        line=line,
        mend="close it, or double it if it is part of the text",
    )


def _parquet_schema(file: SourceFile) -> pl.Schema:
    try:
        return pl.scan_parquet(file.path).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInput(
            "this is no whole Parquet file",
            source=file.path.name,
            mend="copy or export it again; nothing was loaded",
        ) from error


def _parquet_chunks(file: SourceFile, progress: Progress) -> Iterator[Chunk]:
    """Rows in chunks as they lie; a row's line is its number, counted from 1."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as parquet:
            total, done = max(parquet.metadata.num_rows, 1), 0
            for batch in parquet.iter_batches(ROWS_PER_CHUNK):
                rows = pl.DataFrame(pl.from_arrow(batch))
                lines = np.arange(done + 1, done + rows.height + 1)
                yield Chunk(file.index, _placed(rows, file, lines))
                done += rows.height
                progress(file.size_bytes * rows.height // total)
    except OSError as error:  # pyarrow's errors for a file that is cut off
        raise BadInput(
            "the Parquet file cannot be read to its end",
            source=file.path.name,
            mend="copy or export it again; nothing was loaded",
        ) from error
