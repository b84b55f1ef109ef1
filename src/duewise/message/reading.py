"""How hard a text is to read: one figure a language, by a published or a plainly stated formula.

English: the Flesch-Kincaid grade (Kincaid et al. 1975, Navy Research Branch Report 8-75), the
years of school a reader needs. Chinese: mean characters a clause; a clause ends at any mark.
"""

from __future__ import annotations

import re

LEVEL_MAX = {"zh": 12.0, "en": 9.0}  # above it, a notice asks too much of a hurried reader
# Level 1 of GB/T 2312-1980: its 3,755 most used characters fill rows 16 to 55 of the table.
_FIRST_ROW, _LAST_ROW = 16, 55
_ROW_OFFSET = 0xA0

_HAN = r"\u3400-\u9fff"
_clause = re.compile(r"[，。；：！？、（）【】“”《》〔〕\s]+")
_unit = re.compile(rf"[{_HAN}]|[^{_HAN}\W]+(?:[.,:]\d+)*")  # a figure is read as one
_sentence = re.compile(r"[.!?:](?=\s|$)|\n+")
_word = re.compile(r"[A-Za-z]+(?:'[a-z]+)?|\d[\d.,]*")
_vowels = re.compile(r"[aeiouy]+")


def reading_level(text: str, language: str) -> float:
    """The level, to one decimal: a school grade in English, characters a clause in Chinese.

    >>> reading_level("请通过示例APP还款。如已还款请忽略。", "zh")
    7.5
    >>> reading_level("Penalty interest runs from the day after the due date.", "en")
    6.0
    """
    return round(_clause_length(text) if language == "zh" else _grade(text), 1)


def rare_characters(text: str) -> list[str]:
    """Chinese characters outside the 3,755 most used, in order.

    >>> rare_characters("请勿拖欠，谨防诓骗")
    ['诓']
    """
    return [character for character in re.findall(rf"[{_HAN}]", text) if not _is_common(character)]


def _is_common(character: str) -> bool:
    try:
        row = character.encode("gb2312")[0] - _ROW_OFFSET
    except UnicodeEncodeError:
        return False
    return _FIRST_ROW <= row <= _LAST_ROW


def _clause_length(text: str) -> float:
    lengths = [len(_unit.findall(clause)) for clause in _clause.split(text)]
    told = [length for length in lengths if length]
    return sum(told) / max(len(told), 1)


def _grade(text: str) -> float:
    """0.39 words a sentence + 11.8 syllables a word - 15.59."""
    sentences = [words for part in _sentence.split(text) if (words := _word.findall(part))]
    words = [word for sentence in sentences for word in sentence]
    if not words:
        return 0.0
    syllables = sum(map(_syllables, words))
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


def _syllables(word: str) -> int:
    """Groups of vowels, but for a silent e at the end; a figure counts as one."""
    lower = word.lower()
    groups = len(_vowels.findall(lower))
    is_silent = lower.endswith("e") and not lower.endswith(("le", "ee")) and groups > 1
    return max(groups - is_silent, 1)
