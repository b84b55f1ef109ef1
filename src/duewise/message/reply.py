"""What somebody means who answers an SMS: one intent, the one that must not be missed first.

Wrong person and opt-out come before all else: to overlook one is an offence, to see one too many
costs a message. Then what stops or softens the chase, then what a borrower says of paying.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from duewise.message.how_much import read_amount
from duewise.message.normal import normalise
from duewise.message.reply_words import OPT_OUT_WORDS, PAID_WORDS, READINGS, Reading
from duewise.message.when import read_date

CHARACTERS_MAX = 1_000  # what is longer is not read to its end

ACTIONS: Mapping[str, str] = {
    "wrong_person": "freeze_number",
    "opt_out": "stop_channel",
    "dispute": "open_dispute",
    "hardship": "open_hardship",
    "paid": "check_ledger",
    "promise": "record_promise",
    "question": "answer",
    "abuse": "hand_to_person",
    "other": "hand_to_person",
}


@dataclass(frozen=True)
class Intent:
    """What a reply means: one of `ACTIONS`. `confidence` in [0, 1]; `date` is the day promised.

    `amount` is what is promised by then, in major units; None: all that is asked for.
    """

    kind: str
    confidence: float
    date: date | None = None
    amount: Decimal | None = None

    @property
    def action(self) -> str:
        """What becomes of it. A promise without a day is no promise yet: a person asks for one."""
        is_vague = self.kind == "promise" and self.date is None
        return "hand_to_person" if is_vague else ACTIONS[self.kind]


def read_reply(text: str, *, today: date) -> Intent:
    """The intent of an inbound SMS; `today` is the local date on which it was written.

    >>> read_reply("Ｒ。", today=date(2026, 8, 10)).kind
    'opt_out'
    >>> read_reply("明天发工资就还", today=date(2026, 8, 10))
    Intent(kind='promise', confidence=0.9, date=datetime.date(2026, 8, 11), amount=None)
    """
    said = normalise(text[:CHARACTERS_MAX]).text.replace("\u2019", "'").strip()
    word = re.sub(r"[\W_]+", "", said)
    if word in OPT_OUT_WORDS:
        return Intent("opt_out", 1.0)
    if word in PAID_WORDS:
        return Intent("paid", 1.0)
    named = read_date(said, today=today)
    for reading in READINGS:
        if _means(said, reading):
            is_dated = reading.kind in {"promise", "hardship"}
            amount = read_amount(said) if reading.kind == "promise" else None
            return Intent(reading.kind, reading.confidence, named if is_dated else None, amount)
    # A bare date in answer to a reminder is a promise, if a vague one.
    return Intent("promise", 0.5, named, read_amount(said)) if named else Intent("other", 0.3)


def _means(said: str, reading: Reading) -> bool:
    """ASCII, so that a border may lie between a letter and a Chinese character."""
    if not re.search(reading.pattern, said, re.ASCII):
        return False
    return not (reading.unless and re.search(reading.unless, said, re.ASCII))
