"""Lookup table from disjoint IP networks to labels, with detection of overlapping networks and of gaps.

    space = AddressSpace([(ip_network("10.8.1.0/24"), "europe"), (ip_network("10.8.2.0/24"), "asia")])
    space.find(ip_address("10.8.2.7"))     -> (10.8.2.0/24, "asia")
    space.around(ip_address("10.8.4.1"))   -> 10.8.4.0/22, the largest network with this address that overlaps neither

Since the networks are disjoint, at most one of them contains an address, and no longest-prefix match is needed. IPv4
and IPv6 networks are kept separately.
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
    """Error for two networks that overlap; `earlier` and `later` are their indices in the input."""

    def __init__(self, earlier: int, later: int) -> None:
        super().__init__(f"networks {earlier} and {later} overlap")
        self.earlier = earlier
        self.later = later


class AddressSpace(Generic[Label]):
    """Lookup table from disjoint IP networks to their labels; overlapping networks raise OverlapError."""

    def __init__(self, labelled: Iterable[tuple[Network, Label]]) -> None:
        given = list(labelled)
        self._networks: dict[int, list[tuple[Network, Label]]] = {}
        self._starts: dict[int, list[int]] = {}
        for version in VERSIONS:
            order = [index for index, (network, _) in enumerate(given) if network.version == version]
            order.sort(key=lambda index: int(given[index][0].network_address))
            _check_disjoint(given, order)
            self._networks[version] = [given[index] for index in order]
            self._starts[version] = [int(given[index][0].network_address) for index in order]

    def find(self, address: Address) -> tuple[Network, Label] | None:
        """Return (network, label) for the network that contains an address; None if no network does."""
        index = bisect_right(self._starts[address.version], int(address)) - 1
        if index < 0:
            return None
        candidate = self._networks[address.version][index]
        return candidate if address in candidate[0] else None

    def around(self, address: Address) -> Network:
        """Return the largest network around `address` that overlaps no network of the table.

        Raises ValueError if a network of the table contains the address.
        """
        number, version = int(address), address.version
        after = bisect_right(self._starts[version], number)
        networks = self._networks[version]
        below = int(networks[after - 1][0].broadcast_address) if after else -1
        above = int(networks[after][0].network_address) if after < len(networks) else 1 << address.max_prefixlen
        for prefix in range(address.max_prefixlen + 1):
            network = network_of(address, prefix)
            if int(network.network_address) > below and int(network.broadcast_address) < above:
                return network
        raise ValueError(f"{address} is covered by a network of the address space")

    def gap_in(self, whole: Network) -> Network | None:
        """Return the first network within `whole` that the table does not cover; None if it covers all of `whole`."""
        expected, last = int(whole.network_address), int(whole.broadcast_address)
        for network, _ in self._networks[whole.version]:
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
        """Return the IP versions (4, 6) of the networks in the table."""
        return [version for version in VERSIONS if self._networks[version]]


def _check_disjoint(given: Sequence[tuple[Network, Label]], order: Sequence[int]) -> None:
    # Networks sorted by first address overlap only if two neighbours in that order overlap.
    for before, index in pairwise(order):
        if int(given[index][0].network_address) <= int(given[before][0].broadcast_address):
            raise OverlapError(min(before, index), max(before, index))


def _between(first: int, last: int, version: int) -> Network:
    if version == 4:
        return next(iter(summarize_address_range(IPv4Address(first), IPv4Address(last))))
    return next(iter(summarize_address_range(IPv6Address(first), IPv6Address(last))))


def network_of(address: Address, prefix: int) -> Network:
    """Return the network of prefix length `prefix` that contains an address."""
    if isinstance(address, IPv4Address):
        return IPv4Network((address, prefix), strict=False)
    return IPv6Network((address, prefix), strict=False)


def host_address(host: str) -> Address:
    """Parse a peer's address; remove a zone index such as %eth0, and convert an IPv4-mapped IPv6 address to IPv4."""
    address = ip_address(host.partition("%")[0])
    mapped: IPv4Address | None = getattr(address, "ipv4_mapped", None)
    return mapped or address
