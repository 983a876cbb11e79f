"""Validation of a topology before anything is built from it, and the addresses and commands of its hosts."""

from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from mininet.topo import Topo

from topologies.emulation import classes, options
from topologies.emulation.addressing import segments
from topologies.emulation.errors import EmulationError, TopologyError
from topologies.emulation.loops import find_loop
from topologies.emulation.options import INTERFACE_NAME_MAX
from topologies.emulation.process.launcher import split_command

# Mininet gives a host without an address the next one of this network (ipBase of mininet.net.Mininet).
DEFAULT_NETWORK = IPv4Network("10.0.0.0/8")


def commands(serves: str | Sequence[str] | None) -> list[str]:
    """Return the `serves` parameter of a host as a list of command lines."""
    if not serves:
        return []
    return [serves] if isinstance(serves, str) else list(serves)


def check(topo: Topo) -> None:
    """Validate a topology. Raises TopologyError for the first part that cannot become a network."""
    _check_names(topo)
    classes.check(topo)
    options.check(topo)
    _check_addresses(topo)
    _check_loops(topo)
    for host in topo.hosts():
        for command in commands(topo.nodeInfo(host).get("serves")):
            try:
                split_command(command)
            except (EmulationError, ValueError) as error:
                raise TopologyError(f"the host {host}: {error}") from None


def _check_names(topo: Topo) -> None:
    for node in topo.nodes():
        ports = topo.ports.get(node, {})
        longest = max((f"{node}-eth{port}" for port in ports), key=len, default=node)
        if len(longest) > INTERFACE_NAME_MAX:
            over = len(longest) - INTERFACE_NAME_MAX
            raise TopologyError(
                f"the name {node!r} is too long: its interface {longest!r} has {len(longest)} characters and Linux "
                f"allows {INTERFACE_NAME_MAX}; shorten it by {over}"
            )
        if not node.replace("-", "").replace("_", "").isalnum() or not node.isascii():
            raise TopologyError(f"the name {node!r} is not a host name: use letters, digits and hyphens")


def _check_loops(topo: Topo) -> None:
    if loop := find_loop(topo):
        raise TopologyError(
            f"the switches {'-'.join(loop)} form a loop, in which a broadcast would circulate for ever, since switches "
            "here run no spanning tree protocol: leave out one of these links"
        )


def _check_addresses(topo: Topo) -> None:
    # An address has to be unique in its segment only: see addressing.segments.
    domains = segments.of_topology(topo)
    owners: dict[Any, str] = {}
    for host, port, ip in _addresses(topo):
        try:
            address = IPv4Interface(ip).ip
        except ValueError:
            raise TopologyError(f"the host {host} has ip={ip!r}, which is not an IPv4 address") from None
        # A host without a link is alone.
        place = (host if port is None else domains.get((host, port), host), address)
        if owners.setdefault(place, host) != host:
            raise TopologyError(f"the hosts {owners[place]} and {host} both have the address {address}")


def host_addresses(topo: Topo) -> dict[str, str]:
    """Return the address of every host that has one, as '10.0.0.1/24': its own, or the one that Mininet assigns by
    counting.

    It is the address of the interface of the lowest port, which a link may set as well. A host with ip=None has none.
    """
    given = on_links(topo, "ip")
    addresses = {}
    for number, host in enumerate(topo.hosts(), start=1):
        ports = topo.ports.get(host)
        counted = f"{DEFAULT_NETWORK[number]}/{DEFAULT_NETWORK.prefixlen}" if ports else None
        address = given.get((host, min(ports))) if ports else None
        address = address or topo.nodeInfo(host).get("ip", counted)
        if address:
            addresses[host] = address
    return addresses


def on_links(topo: Topo, name: str) -> dict[tuple[str, int], str]:
    """Return the value that a link's params1 and params2 give to that parameter (ip or ip6), by node and port."""
    found = {}
    for first, second, params in topo.links(withInfo=True):
        for number, node in ((1, first), (2, second)):
            if value := (params.get(f"params{number}") or {}).get(name):
                found[params.get(f"node{number}", node), params[f"port{number}"]] = value
    return found


def _addresses(topo: Topo) -> list[tuple[str, int | None, str]]:
    """Return all addresses of hosts as (host, port, address); port None: of a host without a link."""
    found: list[tuple[str, int | None, str]] = []
    for host, ip in host_addresses(topo).items():
        found.append((host, min(topo.ports.get(host) or {}, default=None), ip))
    found += [row for (node, port), ip in on_links(topo, "ip").items() if (row := (node, port, ip)) not in found]
    return found
