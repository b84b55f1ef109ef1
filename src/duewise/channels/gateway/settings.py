"""How the simulated gateway behaves, and what becomes of a message in it: drawn, not thrown.

A message's fate is a hash of the seed, its destination and its text, so the same run has the same
failures whatever the order and speed of the submits.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from duewise.channels.smpp import status

Protocol: TypeAlias = Literal["smpp", "cmpp"]
IdForm: TypeAlias = Literal["same", "upper", "padded", "decimal"]

LinkLoss: TypeAlias = Literal["none", "before_taken", "after_taken"]

_POINTS = struct.Struct(">IIII")
_ONE: Final = 1 << 32  # a point is a 32-bit draw over this: exact as a float, never 1.0


@dataclass(frozen=True)
class GatewaySettings:
    """Shares lie in [0, 1]; what no share claims is delivered. Port 0 takes a free one.

    `delay_s` (shortest, longest) runs on the gateway's clock; `response_s` and `throttle_per_s`
    are the machine's own seconds. `silent_share` never gets a receipt; `duplicate_share` gets it
    twice; `early_share` gets it before the submit's own answer; `drop_share` of the submits lose
    their link, about half of them before the gateway took the message, the others after.
    `receipt_id_form` is how a receipt spells the message id of the answer (SMPP only: CMPP's is a
    number). `refuse_statuses` are codes of the protocol.
    """

    protocol: Protocol = "smpp"
    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    accounts: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"duewise": "duewise"}), repr=False
    )
    seed: str = "gateway"
    failed_share: float = 0.0
    failure_codes: tuple[str, ...] = ("001", "012", "254")
    expired_share: float = 0.0
    silent_share: float = 0.0
    refuse_share: float = 0.0
    refuse_statuses: tuple[int, ...] = (status.INVALID_DESTINATION,)
    duplicate_share: float = 0.0
    early_share: float = 0.0
    drop_share: float = 0.0
    delay_s: tuple[float, float] = (1.0, 30.0)
    response_s: float = 0.0
    throttle_per_s: float | None = None
    window: int = 1_000
    receipt_window: int = 1_000
    receipt_id_form: IdForm = "same"
    links_max: int = 64

    @property
    def is_certain(self) -> bool:
        """Whether every message meets the same fate, so that none need be drawn."""
        shares = (self.failed_share, self.expired_share, self.silent_share, self.refuse_share)
        is_even = self.delay_s[0] == self.delay_s[1]
        return is_even and not any((*shares, self.duplicate_share, self.early_share))


@dataclass(frozen=True)
class GatewayPorts:
    """Where the gateway listens: its protocol, and control on 127.0.0.1."""

    host: str
    port: int
    control_port: int


class Fate(NamedTuple):
    """What becomes of a message. `refusal` 0 takes it; `stat` "" stays silent for ever."""

    refusal: int
    stat: str
    code: str
    delay: timedelta
    is_duplicated: bool
    is_early: bool


def fate(settings: GatewaySettings, *, destination: str, text: str) -> Fate:
    """The same words to the same number always meet the same fate.

    >>> fate(GatewaySettings(failed_share=1.0), destination="+8613800000000", text="hi").stat
    'UNDELIV'
    """
    digest = hashlib.blake2b(
        f"{settings.seed}\0{destination}\0{text}".encode(), digest_size=_POINTS.size
    ).digest()
    refused, outcome, late, odd = _POINTS.unpack(digest)
    refusal = 0
    if refused < settings.refuse_share * _ONE:
        refusal = settings.refuse_statuses[odd % len(settings.refuse_statuses)]
    stat, code = _outcome(settings, outcome / _ONE, odd)
    shortest, longest = settings.delay_s
    return Fate(
        refusal,
        stat,
        code,
        timedelta(0, shortest + late / _ONE * (longest - shortest)),
        is_duplicated=odd < settings.duplicate_share * _ONE,
        is_early=odd < settings.early_share * _ONE,
    )


def link_loss(settings: GatewaySettings, number: int) -> LinkLoss:
    """Whether the link is lost at submit number `number` of this run, and when."""
    if not settings.drop_share:
        return "none"
    digest = hashlib.blake2b(f"{settings.seed}\0{number}".encode(), digest_size=4).digest()
    point = int.from_bytes(digest, "big")
    if point >= settings.drop_share * _ONE:
        return "none"
    return "before_taken" if point % 2 else "after_taken"


def _outcome(settings: GatewaySettings, point: float, pick: int) -> tuple[str, str]:
    """State and error code at that point of [0, 1): failed, expired, silent, delivered."""
    if point < settings.failed_share:
        return "UNDELIV", settings.failure_codes[pick % len(settings.failure_codes)]
    point -= settings.failed_share
    if point < settings.expired_share:
        return "EXPIRED", "000"
    if point - settings.expired_share < settings.silent_share:
        return "", ""
    return "DELIVRD", "000"
