"""EDNS Client Subnet (ECS, RFC 7871): codec of the option, its use in messages, and limits on prefix lengths.

    query     FAMILY 1, SOURCE 24, SCOPE 0, ADDRESS 10.8.1       the client is in 10.8.1.0/24
    response  FAMILY 1, SOURCE 24, SCOPE 16, ADDRESS 10.8.1      the answer is valid for all of 10.8.0.0/16

RFC 7871 section 6: the response repeats family, source and address of the query, and sets the scope. Section 7.2.1: a
malformed option gets FORMERR, and a query without the option gets a response without it.

With SOURCE 0 a client opts out: its network is not disclosed, and the answer does not depend on it. The family is then
ignored, and may be 0, as dig sends it and earlier drafts required. The response to SOURCE 0 has no address (section
7.2.1; section 7.3 lets the server choose an address, for which section 6 defines no format). Left out: the advice of
RFC 7871 section 10 to ignore private networks, because all networks of a lab are private.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from lab7.services.dns.address_space import Address, Network, host_address, network_of
from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.message import EDNS, UDP_SIZE_DEFAULT, Message, Option
from lab7.services.dns.codec.name import Reader, Writer

OPTION_CLIENT_SUBNET = 8

# RFC 7871 section 6: IANA's address family numbers, and the octets of an address.
_FAMILIES = {1: 4, 2: 16}


@dataclass(frozen=True, slots=True)
class ClientSubnet:
    """Content of a client subnet option: the client's network, and the scope prefix length of a response."""

    network: IPv4Network | IPv6Network
    scope_prefix: int = 0

    @classmethod
    def from_option(cls, option: Option) -> "ClientSubnet":
        """Decode the option; raises WireError if RFC 7871 section 7.1.1 requires FORMERR."""
        reader = Reader(option.data)
        family, source, scope = reader.u16(), reader.u8(), reader.u8()
        size = _FAMILIES.get(family, 0)
        address = reader.octets(reader.remaining)
        # RFC 7871 section 6: ADDRESS has as many octets as the prefix needs, and all further bits are zero.
        if source > 8 * size or scope > 8 * size or len(address) != (source + 7) // 8:
            raise WireError("client subnet with inconsistent family, prefix and address")
        padded = address.ljust(size, b"\0")
        try:
            if size == 4:
                return cls(IPv4Network((padded, source)), scope)
            if size == 16:
                return cls(IPv6Network((padded, source)), scope)
        except ValueError as error:
            raise WireError("client subnet with non-zero address bits behind its prefix") from error
        raise WireError(f"client subnet of unknown family {family}")

    def to_option(self) -> Option:
        """Encode the client subnet as an EDNS option."""
        source = self.network.prefixlen
        family = 1 if isinstance(self.network, IPv4Network) else 2
        writer = Writer()
        writer.u16(family)
        writer.u8(source)
        writer.u8(self.scope_prefix)
        writer.write(self.network.network_address.packed[: (source + 7) // 8])
        return Option(OPTION_CLIENT_SUBNET, bytes(writer.octets))


# RFC 7871 section 11.1: the recommended maximum prefix lengths.
PREFIX4_RECOMMENDED = 24

PREFIX6_RECOMMENDED = 56

_SCOPE_OFFSET = 3


@dataclass(frozen=True, slots=True)
class QuerySubnet:
    """Client subnet option of a query.

    `network` is the client's network; None for SOURCE 0, by which the client opts out (RFC 7871 section 7.1.2).
    """

    option: Option
    network: Network | None

    def echoed(self, scope: int) -> Option:
        """Return the query's option with the scope prefix length set, for the response (RFC 7871 section 7.2.1)."""
        octets = bytearray(self.option.data)
        octets[_SCOPE_OFFSET] = scope
        return Option(self.option.code, bytes(octets))


def query_subnet(query: Message) -> QuerySubnet | None:
    """Return the client subnet option of a query; None if the query has none.

    Raises WireError if RFC 7871 section 7.2.1 requires FORMERR: if the option is malformed, has a scope other than 0,
    or occurs twice.
    """
    options = query.options(OPTION_CLIENT_SUBNET)
    if not options:
        return None
    if len(options) > 1:
        raise WireError("more than one client subnet")
    option = options[0]
    reader = Reader(option.data)
    family, source, scope = reader.u16(), reader.u8(), reader.u8()
    # RFC 7871 section 6: in queries the scope MUST be 0.
    if scope:
        raise WireError("client subnet in a query with a scope")
    if family == 0 and source == 0 and not reader.remaining:
        return QuerySubnet(option, None)
    network = ClientSubnet.from_option(option).network
    return QuerySubnet(option, network if network.prefixlen else None)


def response_subnet(message: Message) -> ClientSubnet | None:
    """Return the client subnet option of a response, None without one; raises WireError if malformed or given twice."""
    options = message.options(OPTION_CLIENT_SUBNET)
    if len(options) > 1:
        raise WireError("more than one client subnet")
    return ClientSubnet.from_option(options[0]) if options else None


def with_subnet(query: Message, reply: Message, subnet: QuerySubnet | None, scope: int) -> Message:
    """Return `reply` with the query's client subnet option, in which the scope prefix length is `scope`.

    `reply` is returned unchanged if the query has no such option.
    """
    if subnet is None or query.edns is None:
        return reply
    # RFC 3225 section 3: the response repeats the DO bit of the query.
    edns = EDNS(UDP_SIZE_DEFAULT, do=query.edns.do, options=(subnet.echoed(scope),))
    return replace(reply, edns=edns)


@dataclass(frozen=True, slots=True)
class SubnetPolicy:
    """Maximum prefix lengths, for IPv4 and IPv6, of the client networks that a resolver sends to upstream servers."""

    prefix4: int = PREFIX4_RECOMMENDED
    prefix6: int = PREFIX6_RECOMMENDED

    def longest(self, network: Network) -> int:
        """Return the maximum prefix length for the address family of `network`."""
        return self.prefix4 if network.version == 4 else self.prefix6

    def subnet_for(self, host: str, subnet: QuerySubnet | None) -> Network:
        """Return the client network to send to upstream servers; its prefix length is 0 if the client has opted out.

        The network is that of the client's own option, or else the client's address, truncated to the maximum prefix
        length (RFC 7871 sections 7.1.1 and 7.1.2).
        """
        if subnet is not None and subnet.network is None:
            # RFC 7871 section 7.1.2: SOURCE 0 discloses no network, so its family is the transport's, here always IPv4.
            return network_of(host_address("0.0.0.0"), 0)
        if subnet is not None and subnet.network is not None:
            return self._truncated(subnet.network.network_address, subnet.network.prefixlen)
        address = host_address(host)
        return self._truncated(address, address.max_prefixlen)

    def _truncated(self, address: Address, prefix: int) -> Network:
        longest = self.prefix4 if address.version == 4 else self.prefix6
        return network_of(address, min(prefix, longest))
