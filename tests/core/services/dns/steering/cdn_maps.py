"""Region maps for tests: one that is whole, and any that hypothesis cuts out of a network."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from services.dns.address_space import Address, Network
from services.dns.steering.health import CheckResult, HealthTable
from services.dns.steering.placement import Placement
from services.dns.steering.region_map import RegionMap

MAP = """# three regions of one institution
name      www.cdn.net
ttl       2
cover     10.8.0.0/16
region    europe   10.8.0.0/17
region    asia     10.8.128.0/18   # half a half
region    america  10.8.192.0/18
replica   europe   10.8.1.10  capacity 100
replica   europe   10.8.1.11  capacity 100
replica   asia     10.8.128.10
replica   america  10.8.192.10
spill     asia     america
default   asia
otherwise origin   10.9.0.1
"""


def address(text: str) -> Address:
    return ip_address(text)


def placed(regions: RegionMap, loads: dict[str, float | None], failures_max: int = 1) -> tuple[Placement, HealthTable]:
    """Return a placement with those replicas up that are in `loads`."""
    health = HealthTable([replica.address for replica in regions.replicas], failures_max)
    for text, load in loads.items():
        health.update(address(text), CheckResult(True, load))
    return Placement(regions, health), health


@st.composite
def partitions(draw: st.DrawFn) -> tuple[Network, list[Network]]:
    """Cut a network into halves, some of those again, and so on; returns it with its parts."""
    whole = ip_network(draw(st.sampled_from(["10.8.0.0/16", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.8.1.4/31"])))
    parts = [whole]
    for _ in range(draw(st.integers(0, 12))):
        part = parts.pop(draw(st.integers(0, len(parts) - 1)))
        parts += part.subnets() if part.prefixlen < part.max_prefixlen else [part]
    return whole, draw(st.permutations(parts))


@st.composite
def region_maps(draw: st.DrawFn) -> tuple[str, Network, list[Network]]:
    """Return a map's text, its cover, and the networks of its regions."""
    whole, parts = draw(partitions())
    count = draw(st.integers(1, min(4, len(parts))))
    shares = [parts[number::count] for number in range(count)]
    lines = ["name www.cdn.net", f"cover {whole}", "otherwise servfail"]
    for number, share in enumerate(shares):
        lines.append(f"region r{number} {' '.join(map(str, share))}")
        for last in range(draw(st.integers(1, 3))):
            lines.append(f"replica r{number} 192.0.{number}.{last + 1}")
    return "\n".join(draw(st.permutations(lines))), whole, parts


def addresses_in(network: Network) -> st.SearchStrategy[Address]:
    return st.integers(0, network.num_addresses - 1).map(lambda offset: network[offset])
