"""Do-not-query addresses: special-purpose addresses to which no query is sent even if a delegation names them.

    policy = UpstreamAddresses(ipv6=False)
    policy.usable(("192.0.2.53", "127.0.0.1", "2001:db8::53"))   -> ("192.0.2.53",)

A zone's owner chooses the addresses of its name servers freely, and so makes the resolver send queries to addresses
that its owner can reach and others cannot, or to itself. As Unbound by default (do-not-query-localhost), BIND (bogus
servers and its own addresses) and Knot Resolver, the resolver does not query this host, "this network" (RFC 6890
section 2.2.2), loopback, link-local, multicast, reserved and broadcast addresses, in IPv4, IPv6, and IPv4 mapped into
IPv6 (RFC 4291 section 2.5.5.2). Private addresses are queried: in a lab all networks are private.

The operator's own choice is exempt: addresses of root hints and forwarders, and all of a special network that one of
them is in, because then the whole Internet of the resolver is on, for example, loopback addresses; networks of
--may-query.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address, ip_network

from services.dns.address_space import Network
from services.dns.codec.codes import ADDRESS_TYPES

DO_NOT_QUERY: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "::ffff:0:0/96",
        "fe80::/10",
        "ff00::/8",
    )
)


class UpstreamAddresses:
    """Filter for upstream addresses: all but DO_NOT_QUERY, plus the networks in `allowed`; IPv6 only with `ipv6`.

    The special networks of the `configured` addresses are allowed too. `rtypes` are the types of the addresses.
    """

    def __init__(self, allowed: Sequence[Network] = (), configured: Iterable[str] = (), ipv6: bool = True) -> None:
        self.rtypes = ADDRESS_TYPES if ipv6 else ADDRESS_TYPES[:1]
        self._ipv6 = ipv6
        special = [network for text in configured for network in DO_NOT_QUERY if ip_address(text) in network]
        self._allowed = (*allowed, *special)

    def usable(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return the addresses that may be queried, in order."""
        return tuple(address for address in addresses if self._is_usable(address))

    def _is_usable(self, text: str) -> bool:
        address = ip_address(text)
        if isinstance(address, IPv6Address) and not self._ipv6:
            return False
        if not any(address in network for network in DO_NOT_QUERY):
            return True
        return any(address in network for network in self._allowed)
