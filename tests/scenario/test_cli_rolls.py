"""What an analyst asks of a book over time: roll rates, vintages, and one loan's history."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from tests.scenario.book_files import load, write_files
from tests.scenario.road import CommandLine

from duewise.book.mapping import load_mapping

PRODUCTS = """\
schema: products/1
version: 1
buckets:
  - {valid_from: 2020-01-01, M0: 0, M1: 30, M2: 60, M3: }
  - {valid_from: 2026-03-15, M0: 0, early: 10, late: }
products:
  default: {}
"""
RANGE = ("--from", "2026-02-01", "--to", "2026-06-01")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return load(write_files(tmp_path / "files"), mapping=load_mapping("duewise"), partitions=3).book


@pytest.fixture
def duewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys, "--workspace", tmp_path)


@pytest.fixture
def products(tmp_path: Path) -> Path:
    path = tmp_path / "products.yaml"
    path.write_text(PRODUCTS, encoding="utf-8")
    return path


def test_it_writes_roll_rates_that_sum_to_one_and_shows_them(
    duewise: CommandLine, book: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = duewise("ledger", "rolls", book, *RANGE, "--out", out)
    assert said.code == 0, said.err
    assert sorted(path.name for path in out.iterdir()) == [
        "rolls.html",
        "rolls.parquet",
        "transitions.parquet",
        "vintages.parquet",
    ]
    rates = pl.read_parquet(out / "rolls.parquet")
    for share in ("share_by_count", "share_by_balance"):
        sums = rates.group_by("from_date", "from_bucket").agg(pl.col(share).sum())[share]
        assert ((sums - 1).abs() < 1e-12).all()
    moved = pl.read_parquet(out / "transitions.parquet")
    assert moved["loans"].sum() == rates["loans"].sum()
    assert rates.schema["balance"] == pl.Decimal(18, 2)
    assert "Roll rates, % of loans, 2026-02-01 to 2026-06-01, 5 dates" in said.out
    assert "Ever 30 days late, % of loans, by months on book" in said.out


def test_it_says_the_same_to_machines(duewise: CommandLine, book: Path, tmp_path: Path) -> None:
    told = duewise(
        "--json", "ledger", "rolls", book, *RANGE, "--by", "balance", "--out", tmp_path / "out"
    ).json
    assert told["by"] == "balance"
    assert told["dates"] == [f"2026-0{month}-01" for month in range(2, 7)]
    rates = pl.DataFrame(told["roll_rates"])
    written = pl.read_parquet(tmp_path / "out" / "rolls.parquet")
    assert rates["loans"].sum() == written["loans"].sum()
    assert sum(row["loans"] for row in told["changes"]) == written["loans"].sum()
    assert len(told["vintages"]) == pl.read_parquet(tmp_path / "out/vintages.parquet").height


def test_it_comes_to_the_same_however_the_book_is_cut(
    duewise: CommandLine, book: Path, tmp_path: Path
) -> None:
    whole = load(tmp_path / "files", into=tmp_path / "whole", partitions=1).book
    for name, of in (("cut", book), ("one", whole)):
        assert duewise("ledger", "rolls", of, *RANGE, "--out", tmp_path / name).code == 0
    for name in ("rolls.parquet", "transitions.parquet", "vintages.parquet", "rolls.html"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_it_makes_a_page_that_asks_nothing_of_any_network(
    duewise: CommandLine, book: Path, tmp_path: Path
) -> None:
    duewise(
        "ledger", "rolls", book, "--from", "2025-12-31", "--to", "2026-06-01", "--out", tmp_path
    )
    page = (tmp_path / "rolls.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert page.count("<canvas data-chart=") == 3
    figures = re.search(r'type="application/json">(.+?)</script>', page, re.DOTALL)
    assert figures
    assert '"label": "2026-01"' in figures[1]
    assert re.search(r"<th scope=\"row\">2026-01</th><td class=\"n\">3</td>", page)


def test_it_says_in_which_bucket_a_loan_was_under_which_rules(
    duewise: CommandLine, book: Path, products: Path
) -> None:
    def buckets(*more: str) -> list[tuple[object, ...]]:
        of = ("ledger", "history", "L3", "--book", book, "--products", products)
        told = duewise("--json", *of, *RANGE, "--every", "month", *more).json
        return [(row["date"], row["days_past_due"], row["bucket"]) for row in told]

    of_their_time = buckets()
    assert of_their_time == [
        ("2026-02-01", 0, "M0"),
        ("2026-03-01", 26, "M1"),
        ("2026-04-01", 57, "late"),
        ("2026-05-01", 87, "late"),
        ("2026-06-01", 118, "late"),
    ]
    assert [row[2] for row in buckets("--rules-of", "2026-03-14")] == ["M0", "M1", "M2", "M3", "M3"]
    assert [row[2] for row in buckets("--rules-of", "2026-03-15")][1] == "late"


def test_it_shows_a_history_day_by_day_to_people(duewise: CommandLine, book: Path) -> None:
    asked = ("--book", book, "--from", "2026-01-01", "--to", "2026-02-05")
    said = duewise("ledger", "history", "L3", *asked)
    assert said.code == 0, said.err
    assert re.search(r"2026-02-05 +│ +2 +│ +M1 +│ +special_mention +│ +505.50", said.out)
    told = duewise("--json", "ledger", "history", "L3", *asked).json
    assert told[0]["date"] == str(date(2026, 1, 3)), "a loan begins on the day it is opened"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "2026-06-01", "--to", "2026-02-01"), "--to: 2026-02-01 lies before 2026-06-01"),
        (("--from", "2026-02-02", "--to", "2026-03-01"), "--to: .* holds 1 first days of a month"),
        (
            ("--from", "2020-01-01", "--to", "2026-01-01", "--every", "day"),
            "--every: .* is the most",
        ),
        (("--from", "soon", "--to", "2026-03-01"), "--from: 'soon' is no date"),
        ((*RANGE, "--rules-of", "then"), "--rules-of: 'then' is no date"),
    ],
)
def test_it_refuses_a_range_it_cannot_look_at(
    duewise: CommandLine, book: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    for command in (
        ("rolls", book, "--out", tmp_path / "out"),
        ("history", "L1", "--book", book, "--every", "month"),
    ):
        refused = duewise("ledger", *command, *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert re.match(rf"duewise: {said}.*Mend: ", refused.err)
    assert not (tmp_path / "out").exists()


def test_it_refuses_a_loan_that_is_not_there(duewise: CommandLine, book: Path) -> None:
    refused = duewise("ledger", "history", "L9", "--book", book, *RANGE)
    assert (refused.code, refused.out) == (2, "")
    assert "there is no loan 'L9'. Mend: " in refused.err
