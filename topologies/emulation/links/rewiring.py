"""State of a network interface (addresses, routes, neighbours, switch port), saved before its link is replaced.

A link without delay, loss or rate is a veth pair, which cannot be shaped if the kernel has no netem. If such a link
gets its first delay, loss or rate while the network runs, a user-space link replaces it: both interfaces are created
again under their names, and their saved state is restored.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.node import Bridge

# Words of `ip route show` about the state of a route, which `ip route add` does not take.
_STATES = ("linkdown", "dead", "offload", "trap")


@dataclass
class EndState:
    """Saved state of a link's interface, to be restored on a new interface of the same name.

    It has the MAC address, the commands of ip(8) that restore addresses, routes and neighbours, and the switch of which
    the interface was a port.
    """

    mac: str
    lines: list[str] = field(default_factory=list)
    switch: Any = None
    port: Any = None


def state_of(interface: Any) -> EndState:
    """Read the state of an interface (addresses, routes, neighbours, switch port) from the kernel.

    Raises EmulationError.
    """
    name, node = interface.name, interface.node
    pid = node.network_pid()
    (device,) = json.loads(tools.output(["ip", "-json", "address", "show", "dev", name], pid))
    found = EndState(device["address"])
    for each in device.get("addr_info", ()):
        if each["scope"] != "link":
            extra = "brd +" if each["family"] == "inet" else "nodad"
            found.lines.append(f"address add {each['local']}/{each['prefixlen']} {extra} dev {name}")
    if "UP" in device["flags"]:
        found.lines.append(f"link set dev {name} up")
    if isinstance(node, Bridge):
        if interface in node.attached:
            found.switch, found.port = node, interface
        return found
    for family in ("-4", "-6"):
        for line in tools.output(["ip", family, "route", "show", "dev", name], pid).splitlines():
            words = [word for word in line.split() if word not in _STATES]
            if words and "kernel" not in words and words[0] != "unreachable":
                found.lines.append(f"route replace {' '.join(words)} dev {name}")
    for line in tools.output(["ip", "neighbour", "show", "dev", name, "nud", "permanent"], pid).splitlines():
        words = line.split()
        if "lladdr" in words:
            address = words[words.index("lladdr") + 1]
            found.lines.append(f"neighbour replace {words[0]} lladdr {address} nud permanent dev {name}")
    return found
