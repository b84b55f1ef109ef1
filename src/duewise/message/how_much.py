"""The amount somebody means who writes in an SMS: 先还500, 1,200.50元, 2千, pay 50 dollars."""

from __future__ import annotations

import re
from decimal import Decimal

_N = r"(\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,8}(?:\.\d{1,2})?)"
_TIMES = r"\s*([千万k]?)"
_MONEY = r"元|块|[¥￥$€£]|rmb|cny|usd|yuan|dollars?|bucks?"
# A bare number after the word for paying is an amount, unless it is a date or a phone number.
_NO_DATE = (
    r"(?![\d.,]*\s*(?:[\d月日号天点期分折次个:/-]|(?:th|st|nd|rd|am|pm|days?|times?)\b"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))"
)
_PHRASES = (
    rf"{_N}{_TIMES}\s*(?:{_MONEY})",
    rf"(?:{_MONEY})\s*{_N}{_TIMES}",
    rf"(?:还|付|转|交|pay(?:ing)?|send|transfer)\s*(?:上|你们?|you|back)?\s*{_N}{_TIMES}{_NO_DATE}",
)
_SCALE = {"": 1, "千": 1_000, "k": 1_000, "万": 10_000}


def read_amount(text: str) -> Decimal | None:
    """The first amount named in a normalised text, in major units; None if none is named.

    >>> read_amount("周五先还500"), read_amount("i will pay 1,200.50 usd on 15 aug")
    (Decimal('500'), Decimal('1200.50'))
    >>> read_amount("15号还"), read_amount("明天还2千")
    (None, Decimal('2000'))
    """
    for phrase in _PHRASES:
        if found := re.search(phrase, text, re.ASCII):
            number, unit = found[1].replace(",", ""), found[2]
            amount = Decimal(number) * _SCALE[unit]
            return amount if amount > 0 else None
    return None
