"""Word lists against rendered text: normalise, then look.

Rendered texts of one template differ in little but their digits. So the texts are first looked at
with every digit made 0, few of which are distinct, by patterns relaxed to the engine of Polars (any
digit for a digit, no look-around: they can only hit more). What is suspect then is looked at as it
stands, by the patterns as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import opencc
import polars as pl

from duewise.guard.rule import Lexicon, Pattern

_HAN = r"[\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
# Spaces, zero-width and other format characters, punctuation and symbols.
_FILLER = r"[\s\p{Z}\p{C}\p{P}\p{S}]"
_BETWEEN = rf"({_HAN}){_FILLER}+({_HAN})"
# Escapes, counts, classes and digits; only the last two can be about a digit of the text.
_TOKEN = re.compile(r"\\.|\{[^}]*\}|\[\^?\]?(?:\\.|[^\]\\])*\]|[0-9]")
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
    convert = opencc.OpenCC("t2s").convert
    plain = texts.str.normalize("NFKC")
    plain = pl.Series([text and convert(text) for text in plain], dtype=pl.String)
    # A run of single characters is closed in two passes: each pass eats every other gap.
    close = plain.str.to_lowercase().str.replace_all(_BETWEEN, "$1$2")
    return close.str.replace_all(_BETWEEN, "$1$2")


def hit_columns(texts: pl.Series, lexicons: Sequence[Lexicon]) -> pl.DataFrame:
    """A row a text, a Boolean column `lexicon:NAME` a word list; null where there is no text."""
    masked = texts.str.replace_all("[1-9]", "0").alias("masked")
    distinct = masked.drop_nulls().unique()
    plain = normalised(distinct)
    suspects = masked.to_frame().join(
        pl.DataFrame([distinct, *(_suspects(plain, lexicon) for lexicon in lexicons)]),
        on="masked",
        how="left",
        maintain_order="left",
    )
    return pl.DataFrame(
        [_guilty(texts, suspects[f"lexicon:{lexicon.name}"], lexicon) for lexicon in lexicons]
    )


def hits(text: str, lexicons: Sequence[Lexicon]) -> list[Hit]:
    """Every forbidden wording of one text, in the order of the word lists."""
    plain = normalised(pl.Series([text])).item()
    return [
        Hit(lexicon.name, pattern, found.group())
        for lexicon in lexicons
        for pattern in lexicon.patterns
        if (found := re.search(pattern.re, plain))
    ]


def _suspects(plain: pl.Series, lexicon: Lexicon) -> pl.Series:
    either = "|".join(f"(?:{relaxed(pattern.re)})" for pattern in lexicon.patterns)
    return plain.str.contains(either).alias(f"lexicon:{lexicon.name}")


def _guilty(texts: pl.Series, suspects: pl.Series, lexicon: Lexicon) -> pl.Series:
    if not suspects.any():
        return suspects
    distinct = texts.filter(suspects).unique()
    guilty = [
        text
        for text, plain in zip(distinct, normalised(distinct), strict=True)
        if any(re.search(pattern.re, plain) for pattern in lexicon.patterns)
    ]
    return (suspects & texts.is_in(guilty)).alias(suspects.name)


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
