"""Substitution of Mininet's classes of nodes, links and interfaces (`cls=` in a topology).

A testbed makes hosts, switches and links of its own classes. Where a topology names a stock class without further
behaviour, `cls=TCLink` or `cls=OVSSwitch`, the testbed's takes its place. Any other class is refused.
"""

from typing import Any

from mininet import link, node, nodelib
from mininet.topo import Topo

from topologies.emulation.errors import TopologyError
from topologies.emulation.links.link import EmulatedLink
from topologies.emulation.links.openvswitch import OpenVSwitch
from topologies.emulation.node import Bridge, Host, Interface

HOSTS = (node.Node, node.Host, Host)
# OVSKernelSwitch is OVSSwitch by another name. Without a controller all of them are learning bridges.
SWITCHES = (node.Switch, node.OVSSwitch, node.OVSBridge, nodelib.LinuxBridge, Bridge)
# TCULink turns checksum offload off, as every link here does; OVSLink is an optimisation between two OVSSwitches.
LINKS = (link.Link, link.TCLink, link.TCULink, link.OVSLink, EmulatedLink)
INTERFACES = (link.Intf, link.TCIntf, Interface)
INTERFACE_OPTIONS = ("intf", "cls1", "cls2")


def check(topo: Topo) -> None:
    """Validate the classes of a topology. Raises TopologyError for the first that a testbed cannot use."""
    for host in topo.hosts():
        _check(f"the host {host}", topo.nodeInfo(host).get("cls"), HOSTS, _INSTEAD_OF_HOST)
    for switch in topo.switches():
        kind = topo.nodeInfo(switch).get("cls")
        if not _is_own_bridge(kind):
            _check(f"the switch {switch}", kind, SWITCHES, _INSTEAD_OF_SWITCH)
    for first, second, params in topo.links(withInfo=True):
        _check(f"the link {first}-{second}", params.get("cls"), LINKS, _INSTEAD_OF_LINK)
        for option in INTERFACE_OPTIONS:
            _check(f"the link {first}-{second}, option {option},", params.get(option), INTERFACES, _INSTEAD_OF_LINK)


_INSTEAD_OF_HOST = "give addHost() what it does: forwards=True for a router, serves='COMMAND' for a program"
_INSTEAD_OF_SWITCH = "for Open vSwitch call Testbed(topo, switch=OpenVSwitch), for a mirror port set mirrors=True"
_INSTEAD_OF_LINK = "give addLink() what it does: bw, delay, jitter, loss, max_queue_size, reorder"


def _check(place: str, kind: Any, stock: tuple[type, ...], instead: str) -> None:
    if kind is None or kind in stock:
        return
    name = getattr(kind, "__name__", None)
    if name is None or not callable(kind):
        raise TopologyError(f"{place} has cls={kind!r}, which is not a class: leave it out")
    known = ", ".join(dict.fromkeys(stock_class.__name__ for stock_class in stock))
    raise TopologyError(f"{place} has the class {name}, which is not one of {known}: leave it out and {instead}")


def _is_own_bridge(kind: Any) -> bool:
    """Return whether a class is derived from lab7's own switch, whose constructor takes a name and options."""
    # Open vSwitch needs its daemons, which a testbed starts only if all of its switches are Open vSwitches.
    return isinstance(kind, type) and issubclass(kind, Bridge) and not issubclass(kind, OpenVSwitch)
