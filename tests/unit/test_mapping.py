"""A mapping file says what it means, and where it does not, on which line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from duewise.book.intake import raw_columns, read_rows, shaped
from duewise.book.mapping import (
    Mapping,
    Reading,
    check_source_columns,
    load_mapping,
    parse_mapping,
    ready_mappings,
)
from duewise.book.parse import parsed
from duewise.errors import BadInput

SMALL = """\
schema: mapping/1
name: small
currency: CNY
locale: zh-CN
timezone: Asia/Shanghai
missing: [NA]
tables:
  loans:
    from: loans.csv
    read:
      amount: {type: decimal, thousands: ","}
    columns:
      loan_id: id
      borrower_id: who
      product: "'cash'"
      principal: amount
      opened_date: day
      annual_rate: 0.2
  instalments:
    from: plan.csv
    columns: {loan_id: id, number: 1, due_date: day, principal: amount, interest: 0}
"""


def small(old: str = "", new: str = "") -> Mapping:
    return parse_mapping(SMALL.replace(old, new, 1), source="map.yaml")


def loans(mapping: Mapping, **columns: list[object]) -> pl.DataFrame:
    """What the mapping makes of rows of loans.csv."""
    given: dict[str, list[object]] = {"id": ["1"], "who": ["Li"], "day": ["2026-01-05"]}
    given = {**given, "amount": ["1,000.50"], **columns}
    rows = pl.DataFrame(given).with_row_index("_line", offset=2)
    rows = rows.with_columns(pl.lit(0, pl.Int32).alias("_file"))
    table = mapping.tables["loans"]
    typed = read_rows(rows, table, mapping=mapping)
    if typed["_reason"].is_not_null().any():
        return typed
    return shaped(raw_columns(typed, table, mapping=mapping), table, mapping=mapping)


def fault(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse_mapping(text, source="map.yaml")
    return str(caught.value)


def test_it_turns_a_row_into_the_book_s_own_columns() -> None:
    row = loans(small()).row(0, named=True)
    assert row["principal_minor"] == 100050
    assert row["opened_date"] == date(2026, 1, 5)
    assert (row["currency"], row["product"], row["annual_rate"]) == ("CNY", "cash", 0.2)
    assert (row["method"], row["autopay"], row["grace_days"]) == ("equal_instalment", False, None)
    assert row["_reason"] is None


@pytest.mark.parametrize(
    ("columns", "column", "reason"),
    [
        ({"amount": ["12 pounds"]}, "amount", "not a decimal number"),
        ({"amount": ["-5"]}, "amount", "negative amount"),
        ({"amount": ["0"]}, "amount", "amount is not above zero"),
        ({"amount": ["1" * 17]}, "amount", "not an amount, or one too large"),
        ({"amount": ["NA"]}, "amount", "missing value"),
        ({"day": ["2026-02-30"]}, "day", "not a date"),
        ({"day": [" "]}, "day", "missing value"),
        ({"id": [None]}, "id", "missing value"),
        ({"who": ["x" * 201]}, "who", "id is too long"),
    ],
)
def test_it_says_what_is_wrong_in_the_words_of_the_file(
    columns: dict[str, list[object]], column: str, reason: str
) -> None:
    row = loans(small(), **columns).row(0, named=True)
    assert (row["_column"], row["_reason"]) == (column, reason)


def test_it_rejects_a_currency_that_is_not_the_book_s() -> None:
    mapping = small("principal: amount", "principal: amount\n      currency: unit")
    rows = loans(mapping, id=["1", "2"], who=["Li", "Wang"], day=["2026-01-05"] * 2,
                 amount=["5", "5"], unit=["CNY", "USD"])  # fmt: skip
    assert rows["_reason"].to_list() == [None, "currency is not CNY"]


def test_it_rounds_half_a_fen_up() -> None:
    amounts = loans(
        small(), id=["1", "2"], who=["a", "b"], day=["2026-01-05"] * 2, amount=["0.005", "0.0049"]
    )
    assert amounts["principal_minor"].to_list() == [1, 0]


@pytest.mark.parametrize(
    ("reading", "text", "value"),
    [
        (Reading("integer"), "-725.0", -725),
        (Reading("integer"), "3.5", None),
        (Reading("number"), "1e3", 1000.0),
        (Reading("number"), "nan", None),
        (Reading("decimal", decimal=",", thousands="."), "1.234,50", Decimal("1234.5")),
        (Reading("decimal"), "1e400", None),
        (Reading("date"), "2026/3/1", date(2026, 3, 1)),
        (Reading("date"), "2026-03-01T23:30:00Z", date(2026, 3, 2)),
        (Reading("date", format="%d.%m.%Y"), "01.03.2026", date(2026, 3, 1)),
        (Reading("date"), "01.03.2026", None),
        (Reading("boolean"), "Yes", True),
        (Reading("boolean", is_true=("是",), is_false=("否",)), "否", False),
        (Reading("boolean"), "perhaps", None),
    ],
)
def test_it_reads_what_is_written(reading: Reading, text: str, value: object) -> None:
    expression = parsed(pl.lit(text), pl.String(), reading, timezone="Asia/Shanghai")
    assert pl.select(expression).item() == value


@pytest.mark.parametrize("name", ["superlender", "kiva", "home-credit", "duewise"])
def test_it_comes_with_mappings_that_are_whole(name: str) -> None:
    assert name in ready_mappings()
    assert load_mapping(name).name == name


def test_it_hashes_what_it_means_and_not_how_it_is_laid_out() -> None:
    plain = small().content_hash
    assert small("name: small", "about: words\nname: small # comment").content_hash == plain
    assert small("zh-CN", "en-GB").content_hash != plain


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: mapping/1", "schema: 2", "map.yaml:1: schema is 2"),
        ("currency: CNY", "currency: RMB", "map.yaml:3: currency 'RMB' is unknown"),
        ("Asia/Shanghai", "Asia/Beijing", "map.yaml:5: timezone 'Asia/Beijing'"),
        ("principal: amount\n      o", "o", "map.yaml:12: table 'loans' lacks"),
        ("product:", "produkt:", "map.yaml:15: 'produkt' is unknown here"),
        ("type: decimal", "type: money", "map.yaml:11: type 'money' is unknown"),
        ("borrower_id: who", "borrower_id: who +", "map.yaml:14: expression 'who +'"),
        ("missing: [NA]", "missing: NA", "map.yaml:6: 'missing' is a list"),
        ("tables:", "tables: [", "map.yaml:"),
    ],
)
def test_it_names_the_line_of_a_fault(old: str, new: str, message: str) -> None:
    assert old in SMALL
    assert fault(SMALL.replace(old, new)).startswith(message)


def test_it_lists_the_columns_there_are_when_one_is_not() -> None:
    mapping = small()
    with pytest.raises(BadInput) as caught:
        check_source_columns(
            mapping.tables["loans"], ["id", "who", "sum"], mapping=mapping, file="loans.csv"
        )
    assert str(caught.value) == (
        "map.yaml:11: loans.csv has no column 'amount'. Mend: columns found: id, who, sum"
    )


def test_it_says_which_expression_does_not_work_out_and_tells_no_value() -> None:
    mapping = small("principal: amount", "principal: who * amount")
    with pytest.raises(BadInput) as caught:
        loans(mapping)
    assert "map.yaml:16: loans: principal cannot be worked out" in str(caught.value)
    assert "Li" not in str(caught.value)


def test_it_offers_the_ready_mappings_when_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="superlender"):
        load_mapping(tmp_path / "nothing.yaml")
