"""Approved wordings: some providers take no free text but a template's code and the values in it.

Which template a text was written from, and with which values, is read off the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from duewise.channels.base import Refused
from duewise.errors import BadInput

NO_TEMPLATE: Final = Refused("no_approved_template", is_permanent=True)
_SIGNATURE = re.compile(r"【([^】]+)】")


@dataclass(frozen=True, slots=True)
class Fit:
    """A text taken apart: 【signature】 ahead, the template's code, the values by their names."""

    signature: str
    code: str
    values: Mapping[str, str]


class Wordings:
    r"""The wordings of one account by the provider's codes. Raises BadInput for a vague one.

    `mark` is how a value stands in a wording, its name in a group. Unless `is_signed`, a wording
    holds the whole text, and there is no signature to take off.

    >>> wordings = Wordings({"7": "{1}，应还{2}元"}, mark=r"\{(\d+)\}")
    >>> wordings.fit("【甲】Li，应还12.30元")
    Fit(signature='甲', code='7', values={'1': 'Li', '2': '12.30'})
    """

    def __init__(self, wordings: Mapping[str, str], *, mark: str, is_signed: bool = True) -> None:
        self._is_signed = is_signed
        self._shapes = {code: _Shape(re.split(mark, text)) for code, text in wordings.items()}

    def fit(self, text: str) -> Fit | None:
        """The first template that the text was written from, and its values; None: none fits."""
        signed = _SIGNATURE.match(text) if self._is_signed else None
        if self._is_signed and signed is None:
            return None
        signature, rest = (signed[1], text[signed.end() :]) if signed else ("", text)
        fits = ((code, shape.values(rest)) for code, shape in self._shapes.items())
        return next((Fit(signature, code, each) for code, each in fits if each is not None), None)


class _Shape:
    """A wording, cut at its values, as a pattern whose groups have numbers: any name will do."""

    def __init__(self, pieces: list[str]) -> None:
        if "" in pieces[2:-1:2]:
            wording = " _ ".join(pieces[::2])
            raise BadInput(f"two values touch in {wording!r}", mend="put words between them")
        self._names = list(dict.fromkeys(pieces[1::2]))
        seen = set[str]()
        for place in range(1, len(pieces), 2):
            name, group = pieces[place], self._names.index(pieces[place]) + 1
            pieces[place] = f"(?:\\{group})" if name in seen else "(.+?)"
            seen.add(name)
        parts = (text if n % 2 else re.escape(text) for n, text in enumerate(pieces))
        self._pattern = re.compile("".join(parts))

    def values(self, text: str) -> dict[str, str] | None:
        fit = self._pattern.fullmatch(text)
        return dict(zip(self._names, fit.groups(), strict=True)) if fit else None
