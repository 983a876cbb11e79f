"""Lab: tool-independent model of a topology, with hosts, switches, links, addresses, link properties and services.

    lab_of(topo)   the Lab of a Mininet topology, with the interface names and addresses that Mininet chooses
    LabTopo(lab)   a Mininet topology made from the Lab

Left out: IPv6, rate traces, and classes of nodes (`cls=`); a Lab lists the parts that were left out in its `notes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.addressing import ipv6_of
from lab7.topologies.emulation.shape import SHAPING, Shape, parse_shape


@dataclass(frozen=True)
class End:
    """End of a link at a node: interface number (from 0), addresses, and the traffic shape of frames it sends."""

    node: str
    number: int
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    shape: Shape | None = None


@dataclass(frozen=True)
class LabHost:
    """Host in a Lab, the tool-independent model of a topology.

    routes      routes in the syntax of ip-route(8)
    setup       command lines that run before the services
    serves      command lines of its services
    files       path -> text of files in its folder
    names       its domain names
    resolvers   addresses of its recursive resolvers
    """

    name: str
    routes: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lab:
    """Tool-independent model of a topology: hosts, switches and links.

    host_names: every host's /etc/hosts lists all other hosts; notes: sentences about the parts that were left out.
    """

    hosts: tuple[LabHost, ...]
    switches: tuple[str, ...]
    links: tuple[tuple[End, End], ...]
    host_names: bool = True
    notes: tuple[str, ...] = ()

    def ends(self, node: str) -> list[End]:
        """Return the link ends at a node in the order of their interface numbers."""
        ends = [end for link in self.links for end in link if end.node == node]
        return sorted(ends, key=lambda end: end.number)

    def host_entries(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return (address, names) of each host with an address, as in /etc/hosts."""
        entries = []
        for host in self.hosts:
            addresses = [address for end in self.ends(host.name) for address in end.addresses]
            if addresses:
                entries.append((addresses[0].partition("/")[0], (*host.names, host.name)))
        return entries

    @property
    def network(self) -> Lab:
        """Return a copy of the lab for comparison: only sorted nodes, links, addresses, routes and traffic shapes."""
        hosts = tuple(LabHost(host.name, host.routes) for host in sorted(self.hosts, key=lambda host: host.name))
        links = [(first, second) if first.node <= second.node else (second, first) for first, second in self.links]
        order = sorted(links, key=lambda link: [(end.node, end.number) for end in link])
        return Lab(hosts, tuple(sorted(self.switches)), tuple(order))


def lab_of(topo: Topo) -> Lab:
    """Convert a Mininet topology to a Lab, the tool-independent model. Raises TopologyError for an invalid option."""
    topology_checks.check(topo)
    addresses = topology_checks.host_addresses(topo)
    links = [info for _, _, info in topo.links(withInfo=True)]
    ports = sorted((info[f"node{side}"], info[f"port{side}"]) for info in links for side in (1, 2))
    # Interfaces are numbered by their ports, which start at 1 in switches.
    numbers: dict[tuple[str, int], int] = {}
    for node, port in ports:
        numbers[node, port] = sum(other == node for other, _ in numbers)

    def end(info: Mapping[str, Any], side: int) -> End:
        node, own = info[f"node{side}"], info.get(f"params{side}") or {}
        number = numbers[node, info[f"port{side}"]]
        shape = rounded(parse_shape({key: {**own, **info}.get(key) for key in SHAPING}))
        if topo.isSwitch(node):
            return End(node, number, shape=shape)
        address = addresses.get(node) if number == 0 else own.get("ip")
        mac = info.get(f"addr{side}") or (topo.nodeInfo(node).get("mac") if number == 0 else None)
        return End(node, number, (_with_prefix(address),) if address else (), mac, shape)

    hosts = tuple(_host(name, topo.nodeInfo(name)) for name in topo.hosts())
    ends = tuple((end(info, 1), end(info, 2)) for info in links)
    return Lab(hosts, tuple(topo.switches()), ends, bool(getattr(topo, "host_names", True)), _notes(topo))


def rounded(shape: Shape | None) -> Shape | None:
    """Return a traffic shape rounded to the precision of tc's commands: us, bit/s, and 1e-7 of loss and reordering.

    Returns None for a shape that changes nothing; a rate trace is left out.
    """
    if shape is None:
        return None
    found = replace(
        shape,
        rate_bps=None if shape.rate_bps is None else float(round(shape.rate_bps)),
        delay_s=round(shape.delay_s, 6),
        jitter_s=round(shape.jitter_s, 6),
        loss=round(shape.loss, 7),
        reorder=round(shape.reorder, 7),
        trace=None,
    )
    return None if found == Shape(queue_frames=found.queue_frames) else found


def _with_prefix(address: str) -> str:
    """Return an address with a prefix length: its own, or else 8, that of Mininet's default network 10.0.0.0/8."""
    return address if "/" in address else f"{address}/{topology_checks.DEFAULT_NETWORK.prefixlen}"


def _host(name: str, given: Mapping[str, Any]) -> LabHost:
    default = given.get("defaultRoute")
    routes = [] if default is None else [f"default {default if ' ' in default else f'dev {default}'}"]
    resolver = given.get("resolver") or []
    return LabHost(
        name,
        (*routes, *(route for route in given.get("routes") or [] if ":" not in route)),
        tuple(topology_checks.commands(given.get("setup"))),
        tuple(topology_checks.commands(given.get("serves"))),
        dict(given.get("files") or {}),
        tuple(given.get("names") or ()),
        (resolver,) if isinstance(resolver, str) else tuple(resolver),
    )


def _notes(topo: Topo) -> tuple[str, ...]:
    notes = ["IPv6 addresses are left out"] if ipv6_of(topo, None) else []
    for first, second, info in topo.links(withInfo=True):
        if any("trace" in (info.get(side) or {}) for side in ("params1", "params2")) or info.get("trace"):
            notes.append(f"the trace of the link {first}-{second} is left out")
    for node in topo.nodes():
        kind = topo.nodeInfo(node).get("cls")
        if kind is not None:
            notes.append(f"the class {getattr(kind, '__name__', kind)} of {node} is left out")
    return tuple(notes)


class LabTopo(Topo):  # type: ignore[misc]
    """Mininet topology made from a Lab, the tool-independent model of a topology."""

    def build(self, lab: Lab) -> None:
        """Add the hosts, switches and links of the Lab to this topology."""
        self.host_names = lab.host_names
        for host in lab.hosts:
            first = next(iter(lab.ends(host.name)), None)
            address = first.addresses[0] if first is not None and first.addresses else None
            self.addHost(host.name, ip=address, routes=list(host.routes))
        for switch in lab.switches:
            self.addSwitch(switch)
        for link in lab.links:
            self.addLink(*(end.node for end in link), **self._link(link))

    def _link(self, link: tuple[End, End]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for side, end in enumerate(link, 1):
            options[f"port{side}"] = end.number + (1 if self.isSwitch(end.node) else 0)
            if end.mac is not None:
                options[f"addr{side}"] = end.mac
            own = shape_options(end.shape)
            # The address of interface 0 is the host's `ip`, which Mininet assigns to the first interface.
            if end.addresses and end.number > 0:
                own["ip"] = end.addresses[0]
            options[f"params{side}"] = own
        return options


def shape_options(shape: Shape | None) -> dict[str, Any]:
    """Return the parameters of TCLink that describe a traffic shape."""
    if shape is None:
        return {}
    options: dict[str, Any] = {"delay": f"{shape.delay_s * 1e6:.0f}us"}
    options |= {} if shape.rate_bps is None else {"bw": shape.rate_bps / 1e6}
    options |= {"jitter": f"{shape.jitter_s * 1e6:.0f}us"} if shape.jitter_s else {}
    options |= {name: value * 100 for name, value in (("loss", shape.loss), ("reorder", shape.reorder)) if value}
    return options | ({"max_queue_size": shape.queue_frames} if shape.queue_frames != Shape.queue_frames else {})


def renumbered(lab: Lab) -> Lab:
    """Return a copy of a Lab in which each node's interfaces are numbered from 0 without gaps, in the same order."""
    ranks = {
        (end.node, end.number): rank
        for node in {end.node for link in lab.links for end in link}
        for rank, end in enumerate(lab.ends(node))
    }
    links = tuple(
        (
            replace(first, number=ranks[first.node, first.number]),
            replace(second, number=ranks[second.node, second.number]),
        )
        for first, second in lab.links
    )
    return replace(lab, links=links)
