"""A gateway that never was: real SMPP over TCP for the demo and the tests, no handset behind it."""

from duewise.channels.gateway.control import GatewayControl
from duewise.channels.gateway.server import run_gateway
from duewise.channels.gateway.settings import GatewayPorts, GatewaySettings

__all__ = ["GatewayControl", "GatewayPorts", "GatewaySettings", "run_gateway"]
