"""Word lists against rendered text: normalise, then look.

Rendered texts of one template differ in little but their digits. So the texts are first looked at
with every digit made 0, few of which are distinct, by patterns relaxed to the engine of Polars (any
digit for a digit, no look-around: they can only hit more). What is suspect is then looked at by the
patterns as they stand; as itself only where a pattern asks for a certain digit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import opencc
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from duewise.guard.rule import Lexicon, Pattern
from duewise.guard.truth import (
    Bools,
    Truth,
    known,
    known_of,
    none,
    packed,
    truth_of_arrow,
    unpacked,
)

_HAN = r"[\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
# Spaces, zero-width and other format characters, punctuation and symbols.
_FILLER = r"[\s\p{Z}\p{C}\p{P}\p{S}]"
_BETWEEN = rf"({_HAN}){_FILLER}+({_HAN})"
# Escapes, counts, classes and digits; only the last two can be about a digit of the text.
_TOKEN = re.compile(r"\\.|\{[^}]*\}|\[\^?\]?(?:\\.|[^\]\\])*\]|[0-9]")
_BACK_REFERENCE = re.compile(r"\\[1-9]")
_ONE, _NINE = np.uint8(ord("1")), np.uint8(9)
_LOW_BITS = np.uint8(0x0F)  # without them a digit is a 0
LOOKS_MAX = 100_000  # masked texts of which a process remembers what they show
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")


@dataclass(frozen=True)
class Hit:
    """A forbidden wording found; `found` is as it stands in the normalised text."""

    lexicon: str
    pattern: Pattern
    found: str


def normalised(texts: pl.Series) -> pl.Series:
    """NFKC, traditional to simplified, lower case, nothing between Chinese characters.

    >>> normalised(pl.Series(["上 門、堵·人 ＡＢ"])).to_list()
    ['上门堵人 ab']
    """
    convert = _simplifier().convert
    plain = texts.str.normalize("NFKC")
    plain = pl.Series([text and convert(text) for text in plain], dtype=pl.String)
    # A run of single characters is closed in two passes: each pass eats every other gap.
    close = plain.str.to_lowercase().str.replace_all(_BETWEEN, "$1$2")
    return close.str.replace_all(_BETWEEN, "$1$2")


def texts_hit(texts: pl.Series, lexicons: Sequence[Lexicon]) -> dict[str, Truth]:
    """For each word list, by its name, which texts it hits; not known where there is no text."""
    masked, height, where = _masked(texts), len(texts), known_of(texts)
    looks = _screen(tuple(lexicons)).look(set(masked.unique().to_pylist()) - {None})
    clean = Truth(none(height), where)
    if not looks:
        return {lexicon.name: clean for lexicon in lexicons}
    return {
        lexicon.name: known(packed(_is_hit(texts, masked, looks, lexicon)), where)
        for lexicon in lexicons
    }


def hits(text: str, lexicons: Sequence[Lexicon]) -> list[Hit]:
    """Every forbidden wording of one text, in the order of the word lists."""
    plain = normalised(pl.Series([text])).item()
    return [
        Hit(lexicon.name, pattern, found.group())
        for lexicon in lexicons
        for pattern in lexicon.patterns
        if (found := re.search(pattern.re, plain))
    ]


@dataclass(frozen=True)
class _Look:
    """What a masked text shows: lists that hit, and lists that may hit, for some digits."""

    guilty: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Screen:
    """Word lists made ready, and what is known of masked texts already. The latter is a cache."""

    blind: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]
    keen: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]
    any_of_all: str
    clean: set[bytes]
    soiled: dict[bytes, _Look]

    def look(self, distinct: set[bytes]) -> dict[bytes, _Look]:
        """What each of these masked texts shows; only what is not clean is in the answer."""
        unknown = distinct - self.clean - self.soiled.keys()
        if len(self.clean) + len(self.soiled) + len(unknown) > LOOKS_MAX:
            self.clean.clear()
            self.soiled.clear()
            unknown = distinct
        if unknown:
            self._learn(list(unknown))
        return {text: self.soiled[text] for text in distinct & self.soiled.keys()}

    def _learn(self, unknown: list[bytes]) -> None:
        plain = normalised(pl.Series([text.decode() for text in unknown]))
        suspect = plain.str.contains(self.any_of_all)
        looks = {unknown[place]: self._seen(plain[place]) for place in suspect.arg_true().to_list()}
        self.soiled.update((text, look) for text, look in looks.items() if look != _CLEAN)
        self.clean.update(set(unknown) - self.soiled.keys())

    def _seen(self, plain: str) -> _Look:
        guilty, may_be = (
            frozenset(name for name, patterns in kind if any(p.search(plain) for p in patterns))
            for kind in (self.blind, self.keen)
        )
        return _Look(guilty, may_be - guilty)


_CLEAN = _Look()


@lru_cache(maxsize=16)
def _screen(lexicons: tuple[Lexicon, ...]) -> _Screen:
    """A pattern that asks for a certain digit is keen: masked, it can only be suspected."""
    blind = {x.name: [p.re for p in x.patterns if not _is_keen(p.re)] for x in lexicons}
    keen = {x.name: [relaxed(p.re) for p in x.patterns if _is_keen(p.re)] for x in lexicons}
    every = [relaxed(pattern.re) for lexicon in lexicons for pattern in lexicon.patterns]
    return _Screen(
        tuple((name, tuple(map(re.compile, patterns))) for name, patterns in blind.items()),
        tuple((name, tuple(map(re.compile, patterns))) for name, patterns in keen.items()),
        "|".join(f"(?:{each})" for each in every),
        set(),
        {},
    )


def _is_keen(pattern: str) -> bool:
    return _TOKEN.sub(_any_digit, pattern) != pattern or bool(_BACK_REFERENCE.search(pattern))


def _is_hit(
    texts: pl.Series, masked: pa.Array, looks: Mapping[bytes, _Look], lexicon: Lexicon
) -> Bools:
    """Which texts the list hits. One that is only suspected is looked at as it stands."""
    guilty = [text for text, look in looks.items() if lexicon.name in look.guilty]
    doubtful = [text for text, look in looks.items() if lexicon.name in look.doubtful]
    is_hit = _is_one_of(masked, guilty)
    if doubtful:
        in_doubt = _is_one_of(masked, doubtful)
        suspects = texts.filter(pl.Series(in_doubt))
        is_hit[in_doubt] = suspects.is_in(_guilty(suspects.unique(), lexicon)).to_numpy()
    return is_hit


def _is_one_of(masked: pa.Array, texts: list[bytes]) -> Bools:
    if not texts:
        return np.zeros(len(masked), dtype=np.bool_)
    found = truth_of_arrow(pc.is_in(masked, pa.array(texts, masked.type)))
    return unpacked(found.yes, len(masked))


def _guilty(distinct: pl.Series, lexicon: Lexicon) -> list[str]:
    """The texts, as they stand, that a pattern of the list hits."""
    patterns = [re.compile(pattern.re) for pattern in lexicon.patterns]
    return [
        text
        for text, plain in zip(distinct, normalised(distinct), strict=True)
        if any(pattern.search(plain) for pattern in patterns)
    ]


def _masked(texts: pl.Series) -> pa.Array:
    """The texts with every digit from 1 to 9 made 0: in UTF-8 these octets are nothing else."""
    array = texts.cast(pl.String).to_arrow()
    validity, offsets, data = array.buffers()
    octets = np.frombuffer(data or b"", dtype=np.uint8)
    masked = octets - _ONE
    np.less(masked, _NINE, out=masked.view(np.bool_))
    np.multiply(masked, _LOW_BITS, out=masked)
    np.bitwise_and(octets, np.invert(masked, out=masked), out=masked)
    buffers = [validity, offsets, pa.py_buffer(masked)]
    return pa.Array.from_buffers(pa.large_binary(), len(array), buffers, offset=array.offset)


@lru_cache(maxsize=1)
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def relaxed(pattern: str) -> str:
    r"""A pattern without look-around that takes any digit for a digit: it hits whatever this hits.

    >>> relaxed(r"(?<!\d)1[3-9]\d{9}(?!\d)")
    '\\d(?:\\d|[3-9])\\d{9}'
    """
    return _TOKEN.sub(_any_digit, without_look_around(pattern))


def _any_digit(token: re.Match[str]) -> str:
    text = token.group()
    if text.isdecimal():
        return r"\d"
    is_class = text.startswith("[") and re.search(r"\d", text)
    return rf"(?:\d|{text})" if is_class else text


def without_look_around(pattern: str) -> str:
    r"""The pattern with every look-around group taken out: it hits whatever the pattern hits.

    >>> without_look_around(r"(?<!\d)1[3-9]\d{9}(?!\d)")
    '1[3-9]\\d{9}'
    """
    while found := _LOOK_AROUND.search(pattern):
        end, depth = found.end(), 1
        while depth:
            if pattern[end] == "\\":
                end += 1
            elif pattern[end] in "()":
                depth += 1 if pattern[end] == "(" else -1
            end += 1
        pattern = pattern[: found.start()] + pattern[end:]
    return pattern
