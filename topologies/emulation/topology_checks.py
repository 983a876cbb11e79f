"""Validation of a topology before its network is built; functions that return addresses and services of its hosts."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from mininet.topo import Topo

from lab7.topologies.emulation import classes, options
from lab7.topologies.emulation.addressing import segments
from lab7.topologies.emulation.errors import EmulationError, TopologyError
from lab7.topologies.emulation.links.interface import NO_ADDRESS
from lab7.topologies.emulation.loops import find_loop
from lab7.topologies.emulation.options import INTERFACE_NAME_MAX
from lab7.topologies.emulation.process.interpreter import full_name
from lab7.topologies.emulation.process.launcher import split_command

HOST_NAME = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.-]+")
# Network from which Mininet assigns addresses to hosts without one (ipBase of mininet.net.Mininet).
DEFAULT_NETWORK = IPv4Network("10.0.0.0/8")


def commands(serves: str | Sequence[str] | None) -> list[str]:
    """Return the parameter `serves` of a host as a list of command lines; short names of modules become full names."""
    if not serves:
        return []
    return [full_name(line) for line in ([serves] if isinstance(serves, str) else serves)]


def check(topo: Topo) -> None:
    """Validate a topology. Raises TopologyError for the first host, switch or link that cannot be emulated."""
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


def check_host(name: str, given: Mapping[str, Any]) -> None:
    """Validate a host that is added to a running network. Raises TopologyError."""
    topo = Topo()
    topo.addHost(name, **_as_given(given))
    check(classes.unwrapped(topo))


def check_switch(name: str, given: Mapping[str, Any]) -> None:
    """Validate a switch that is added to a running network. Raises TopologyError."""
    topo = Topo()
    topo.addSwitch(name, **_as_given(given))
    check(classes.unwrapped(topo))


def _as_given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a topology has given to addHost() or addSwitch(), without `isSwitch`, which Topo adds."""
    return {name: value for name, value in options.items() if name != "isSwitch"}


def check_link(ends: Sequence[tuple[str, bool]], given: Mapping[str, Any]) -> None:
    """Validate a link that is added to a running network. Raises TopologyError.

    ends: (name of the node, whether it is a switch) for both ends; given: options of addLink().
    """
    topo = Topo()
    for name, is_switch in ends:
        if is_switch:
            topo.addSwitch(name)
        else:
            topo.addHost(name, ip=None)
    topo.addLink(*(name for name, _ in ends), **given)
    check(classes.unwrapped(topo))


def _check_names(topo: Topo) -> None:
    given = _interface_names(topo)
    for node in topo.nodes():
        # A switch's name is also an interface name, the name of its bridge.
        names = [node] if topo.isSwitch(node) else []
        names += [f"{node}-eth{port}" for port in topo.ports.get(node, {}) if (node, port) not in given]
        longest = max(names, key=len, default="")
        if len(longest) > INTERFACE_NAME_MAX:
            over = len(longest) - INTERFACE_NAME_MAX
            raise TopologyError(
                f"the name {node!r} is too long: its interface {longest!r} has {len(longest)} characters and Linux "
                f"allows {INTERFACE_NAME_MAX}; shorten it by {over}"
            )
        if not HOST_NAME.fullmatch(node):
            raise TopologyError(f"the name {node!r} is not a host name: use letters, digits and hyphens")
    _check_interface_names(topo)


def _check_interface_names(topo: Topo) -> None:
    """Raise TopologyError for two interfaces of one name in a host, or among the switches."""
    owners: dict[tuple[str, str], str] = {}
    for first, second, params in topo.links(withInfo=True):
        for end, default in ((1, first), (2, second)):
            node, port = params.get(f"node{end}", default), params[f"port{end}"]
            name = params.get(f"intfName{end}") or f"{node}-eth{port}"
            place = ("" if topo.isSwitch(node) else node, name)
            if place in owners:
                raise TopologyError(
                    f"{node} would have a second interface {name}, which its link to {owners[place]} has: give one of "
                    "the two another name by intfName1 or intfName2"
                )
            owners[place] = second if end == 1 else first


def _interface_names(topo: Topo) -> set[tuple[str, int]]:
    """Return the (node, port) pairs of all interfaces that a link names by intfName1 or intfName2."""
    return {
        (params[f"node{end}"], params[f"port{end}"])
        for _, _, params in topo.links(withInfo=True)
        for end in (1, 2)
        if params.get(f"intfName{end}")
    }


def _check_loops(topo: Topo) -> None:
    if loop := find_loop(topo):
        raise TopologyError(loop_message(loop))


def loop_message(loop: Sequence[str]) -> str:
    """Return the error message for a loop of switches, with the remedies."""
    return (
        f"the switches {'-'.join(loop)} form a loop, in which a broadcast would circulate for ever: leave out one of "
        "these links, or run a spanning tree: addSwitch(..., stp=True), or `--stp` for all switches"
    )


def _check_addresses(topo: Topo) -> None:
    # An address must be unique only in its broadcast domain (addressing.segments).
    domains = segments.of_topology(topo)
    owners: dict[Any, str] = {}
    for host, port, ip in _addresses(topo):
        try:
            address = IPv4Interface(ip).ip
        except ValueError:
            raise TopologyError(f"the host {host} has ip={ip!r}, which is not an IPv4 address") from None
        # A host without a link is alone in a broadcast domain.
        place = (host if port is None else domains.get((host, port), host), address)
        if owners.setdefault(place, host) != host:
            raise TopologyError(f"the hosts {owners[place]} and {host} both have the address {address}")


def host_addresses(topo: Topo) -> dict[str, str]:
    """Return the IPv4 address ('10.0.0.1/24') of every host that has one, given or assigned by Mininet.

    The address is that of the interface with the lowest port. As in Mininet, an address from the link's parameters
    counts only if the host has ip=None; a host with ip=None and no such address has no address.
    """
    given = on_links(topo, "ip")
    addresses = {}
    for number, host in enumerate(topo.hosts(), start=1):
        ports = topo.ports.get(host)
        counted = f"{DEFAULT_NETWORK[number]}/{DEFAULT_NETWORK.prefixlen}" if ports else None
        address = topo.nodeInfo(host).get("ip", counted)
        address = address or (given.get((host, min(ports))) if ports else None)
        if address and not is_none(address):
            addresses[host] = address
    return addresses


def on_links(topo: Topo, name: str) -> dict[tuple[str, int], str]:
    """Return the addresses (parameter ip or ip6) in params1 and params2 of all links, keyed by (node, port)."""
    found = {}
    for first, second, params in topo.links(withInfo=True):
        for number, node in ((1, first), (2, second)):
            if value := (params.get(f"params{number}") or {}).get(name):
                found[params.get(f"node{number}", node), params[f"port{number}"]] = value
    return found


def is_none(ip: Any) -> bool:
    """Return whether an address stands for no address: 0.0.0.0, which users of Mininet give to clients of DHCP."""
    return str(ip).partition("/")[0] == NO_ADDRESS


def _addresses(topo: Topo) -> list[tuple[str, int | None, str]]:
    """Return all addresses of hosts as (host, port, address); the port is None for a host without a link."""
    found: list[tuple[str, int | None, str]] = []
    for host, ip in host_addresses(topo).items():
        found.append((host, min(topo.ports.get(host) or {}, default=None), ip))
    found += [row for (node, port), ip in on_links(topo, "ip").items() if (row := (node, port, ip)) not in found]
    return found
