"""Extension mechanisms: what the OPT pseudo-record says, and the client-subnet option.

RFC 6891 section 6.1 (OPT's fields; the extended response code and the flags lie in its TTL), RFC 7871 section 6
(client subnet). An option that is not known is kept as octets. Left out: the flags beside DO, which are reserved.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from services.dns.codec.codes import RRType
from services.dns.codec.errors import WireError
from services.dns.codec.name import ROOT
from services.dns.codec.wire import Reader, Writer

# RFC 6891 section 6.2.3: smaller sizes count as 512.
UDP_SIZE_MIN = 512
# What the flag day of 2020 recommends: it passes every path without fragments.
UDP_SIZE_DEFAULT = 1232

OPTION_CLIENT_SUBNET = 8
_DO = 0x8000
# RFC 7871 section 6: address families as IANA numbers them, each with the octets of an address.
_FAMILIES = {1: 4, 2: 16}


@dataclass(frozen=True, slots=True)
class Option:
    """One option as it is on the wire."""

    code: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ClientSubnet:
    """The part of the network that a query comes from, and in a response the part that the answer is for."""

    network: IPv4Network | IPv6Network
    scope_prefix: int = 0

    @classmethod
    def from_option(cls, option: Option) -> "ClientSubnet":
        """Read the option's octets; raises WireError where RFC 7871 section 7.1.1 asks for FORMERR."""
        reader = Reader(option.data)
        family, source, scope = reader.u16(), reader.u8(), reader.u8()
        size = _FAMILIES.get(family, 0)
        address = reader.take(reader.remaining)
        # Section 6: as many octets as the prefix needs, bits beyond it zero.
        if source > 8 * size or scope > 8 * size or len(address) != (source + 7) // 8:
            raise WireError("a client subnet's family, prefix and address do not fit together")
        padded = address.ljust(size, b"\0")
        try:
            if size == 4:
                return cls(IPv4Network((padded, source)), scope)
            if size == 16:
                return cls(IPv6Network((padded, source)), scope)
        except ValueError as error:
            raise WireError("a client subnet's address has bits beyond its prefix") from error
        raise WireError(f"a client subnet has the unknown family {family}")

    def to_option(self) -> Option:
        """Return the option's octets."""
        source = self.network.prefixlen
        family = 1 if isinstance(self.network, IPv4Network) else 2
        writer = Writer()
        writer.u16(family)
        writer.u8(source)
        writer.u8(self.scope_prefix)
        writer.write(self.network.network_address.packed[: (source + 7) // 8])
        return Option(OPTION_CLIENT_SUBNET, bytes(writer.octets))


def client_subnet(address: IPv4Address | IPv6Address, prefix: int) -> ClientSubnet:
    """Return the subnet of `prefix` bits that an address lies in."""
    if isinstance(address, IPv4Address):
        return ClientSubnet(IPv4Network((address, prefix), strict=False))
    return ClientSubnet(IPv6Network((address, prefix), strict=False))


@dataclass(frozen=True, slots=True)
class EDNS:
    """What OPT says, but for the extended response code, which is part of the message's."""

    udp_size: int = UDP_SIZE_DEFAULT
    version: int = 0
    do: bool = False
    options: tuple[Option, ...] = ()

    def write(self, writer: Writer, rcode: int) -> None:
        """Append the OPT pseudo-record."""
        writer.name(ROOT)
        writer.u16(RRType.OPT)
        writer.u16(self.udp_size)
        # RFC 6891 section 6.1.3
        writer.u8(rcode >> 4)
        writer.u8(self.version)
        writer.u16(_DO if self.do else 0)
        writer.u16(sum(4 + len(option.data) for option in self.options))
        for option in self.options:
            writer.u16(option.code)
            writer.u16(len(option.data))
            writer.write(option.data)

    @classmethod
    def read(cls, reader: Reader, udp_size: int, ttl: int, size: int) -> "EDNS":
        """Take OPT's data, after its class and TTL; raises WireError."""
        options = tuple(_options(Reader(reader.take(size))))
        return cls(udp_size, ttl >> 16 & 0xFF, bool(ttl & _DO), options)


def _options(reader: Reader) -> Iterator[Option]:
    while reader.remaining:
        code = reader.u16()
        yield Option(code, reader.take(reader.u16()))
