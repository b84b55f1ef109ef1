"""A gateway that never was: real SMPP or CMPP over TCP, for demo and tests, no handset behind."""

from duewise.channels.gateway.control import GatewayControl
from duewise.channels.gateway.server import run_gateway
from duewise.channels.gateway.settings import GatewayPorts, GatewaySettings

__all__ = ["GatewayControl", "GatewayPorts", "GatewaySettings", "run_gateway"]
