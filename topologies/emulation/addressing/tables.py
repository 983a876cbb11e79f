"""Set-up of routes, IPv6 addresses and neighbour tables of hosts, and of the forwarding databases of switches.

If the network's option `arp` is static, each host has a permanent neighbour entry for every address of its segments
(broadcast domains), and each switch has a static forwarding entry for every MAC address. The first packet then needs no
round trip for ARP (RFC 826) or neighbour discovery (RFC 4861), and no switch floods its first frame. If `arp` is
dynamic, both tables are filled by ARP, neighbour discovery and learning, as in any network.
"""

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

from lab7.topologies.emulation.addressing import ipv6, segments
from lab7.topologies.emulation.links import rtnetlink
from lab7.topologies.emulation.node import Bridge

Address = IPv4Interface | IPv6Interface


def set_neighbours(net: Any, *, with_ipv6: bool) -> None:
    """Fill every host's neighbour table with the addresses of its broadcast domains. Raises EmulationError.

    The entries of a broadcast domain are encoded once; each host gets all entries except its own.
    """
    domains = segments.of_network(net)
    members: dict[int | None, list[Any]] = {}
    for host in net.hosts:
        for interface in _addressed(host):
            members.setdefault(domains.get(interface), []).append(interface)
    for interfaces in members.values():
        _share_entries({interface: ip_interface(f"{interface.ip}/{interface.prefixLen}") for interface in interfaces})
        if with_ipv6:
            given = {interface: ipv6.address_of(interface) for interface in interfaces}
            _share_entries({interface: ip_interface(address) for interface, address in given.items() if address})


def _share_entries(addresses: Mapping[Any, Address]) -> None:
    """Add static neighbour entries to each interface of a broadcast domain, for all other interfaces in the domain.

    An interface gets only entries for addresses in its own prefix.
    """
    for network in dict.fromkeys(address.network for address in addresses.values()):
        near = [interface for interface, address in addresses.items() if address.ip in network]
        entries = [rtnetlink.neighbour(str(addresses[each].ip), each.mac, rtnetlink.ANY) for each in near]
        places: dict[Any, list[int]] = {}
        for place, interface in enumerate(near):
            places.setdefault(interface.node, []).append(place)
        for interface, address in addresses.items():
            if address.network == network:
                others = list(entries)
                for place in reversed(places.get(interface.node, [])):
                    del others[place]
                node = interface.node
                node.plan.node(node).neighbours.append((interface.name, others))
                node.plan.made()


def _addressed(host: Any) -> list[Any]:
    """Return the interfaces of a host that have an address."""
    return [interface for interface in host.intfList() if interface.ip is not None and interface.name != "lo"]


def set_forwarding(net: Any) -> None:
    """Add static entries for all hosts to the forwarding table of every bridge, except bridges with a mirror port.

    Raises EmulationError.
    """
    neighbours: dict[Any, list[tuple[Any, Any]]] = {}
    for link in net.links:
        for near, far in ((link.intf1, link.intf2), (link.intf2, link.intf1)):
            neighbours.setdefault(near.node, []).append((near, far))
    for bridge in net.switches:
        if not isinstance(bridge, Bridge) or bridge.mirrors:
            continue
        bridge.add_static_entries(
            (mac, port.name) for port, far in neighbours.get(bridge, []) for mac in reached(far, neighbours)
        )


def reached(far: Any, neighbours: dict[Any, list[tuple[Any, Any]]]) -> list[str]:
    """Return the MAC addresses of all hosts that a bridge reaches by one port.

    `far` is the opposite end of the port's link. The search passes through bridges only, since hosts do not forward
    frames. It terminates, since topology_checks has excluded loops.
    """
    addresses, waiting = [], [far]
    while waiting:
        end = waiting.pop()
        if isinstance(end.node, Bridge):
            waiting.extend(beyond for near, beyond in neighbours[end.node] if near is not end)
        else:
            addresses.append(end.mac)
    return addresses


def set_addresses_and_routes(net: Any, *, with_ipv6: bool) -> None:
    """Set the routes of addHost(routes=[...]); with IPv6, set the IPv6 addresses and the derived routes, too.

    Raises EmulationError.
    """
    domains = segments.of_network(net)
    members: dict[int, list[Any]] = {}
    for interface, domain in domains.items():
        members.setdefault(domain, []).append(interface)
    for host in net.hosts:
        routes = host.params.get("routes") or []
        lines = [f"route replace {route}" for route in routes if ":" not in route]
        if with_ipv6:
            own = [interface for interface in host.intfList() if interface in domains]
            lines += _ipv6_addresses(own)
            near = ipv6.gateways([each for interface in own for each in members[domains[interface]]])
            counterparts = (ipv6.derived_route(route, near) for route in _ipv4_routes(host))
            lines += [f"route replace {route}" for route in counterparts if route is not None]
            lines += [f"route replace {route}" for route in routes if ":" in route]
        host.change(lines)


def _ipv6_addresses(interfaces: list[Any]) -> list[str]:
    # Without duplicate address detection an address is usable at once (RFC 4862 section 5.4).
    return [
        f"address replace {address} dev {interface.name} nodad"
        for interface in interfaces
        if (address := ipv6.address_of(interface)) is not None
    ]


def _ipv4_routes(host: Any) -> list[str]:
    """Return a host's IPv4 routes in the syntax of ip-route(8), the default route first."""
    routes = [route for route in host.params.get("routes") or [] if ":" not in route]
    default = host.params.get("defaultRoute")
    if default is None:
        return routes
    # As in Node.setDefaultRoute, a single word is the name of an interface.
    return [f"default {default if ' ' in default else f'dev {default}'}", *routes]
