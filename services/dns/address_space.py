"""Networks as intervals of addresses: which of them overlap, what they leave out, and which of them an address is in.

    space = AddressSpace([(ip_network("10.8.1.0/24"), "europe"), (ip_network("10.8.2.0/24"), "asia")])
    space.find(ip_address("10.8.2.7"))     -> (10.8.2.0/24, "asia")
    space.around(ip_address("10.8.4.1"))   -> 10.8.4.0/22, the largest network there that touches none of them

Networks of a space are disjoint, so the one that an address lies in is also its longest match. Each family is a line
of integers; a network of one never meets a network of the other.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, summarize_address_range
from itertools import pairwise
from typing import Generic, TypeVar

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Label = TypeVar("Label")

VERSIONS = (4, 6)
EVERYTHING: dict[int, Network] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}


class OverlapError(Exception):
    """Two networks share addresses; `later` and `earlier` are their places in the order in which they were given."""

    def __init__(self, earlier: int, later: int) -> None:
        super().__init__(f"networks {earlier} and {later} overlap")
        self.earlier = earlier
        self.later = later


class AddressSpace(Generic[Label]):
    """Disjoint networks, each with a label; raises OverlapError where two share an address."""

    def __init__(self, labelled: Iterable[tuple[Network, Label]]) -> None:
        given = list(labelled)
        self._parts: dict[int, list[tuple[Network, Label]]] = {}
        self._starts: dict[int, list[int]] = {}
        for version in VERSIONS:
            order = [place for place, (network, _) in enumerate(given) if network.version == version]
            order.sort(key=lambda place: int(given[place][0].network_address))
            _check_disjoint(given, order)
            self._parts[version] = [given[place] for place in order]
            self._starts[version] = [int(given[place][0].network_address) for place in order]

    def find(self, address: Address) -> tuple[Network, Label] | None:
        """Return the network that an address lies in, and its label."""
        before = bisect_right(self._starts[address.version], int(address)) - 1
        if before < 0:
            return None
        found = self._parts[address.version][before]
        return found if address in found[0] else None

    def around(self, address: Address) -> Network:
        """Return the largest network that holds an address of none of these networks and no address of theirs."""
        number, version = int(address), address.version
        after = bisect_right(self._starts[version], number)
        parts = self._parts[version]
        below = int(parts[after - 1][0].broadcast_address) if after else -1
        above = int(parts[after][0].network_address) if after < len(parts) else 1 << address.max_prefixlen
        for prefix in range(address.max_prefixlen + 1):
            network = network_of(address, prefix)
            if int(network.network_address) > below and int(network.broadcast_address) < above:
                return network
        raise ValueError(f"{address} lies in one of the networks")

    def gap_in(self, whole: Network) -> Network | None:
        """Return the first network of `whole` that none of these has a part in; None where they leave nothing out."""
        expected, last = int(whole.network_address), int(whole.broadcast_address)
        for network, _ in self._parts[whole.version]:
            first, end = int(network.network_address), int(network.broadcast_address)
            if end < expected:
                continue
            if first > last:
                break
            if first > expected:
                return _between(expected, first - 1, whole.version)
            expected = end + 1
        return _between(expected, last, whole.version) if expected <= last else None

    def versions(self) -> list[int]:
        """Return the families that there are networks of."""
        return [version for version in VERSIONS if self._parts[version]]


def _check_disjoint(given: Sequence[tuple[Network, Label]], order: Sequence[int]) -> None:
    # Sorted by their first addresses, networks overlap one another only if two neighbours do.
    for before, place in pairwise(order):
        if int(given[place][0].network_address) <= int(given[before][0].broadcast_address):
            raise OverlapError(min(before, place), max(before, place))


def _between(first: int, last: int, version: int) -> Network:
    if version == 4:
        return next(iter(summarize_address_range(IPv4Address(first), IPv4Address(last))))
    return next(iter(summarize_address_range(IPv6Address(first), IPv6Address(last))))


def network_of(address: Address, prefix: int) -> Network:
    """Return the network of `prefix` bits that an address lies in."""
    if isinstance(address, IPv4Address):
        return IPv4Network((address, prefix), strict=False)
    return IPv6Network((address, prefix), strict=False)


def host_address(host: str) -> Address:
    """Return a peer's address as it counts: without the interface, and as IPv4 where it is mapped into IPv6."""
    address = ip_address(host.partition("%")[0])
    mapped: IPv4Address | None = getattr(address, "ipv4_mapped", None)
    return mapped or address
