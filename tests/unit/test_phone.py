"""Phone numbers in one form, and why one cannot be used."""

import polars as pl
import pytest

from duewise.store.phone import PhoneFault, normalise_phone, normalise_phones


@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "8613800138000",
        "+8613800138000",
        "008613800138000",
        "138 0013 8000",
        "+86 138-0013-8000",
        "（+86）138 0013 8000",
        "１３８００１３８０００",
    ],
)
def test_it_brings_every_way_of_writing_to_one(text: str) -> None:
    assert normalise_phone(text) == "+8613800138000"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", PhoneFault.NOT_A_NUMBER),
        ("none", PhoneFault.NOT_A_NUMBER),
        ("1380", PhoneFault.TOO_SHORT),
        ("13800138000138000", PhoneFault.TOO_LONG),
        ("12345678901", PhoneFault.NOT_ASSIGNED),
        ("021-12345678", PhoneFault.NOT_A_MOBILE),
        ("400-800-8000", PhoneFault.NOT_A_MOBILE),
    ],
)
def test_it_says_why_a_number_cannot_be_used(text: str, fault: PhoneFault) -> None:
    assert normalise_phone(text) is fault


def test_it_reads_a_number_by_where_it_is_from() -> None:
    assert normalise_phone("(650) 253-0000", region="US") == "+16502530000"
    assert normalise_phone("+852 5123 4567") == "+85251234567"


def test_it_answers_a_column_as_its_values() -> None:
    texts = pl.Series(["138 0013 8000", None, "1380", "13900139000", "abc"])
    numbers, faults = normalise_phones(texts)
    assert numbers.to_list() == ["+8613800138000", None, None, "+8613900139000", None]
    assert faults == {2: PhoneFault.TOO_SHORT, 4: PhoneFault.NOT_A_NUMBER}


@pytest.mark.parametrize("written", ["{}", "86{}", "+86{}", "0086{}"])
def test_it_is_as_strict_in_columns_as_the_library(written: str) -> None:
    texts = [written.format(f"{prefix}0013800") for prefix in range(1000, 2000)]
    numbers, faults = normalise_phones(pl.Series(texts))
    answers = [normalise_phone(text) for text in texts]
    assert [faults.get(row, number) for row, number in enumerate(numbers)] == answers


def test_it_reads_plain_numbers_in_other_regions_by_their_own_rules() -> None:
    texts = pl.Series(["13800138000", "6502530000"])
    numbers, _ = normalise_phones(texts, region="US")
    assert numbers.to_list() == [
        answer if isinstance(answer := normalise_phone(text, region="US"), str) else None
        for text in texts
    ]
