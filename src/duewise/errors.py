"""What Duewise cannot go on from: one tree of exceptions, and bad input as values.

DuewiseError
├── BadInput          the caller's file, flag or text is wrong; exit code 2, with file, line, mend
├── Unreachable       a server we need does not answer; nothing was lost, try again
└── IntegrityBroken   a total that must tie does not
"""

from __future__ import annotations

from dataclasses import dataclass


class DuewiseError(Exception):
    """Duewise cannot go on."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class BadInput(DuewiseError):
    """The input is wrong.

    `source` is the file or flag, `line` counts from 1, `mend` says what to do about it.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        line: int | None = None,
        mend: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.source, self.line, self.mend = message, source, line, mend

    def __str__(self) -> str:
        """`source:line: message. Mend: …`, leaving out what is not known.

        >>> str(BadInput("unknown column 'pdd'", source="map.yaml", line=3, mend="use 'dpd'"))
        "map.yaml:3: unknown column 'pdd'. Mend: use 'dpd'"
        """
        place = ":".join(str(part) for part in (self.source, self.line) if part is not None)
        return "".join(
            (
                f"{place}: " if place else "",
                self.message,
                f". Mend: {self.mend}" if self.mend else "",
            )
        )


class Unreachable(DuewiseError):
    """A server that is needed does not answer. Nothing was lost; try again."""


class IntegrityBroken(DuewiseError):
    """Two figures that must be equal are not."""


@dataclass(frozen=True)
class Reject:
    """One row of input that could not be taken in. Never holds a personal value."""

    file: str
    line: int
    column: str
    reason: str
    value: str = ""
