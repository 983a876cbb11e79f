"""Addressing of a network: broadcast domains, IPv6 addresses of hosts, neighbour and forwarding tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab7.topologies.emulation.errors import TopologyError

if TYPE_CHECKING:
    from mininet.topo import Topo

# Modes of MAC address resolution: permanent entries, or ARP (RFC 826) and neighbour discovery (RFC 4861).
ARP = ("static", "dynamic")


def arp_of(topo: Topo, chosen: str | None = None) -> str:
    """Return the ARP mode, 'static' or 'dynamic': the argument `chosen` if set, else the topology's attribute `arp`.

    Raises TopologyError for any other mode.
    """
    value: Any = getattr(topo, "arp", ARP[0]) if chosen is None else chosen
    if value not in ARP:
        raise TopologyError(f"arp={value!r} is neither 'static' nor 'dynamic'")
    return str(value)


def ipv6_of(topo: Topo, chosen: bool | None = None) -> bool:
    """Return whether hosts have IPv6: the argument `chosen` if set, else the topology's attribute `ipv6`.

    If neither is set, hosts have IPv6 if the topology has an IPv6 address: `ip6` of a host or a link, or in a route.
    Raises TopologyError.
    """
    value: Any = getattr(topo, "ipv6", None) if chosen is None else chosen
    if value is None:
        return any(_names_ipv6(topo.nodeInfo(host)) for host in topo.hosts()) or any(
            _names_ipv6(params.get(side) or {})
            for _, _, params in topo.links(withInfo=True)
            for side in ("params1", "params2")
        )
    if not isinstance(value, bool):
        raise TopologyError(f"ipv6={value!r} is neither True nor False")
    return value


def _names_ipv6(params: dict[str, Any]) -> bool:
    return bool(params.get("ip6")) or any(":" in route for route in params.get("routes") or [])
