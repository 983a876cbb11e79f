"""Faults of the network that experiments make: a cable is pulled, and plugged in again."""

from __future__ import annotations

from topologies.emulation import tools
from topologies.emulation.testbed import Testbed


def unplug(bed: Testbed, name: str) -> None:
    """Pull the cable of a host's first interface."""
    _cable(bed, name, "down")


def plug_in(bed: Testbed, name: str) -> None:
    """Plug it in again."""
    _cable(bed, name, "up")


def _cable(bed: Testbed, name: str, state: str) -> None:
    """Set the far end of the host's link, which is in the namespace of the switches: the host loses its carrier."""
    link = bed.host(name).defaultIntf().link
    far = link.intf2 if link.intf1.node.name == name else link.intf1
    tools.batch("ip", [f"link set dev {far.name} {state}"])
