"""SMS over one account at an SMPP gateway: which binds it keeps, and what it can do."""

from __future__ import annotations

from functools import partial

from duewise.channels.base import Capabilities
from duewise.channels.smpp.codec import SmppCodec
from duewise.channels.smpp.pdu import Command
from duewise.channels.smpp.settings import SmppSettings
from duewise.channels.wire.channel import Leg, WireChannel
from duewise.times import Clock


def smpp_channel(settings: SmppSettings, *, clock: Clock) -> WireChannel:
    """A `base.Channel` over SMPP 3.4."""
    codec = partial(SmppCodec, settings, clock=clock)
    legs = [Leg(codec)]
    if settings.binds == "transmitter_and_receiver":
        legs = [
            Leg(partial(codec, bind_as=Command.BIND_TRANSMITTER), hears=False),
            Leg(partial(codec, bind_as=Command.BIND_RECEIVER), sends=False),
        ]
    capabilities = Capabilities(
        parts_max=settings.parts_max,
        receipts=True,
        replies=True,
        idempotent=False,  # the protocol has no idempotency key
        echoes_reference=settings.echoes_reference,
        holds_validity=settings.holds_validity,
    )
    return WireChannel(settings, legs * settings.links, capabilities=capabilities, clock=clock)
