"""The mappings that come with Duewise, on invented rows in the layout of their files."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.book_files import load, rejects, write_files

from duewise.book.mapping import load_mapping, parse_mapping
from duewise.store.book import check_book, open_book

SUPERLENDER = """\
customerid,systemloanid,loannumber,approveddate,creationdate,loanamount,totaldue,termdays,closeddate,referredby,firstduedate,firstrepaiddate
Li,1,1,2016-08-15 18:22:40.000000,,10000.0000,13000.0000,30,,,2016-09-14 00:00:00.000000,2016-09-16 23:30:00.000000
Li,2,2,2016-10-15 18:22:40.000000,,10000.0000,11500.0000,15,,,2016-10-30 00:00:00.000000,2016-10-29 08:00:00.000000"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "files")


def test_it_makes_loan_instalment_and_payment_of_one_row_of_superlender(tmp_path: Path) -> None:
    path = tmp_path / "trainprevloans.csv"
    path.write_text(SUPERLENDER, encoding="utf-8")
    people: list[pl.DataFrame] = []
    report = load(path, mapping=load_mapping("superlender"), people_sink=people.append)
    tables = open_book(report.book).read_borrowers(["Li"])
    assert pl.concat(people).height == 1
    assert tables.loans["annual_rate"].round(4).to_list() == [3.65, 3.65]
    assert tables.instalments["interest_minor"].to_list() == [300000, 150000]
    paid = tables.payments["paid_at"].to_list()
    assert paid[0] == datetime(2016, 9, 16, 15, 30, tzinfo=UTC)


def test_it_leaves_out_refunded_loans_of_kiva_with_all_their_rows(tmp_path: Path) -> None:
    folder = tmp_path / "kiva"
    folder.mkdir()
    (folder / "loans.csv").write_text(
        "loan_id,status,sector,posted_date,funded_date,disbursal_date,loan_amount\n"
        "1,paid,Food,,,2006-05-03T07:00:00Z,100\n"
        "2,refunded,Food,,,2006-05-03T07:00:00Z,100\n"
        "3,paid,Food,,2006-05-03T07:00:00Z,,100\n"
    )
    (folder / "instalments.csv").write_text(
        "loan_id,schedule,instalment_no,due_date,amount\n"
        "1,borrower,1,2006-06-03,50.0\n1,borrower,2,2006-07-03,50.0\n1,lender,1,2006-08-03,50.0\n"
        "2,borrower,1,2006-06-03,100\n"
    )
    (folder / "payments.csv").write_text(
        "payment_id,loan_id,processed_date,amount_usd\n"
        "8,1,2006-06-10T13:19:00Z,30\n9,2,2006-06-10T13:19:00Z,30\n10,3,2006-06-10T13:19:00Z,30\n"
    )
    report = load(folder, mapping=load_mapping("kiva"))
    totals = report.manifest.tables
    assert totals["loans"].rows_left_out == {"refunded to its lenders": 1}
    assert totals["instalments"].rows_left_out == {
        "refunded to its lenders": 1,
        "the lenders' schedule": 1,
    }
    assert totals["payments"].rows_left_out == {"refunded to its lenders": 1}
    assert rejects(report) == [
        ("loans.csv", 4, "loan_id", "the loan has no instalment"),
        ("payments.csv", 4, "loan_id", "no such loan, or it was rejected"),
    ]
    assert "loans: 1 left out: refunded to its lenders" in report.lines


def test_it_merges_the_payments_of_one_home_credit_instalment(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "SK_ID_PREV,SK_ID_CURR,NUM_INSTALMENT_VERSION,NUM_INSTALMENT_NUMBER,DAYS_INSTALMENT,"
        "DAYS_ENTRY_PAYMENT,AMT_INSTALMENT,AMT_PAYMENT\n"
        "7,100,1.0,2,-10.0,-8.0,100.005,60.0\n7,100,1.0,2,-10.0,-3.0,100.005,40.005\n"
        "7,100,1.0,1,-40.0,,100.005,\n"
    )
    report = load(path, mapping=load_mapping("home-credit"))
    totals = report.manifest.tables
    assert (totals["instalments"].rows_taken, totals["instalments"].rows_merged) == (2, 1)
    assert totals["payments"].rows_left_out == {"not paid": 1}
    tables = open_book(report.book).read_borrowers(["100"])
    assert tables.instalments.select("number", "due_date", "principal_minor").rows() == [
        (1001, datetime(2017, 11, 22, tzinfo=UTC).date(), 10001),
        (1002, datetime(2017, 12, 22, tzinfo=UTC).date(), 10001),
    ]
    assert tables.loans["opened_date"].to_list() == [datetime(2017, 10, 23, tzinfo=UTC).date()]


def test_it_keeps_features_as_they_are(source: Path) -> None:
    (source / "features.csv").write_text("who,day,use,tier\nLi,2026-02-01,0.25,gold\nZhao,x,1,a\n")
    text = (files("duewise.book") / "mappings/duewise.yaml").read_text(encoding="utf-8")
    more = """\
  features:
    from: features.csv
    read: {use: number}
    columns: {borrower_id: who, as_of: day, utilisation: use, tier: tier}
"""
    report = load(source, mapping=parse_mapping(text + more, source="map.yaml"))
    assert rejects(report) == [("features.csv", 3, "day", "not a date")]
    features = open_book(report.book).read_borrowers(["Li"]).features
    assert features.select("utilisation", "tier").rows() == [(0.25, "gold")]
    assert check_book(report.book).ok
