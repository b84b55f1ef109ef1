"""Laws of splitting: nothing lost, nothing too long, no pair torn, one count however counted."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from duewise.message.parts import ESCAPE, GSM_BASIC, GSM_EXTENSION, measure, measure_column, split

PLAIN = GSM_BASIC.replace(chr(ESCAPE), "")
GSM = st.text(st.sampled_from(PLAIN[:20] + "".join(GSM_EXTENSION)), max_size=700)
LONG_GSM = st.builds(
    lambda n, tail: "x" * n + tail, st.integers(140, 470), st.text("x€[", max_size=20)
)
LONG_UCS2 = st.builds(
    lambda n, tail: "款" * n + tail, st.integers(60, 280), st.text("款x😀", max_size=20)
)
ANY = st.text(max_size=300)  # without lone surrogates: no source of ours can hold one
TEXTS = st.one_of(GSM, LONG_GSM, LONG_UCS2, ANY)
SEPTETS = {bytes([value]): character for value, character in enumerate(GSM_BASIC)} | {
    bytes([ESCAPE, value]): character for character, value in GSM_EXTENSION.items()
}


def decode(payload: bytes, data_coding: int) -> str:
    """What a handset reads of one part alone; fails on a torn pair."""
    if data_coding == 8:
        return payload.decode("utf-16-be")
    text, place = "", 0
    while place < len(payload):
        width = 2 if payload[place] == ESCAPE else 1
        text += SEPTETS[payload[place : place + width]]
        place += width
    return text


@given(TEXTS)
def test_it_rejoins_to_the_text(text: str) -> None:
    parts = split(text, reference=3)
    assert "".join(decode(part.payload, part.data_coding) for part in parts) == text


@given(TEXTS)
def test_it_fills_no_part_over_its_limit(text: str) -> None:
    parts = split(text, reference=3)
    for part in parts:
        octets_max = 140 if part.data_coding == 8 else 160
        header = len(part.udh) if part.data_coding == 8 else (7 if part.udh else 0)  # in septets
        assert len(part.payload) + header <= octets_max


@given(TEXTS)
def test_it_numbers_the_parts_it_measured(text: str) -> None:
    parts = split(text, reference=3)
    assert len(parts) == measure(text).parts
    if len(parts) > 1:
        heads = [bytes([5, 0, 3, 3, len(parts), number + 1]) for number in range(len(parts))]
        assert [part.udh for part in parts] == heads


@given(TEXTS)
def test_it_sends_as_many_units_as_it_measured(text: str) -> None:
    size = measure(text)
    octets = sum(len(part.payload) for part in split(text, reference=3))
    assert size.units == (octets if size.encoding == "gsm7" else octets // 2)


@given(st.lists(st.one_of(st.none(), TEXTS), max_size=8))
def test_it_counts_a_column_as_it_counts_each_text(texts: list[str | None]) -> None:
    sizes = [measure(text) if text is not None else None for text in texts]
    rows = [(size.encoding, size.units, size.parts) if size else (None,) * 3 for size in sizes]
    assert measure_column(pl.Series(texts, dtype=pl.String)).rows() == rows
