"""What a gateway's command_status means for us: its name, and whether another try may help.

SMPP 3.4, section 5.1.3. A gateway that means something else by a code is a matter of settings
(`SmppSettings.temporary_statuses`), not of this table.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from duewise.channels.base import Refused

OK: Final = 0x00
INVALID_COMMAND: Final = 0x03
INVALID_BIND_STATE: Final = 0x04
ALREADY_BOUND: Final = 0x05
SYSTEM_ERROR: Final = 0x08
INVALID_DESTINATION: Final = 0x0B
BIND_FAILED: Final = 0x0D
INVALID_PASSWORD: Final = 0x0E
INVALID_SYSTEM_ID: Final = 0x0F
QUEUE_FULL: Final = 0x14
SUBMIT_FAILED: Final = 0x45
THROTTLED: Final = 0x58
EXPIRY_INVALID: Final = 0x62
RECEIVER_BUSY: Final = 0x64

NAMES: Final = {
    0x00: "ESME_ROK",
    0x01: "ESME_RINVMSGLEN",
    0x02: "ESME_RINVCMDLEN",
    0x03: "ESME_RINVCMDID",
    0x04: "ESME_RINVBNDSTS",
    0x05: "ESME_RALYBND",
    0x06: "ESME_RINVPRTFLG",
    0x07: "ESME_RINVREGDLVFLG",
    0x08: "ESME_RSYSERR",
    0x0A: "ESME_RINVSRCADR",
    0x0B: "ESME_RINVDSTADR",
    0x0C: "ESME_RINVMSGID",
    0x0D: "ESME_RBINDFAIL",
    0x0E: "ESME_RINVPASWD",
    0x0F: "ESME_RINVSYSID",
    0x11: "ESME_RCANCELFAIL",
    0x13: "ESME_RREPLACEFAIL",
    0x14: "ESME_RMSGQFUL",
    0x15: "ESME_RINVSERTYP",
    0x43: "ESME_RINVESMCLASS",
    0x45: "ESME_RSUBMITFAIL",
    0x48: "ESME_RINVSRCTON",
    0x49: "ESME_RINVSRCNPI",
    0x50: "ESME_RINVDSTTON",
    0x51: "ESME_RINVDSTNPI",
    0x53: "ESME_RINVSYSTYP",
    0x58: "ESME_RTHROTTLED",
    0x61: "ESME_RINVSCHED",
    0x62: "ESME_RINVEXPIRY",
    0x64: "ESME_RX_T_APPN",
    0x65: "ESME_RX_P_APPN",
    0x66: "ESME_RX_R_APPN",
    0x67: "ESME_RQUERYFAIL",
    0xC0: "ESME_RINVOPTPARSTREAM",
    0xC1: "ESME_ROPTPARNOTALLWD",
    0xC2: "ESME_RINVPARLEN",
    0xC3: "ESME_RMISSINGOPTPARAM",
    0xC4: "ESME_RINVOPTPARAMVAL",
    0xFE: "ESME_RDELIVERYFAILURE",
    0xFF: "ESME_RUNKNOWNERR",
}

SLOW_DOWN: Final = frozenset({QUEUE_FULL, THROTTLED})
TEMPORARY: Final = SLOW_DOWN | {
    INVALID_BIND_STATE,
    SYSTEM_ERROR,
    BIND_FAILED,
    SUBMIT_FAILED,
    RECEIVER_BUSY,
    0xFE,
    0xFF,
}


def name(status: int) -> str:
    """The specification's name, or the number where it has none.

    >>> name(0x58), name(0x0401)
    ('ESME_RTHROTTLED', '0x00000401')
    """
    return NAMES.get(status, f"0x{status:08X}")


def refusal(status: int, *, temporary: AbstractSet[int] = TEMPORARY, retry_after_s: int) -> Refused:
    """A status other than 0 as an answer.

    >>> refused = refusal(0x0B, retry_after_s=1)
    >>> refused.code, refused.is_permanent, refused.retry_after_s
    ('ESME_RINVDSTADR', True, None)
    """
    is_permanent = status not in temporary
    return Refused(name(status), is_permanent, None if is_permanent else retry_after_s)
