"""Validation of a topology before anything is built from it, and the addresses and commands of its hosts."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from mininet.topo import Topo

from topologies.emulation import classes, options
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
    owners: dict[Any, str] = {}
    for host, ip in _addresses(topo):
        try:
            address = IPv4Interface(ip).ip
        except ValueError:
            raise TopologyError(f"the host {host} has ip={ip!r}, which is not an IPv4 address") from None
        if owners.setdefault(address, host) != host:
            raise TopologyError(f"the hosts {owners[address]} and {host} both have the address {address}")


def host_addresses(topo: Topo) -> dict[str, str]:
    """Return the address of every host that has one, as '10.0.0.1/24': its own, or the one that Mininet assigns by
    counting.

    It is the address of the interface of the lowest port, which a link may set as well. A host with ip=None has none.
    """
    on_links = {(node, port): ip for node, port, ip in _ends(topo) if ip}
    addresses = {}
    for number, host in enumerate(topo.hosts(), start=1):
        ports = topo.ports.get(host)
        counted = f"{DEFAULT_NETWORK[number]}/{DEFAULT_NETWORK.prefixlen}" if ports else None
        address = on_links.get((host, min(ports))) if ports else None
        address = address or topo.nodeInfo(host).get("ip", counted)
        if address:
            addresses[host] = address
    return addresses


def _ends(topo: Topo) -> Iterator[tuple[str, int, str | None]]:
    """Yield both ends of every link: node, port, and the address that the link assigns."""
    for first, second, params in topo.links(withInfo=True):
        yield params.get("node1", first), params["port1"], (params.get("params1") or {}).get("ip")
        yield params.get("node2", second), params["port2"], (params.get("params2") or {}).get("ip")


def _addresses(topo: Topo) -> list[tuple[str, str]]:
    addresses = list(host_addresses(topo).items())
    addresses += [(node, ip) for node, _, ip in _ends(topo) if ip and (node, ip) not in addresses]
    return addresses
