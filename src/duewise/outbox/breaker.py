"""When an account is to be left alone: a circuit breaker, folded from what its provider answers.

A refusal of the account (arrears, a wrong key, a template withdrawn) says nothing of the message.
So many of them in a row, and nothing more is to be asked of it: what waits would fail for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

REFUSALS_MAX: Final = 5
# While another route can take over: so many chunks in a row found the link away.
AWAY_MAX: Final = 3
PROBE_FIRST_S: Final = 30  # until the first try; each that fails doubles it
PROBE_MOST_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class Circuit:
    """Refusals of an account in a row, and the last one's code; and how often the link was away.

    `is_probe`: the account was left alone, and one message tries it again (half-open).
    """

    refusals: int = 0
    code: str = ""
    away: int = 0
    is_probe: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the account is to be left alone."""
        return self.refusals >= (1 if self.is_probe else REFUSALS_MAX) or self.away >= AWAY_MAX

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
        return replace(self, refusals=refusals, code=code)

    def seen(self, *, is_away: bool) -> Circuit:
        """The circuit after another chunk that found the link there, or away.

        >>> Circuit(away=2).seen(is_away=False).away, Circuit(away=2).seen(is_away=True).is_open
        (0, True)
        """
        return replace(self, away=self.away + 1 if is_away else 0)
