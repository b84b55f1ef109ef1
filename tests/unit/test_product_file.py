"""The product file: what it may say, and what is said of what it may not."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from duewise.book.product import Products, load_products, read_products, shipped_products
from duewise.document import parse
from duewise.errors import BadInput

HEAD = "schema: products/1\n"
EARLIER = "{valid_from: 2020-01-01, M0: 0, M1: }"
LATER = "{valid_from: 2021-01-01, M0: 0, M1: }"


def read(text: str) -> Products:
    return read_products(parse(HEAD + text, source="products.yaml"))


def test_it_ships_products_that_can_be_read() -> None:
    shipped = shipped_products()
    assert shipped.of("cn-instalment").caps.all_in == Decimal("0.24")
    assert shipped.of("cn-compounding").penalty.compound_every_days == 30
    assert shipped.of("cn-compounding").caps == shipped.of("cn-instalment").caps
    assert shipped.of("anything else").name == "default"


def test_it_hashes_what_it_says_and_not_how() -> None:
    plain = read("products: {default: {grace_days: 3}}")
    spaced = read("products:\n  default:\n    grace_days: 3   # three\n")
    assert plain.content_hash == spaced.content_hash
    assert plain.content_hash != read("products: {default: {grace_days: 4}}").content_hash


def test_it_takes_the_buckets_of_the_day() -> None:
    found = read(
        "buckets:\n"
        "  - {valid_from: 2020-01-01, M0: 0, M1: 30, M2: }\n"
        "  - {valid_from: 2026-07-01, current: 0, late: }\n"
        "products: {default: {}}"
    ).buckets
    assert [b.name for b in found.on(date(2019, 1, 1))] == ["M0", "M1", "M2"]
    assert [b.name for b in found.on(date(2026, 6, 30))] == ["M0", "M1", "M2"]
    assert [b.name for b in found.on(date(2026, 7, 1))] == ["current", "late"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("products: {default: {graze_days: 3}}", 2, "unknown key 'graze_days'"),
        ("products: {mine: {}}", 2, "there is no product 'default'"),
        ("products:\n  default: {grace_days: -1}", 3, "expected 0 to 366 days"),
        ("products:\n  default: {grace_days: soon}", 3, "expected 0 to 366 days"),
        ("products:\n  default: {day_count: 364}", 3, "a year of 360 or 365 days"),
        ("products:\n  default: {tolerance: -0.01}", 3, "expected a number from 0"),
        ("products:\n  default: {waterfall: {order: [fee, fee]}}", 3, "the order must name each"),
        ("products:\n  default: {waterfall: {by: loan}}", 3, "unknown word 'loan'"),
        ("products:\n  default: {penalty: {rate: 18%, multiplier: 1.5}}", 3, "a rate or a multi"),
        ("products:\n  default: {penalty: {rate: lots}}", 3, "'lots' is no rate"),
        ("products:\n  default: {penalty: {rate: 1001%}}", 3, "is out of range"),
        ("products:\n  default: {late_fee: {floor: 1}}", 3, "an amount, a share or both"),
        ("products:\n  default: {due_roll: statutory_only}", 3, "names no calendar"),
        ("products:\n  default: {calendar: XX}", 3, "unknown word 'XX'"),
        ("products:\n  default: {like: other}", 3, "does not stand before this one"),
        ("products: {default: {grace_stops_clock: 3}}", 2, "expected true or false"),
        ("buckets: []\nproducts: {default: {}}", 2, "no buckets"),
        ("buckets: [{valid_from: 2020-01-01, M0: 1, M1: }]\nproducts: {default: {}}", 2, "rise"),
        ("buckets: [{valid_from: soon, M0: 0, M1: }]\nproducts: {default: {}}", 2, "is no date"),
        (
            f"buckets: [{LATER}, {EARLIER}]\nproducts: {{default: {{}}}}",
            2,
            "in the order of their dates",
        ),
    ],
)
def test_it_names_the_line_and_the_mend(text: str, line: int, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        read(text)
    assert (caught.value.source, caught.value.line) == ("products.yaml", line)
    assert caught.value.mend


def test_it_knows_no_other_schema() -> None:
    with pytest.raises(BadInput, match="unknown schema 'products/2'"):
        read_products(parse("schema: products/2\nproducts: {default: {}}", source="p"))


def test_it_reads_a_file_of_the_lender(tmp_path: Path) -> None:
    path = tmp_path / "products.yaml"
    path.write_text(HEAD + "products: {default: {tolerance: 0.50}}", encoding="utf-8")
    assert load_products(path).of("cash").tolerance == Decimal("0.50")
    with pytest.raises(BadInput, match="cannot be read"):
        load_products(tmp_path / "none.yaml")
