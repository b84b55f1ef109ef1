"""When an account is to be left alone: a circuit breaker, folded from what its provider answers.

A refusal of the account (arrears, a wrong key, a template withdrawn) says nothing of the message.
So many of them in a row, and nothing more is to be asked of it: what waits would fail for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

REFUSALS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Circuit:
    """Refusals of an account in a row, and the last one's code."""

    refusals: int = 0
    code: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the account is to be left alone."""
        return self.refusals >= REFUSALS_MAX

    def after(self, answers: Iterable[tuple[bool, str]]) -> Circuit:
        """The circuit after more answers: `(is_taken, code of a refusal of the account or "")`.

        What says nothing of the account changes nothing. An open circuit stays so.

        >>> Circuit().after([(False, "arrears")] * 4 + [(True, "")]).refusals
        0
        >>> Circuit().after([(False, "arrears"), (False, "")] * 5).is_open
        True
        """
        refusals, code = self.refusals, self.code
        for is_taken, refused in answers:
            if refusals >= REFUSALS_MAX:
                break
            if is_taken:
                refusals, code = 0, ""
            elif refused:
                refusals, code = refusals + 1, refused
        return Circuit(refusals, code)
