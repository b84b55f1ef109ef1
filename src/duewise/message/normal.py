"""One form of a text for matching: width, case, traditional characters and filler do not matter.

The form keeps, for each of its characters, the place in the original text, so that whatever is
found can be shown where it stands.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import opencc

_CJK = r"[\u3400-\u9fff\uf900-\ufaff]"
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
_between_cjk = re.compile(rf"(?<={_CJK})[\W_]+(?={_CJK})")


@dataclass(frozen=True)
class Normal:
    """The normal form; character `i` of `text` stands at `places[i]` of the original."""

    original: str
    text: str
    places: tuple[int, ...]

    def span(self, found: re.Match[str]) -> tuple[int, int]:
        """Where a match stands in the original text, end exclusive."""
        start, end = found.span()
        if start == end:
            return (0, 0)
        return self.places[start], self.places[end - 1] + 1


def normalise(text: str, *, joined: bool = True) -> Normal:
    """NFKC, simplified, lower case, nothing invisible; `joined` drops filler between Chinese.

    >>> normalise("請 還-款 ＯＫ").text
    '请还款 ok'
    """
    characters, places = [], []
    for place, original in enumerate(text):
        if original in _INVISIBLE:
            continue
        for character in unicodedata.normalize("NFKC", original).lower():
            characters.append(character)
            places.append(place)
    simple = "".join(characters)
    converted = _simplifier().convert(simple)
    if len(converted) != len(simple):  # a phrase changed its length: go by single characters
        converted = "".join(_simplifier().convert(one)[:1] or one for one in simple)
    if not joined:
        return Normal(text, converted, tuple(places))
    keep = [True] * len(converted)
    for filler in _between_cjk.finditer(converted):
        keep[filler.start() : filler.end()] = [False] * len(filler[0])
    return Normal(
        text,
        "".join(one for one, kept in zip(converted, keep, strict=True) if kept),
        tuple(place for place, kept in zip(places, keep, strict=True) if kept),
    )


@lru_cache
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")
