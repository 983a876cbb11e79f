"""Entries of a host's /etc/hosts: all hosts, but of hosts that share an address only the host in the reader's segment.

A private address may be in use in several segments (RFC 1918). A host's file has the name that its own segment knows by
such an address, and leaves out the others, which would lead to a wrong host.
"""

from collections import Counter
from collections.abc import Mapping, Set

from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.addressing import ipv6, segments
from lab7.topologies.emulation.etc_files import Listed, listed

Entry = tuple[str, list[str]]


class HostsFiles:
    """The entries of all hosts of a topology; most hosts, or all, have the same."""

    def __init__(self, topo: Topo, *, with_ipv6: bool) -> None:
        self._topo = topo
        self._domains = segments.of_topology(topo)
        addresses = topology_checks.host_addresses(topo)
        owners = Counter(map(ipv6.without_length, addresses.values()))
        # In the order of the topology: the domain in which the address is in use, None for an address of one host.
        self._entries: list[tuple[int | None, list[Entry]]] = []
        on_links = topology_checks.on_links(topo, "ip6")
        for host, address in addresses.items():
            names = [*(topo.nodeInfo(host).get("names") or []), host]
            found = [(ipv6.without_length(address), names)]
            if with_ipv6:
                found.append((ipv6.without_length(_ipv6_address(topo, host, address, on_links)), names))
            shared = owners[ipv6.without_length(address)] > 1
            # A host without links is in no segment.
            domain = _first_domain(topo, host, self._domains)
            self._entries.append(((-1 if domain is None else domain) if shared else None, found))
        self._shares = any(domain is not None for domain, _ in self._entries)
        self._own: dict[str, set[int]] = {}
        for (host, _), domain in self._domains.items() if self._shares else ():
            self._own.setdefault(host, set()).add(domain)
        self._listed: dict[frozenset[int], Listed] = {}

    def entries(self, reader: str) -> list[Entry]:
        """Return the (address, names) pairs for /etc/hosts of the host `reader`, in the order of the topology."""
        return self._within(self._own.get(reader, set()))

    def listed(self, reader: str) -> Listed:
        """Return the lines of these entries."""
        own = frozenset(self._own.get(reader, ()))
        if own not in self._listed:
            self._listed[own] = listed(self._within(own))
        return self._listed[own]

    def _within(self, own: Set[int]) -> list[Entry]:
        return [entry for domain, found in self._entries if domain is None or domain in own for entry in found]


def _first_domain(topo: Topo, host: str, domains: dict[segments.Port, int]) -> int | None:
    ports = topo.ports.get(host)
    return domains.get((host, min(ports))) if ports else None


def _ipv6_address(topo: Topo, host: str, address: str, on_links: Mapping[segments.Port, str]) -> str:
    ports = topo.ports.get(host)
    on_link = on_links.get((host, min(ports))) if ports else None
    return on_link or topo.nodeInfo(host).get("ip6") or ipv6.derived(address)
