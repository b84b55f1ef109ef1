"""What a CMPP account needs to know: the contract with the carrier, as data."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import timedelta, timezone, tzinfo
from typing import Final, Literal, TypeAlias

Version: TypeAlias = Literal["2.0", "3.0"]
BEIJING: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class CmppSettings:
    """One account at one gateway. Times in seconds, of the machine's monotonic clock.

    `source_addr` is the six digits of the account (SP_Id), `sender_id` the access number that
    handsets show, `service_id` the service that is billed. Window, patience and interval of the
    active test are those the specification recommends (W 16, T 60, C 180). `zone` is the one in
    which the gateway writes and reads dates; a number of `country_code` goes out without it.
    `holds_validity`: the carrier honours `Valid_Time`; some take it and do not.
    `proves_itself`: hold the gateway to its proof that it knows the secret; some send none.
    """

    host: str
    port: int
    source_addr: str
    password: str = field(repr=False)
    sender_id: str = ""
    name: str = "cmpp"
    version: Version = "2.0"
    service_id: str = ""
    holds_validity: bool = True
    fee_type: str = "01"
    fee_code: str = "0"
    window: int = 16
    links: int = 1
    rate_per_s: float | None = None
    bind_timeout_s: float = 10.0
    response_timeout_s: float = 60.0
    enquire_link_s: float = 180.0
    reconnect_s: float = 0.5
    throttle_retry_s: int = 1
    parts_max: int = 10
    inbound_max: int = 10_000
    country_code: str = "86"
    zone: tzinfo = BEIJING
    proves_itself: bool = False
    tls: ssl.SSLContext | None = None
