"""`duewise ledger explain`: what an agent reads to a borrower, and a court can work out again."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.scenario.book_files import FILES, load
from tests.scenario.desk import admit, open_desk
from tests.scenario.road import CommandLine

from duewise.jobs.ingest import Payment, record_payments
from duewise.times import parse_instant

PAYMENTS = """\
payment_id,loan_id,paid_at,amount,kind,reverses,source
P1,L1,2026-02-11 10:00:00,521,,,
P2,L2,2026-02-05T09:00:00Z,1030.00,payment,,app
P3,L2,2026-02-06,1030.00,reversal,P2,bank
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    source = tmp_path / "files"
    source.mkdir()
    for name, text in {**FILES, "payments.csv": PAYMENTS}.items():
        (source / name).write_text(text, encoding="utf-8")
    load(source)
    return tmp_path / "book"


@pytest.fixture
def explain(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(
        capsys, "--workspace", tmp_path, "ledger", "explain", "--book", book, "--as-of"
    )


def test_it_tells_where_a_payment_went_and_how_the_penalty_came_about(explain: CommandLine) -> None:
    said = explain("2026-02-21", "L1")
    assert said.code == 0, said
    # 1,000.00 x 10 days x 32.4 % / 360 = 9.00 until the payment, which leaves 509.00 of principal.
    assert (
        "penalty on #1 from 2026-02-02 to 2026-02-11: CNY 1,000.00 x 10 days x 32.4% / 360"
        " = CNY 9.000000; charged CNY 9.00"
    ) in said.out
    assert "payment P1 of CNY 521.00" in said.out
    for piece in ("9.00 of #1 penalty", "1.00 of #1 fee", "20.00 of #1 interest"):
        assert f"CNY {piece}" in said.out
    assert "CNY 491.00 of #1 principal" in said.out
    assert "20 days past due (M1), counted from #1, due 2026-02-01" in said.out
    assert "past due CNY 513.58 = #1 CNY 513.58" in said.out
    assert "one more day costs CNY 0.46" in said.out


def test_it_tells_the_same_in_chinese(explain: CommandLine) -> None:
    said = explain("2026-02-21", "L1", "--language", "zh")
    assert "还款 P1，金额 CNY 521.00" in said.out
    assert "CNY 9.00 冲抵第1期罚息" in said.out
    assert "past due" not in said.out


def test_it_shows_a_reversed_payment_as_never_made(explain: CommandLine) -> None:
    said = explain("2026-02-10", "L2")
    assert "payment P2 of CNY 1,030.00, reversed by P3: it counts as never made" in said.out
    assert "8 days past due" in said.out


def test_it_counts_only_what_was_known_by_the_end_of_the_day(
    tmp_path: Path,
    dsn: str,
    book: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = open_desk(tmp_path / "workspace", dsn)
    admit(desk, "Li")
    desk.run("INSERT INTO account VALUES ('L1', 'Li', 'CNY')")
    paid_at, known_at = parse_instant("2026-02-12T09:00+08:00"), parse_instant("2026-02-20T09:00Z")
    with desk.app.connect(dsn) as conn:
        news = Payment("P9", "L1", paid_at, Decimal("100.00"))
        record_payments(conn, [news], now=known_at)
    monkeypatch.setenv("DUEWISE_DATABASE_URL", dsn)
    command = CommandLine(
        capsys,
        "--workspace",
        desk.app.workspace,
        "--json",
        "ledger",
        "explain",
        "L1",
        "--book",
        book,
        "--as-of",
    )
    assert "P9" not in str(command("2026-02-19").json["history"])
    assert "P9" in str(command("2026-02-20").json["history"])


def test_it_refuses_what_the_book_does_not_hold(explain: CommandLine) -> None:
    said = explain("2026-02-21", "L9")
    assert said.code == 2
    assert "there is no loan 'L9' in this book" in said.err
    early = explain("2025-12-31", "L1")
    assert early.code == 2
    assert "was opened on 2026-01-01" in early.err
