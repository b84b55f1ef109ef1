"""The command line as its users type it, and a lender's file to walk the road with.

The file has the columns of SuperLender's `trainprevloans.csv`; its rows are invented. `DAY` is the
day of the road: what a group owes on it, and when it paid, is in `GROUPS`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from duewise.cli import main
from duewise.store.connection import connect

DUEWISE = (sys.executable, "-c", "from duewise.cli import main; main()")
ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2017, 6, 15)
# Name, loans, days past due on the day (negative: days ahead), when it was repaid.
GROUPS = (
    ("ahead", 20, -20, "2017-07-05 09:00:00"),
    ("soon", 30, -2, "2017-06-17 09:00:00"),
    ("today", 30, 0, "2017-06-15 21:30:00"),
    ("noon", 20, 0, "2017-06-15 12:00:00"),
    ("dawn", 30, 0, "2017-06-15 08:00:00"),
    ("late1", 30, 1, "2017-06-30 09:00:00"),
    ("late7", 30, 7, "2017-06-30 09:00:00"),
    ("late15", 10, 15, "2017-06-30 09:00:00"),
)
_HEAD = (
    "customerid,systemloanid,loannumber,approveddate,creationdate,loanamount,totaldue,termdays,"
    "closeddate,referredby,firstduedate,firstrepaiddate"
)


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of its output."""
        return json.loads(self.out.splitlines()[-1])


class CommandLine:
    """`duewise`, in this process: as quick as a call, with the exit code and all that was said."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *given: str | Path) -> None:
        self._capsys, self._given = capsys, given

    def __call__(self, *arguments: str | Path) -> Said:
        self._capsys.readouterr()
        code = 0
        try:
            main([str(each) for each in (*self._given, *arguments)])
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)


def superlender(folder: Path) -> Path:
    """The file of the lender; 200 loans of as many borrowers."""
    rows = [
        _row(f"{name}-{number:03d}", dpd, repaid)
        for name, loans, dpd, repaid in GROUPS
        for number in range(loans)
    ]
    folder.mkdir()
    path = folder / "trainprevloans.csv"
    lines = [_HEAD, *(row.format(number) for number, row in enumerate(rows, start=301_000_001))]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _row(borrower: str, dpd: int, repaid: str) -> str:
    due = DAY - timedelta(days=dpd)
    opened = due - timedelta(days=30)
    stamps = (f"{opened} 18:22:40.000000", f"{due} 00:00:00.000000", f"{repaid}.000000")
    return (
        f"{borrower},{{}},2,{stamps[0]},{stamps[0]},10000.0000,10150.0000,30,{stamps[2]},,"
        f"{stamps[1]},{stamps[2]}"
    )


def at(hour: int, minute: int = 0, *, rate: int | None = None) -> str:
    """A clock of the day; one with a rate is the same in every process that is given its text."""
    instant = f"{DAY}T{hour:02d}:{minute:02d}+08:00"
    return f"{instant}*{rate}@{time.time()}" if rate else instant  # noqa: TID251


def local(instant: str) -> datetime:
    """An ISO instant at the borrowers' wall clock."""
    return datetime.fromisoformat(instant).astimezone(ZONE)


def group_of(borrower: str) -> str:
    return borrower.partition("-")[0]


def groups(frame: pl.DataFrame) -> dict[str, int]:
    """How many rows of each group, by their borrower_id."""
    names = frame["borrower_id"].str.split("-").list.first()
    return dict(names.value_counts().sort(names.name).iter_rows())


@dataclass(frozen=True)
class Road:
    """A workspace over a database of the test's own, and what its commands need to find it."""

    workspace: Path
    dsn: str

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"DUEWISE_DATABASE_URL": self.dsn} | more

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """A command as a process of its own."""
        return subprocess.Popen(
            [*DUEWISE, "--workspace", str(self.workspace), "--json", *arguments],
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.dsn) as conn:
            return conn.execute(query.encode()).fetchall()

    def submits(self) -> list[dict[str, Any]]:
        """What the gateway wrote down, a line a submit."""
        text = (self.workspace / "gateway.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@contextmanager
def gateway(road: Road, *options: str, clock: str) -> Iterator[str]:
    """The gateway simulator beside the sender, for the block; its port. It ends in order."""
    process = road.start("--clock", clock, "gateway", "--port", "0", *options)
    assert process.stdout is not None
    try:
        yield str(json.loads(process.stdout.readline())["port"])
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")
