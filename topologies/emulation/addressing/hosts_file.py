"""Entries of a host's /etc/hosts: all hosts, but of hosts that share an address only the host in the reader's segment.

A private address may be in use in several segments (RFC 1918). A host's file has the name that its own segment knows by
such an address, and leaves out the others, which would lead to a wrong host.
"""

from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.addressing import ipv6, segments

Entry = tuple[str, list[str]]


def entries(topo: Topo, reader: str, *, with_ipv6: bool) -> list[Entry]:
    """Return the (address, names) pairs for /etc/hosts of the host `reader`, in the order of the topology."""
    domains = segments.of_topology(topo)
    own = {domain for (host, _), domain in domains.items() if host == reader}
    addresses = topology_checks.host_addresses(topo)
    owners: dict[str, list[str]] = {}
    for host, address in addresses.items():
        owners.setdefault(ipv6.without_length(address), []).append(host)
    found: list[Entry] = []
    for host, address in addresses.items():
        if len(owners[ipv6.without_length(address)]) > 1 and _first_domain(topo, host, domains) not in own:
            continue
        names = [*(topo.nodeInfo(host).get("names") or []), host]
        found.append((ipv6.without_length(address), names))
        if with_ipv6:
            found.append((ipv6.without_length(_ipv6_address(topo, host, address)), names))
    return found


def _first_domain(topo: Topo, host: str, domains: dict[segments.Port, int]) -> int | None:
    ports = topo.ports.get(host)
    return domains.get((host, min(ports))) if ports else None


def _ipv6_address(topo: Topo, host: str, address: str) -> str:
    ports = topo.ports.get(host)
    on_link = topology_checks.on_links(topo, "ip6").get((host, min(ports))) if ports else None
    return on_link or topo.nodeInfo(host).get("ip6") or ipv6.derived(address)
