"""What a person is told of bad files, and that what is good in them is not lost."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.book_files import FILES, as_parquet, edit, load, refusal, rejects, write_files

from duewise.errors import IntegrityBroken
from duewise.store import book_source
from duewise.store.book import check_book
from duewise.store.book_control import Control
from duewise.store.book_tally import Account


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "files")


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("loans.csv", "2026-01-02", "2026-02-30", ("loans.csv", 3, "opened_date", "not a date")),
        ("instalments.csv", "L1,1,2026-02-01,1000", "L1,1,2026-02-01,-1000",
         ("instalments.csv", 3, "principal", "negative amount")),
        ("payments.csv", ",1021,", ",a lot,",
         ("payments.csv", 2, "amount", "not an amount, or one too large")),
        ("payments.csv", "P2,L2", "P1,L2", ("payments.csv", 3, "payment_id", "duplicate payment_id")),
        ("loans.csv", "L3,Chen", "L1,Chen", ("loans.csv", 4, "loan_id", "duplicate loan_id")),
        ("instalments.csv", "L1,1,", "L1,2,", ("instalments.csv", 3, "number", "duplicate number")),
        ("borrowers.csv", "Wang,zh", "Li,zh",
         ("borrowers.csv", 3, "borrower_id", "duplicate borrower_id")),
        ("payments.csv", "P1,L1", "P1,L9",
         ("payments.csv", 2, "loan_id", "no such loan, or it was rejected")),
        ("loans.csv", "L2,Wang", "L2,Nobody", ("loans.csv", 3, "borrower_id", "no such borrower")),
        ("loans.csv", "L2,Wang,cash,CNY", "L2,Wang,cash,USD",
         ("loans.csv", 3, "currency", "currency is not CNY")),
        ("payments.csv", ",payment,", ",gift,",
         ("payments.csv", 3, "kind", "none of payment, reversal, chargeback, waiver, charge_off")),
        ("payments.csv", "P2,bank", "P7,bank", ("payments.csv", 4, "reverses", "no such payment")),
        ("instalments.csv", "L3,1,2026-02-03,500.50,5,\n", "",
         ("loans.csv", 4, "loan_id", "the loan has no instalment")),
        ("instalments.csv", "L2,1,2026-02-02,1000,30,", "L2,1,2026-02-02,1000",
         ("instalments.csv", 4, "", "4 fields, the header has 6")),
        ("borrowers.csv", "Chen,zh-CN,Asia/Shanghai", "Chen,zh-CN,Asia/Peking",
         ("borrowers.csv", 4, "timezone", "unknown time zone")),
    ],
)  # fmt: skip
def test_it_rejects_a_bad_row_with_its_place_and_goes_on(
    source: Path, name: str, old: str, new: str, expected: tuple[str, int, str, str]
) -> None:
    edit(source, name, old, new)
    report = load(source)
    assert expected in rejects(report)
    for totals in report.manifest.tables.values():
        left_out = sum(totals.rows_left_out.values())
        taken = totals.rows_taken + totals.rows_rejected + left_out + totals.rows_merged
        assert totals.rows_read in (taken, 0)
    assert check_book(report.book).ok


def test_it_finds_duplicates_far_apart(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_source, "BLOCK_BYTES", 32)
    edit(source, "payments.csv", "P2,L2", "P1,L2")
    assert ("payments.csv", 3, "payment_id", "duplicate payment_id") in rejects(load(source))


def test_it_tells_no_personal_value_of_a_shifted_row(source: Path) -> None:
    edit(source, "loans.csv", "L1,Li,cash,CNY,2000.00", "L1,Li,cash,CNY,13800138001")
    edit(source, "loans.csv", "L2,Wang,cash,CNY,1000,2026-01-02", "L2,Wang,cash,CNY,1000,李雷")
    report = load(source)
    assert report.rejects.height
    said = (report.book / "rejects.csv").read_text(encoding="utf-8") + "".join(report.lines)
    assert "李雷" not in said


def test_it_names_the_real_line_after_rows_of_several_lines(source: Path) -> None:
    edit(source, "borrowers.csv", "李雷", '"李\n\n雷"')
    edit(source, "borrowers.csv", "Chen,zh-CN,Asia/Shanghai", "\nChen,zh-CN,Asia/Peking")
    assert rejects(load(source))[0] == ("borrowers.csv", 7, "timezone", "unknown time zone")


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig", "utf-16"])
def test_it_reads_the_encodings_that_chinese_files_come_in(source: Path, encoding: str) -> None:
    (source / "borrowers.csv").write_text(FILES["borrowers.csv"], encoding=encoding)
    people: list[pl.DataFrame] = []
    load(source, people_sink=people.append)
    assert pl.concat(people)["name"].to_list() == ["李雷", "王芳", "陈晨"]


def test_it_refuses_text_in_no_encoding_it_knows(source: Path) -> None:
    (source / "borrowers.csv").write_bytes(FILES["borrowers.csv"].encode() + b"\xff\xff\x81")
    assert refusal(source) == (
        "borrowers.csv: the text is not gb18030. Mend: say `encoding: …` in the mapping"
    )


def test_it_rejects_the_last_line_of_a_file_cut_off_in_the_middle(source: Path) -> None:
    (source / "payments.csv").write_text(FILES["payments.csv"][:-30], encoding="utf-8")
    found = rejects(load(source))
    assert found == [("payments.csv", 4, "", "3 fields, the header has 7")]


def test_it_rejects_a_last_line_cut_off_inside_quotes(source: Path) -> None:
    text = FILES["borrowers.csv"].replace("陈晨", '"陈晨')
    (source / "borrowers.csv").write_text(text.rstrip("\n"), encoding="utf-8")
    assert ("borrowers.csv", 4, "", "the file ends inside this row") in rejects(load(source))


def test_it_refuses_a_quotation_mark_that_swallows_rows(source: Path) -> None:
    edit(source, "borrowers.csv", "李雷", '"李雷')
    assert refusal(source).startswith(
        "borrowers.csv:2: a quotation mark is opened here, or a little further on, and not closed"
    )


def test_it_refuses_an_archive_cut_off_in_the_middle(source: Path) -> None:
    zipped = gzip.compress(FILES["payments.csv"].encode() * 50)
    (source / "payments.csv").unlink()
    (source / "payments.csv.gz").write_bytes(zipped[:-20])
    assert "payments.csv.gz: the file cannot be read to its end" in refusal(source)


def test_it_refuses_a_parquet_file_without_its_end(source: Path) -> None:
    as_parquet(source)
    path = source / "payments.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    assert "payments.parquet: this is no whole Parquet file" in refusal(source)


def test_it_refuses_a_mapping_that_names_a_column_the_file_lacks(source: Path) -> None:
    edit(source, "payments.csv", "paid_at", "paid_on")
    assert refusal(source) == (
        "duewise.yaml:49: payments.csv has no column 'paid_at'. Mend: columns found: payment_id,"
        " loan_id, paid_on, amount, kind, reverses, source"
    )


def test_it_refuses_a_folder_that_lacks_a_file(source: Path) -> None:
    (source / "payments.csv").unlink()
    assert refusal(source).endswith(
        "no file 'payments.csv' in this folder. Mend: files found:"
        " borrowers.csv, instalments.csv, loans.csv"
    )


def test_it_refuses_an_empty_file_and_one_with_a_column_twice(source: Path) -> None:
    (source / "payments.csv").write_text("", encoding="utf-8")
    assert refusal(source) == "payments.csv: the file is empty"
    (source / "payments.csv").write_text("a,b,a\n", encoding="utf-8")
    assert refusal(source) == "payments.csv:1: two columns are called 'a'"


def test_it_takes_files_with_nothing_but_a_header(source: Path) -> None:
    for name, text in FILES.items():
        (source / name).write_text(text.splitlines()[0] + "\n", encoding="utf-8")
    report = load(source)
    assert report.manifest.tables["loans"].rows_read == 0
    assert check_book(report.book).ok


def test_it_stops_when_the_mapping_fits_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duewise.store.book_tally.REJECTS_MAX", 2)
    for day in ("2026-02-01", "2026-02-02", "2026-02-03"):
        edit(source, "instalments.csv", day, "soon")
    assert "more than 2 rows are bad, this one: not a date" in refusal(source)


def test_it_leaves_another_folder_alone(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "letters"
    other.mkdir()
    (other / "dear.txt").write_text("Dear Li", encoding="utf-8")
    assert "this is no book, and not empty" in refusal(source, into=other)
    assert (other / "dear.txt").exists()


def test_it_refuses_totals_that_do_not_tie() -> None:
    account = Account({"loans": []})
    with pytest.raises(IntegrityBroken, match="loans: rows read: 0 counted once, 1 the other way"):
        account.totals("loans", Control(), Control(rows=1))
