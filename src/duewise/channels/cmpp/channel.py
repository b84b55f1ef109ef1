"""SMS over one account at a CMPP gateway: how many links it keeps, and what it can do."""

from __future__ import annotations

from functools import partial

from duewise.channels.base import Capabilities
from duewise.channels.cmpp.codec import CmppCodec
from duewise.channels.cmpp.settings import CmppSettings
from duewise.channels.wire.channel import Leg, WireChannel
from duewise.times import Clock


def cmpp_channel(settings: CmppSettings, *, clock: Clock) -> WireChannel:
    """A `base.Channel` over CMPP 2.0 or 3.0."""
    capabilities = Capabilities(
        parts_max=settings.parts_max,
        receipts=True,
        replies=True,
        idempotent=False,  # the protocol has no idempotency key
        echoes_reference=False,  # and no field for a reference of ours
        holds_validity=settings.holds_validity,
    )
    legs = [Leg(partial(CmppCodec, settings, clock=clock))] * settings.links
    return WireChannel(settings, legs, capabilities=capabilities, clock=clock)
