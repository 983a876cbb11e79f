"""IPv6 addresses of hosts: each is derived from the IPv4 address, and each IPv6 prefix from the IPv4 prefix.

    10.9.1.254/24  ->  2001:db8:a09:100::fe/64      10.9.0.0/16  ->  2001:db8:a09::/48

RFC 3849 reserves 2001:db8::/32 for documentation, so the derived addresses never belong to a real network. Bits 32 to
63 are the IPv4 network's address, and the interface identifier is the host part of the IPv4 address. An IPv4 prefix of
length L thus becomes an IPv6 prefix of length 32 + L, and every IPv4 route has an IPv6 counterpart. `ip6=` of
addHost(), or of params1 and params2, sets another address. Link-local addresses are the kernel's (RFC 4291 section
2.5.6).
"""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Any

PREFIX = IPv6Network("2001:db8::/32")
LENGTH = 64
INTERFACE_BITS = 64


def derived(ip: str) -> str:
    """Return the IPv6 address and prefix length derived from an IPv4 address ('10.0.0.1/24'; without length: /8)."""
    # An address without prefix length has /8, as in Mininet.
    given = IPv4Interface(ip if "/" in ip else f"{ip}/8")
    number = int(given.ip) - int(given.network.network_address)
    value = int(PREFIX.network_address) | int(given.network.network_address) << INTERFACE_BITS | number
    return str(IPv6Interface((value, LENGTH)))


def derived_network(network: str) -> str:
    """Return the IPv6 prefix derived from an IPv4 prefix ('10.9.0.0/16')."""
    given = IPv4Network(network, strict=False)
    value = int(PREFIX.network_address) | int(given.network_address) << INTERFACE_BITS
    return str(IPv6Network((value, PREFIX.prefixlen + given.prefixlen)))


def derived_route(route: str, addresses: dict[str, str]) -> str | None:
    """Return the IPv6 route, in the syntax of ip-route(8), derived from an IPv4 route ('10.2.0.0/16 via 10.0.0.2').

    Returns None if the route has no IPv6 counterpart. addresses: the IPv6 address of each IPv4 address (both without
    prefix lengths) that can be a gateway. The default route is written as ::/0, from which ip(8) infers the address
    family.
    """
    destination, *words = route.split()
    for place, word in enumerate(words):
        if word == "via" and place + 1 < len(words):
            if words[place + 1] not in addresses:
                return None
            words[place + 1] = addresses[words[place + 1]]
    # A route with a preferred source address (`src`) has no certain IPv6 counterpart.
    if "src" in words:
        return None
    try:
        return " ".join(["::/0" if destination == "default" else derived_network(destination), *words])
    except ValueError:
        return None


def address_of(interface: Any) -> str | None:
    """Return the IPv6 address of an interface, with its prefix length: set explicitly, or else derived from IPv4.

    Returns None if the interface has no address.
    """
    node = interface.node
    own = interface.ip6 or (node.params.get("ip6") if interface is node.defaultIntf() else None)
    if own:
        return str(own)
    if interface.ip is None:
        return None
    return derived(f"{interface.ip}/{interface.prefixLen}")


def without_length(address: str) -> str:
    """Return an address without its prefix length."""
    return address.partition("/")[0]


def gateways(interfaces: list[Any]) -> dict[str, str]:
    """Return a dictionary from the IPv4 address of each interface to its IPv6 address, both without prefix length."""
    return {
        str(IPv4Address(interface.ip)): without_length(address)
        for interface in interfaces
        if interface.ip is not None and (address := address_of(interface)) is not None
    }
