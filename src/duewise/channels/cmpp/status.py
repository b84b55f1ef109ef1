"""What CMPP's result codes are called, and what each asks of us.

CMPP 3.0, sections 8.4.1.2 (Status), 8.4.3.2 (Result) and annex 1 (Stat). What a code asks for is
one of four words: `retry` the same route later, `re-route` (this account cannot send this, another
may), `dead_address` (the number takes nothing), `stop` (no route will take it as it is).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from duewise.channels.base import Refused

Asks: TypeAlias = Literal["retry", "re-route", "dead_address", "stop"]


class Result(NamedTuple):
    """A code's name, and what it asks for."""

    name: str
    asks: Asks


OK: Final = 0
THROTTLED: Final = 8  # flow control: too many a second, or too many unanswered
INVALID_DESTINATION: Final = 13

RESULTS: Final = {
    1: Result("CMPP_BAD_STRUCTURE", "stop"),
    2: Result("CMPP_BAD_COMMAND", "stop"),
    3: Result("CMPP_REPEATED_SEQUENCE", "retry"),
    4: Result("CMPP_BAD_LENGTH", "stop"),
    5: Result("CMPP_BAD_FEE_CODE", "re-route"),
    6: Result("CMPP_TEXT_TOO_LONG", "stop"),
    7: Result("CMPP_BAD_SERVICE", "re-route"),
    8: Result("CMPP_FLOW_CONTROL", "retry"),
    9: Result("CMPP_OTHER", "retry"),
    10: Result("CMPP_BAD_SOURCE", "re-route"),
    11: Result("CMPP_BAD_SENDER", "re-route"),
    12: Result("CMPP_BAD_FEE_NUMBER", "re-route"),
    13: Result("CMPP_BAD_DESTINATION", "dead_address"),
}
NAMES: Final = {0: "CMPP_OK"} | {number: result.name for number, result in RESULTS.items()}

_CONNECT_NAMES: Final = {
    1: "CMPP_CONNECT_BAD_STRUCTURE",
    2: "CMPP_CONNECT_BAD_SOURCE",
    3: "CMPP_CONNECT_BAD_AUTHENTICATOR",
    4: "CMPP_CONNECT_VERSION_TOO_HIGH",
    5: "CMPP_CONNECT_OTHER",
}


def name(result: int) -> str:
    """Our name of a result; a gateway's own codes have their number in it.

    >>> name(8), name(77)
    ('CMPP_FLOW_CONTROL', 'CMPP_77')
    """
    return NAMES.get(result, f"CMPP_{result}")


def connect_name(code: int) -> str:
    """Our name of a status that CONNECT was answered with."""
    return _CONNECT_NAMES.get(code, f"CMPP_CONNECT_{code}")


def refusal(result: int, *, retry_after_s: int) -> Refused:
    """A result other than 0 as an answer; what nobody defined is worth another try.

    >>> refused = refusal(13, retry_after_s=1)
    >>> refused.code, refused.is_permanent, refused.retry_after_s
    ('CMPP_BAD_DESTINATION', True, None)
    """
    known = RESULTS.get(result)
    is_permanent = known is not None and known.asks != "retry"
    return Refused(name(result), is_permanent, None if is_permanent else retry_after_s)
