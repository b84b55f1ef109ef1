"""How long a text is as SMS: its encoding, its units, and the parts it is sent and billed in.

GSM-7 (3GPP TS 23.038, table 6.2.1 and its extension) where every character fits, else UCS-2. A
part of a long text gives 6 octets to the header that joins it (3GPP TS 23.040, 9.2.3.24.1), and
a pair (escape and character, or two surrogates) never falls into two parts, so a part may stay
one unit short. A signature with its brackets is text like any other and counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from duewise.errors import BadInput

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)  # the index is the septet; 0x1B is the escape and no character
GSM_EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
ESCAPE = 0x1B
PARTS_MAX = 255  # the header counts parts in one octet

_SEPTETS = {
    character: bytes([septet]) for septet, character in enumerate(GSM_BASIC) if septet != ESCAPE
} | {character: bytes([ESCAPE, septet]) for character, septet in GSM_EXTENSION.items()}
_TO_SEPTETS = {ord(character): octets.decode("latin-1") for character, octets in _SEPTETS.items()}
_EXTENSION_CLASS = "[" + "".join(re.escape(character) for character in GSM_EXTENSION) + "]"
_NOT_GSM_CLASS = "[^" + "".join(re.escape(character) for character in _SEPTETS) + "]"
_NOT_GSM = re.compile(_NOT_GSM_CLASS)
_EXTENSION = re.compile(_EXTENSION_CLASS)
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")  # needs two UTF-16 units
_ASTRAL_CLASS = r"[\x{10000}-\x{10FFFF}]"  # the same in Rust's spelling
# In UTF-8 every such character begins with one of these, and nothing else holds them. To look for a
# byte costs a fraction of what a class of characters does.
_ASTRAL_BYTES = tuple(bytes([lead]) for lead in range(0xF0, 0xF5))


@dataclass(frozen=True)
class Encoding:
    """Units (septets or UTF-16 units) that fit one SMS alone, and one part of several."""

    name: str
    data_coding: int
    single_units: int
    part_units: int
    unit_octets: int


GSM7 = Encoding("gsm7", data_coding=0, single_units=160, part_units=153, unit_octets=1)
UCS2 = Encoding("ucs2", data_coding=8, single_units=70, part_units=67, unit_octets=2)


@dataclass(frozen=True)
class TextSize:
    """What a text costs: `units` of its encoding, `parts` that are billed."""

    encoding: str
    units: int
    parts: int


class Part(NamedTuple):
    """One SMS as SMPP wants it: septets one an octet, or UTF-16BE; `udh` is empty if alone."""

    payload: bytes
    data_coding: int
    udh: bytes


def measure(text: str) -> TextSize:
    """The size of one text; the empty text is one empty SMS.

    >>> measure("x" * 156 + "[]"), measure("款" * 71)
    (TextSize(encoding='gsm7', units=160, parts=1), TextSize(encoding='ucs2', units=71, parts=2))
    """
    encoding = _encoding(text)
    pairs = _pairs(text, encoding)
    units = len(text) + pairs
    if units <= encoding.single_units:
        return TextSize(encoding.name, units, 1)
    fewest, most = -(-units // encoding.part_units), -(-units // (encoding.part_units - 1))
    # A part is full or, at a pair, one unit short: only near a border does their place matter.
    is_open = pairs and fewest != most
    parts = sum(1 for _ in _chunks(text, encoding)) if is_open else fewest
    return TextSize(encoding.name, units, parts)


def measure_column(texts: pl.Series) -> pl.DataFrame:
    """`measure` for a column: `encoding` Str, `units` Int32, `parts` Int32; null for null."""
    text = pl.col("text")
    is_ucs2 = text.str.contains(_NOT_GSM_CLASS)
    octets = text.cast(pl.Binary).bin
    has_astral = pl.any_horizontal(octets.contains(lead) for lead in _ASTRAL_BYTES)
    # Counted only where there is something to count: what is masked out is null and costs nothing.
    astral = pl.when(has_astral).then(text).str.count_matches(_ASTRAL_CLASS)
    extension = pl.when(~pl.col("is_ucs2")).then(text).str.count_matches(_EXTENSION_CLASS)
    pairs = pl.coalesce(extension, astral, pl.lit(0, pl.UInt32))
    sized = (
        texts.alias("text")
        .to_frame()
        .with_columns(is_ucs2=is_ucs2)
        .with_columns(pairs=pairs)
        .with_columns(
            encoding=_either(pl.lit(GSM7.name), pl.lit(UCS2.name)),
            units=(text.str.len_chars() + pl.col("pairs")).cast(pl.Int32),
            single=_either(pl.lit(GSM7.single_units), pl.lit(UCS2.single_units)),
            full=_either(pl.lit(GSM7.part_units), pl.lit(UCS2.part_units)),
        )
        .with_columns(
            fewest=_ceil_div(pl.col("units"), pl.col("full")),
            most=_ceil_div(pl.col("units"), pl.col("full") - 1),
        )
        .with_columns(
            parts=pl.when(pl.col("units") <= pl.col("single"))
            .then(1)
            .when((pl.col("fewest") == pl.col("most")) | (pl.col("pairs") == 0))
            .then(pl.col("fewest"))
            .cast(pl.Int32)
        )
    )
    return _settle_borderline(sized).select("encoding", "units", "parts")


def _settle_borderline(sized: pl.DataFrame) -> pl.DataFrame:
    """The few texts near a border are cut one by one, each distinct text once."""
    is_open = pl.col("parts").is_null() & pl.col("text").is_not_null()
    distinct = sized.filter(is_open)["text"].unique()
    if distinct.is_empty():
        return sized
    counts = pl.Series([measure(text).parts for text in distinct], dtype=pl.Int32)
    settled = pl.col("text").replace_strict(distinct, counts, default=None)
    return sized.with_columns(parts=pl.when(is_open).then(settled).otherwise(pl.col("parts")))


def split(text: str, *, reference: int, encoding: Encoding | None = None) -> list[Part]:
    """The text as parts to submit, joined under `reference` (its low 8 bits).

    `encoding` is the one to use where a wire knows no other, and every character fits it; without
    it the smaller that fits.

    >>> [(len(part.payload), part.udh.hex()) for part in split("x" * 161, reference=7)]
    [(153, '050003070201'), (8, '050003070202')]

    Raises BadInput for a text of more than 255 parts.
    """
    encoding = encoding or _encoding(text)
    octets, width = _encode(text, encoding), encoding.unit_octets
    if len(octets) <= encoding.single_units * width:
        return [Part(octets, encoding.data_coding, b"")]
    if len(octets) == len(text) * width:  # no pair that could fall apart
        size = encoding.part_units * width
        payloads = [octets[start : start + size] for start in range(0, len(octets), size)]
    else:
        payloads = [_encode(chunk, encoding) for chunk in _chunks(text, encoding)]
    if len(payloads) > PARTS_MAX:
        raise BadInput(f"a text of {len(payloads)} parts", mend=f"send {PARTS_MAX} at most")
    headers = _headers(reference & 0xFF, len(payloads))
    return list(map(Part, payloads, [encoding.data_coding] * len(payloads), headers))


@lru_cache(maxsize=1_024)
def _headers(reference: int, total: int) -> tuple[bytes, ...]:
    """What joins the parts of a text: one for each."""
    return tuple(bytes((5, 0, 3, reference, total, number)) for number in range(1, total + 1))


def _encoding(text: str) -> Encoding:
    return UCS2 if _NOT_GSM.search(text) else GSM7


def _pairs(text: str, encoding: Encoding) -> int:
    """How many characters take two units."""
    return len((_EXTENSION if encoding is GSM7 else _ASTRAL).findall(text))


def _chunks(text: str, encoding: Encoding) -> Iterator[str]:
    """The text cut into parts, each as full as its pairs allow."""
    if not _pairs(text, encoding):
        size = encoding.part_units
        yield from (text[start : start + size] for start in range(0, len(text), size))
        return
    start = filled = 0
    for place, character in enumerate(text):
        width = 1 + _pairs(character, encoding)
        if filled + width > encoding.part_units:
            yield text[start:place]
            start, filled = place, 0
        filled += width
    yield text[start:]


def _encode(text: str, encoding: Encoding) -> bytes:
    if encoding is GSM7:
        return text.translate(_TO_SEPTETS).encode("latin-1")
    return text.encode("utf-16-be", errors="replace")  # half a surrogate pair is no character


def _either(gsm7: pl.Expr, ucs2: pl.Expr) -> pl.Expr:
    """By encoding; null where the text is null."""
    is_ucs2 = pl.col("is_ucs2")
    return pl.when(is_ucs2).then(ucs2).when(~is_ucs2).then(gsm7)


def _ceil_div(units: pl.Expr, size: pl.Expr) -> pl.Expr:
    return (units + size - 1) // size
