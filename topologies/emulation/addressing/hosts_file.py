"""Entries of a host's /etc/hosts: all hosts of the network, except those whose address is ambiguous for this host.

Several segments (broadcast domains) may use the same private address (RFC 1918). The file of a host lists the name that
has the address in the host's own segment. It leaves out the names that have the address in other segments, since a
connection to such a name would reach the wrong host.
"""

from collections import Counter
from collections.abc import Mapping, Set

from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.addressing import ipv6, segments
from lab7.topologies.emulation.etc_files import Listed, listed

Entry = tuple[str, list[str]]


class HostsFiles:
    """The entries of /etc/hosts for every host of a topology; hosts in the same broadcast domains share one list."""

    def __init__(self, topo: Topo, *, with_ipv6: bool) -> None:
        self._topo = topo
        self._domains = segments.of_topology(topo)
        addresses = topology_checks.host_addresses(topo)
        owners = Counter(map(ipv6.without_length, addresses.values()))
        # Per host, in the order of the topology: its broadcast domain if other hosts have its address, too, else None;
        # and its entries.
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
        """Return the entries of /etc/hosts for the host `reader`: (address, names) pairs in topology order."""
        return self._within(self._own.get(reader, set()))

    def listed(self, reader: str) -> Listed:
        """Return the entries of /etc/hosts for the host `reader`, formatted as lines of a hosts(5) file."""
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
