"""Recording of the networks that a run starts: addresses, switches and links, as they are stored in result.json."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from lab7.experiments.harness.results.network import Direction, LinkDescription, NetworkDescription
from lab7.topologies.emulation import testbed
from lab7.topologies.emulation.addressing import ipv6
from lab7.topologies.emulation.shape import Shape
from lab7.topologies.emulation.testbed import Testbed


class Networks:
    """Collector of the networks that a run starts; `description` combines them, and is None before the first start."""

    def __init__(self) -> None:
        self.description: NetworkDescription | None = None

    def add(self, bed: Testbed) -> None:
        """Add a started network to the description."""
        new = describe(bed)
        if self.description is None:
            self.description = new
            return
        known = self.description
        hosts = dict(known.hosts)
        for name, addresses in new.hosts.items():
            hosts[name] = tuple(dict.fromkeys((*hosts.get(name, ()), *addresses)))
        # A run may start several networks; a link between the same two nodes keeps the shape of the first one.
        joined = {frozenset((link.first, link.second)) for link in known.links}
        links = [link for link in new.links if frozenset((link.first, link.second)) not in joined]
        switches = tuple(dict.fromkeys((*known.switches, *new.switches)))
        self.description = NetworkDescription(hosts, switches, (*known.links, *links))


@contextlib.contextmanager
def recorded() -> Iterator[Networks]:
    """Yield a Networks object that records every network started during the `with` block."""
    networks = Networks()
    with testbed.observed(networks.add):
        yield networks


def describe(bed: Testbed) -> NetworkDescription:
    """Return the description of a running network: addresses, switches and links."""
    hosts = {host.name: tuple(_addresses(host, bed.ipv6)) for host in bed.net.hosts}
    switches = tuple(switch.name for switch in bed.net.switches)
    return NetworkDescription(hosts, switches, tuple(_link(link) for link in bed.net.links))


def _addresses(host: Any, with_ipv6: bool) -> Iterator[str]:
    for interface in host.intfList():
        if interface.name == "lo":
            continue
        if interface.ip:
            yield str(interface.ip)
        six = ipv6.address_of(interface) if with_ipv6 else None
        if six:
            yield ipv6.without_length(six)


def _link(link: Any) -> LinkDescription:
    first, second = link.intf1, link.intf2
    there, back = (_direction(shape) for shape in getattr(link, "shapes", (None, None)))
    return LinkDescription(first.node.name, second.node.name, first.name, second.name, there, back)


def _direction(shape: Shape | None) -> Direction:
    if shape is None:
        return Direction()
    return Direction(shape.rate_bps, shape.delay_s, shape.loss, shape.queue_frames)
