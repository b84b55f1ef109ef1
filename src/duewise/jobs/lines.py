"""Small files told to us, a row a line: read whole, or refused at the first line that is wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from duewise.errors import BadInput
from duewise.times import parse_instant

LINES_MAX = 100_000  # of one file: it is taken in one transaction
Row = TypeVar("Row")


class Wrong(Exception):
    """What is wrong in the line just read, and what to do about it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


@dataclass(frozen=True)
class Form(Generic[Row]):
    """The columns of a file, those that must be filled in, and what a line becomes.

    `row` is given every column of the file by name, without space around; it raises Wrong.
    """

    columns: Sequence[str]
    required: Sequence[str]
    row: Callable[[Mapping[str, str]], Row]


def read_lines(path: Path, form: Form[Row]) -> list[tuple[int, Row]]:
    """Line number and row of each line of a CSV file, the first line the names of its columns.

    Raises BadInput with the line of the first one that is wrong.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, form, source=str(path))
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8", source=str(path), mend="save it as UTF-8") from error
    except OSError as error:
        mend = "name a readable file"
        raise BadInput(str(error.strerror), source=str(path), mend=mend) from error


def past_instant(text: str, now: datetime) -> datetime:
    """The instant a text names. Raises Wrong where it is none, or has not come yet."""
    try:
        at = parse_instant(text)
    except ValueError as error:
        raise Wrong(f"{text!r} is no instant", "write it as 2026-08-14T09:20+08:00") from error
    if at > now:
        raise Wrong(f"{text} has not come yet", "only what has happened belongs here")
    return at


def _read(file: Iterable[str], form: Form[Row], *, source: str) -> list[tuple[int, Row]]:
    reader = csv.DictReader(file, strict=True)
    found: list[tuple[int, Row]] = []
    try:
        _check_head(reader.fieldnames or (), form)
        for row in reader:
            found.append((reader.line_num, form.row(_given(row, form))))
            _check_size(found)
    except (Wrong, csv.Error) as error:
        mend = error.mend if isinstance(error, Wrong) else "save it as CSV again"
        raise BadInput(str(error), source=source, line=reader.line_num, mend=mend) from None
    return found


def _check_head(names: Sequence[str], form: Form[Row]) -> None:
    missing = [name for name in form.required if name not in names]
    unknown = [name for name in names if name not in form.columns]
    if missing or unknown:
        said = f"no column {missing[0]!r}" if missing else f"unknown column {unknown[0]!r}"
        raise Wrong(said, f"the columns are {', '.join(form.columns)}")


def _check_size(found: Sequence[object]) -> None:
    if len(found) > LINES_MAX:
        raise Wrong("too many lines for one file", f"split it: {LINES_MAX:,} at most")


def _given(row: Mapping[str, str], form: Form[Row]) -> Mapping[str, str]:
    if None in row or None in row.values():
        raise Wrong("this line has not as many fields as the first", "quote what holds a comma")
    given = {name: value.strip() for name, value in row.items()}
    for name in form.required:
        if not given[name]:
            raise Wrong(f"no {name}", "fill it in")
    return given
