"""What an SMPP account needs to know: the contract with the carrier, as data."""

from __future__ import annotations

import ssl
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal, TypeAlias

from duewise.channels.smpp import status

LongTexts: TypeAlias = Literal["udh", "sar", "payload"]
Binds: TypeAlias = Literal["transceiver", "transmitter_and_receiver"]


@dataclass(frozen=True)
class SmppSettings:
    """One account at one gateway. Times in seconds, of the machine's monotonic clock.

    `echoes_reference`: our reference travels in optional parameter 0x1401 and comes back in
    receipts; leave it off where the carrier refuses parameters it does not know.
    `receipt_zone` is the zone in which the gateway writes the dates of its receipts;
    `country_code` completes a reply's national number; `rate_per_s` is the contract's limit.
    `long_texts`: parts joined by a header in the text, by parameters, or one message_payload.
    `holds_validity`: the carrier honours `validity_period`; some take it and do not.
    `packs_septets`: the carrier wants and writes GSM-7 packed, eight septets in seven octets.
    `links` binds are kept up side by side, each with a window of its own; where the carrier wants
    two directions apart, each of them is a pair.
    """

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    sender_id: str = ""
    name: str = "smpp"
    system_type: str = ""
    window: int = 100
    rate_per_s: float | None = None
    bind_timeout_s: float = 10.0
    response_timeout_s: float = 30.0
    enquire_link_s: float = 30.0
    reconnect_s: float = 0.5
    throttle_retry_s: int = 1
    temporary_statuses: AbstractSet[int] = status.TEMPORARY
    parts_max: int = 10
    inbound_max: int = 10_000
    echoes_reference: bool = False
    binds: Binds = "transceiver"
    long_texts: LongTexts = "udh"
    packs_septets: bool = False
    holds_validity: bool = True
    links: int = 1
    country_code: str = "86"
    receipt_zone: tzinfo = UTC
    tls: ssl.SSLContext | None = None
