"""Rdata of address types other than A and AAAA: network, host and interface addresses, geographic positions.

RFC 1035 section 3.4.2 (WKS), RFC 1183 section 3 (X25, ISDN), RFC 1706 (NSAP), RFC 1712 (GPOS), RFC 1876 (LOC), RFC 2874
(A6, historic), RFC 3123 (APL), RFC 6742 (NID, L32, L64, LP), RFC 7043 (EUI48, EUI64), RFC 8777 (AMTRELAY), and the ATM
Forum's af-saa-0069 (ATMA).
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address

from lab7.services.dns.codec.errors import TextError, WireError
from lab7.services.dns.codec.fields import (
    IPV4,
    IPV6,
    PLAIN_NAME,
    STRING,
    U8,
    U16,
    U32,
    VERBATIM_NAME,
    FieldKind,
    Rdata,
    bitmap_of,
    bits_of,
    octets_from_hex,
)
from lab7.services.dns.codec.gateway import Gateway, gateway_from_tokens, gateway_to_text, read_gateway, write_gateway
from lab7.services.dns.codec.lexer import Tokens
from lab7.services.dns.codec.name import ROOT, Name, Reader, Writer

# Names of protocols and services in WKS, from RFC 1010, which RFC 1035 cites; other values are written as numbers.
# /etc/services is not used, because it differs from host to host.
_PROTOCOLS = {"ICMP": 1, "IGMP": 2, "GGP": 3, "TCP": 6, "EGP": 8, "PUP": 12, "UDP": 17, "HMP": 20, "XNS-IDP": 22}
_SERVICES = {
    "ECHO": 7,
    "DISCARD": 9,
    "SYSTAT": 11,
    "DAYTIME": 13,
    "NETSTAT": 15,
    "QOTD": 17,
    "CHARGEN": 19,
    "FTP-DATA": 20,
    "FTP": 21,
    "SSH": 22,
    "TELNET": 23,
    "SMTP": 25,
    "TIME": 37,
    "NAMESERVER": 42,
    "WHOIS": 43,
    "NICNAME": 43,
    "TACACS": 49,
    "DOMAIN": 53,
    "BOOTPS": 67,
    "BOOTPC": 68,
    "TFTP": 69,
    "GOPHER": 70,
    "FINGER": 79,
    "HTTP": 80,
    "WWW": 80,
    "KERBEROS": 88,
    "HOSTNAMES": 101,
    "HOSTNAME": 101,
    "ISO-TSAP": 102,
    "POP2": 109,
    "POP3": 110,
    "SUNRPC": 111,
    "AUTH": 113,
    "UUCP-PATH": 117,
    "NNTP": 119,
    "NTP": 123,
    "NETBIOS-NS": 137,
    "NETBIOS-DGM": 138,
    "NETBIOS-SSN": 139,
    "IMAP": 143,
    "IMAP2": 143,
    "SNMP": 161,
    "SNMP-TRAP": 162,
    "BGP": 179,
    "IRC": 194,
    "LDAP": 389,
    "HTTPS": 443,
    "SUBMISSION": 587,
    "IMAPS": 993,
    "POP3S": 995,
}
_PORT_MAX = 65_535


def _number(tokens: Tokens, label: str, mnemonics: dict[str, int], maximum: int) -> int:
    first = tokens.peek()
    number = mnemonics.get(first.text.upper()) if first is not None else None
    if number is None:
        return tokens.number(label, maximum)
    tokens.token(label)
    return number


@dataclass(frozen=True, slots=True)
class WKS(Rdata):
    """Rdata of WKS: the well-known services of a host, with a bitmap of their ports (RFC 1035 section 3.4.2)."""

    address: IPv4Address
    protocol: int
    ports: tuple[int, ...]

    @classmethod
    def read(cls, reader: Reader) -> "WKS":
        """Decode WKS rdata from wire format; raises WireError."""
        address, protocol, bitmap = IPV4.read(reader), reader.u8(), reader.octets(reader.remaining)
        if bitmap[-1:] == b"\0" or len(bitmap) > (_PORT_MAX + 1) // 8:
            raise WireError("invalid bitmap of services")
        return cls(address, protocol, tuple(bits_of(bitmap)))

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "WKS":
        """Parse WKS rdata: protocol and services by name or number."""
        address = IPV4.from_tokens(tokens, "address")
        protocol = _number(tokens, "protocol", _PROTOCOLS, 255)
        ports = {_number(tokens, "service", _SERVICES, _PORT_MAX) for _ in range(len(tokens))}
        return cls(address, protocol, tuple(sorted(ports)))

    def write(self, writer: Writer) -> None:
        """Append WKS rdata in wire format to the octets in `writer`."""
        writer.write(self.address.packed)
        writer.u8(self.protocol)
        writer.write(bitmap_of(self.ports))

    def to_text(self) -> str:
        """Return WKS rdata in presentation format, with numbers."""
        return " ".join([str(self.address), str(self.protocol), *map(str, self.ports)])


@dataclass(frozen=True, slots=True)
class X25(Rdata):
    """Rdata of X25: an address of an X.25 network (RFC 1183 section 3.1)."""

    shape = (("address", STRING),)
    address: bytes


@dataclass(frozen=True, slots=True)
class ISDN(Rdata):
    """Rdata of ISDN: an ISDN address with an optional subaddress (RFC 1183 section 3.2)."""

    strings: tuple[bytes, ...]

    @classmethod
    def read(cls, reader: Reader) -> "ISDN":
        """Decode ISDN rdata, one or two strings; raises WireError."""
        first = reader.character_string()
        return cls((first, reader.character_string()) if reader.remaining else (first,))

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "ISDN":
        """Parse ISDN rdata, one or two strings; raises TextError."""
        first = STRING.from_tokens(tokens, "address")
        return cls((first, STRING.from_tokens(tokens, "subaddress")) if len(tokens) else (first,))

    def write(self, writer: Writer) -> None:
        """Append ISDN rdata, one or two strings, to the octets in `writer`."""
        for string in self.strings:
            STRING.write(writer, string)

    def to_text(self) -> str:
        """Return ISDN rdata in presentation format."""
        return " ".join(map(STRING.to_text, self.strings))


class _Dotted(FieldKind[bytes]):
    """Rdata field: octets up to the end of the rdata; in text `0x` and hexadecimal digits, dots permitted."""

    def read(self, reader: Reader) -> bytes:
        return reader.octets(reader.remaining)

    def write(self, writer: Writer, value: bytes) -> None:
        writer.write(value)

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        text = tokens.token(label).text
        if text[:2].lower() != "0x":
            raise TextError(f"{label} is {text!r}, expected 0x and hexadecimal digits")
        return octets_from_hex(text[2:].replace(".", ""), label)

    def to_text(self, value: bytes) -> str:
        return "0x" + value.hex()


@dataclass(frozen=True, slots=True)
class NSAP(Rdata):
    """Rdata of NSAP: an address of the OSI network layer (RFC 1706 section 5)."""

    shape = (("address", _Dotted()),)
    address: bytes


@dataclass(frozen=True, slots=True)
class ATMA(Rdata):
    """Rdata of ATMA: an end system address in hexadecimal (format 0), or a telephone number (format 1)."""

    format: int
    address: bytes

    @classmethod
    def read(cls, reader: Reader) -> "ATMA":
        """Decode ATMA rdata from wire format; raises WireError."""
        kind, address = reader.u8(), reader.octets(reader.remaining)
        if kind > 1 or not address or (kind == 1 and not address.isdigit()):
            raise WireError("invalid ATM address")
        return cls(kind, address)

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "ATMA":
        """Parse ATMA rdata: a telephone number begins with +."""
        text = tokens.token("address").text
        digits = text[1:].replace(".", "")
        if not text.startswith("+"):
            return cls(0, octets_from_hex(text.replace(".", ""), "address"))
        if not (digits.isascii() and digits.isdigit()):
            raise TextError(f"address is {text!r}, expected digits after the +")
        return cls(1, digits.encode("ascii"))

    def write(self, writer: Writer) -> None:
        """Append ATMA rdata in wire format to the octets in `writer`."""
        writer.u8(self.format)
        writer.write(self.address)

    def to_text(self) -> str:
        """Return ATMA rdata in presentation format."""
        return "+" + self.address.decode("ascii") if self.format else self.address.hex()


@dataclass(frozen=True, slots=True)
class GPOS(Rdata):
    """Rdata of GPOS: longitude and latitude in degrees, altitude in m, as decimal text (RFC 1712 section 3)."""

    shape = (("longitude", STRING), ("latitude", STRING), ("altitude", STRING))
    longitude: bytes
    latitude: bytes
    altitude: bytes


_EQUATOR = 1 << 31
_DEGREE_MS = 3_600_000
_ALTITUDE_BASE_CM = 10_000_000
_U32_MAX = (1 << 32) - 1
_METRES = re.compile(r"([+-]?[0-9]{1,10}(?:\.[0-9]{0,2})?)m?", re.ASCII | re.IGNORECASE)
_SECONDS = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,3}))?", re.ASCII)
_DIAMETER_CM_MAX = 9_000_000_000


@dataclass(frozen=True, slots=True)
class LOC(Rdata):
    """Rdata of LOC: a geographic position on the WGS 84 spheroid, with size and precision (RFC 1876 section 2).

    Angles are in thousandths of an arc second plus 2^31, the altitude in centimetres above -100,000 m; size and both
    precisions are in centimetres, as a decimal digit and an exponent of ten.
    """

    shape = (
        ("version", U8),
        ("size", U8),
        ("horizontal", U8),
        ("vertical", U8),
        ("latitude", U32),
        ("longitude", U32),
        ("altitude", U32),
    )
    version: int
    size: int
    horizontal: int
    vertical: int
    latitude: int
    longitude: int
    altitude: int

    @classmethod
    def read(cls, reader: Reader) -> "LOC":
        """Decode LOC rdata; raises WireError for a version or values that have no presentation format."""
        values = [kind.read(reader) for _, kind in cls.shape]
        digits = [nibble for octet in values[1:4] for nibble in (octet >> 4, octet & 0xF)]
        zeros = all(octet == 0 or octet >> 4 for octet in values[1:4])
        angles = abs(values[4] - _EQUATOR) <= 90 * _DEGREE_MS and abs(values[5] - _EQUATOR) <= 180 * _DEGREE_MS
        if values[0] or max(digits) > 9 or not zeros or not angles:
            raise WireError("invalid location")
        return cls(*values)

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "LOC":
        """Parse LOC rdata: `d [m [s]] N|S d [m [s]] E|W altitude[m] [size[m] [horizontal[m] [vertical[m]]]]`."""
        latitude = _angle(tokens, "latitude", 90, "NS")
        longitude = _angle(tokens, "longitude", 180, "EW")
        altitude = _centimetres(tokens, "altitude") + _ALTITUDE_BASE_CM
        if not 0 <= altitude <= _U32_MAX:
            raise TextError("altitude is not from -100000.00 m to 42849672.95 m")
        # RFC 1876 section 3: size, horizontal and vertical precision are by default 1 m, 10 km and 10 m.
        size = _digit_and_exponent(tokens, "size", 0x12)
        horizontal = _digit_and_exponent(tokens, "horizontal precision", 0x16)
        vertical = _digit_and_exponent(tokens, "vertical precision", 0x13)
        return cls(0, size, horizontal, vertical, latitude, longitude, altitude)

    def to_text(self) -> str:
        """Return LOC rdata in presentation format, with all fields."""
        metres = [_metres(digit_exponent) for digit_exponent in (self.size, self.horizontal, self.vertical)]
        altitude = self.altitude - _ALTITUDE_BASE_CM
        sign = "-" if altitude < 0 else ""
        texts = [_angle_text(self.latitude, "NS"), _angle_text(self.longitude, "EW")]
        return " ".join([*texts, f"{sign}{abs(altitude) // 100}.{abs(altitude) % 100:02d}m", *metres])


def _angle(tokens: Tokens, label: str, degrees_max: int, hemispheres: str) -> int:
    """Parse degrees, minutes, seconds and hemisphere into thousandths of an arc second plus 2^31 (RFC 1876)."""
    milliseconds = tokens.number(f"{label}, degrees", degrees_max) * _DEGREE_MS
    text = tokens.token(f"{label}, hemisphere").text
    if text.upper() not in tuple(hemispheres):
        if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < 60):
            raise TextError(f"{label}, minutes are {text!r}, expected a number up to 59")
        milliseconds += int(text) * 60_000
        text = tokens.token(f"{label}, hemisphere").text
        if text.upper() not in tuple(hemispheres):
            match = _SECONDS.fullmatch(text)
            if match is None or int(match[1]) >= 60:
                raise TextError(f"{label}, seconds are {text!r}, expected a number up to 59.999")
            milliseconds += int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))
            text = tokens.token(f"{label}, hemisphere").text
    if text.upper() not in tuple(hemispheres):
        raise TextError(f"{label}, hemisphere is {text!r}, expected {' or '.join(hemispheres)}")
    if milliseconds > degrees_max * _DEGREE_MS:
        raise TextError(f"{label} is more than {degrees_max} degrees")
    return _EQUATOR + (milliseconds if text.upper() == hemispheres[0] else -milliseconds)


def _angle_text(value: int, hemispheres: str) -> str:
    milliseconds = abs(value - _EQUATOR)
    degrees, rest = divmod(milliseconds, _DEGREE_MS)
    minutes, rest = divmod(rest, 60_000)
    return f"{degrees} {minutes} {rest // 1000}.{rest % 1000:03d} {hemispheres[value < _EQUATOR]}"


def _centimetres(tokens: Tokens, label: str) -> int:
    text = tokens.token(label).text
    match = _METRES.fullmatch(text)
    if match is None:
        raise TextError(f"{label} is {text!r}, expected metres such as 10.25m")
    return int(Decimal(match[1]) * 100)


def _digit_and_exponent(tokens: Tokens, label: str, default: int) -> int:
    """Parse metres into a digit and an exponent of ten, rounded down as in the code of RFC 1876 Appendix A."""
    if not len(tokens):
        return default
    centimetres = _centimetres(tokens, label)
    if not 0 <= centimetres <= _DIAMETER_CM_MAX:
        raise TextError(f"{label} is not from 0 to {_DIAMETER_CM_MAX // 100} m")
    digits = str(centimetres)
    return int(digits[0]) << 4 | len(digits) - 1


def _metres(digit_exponent: int) -> str:
    centimetres = int(str(digit_exponent >> 4) + "0" * (digit_exponent & 0xF))
    return f"{centimetres // 100}.{centimetres % 100:02d}m" if centimetres % 100 else f"{centimetres // 100}m"


# RFC 3123 section 4: address families, and the octets of their addresses.
_FAMILIES: dict[int, tuple[FieldKind[IPv4Address] | FieldKind[IPv6Address], int]] = {1: (IPV4, 4), 2: (IPV6, 16)}


@dataclass(frozen=True, slots=True)
class Prefix:
    """An address prefix in APL rdata; `negated` excludes the prefix from the list.

    `address` has the octets of the address without trailing zero octets.
    """

    family: int
    length: int
    negated: bool
    address: bytes

    def to_text(self) -> str:
        """Return the prefix as `[!]family:address/length`."""
        full = self.address.ljust(_FAMILIES[self.family][1], b"\0")
        address = IPv4Address(full) if self.family == 1 else IPv6Address(full)
        return f"{'!' * self.negated}{self.family}:{address}/{self.length}"


_PREFIX = re.compile(r"(!?)([0-9]{1,5}):([^/]+)/([0-9]{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class APL(Rdata):
    """Rdata of APL: a list of address prefixes (RFC 3123 section 4)."""

    prefixes: tuple[Prefix, ...]

    @classmethod
    def read(cls, reader: Reader) -> "APL":
        """Decode APL rdata, a list of prefixes; raises WireError."""
        prefixes = []
        while reader.remaining:
            family, length, flags = reader.u16(), reader.u8(), reader.u8()
            address = reader.octets(flags & 0x7F)
            octets = _FAMILIES[family][1] if family in _FAMILIES else 0
            if len(address) > octets or length > 8 * octets or address[-1:] == b"\0":
                raise WireError("invalid address prefix")
            prefixes.append(Prefix(family, length, bool(flags & 0x80), address))
        return cls(tuple(prefixes))

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "APL":
        """Parse APL rdata, a list of prefixes; there may be none."""
        return cls(tuple([_prefix(tokens.token("prefix").text) for _ in range(len(tokens))]))

    def write(self, writer: Writer) -> None:
        """Append APL rdata, a list of prefixes, to the octets in `writer`."""
        for prefix in self.prefixes:
            writer.u16(prefix.family)
            writer.u8(prefix.length)
            writer.u8(prefix.negated << 7 | len(prefix.address))
            writer.write(prefix.address)

    def to_text(self) -> str:
        """Return APL rdata in presentation format."""
        return " ".join(map(Prefix.to_text, self.prefixes))


def _prefix(text: str) -> Prefix:
    match = _PREFIX.fullmatch(text)
    family = int(match[2]) if match else 0
    if match is None or family not in _FAMILIES or int(match[4]) > 8 * _FAMILIES[family][1]:
        raise TextError(f"prefix is {text!r}, expected one such as 1:192.0.2.0/24 or !2:2001:db8::/32")
    try:
        packed = IPv4Address(match[3]).packed if family == 1 else IPv6Address(match[3]).packed
    except ValueError as error:
        raise TextError(f"prefix {text!r} has an invalid address") from error
    return Prefix(family, int(match[4]), bool(match[1]), packed.rstrip(b"\0"))


class _Groups(FieldKind[bytes]):
    """Rdata field: a fixed number of octets, in text as groups of hexadecimal digits with a separator.

    Examples are EUI-48 addresses (00-00-5e-00-53-2a) and 64-bit locators (2001:db8:1140:1000).
    """

    def __init__(self, octets: int, group_octets: int, separator: str) -> None:
        self._octets = octets
        self._digits = 2 * group_octets
        self._separator = separator

    def read(self, reader: Reader) -> bytes:
        return reader.octets(self._octets)

    def write(self, writer: Writer, value: bytes) -> None:
        writer.write(value)

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        text = tokens.token(label).text
        groups = text.split(self._separator)
        # In a locator, leading zeros of a group may be left out, as in IPv6 addresses (RFC 6742 section 2.1.2).
        least = self._digits if self._digits == 2 else 1
        valid = all(least <= len(one) <= self._digits for one in groups)
        if not valid or len(groups) != 2 * self._octets // self._digits:
            raise TextError(f"{label} is {text!r}, expected one such as {self.to_text(bytes(self._octets))}")
        return octets_from_hex("".join(one.zfill(self._digits) for one in groups), label)

    def to_text(self, value: bytes) -> str:
        return value.hex(self._separator, self._digits // 2)


_LOCATOR64 = _Groups(8, 2, ":")


@dataclass(frozen=True, slots=True)
class EUI48(Rdata):
    """Rdata of EUI48: a 48-bit address of an interface (RFC 7043 section 3)."""

    shape = (("address", _Groups(6, 1, "-")),)
    address: bytes


@dataclass(frozen=True, slots=True)
class EUI64(Rdata):
    """Rdata of EUI64: a 64-bit address of an interface (RFC 7043 section 4)."""

    shape = (("address", _Groups(8, 1, "-")),)
    address: bytes


@dataclass(frozen=True, slots=True)
class Locator64(Rdata):
    """Rdata of NID and L64: a preference, and a 64-bit node identifier or locator (RFC 6742 sections 2.1, 2.3)."""

    shape = (("preference", U16), ("locator", _LOCATOR64))
    preference: int
    locator: bytes


@dataclass(frozen=True, slots=True)
class L32(Rdata):
    """Rdata of L32: a preference and a 32-bit locator, written like an IPv4 address (RFC 6742 section 2.2)."""

    shape = (("preference", U16), ("locator", IPV4))
    preference: int
    locator: IPv4Address


@dataclass(frozen=True, slots=True)
class LP(Rdata):
    """Rdata of LP: a preference and a name that has L32 or L64 records (RFC 6742 section 2.4)."""

    shape = (("preference", U16), ("pointer", VERBATIM_NAME))
    preference: int
    pointer: Name


@dataclass(frozen=True, slots=True)
class A6(Rdata):
    """Rdata of A6: low bits of an IPv6 address, and a name whose A6 records have the prefix (RFC 2874, historic)."""

    prefix_length: int
    suffix: IPv6Address
    prefix_name: Name

    @classmethod
    def read(cls, reader: Reader) -> "A6":
        """Decode A6 rdata; raises WireError.

        The suffix has only the octets that the prefix does not cover; the prefix name is absent if the prefix length is
        0.
        """
        length = reader.u8()
        if length > 128:
            raise WireError("invalid prefix length of A6")
        suffix = IPv6Address(reader.octets((135 - length) // 8).rjust(16, b"\0"))
        if int(suffix) >> 128 - length:
            raise WireError("A6 suffix with bits of the prefix")
        return cls(length, suffix, reader.name(compressed=False) if length else ROOT)

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "A6":
        """Parse A6 rdata from the tokens of a master file; raises TextError."""
        length = tokens.number("prefix length", 128)
        suffix = IPV6.from_tokens(tokens, "suffix") if length < 128 else IPv6Address(0)
        suffix = IPv6Address(int(suffix) & (1 << 128 - length) - 1)
        return cls(length, suffix, tokens.name("prefix name") if length else ROOT)

    def write(self, writer: Writer) -> None:
        """Append A6 rdata in wire format to the octets in `writer`."""
        writer.u8(self.prefix_length)
        writer.write(self.suffix.packed[16 - (135 - self.prefix_length) // 8 :])
        if self.prefix_length:
            PLAIN_NAME.write(writer, self.prefix_name)

    def to_text(self) -> str:
        """Return A6 rdata in presentation format."""
        words = [str(self.prefix_length)]
        words += [str(self.suffix)] if self.prefix_length < 128 else []
        return " ".join([*words, self.prefix_name.to_text()] if self.prefix_length else words)


@dataclass(frozen=True, slots=True)
class AMTRELAY(Rdata):
    """Rdata of AMTRELAY: a relay for Automatic Multicast Tunneling (RFC 8777 section 4).

    `discovery` is the D bit: a gateway may use the relay without relay discovery.
    """

    precedence: int
    discovery: bool
    relay_type: int
    relay: Gateway

    @classmethod
    def read(cls, reader: Reader) -> "AMTRELAY":
        """Decode AMTRELAY rdata; the relay type field determines the format of the relay."""
        precedence, kind = reader.u8(), reader.u8()
        return cls(precedence, bool(kind & 0x80), kind & 0x7F, read_gateway(reader, kind & 0x7F))

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "AMTRELAY":
        """Parse AMTRELAY rdata from the tokens of a master file; raises TextError."""
        precedence, discovery = tokens.number("precedence", 255), tokens.number("discovery", 1)
        kind = tokens.number("relay type", 127)
        return cls(precedence, bool(discovery), kind, gateway_from_tokens(tokens, kind, "relay"))

    def write(self, writer: Writer) -> None:
        """Append AMTRELAY rdata in wire format to the octets in `writer`."""
        writer.u8(self.precedence)
        writer.u8(self.discovery << 7 | self.relay_type)
        write_gateway(writer, self.relay)

    def to_text(self) -> str:
        """Return AMTRELAY rdata in presentation format."""
        return f"{self.precedence} {self.discovery:d} {self.relay_type} {gateway_to_text(self.relay)}"
