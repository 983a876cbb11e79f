"""Who may ask: addresses in the networks that are named, else whoever is on a private network or on this machine.

RFC 5358 section 4: a resolver that answers the whole Internet is a weapon in other people's hands.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from services.bounded_dict import BoundedDict

Network = IPv4Network | IPv6Network

# RFC 1918, RFC 6598 (shared), RFC 3927 and RFC 4291 (link-local), RFC 4193, loopback; and what the lab's drawings use
# for hosts, the networks for documentation and benchmarks of RFC 5737, RFC 2544 and RFC 3849.
PRIVATE = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "198.18.0.0/15",
        "::1/128",
        "fe80::/10",
        "fc00::/7",
        "2001:db8::/32",
    )
)
# Clients whose permission is remembered.
CLIENTS_MAX = 4096


class Access:
    """Decides by address; what was decided is remembered."""

    def __init__(self, networks: Sequence[Network] = PRIVATE) -> None:
        self._networks = networks
        self._decided: BoundedDict[str, bool] = BoundedDict(CLIENTS_MAX)

    def allows(self, host: str) -> bool:
        """Tell whether the client at an address may ask."""
        decided = self._decided.get(host)
        if decided is None:
            decided = self._decide(host)
            self._decided.put(host, decided)
        return decided

    def _decide(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)
