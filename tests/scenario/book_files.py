"""A small lender's files, and what the tests of the import do with them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from duewise.book.mapping import Mapping, load_mapping
from duewise.errors import BadInput
from duewise.store.book import ImportReport, import_book

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
FILES = {
    "borrowers.csv": """\
borrower_id,locale,timezone,name,salutation,phone
Li,zh-CN,Asia/Shanghai,李雷,李先生,13800138001
Wang,zh-CN,Asia/Shanghai,王芳,王女士,13800138002
Chen,zh-CN,Asia/Shanghai,陈晨,陈女士,13800138003
""",
    "loans.csv": """\
loan_id,borrower_id,product,currency,principal,opened_date,annual_rate,method,autopay,grace_days,tolerance,penalty_multiplier
L1,Li,cash,CNY,2000.00,2026-01-01,0.216,equal_instalment,no,0,,1.5
L2,Wang,cash,CNY,1000,2026-01-02,0.216,bullet,yes,3,0.5,1.5
L3,Chen,cash,CNY,500.5,2026-01-03,0.1,,,,,
""",
    "instalments.csv": """\
loan_id,number,due_date,principal,interest,fee
L1,2,2026-03-01,1000,10.005,
L1,1,2026-02-01,1000,20,1
L2,1,2026-02-02,1000,30,
L3,1,2026-02-03,500.50,5,
""",
    "payments.csv": """\
payment_id,loan_id,paid_at,amount,kind,reverses,source
P1,L1,2026-02-01 10:00:00,1021,,,
P2,L2,2026-02-05T09:00:00Z,1030.00,payment,,app
P3,L2,2026-02-06,1030.00,reversal,P2,bank
""",
}


def write_files(folder: Path) -> Path:
    """The good files, in a folder of their own."""
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def load(
    source: Path, *, mapping: Mapping | None = None, into: Path | None = None, **more: object
) -> ImportReport:
    return import_book(
        source,
        mapping or load_mapping("duewise"),
        into or source.parent / "book",
        imported_at=NOON,
        **more,  # type: ignore[arg-type]
    )


def edit(source: Path, name: str, old: str, new: str) -> None:
    path = source / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def rejects(report: ImportReport) -> list[tuple[str, int, str, str]]:
    rows = report.rejects.select("file", "line", "column", "reason").rows()
    listed = pl.read_csv(report.book / "rejects.csv").select("file", "line", "column", "reason")
    assert listed.height == len(rows)
    return rows


def fingerprint(book: Path) -> dict[str, str]:
    return {
        str(path.relative_to(book)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(book.rglob("*"))
        if path.is_file()
    }


def refusal(source: Path, **more: object) -> str:
    """The message of an import that is refused, which leaves nothing behind."""
    before = sorted(source.parent.iterdir())
    with pytest.raises(BadInput) as caught:
        load(source, **more)  # type: ignore[arg-type]
    assert sorted(source.parent.iterdir()) == before
    return str(caught.value)


def as_parquet(source: Path) -> None:
    """The same tables as Parquet, instead of CSV."""
    for name in FILES:
        table = pl.read_csv(source / name, try_parse_dates=True)
        table.write_parquet(source / name.replace(".csv", ".parquet"))
        (source / name).unlink()
