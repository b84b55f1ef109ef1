"""How long texts are: the table of the trade, then what leaves for the gateway."""

from __future__ import annotations

import polars as pl
import pytest

from duewise.errors import BadInput
from duewise.message.parts import measure, measure_column, split

LENGTHS = [
    ("", "gsm7", 0, 1),
    ("x" * 160, "gsm7", 160, 1),
    ("x" * 161, "gsm7", 161, 2),
    ("x" * 306, "gsm7", 306, 2),
    ("x" * 307, "gsm7", 307, 3),
    ("x" * 459, "gsm7", 459, 3),
    ("x" * 460, "gsm7", 460, 4),
    ("x" * 156 + "[]", "gsm7", 160, 1),
    ("x" * 157 + "€€", "gsm7", 161, 2),
    ("x" * 152 + "€" + "x" * 152, "gsm7", 306, 3),  # the pair does not fit into part 1
    ("^{}[]\\~|€\f", "gsm7", 20, 1),
    ("Ç", "gsm7", 1, 1),
    ("ç", "ucs2", 1, 1),
    ("ê", "ucs2", 1, 1),
    ("\x1b", "ucs2", 1, 1),  # the escape by itself is no character
    ("`", "ucs2", 1, 1),
    ("“x”", "ucs2", 3, 1),
    ("１２３", "ucs2", 3, 1),
    ("a\u00a0b", "ucs2", 3, 1),
    ("x" * 130 + "–", "ucs2", 131, 2),
    ("款" * 70, "ucs2", 70, 1),
    ("款" * 71, "ucs2", 71, 2),
    ("款" * 134, "ucs2", 134, 2),
    ("款" * 135, "ucs2", 135, 3),
    ("款" * 268, "ucs2", 268, 4),
    ("款" * 269, "ucs2", 269, 5),
    ("😀" * 35, "ucs2", 70, 1),
    ("😀" * 36, "ucs2", 72, 2),
    ("款" * 66 + "😀" + "款" * 66, "ucs2", 134, 3),  # nor does the surrogate pair
    ("【华为云】", "ucs2", 5, 1),
    (
        (
            "【示例消费金融】李*女士，您尾号6602的借款本期应还868.40元，还款日8月10日，"
            "请通过示例APP还款。如已还款请忽略，还款有困难请提前联系我们。客服95xxx"
        ),
        "ucs2",
        83,
        2,
    ),
    (
        (
            "[Example] Dear Ms L., 868.40 is due on 10 Aug for your loan ending 6602. "
            "Pay in the Example app. Ignore if paid. Help: 95xxx."
        ),
        "gsm7",
        127,
        1,
    ),
]


@pytest.mark.parametrize(("text", "encoding", "units", "parts"), LENGTHS)
def test_it_counts_units_and_parts(text: str, encoding: str, units: int, parts: int) -> None:
    size = measure(text)
    assert (size.encoding, size.units, size.parts) == (encoding, units, parts)
    assert len(split(text, reference=1)) == parts


def test_it_counts_a_column_as_it_counts_each_text() -> None:
    texts = [text for text, *_ in LENGTHS]
    counted = measure_column(pl.Series(texts))
    assert counted.rows() == [row[1:] for row in LENGTHS]
    assert counted.schema == {"encoding": pl.String, "units": pl.Int32, "parts": pl.Int32}


def test_it_counts_nothing_where_there_is_no_text() -> None:
    assert measure_column(pl.Series(["x", None])).rows() == [("gsm7", 1, 1), (None, None, None)]
    assert measure_column(pl.Series([], dtype=pl.String)).rows() == []


def test_it_submits_one_sms_without_a_header() -> None:
    (part,) = split("a€", reference=7)
    assert (part.payload, part.data_coding, part.udh) == (b"a\x1b\x65", 0, b"")


def test_it_joins_parts_by_the_low_octet_of_the_reference() -> None:
    parts = split("款" * 71, reference=0x1FF)
    assert [part.udh.hex() for part in parts] == ["050003ff0201", "050003ff0202"]
    assert {part.data_coding for part in parts} == {8}
    assert b"".join(part.payload for part in parts).decode("utf-16-be") == "款" * 71


def test_it_keeps_pairs_whole_at_the_border() -> None:
    first, *_ = split("x" * 152 + "€" + "x" * 152, reference=1)
    assert first.payload == b"x" * 152
    first, *_ = split("款" * 66 + "😀" + "款" * 66, reference=1)
    assert len(first.payload) == 132


def test_it_replaces_half_a_surrogate_pair() -> None:
    (part,) = split("款\ud83d", reference=1)
    assert part.payload.decode("utf-16-be") == "款?"


def test_it_refuses_more_parts_than_the_header_can_count() -> None:
    with pytest.raises(BadInput, match="256 parts"):
        split("款" * (67 * 255 + 1), reference=1)
