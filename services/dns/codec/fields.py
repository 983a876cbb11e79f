r"""Codecs for the fields of rdata, in wire format and presentation format, and the base class of rdata.

    shape = (("preference", U16), ("exchange", WELL_KNOWN_NAME))      of MX: the fields in wire order

FieldKind is the base class of the codecs, such as those for integers and domain names. Rdata is the base class of the
rdata of all RR types: a subclass lists its fields and their codecs in `shape`. RFC 1035 sections 3.3 and 5.1, RFC 3597
(section 4: which names are compressed; section 5: \# and opaque rdata), RFC 4034 sections 3.2 (times), 4.1.2 (type
bitmaps) and 6.2 (canonical form), RFC 4648 (hexadecimal, base32hex and base64).
"""

import base64
import binascii
from abc import ABC, abstractmethod
from calendar import timegm
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar, Generic, TypeVar

from lab7.services.dns.codec.codes import type_from_text, type_to_text
from lab7.services.dns.codec.errors import TextError, WireError
from lab7.services.dns.codec.lexer import Tokens
from lab7.services.dns.codec.name import Name, Reader, Writer
from lab7.services.dns.codec.ttl import U32_MAX, ttl_from_text

T = TypeVar("T")

CHARACTER_STRING_MAX = 255


class FieldKind(ABC, Generic[T]):
    """Base class of the codecs for rdata fields; T is the type of a decoded value."""

    @abstractmethod
    def read(self, reader: Reader) -> T:
        """Decode a field of rdata from wire format; raises WireError."""

    @abstractmethod
    def write(self, writer: Writer, value: T) -> None:
        """Append a field of rdata in wire format to the octets in `writer`."""

    def write_canonical(self, writer: Writer, value: T) -> None:
        """Append the field in canonical form to `writer`, for ordering and equality (RFC 4034 section 6.2)."""
        self.write(writer, value)

    @abstractmethod
    def from_tokens(self, tokens: Tokens, label: str) -> T:
        """Parse the field from tokens of a master file; raises TextError with the field's name `label`."""

    @abstractmethod
    def to_text(self, value: T) -> str:
        """Return a field of rdata in presentation format."""


class Unsigned(FieldKind[int]):
    """Rdata field: an unsigned number of `octets` octets."""

    def __init__(self, octets: int) -> None:
        self._octets = octets
        self._maximum = (1 << 8 * octets) - 1

    def read(self, reader: Reader) -> int:
        return int.from_bytes(reader.octets(self._octets), "big")

    def write(self, writer: Writer, value: int) -> None:
        writer.write(value.to_bytes(self._octets, "big"))

    def from_tokens(self, tokens: Tokens, label: str) -> int:
        return tokens.number(label, self._maximum)

    def to_text(self, value: int) -> str:
        return str(value)


class Mnemonic(Unsigned):
    """Rdata field: an unsigned number, for which a master file may have a mnemonic; always printed as a number.

    `numbers` maps mnemonics to numbers.
    """

    def __init__(self, octets: int, numbers: Mapping[str, int]) -> None:
        super().__init__(octets)
        self._numbers = numbers

    def from_tokens(self, tokens: Tokens, label: str) -> int:
        first = tokens.peek()
        number = self._numbers.get(first.text.upper()) if first is not None else None
        if number is None:
            return super().from_tokens(tokens, label)
        tokens.token(label)
        return number


class Seconds(Unsigned):
    """Rdata field: a 32-bit duration in seconds; master files may use units, such as 1h30m."""

    def __init__(self) -> None:
        super().__init__(4)

    def from_tokens(self, tokens: Tokens, label: str) -> int:
        # Times in an SOA have 32 bits (RFC 1035 section 3.3.13), whereas a TTL has 31.
        return ttl_from_text(tokens.token(label).text, label, U32_MAX)


class Time(Unsigned):
    """Rdata field: a 32-bit absolute time, YYYYMMDDHHmmSS in presentation format (RFC 4034 section 3.2)."""

    _FORMAT = "%Y%m%d%H%M%S"
    _EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

    def __init__(self) -> None:
        super().__init__(4)

    def from_tokens(self, tokens: Tokens, label: str) -> int:
        text = tokens.token(label).text
        if not (text.isascii() and text.isdigit()) or (len(text) > 10 and len(text) != 14):
            raise TextError(f"{label} is {text!r}, expected a time as YYYYMMDDHHmmSS or seconds since 1970")
        if len(text) <= 10:
            seconds = int(text)
        else:
            try:
                seconds = timegm(datetime.strptime(text, self._FORMAT).timetuple())
            except ValueError as error:
                raise TextError(f"{label} is {text!r}, which is not a valid date and time (YYYYMMDDHHmmSS)") from error
        if not 0 <= seconds <= U32_MAX:
            raise TextError(f"{label} is {text!r}, expected a time from 1970 to 2106")
        return seconds

    def to_text(self, value: int) -> str:
        return (self._EPOCH + timedelta(seconds=value)).strftime(self._FORMAT)


class CoveredType(Unsigned):
    """Rdata field: an RR type, such as the type covered by an RRSIG; a mnemonic in presentation format."""

    def __init__(self) -> None:
        super().__init__(2)

    def from_tokens(self, tokens: Tokens, label: str) -> int:
        return type_from_text(tokens.token(label).text)

    def to_text(self, value: int) -> str:
        return type_to_text(value)


class DomainName(FieldKind[Name]):
    """Rdata field: a domain name, with the rules for its compression and its canonical form.

    `sent`: the name may be compressed when it is encoded. `received`: a compressed name is accepted when it is decoded.
    `folded`: the canonical form has the name in lower case, as RFC 4034 section 6.2 requires for the types it lists
    (RFC 6840 section 5.1 removes NSEC from the list).
    """

    def __init__(self, sent: bool, received: bool, folded: bool = True) -> None:
        self._sent = sent
        self._received = received
        self._folded = folded

    def read(self, reader: Reader) -> Name:
        return reader.name(self._received)

    def write(self, writer: Writer, value: Name) -> None:
        writer.name(value, self._sent)

    def write_canonical(self, writer: Writer, value: Name) -> None:
        writer.write(value.canonical() if self._folded else value.to_wire())

    def from_tokens(self, tokens: Tokens, label: str) -> Name:
        return tokens.name(label)

    def to_text(self, value: Name) -> str:
        return value.to_text()


class DomainNames(FieldKind[tuple[Name, ...]]):
    """Rdata field: domain names up to the end of the rdata, not compressed."""

    def read(self, reader: Reader) -> tuple[Name, ...]:
        names = []
        while reader.remaining:
            names.append(reader.name(compressed=False))
        return tuple(names)

    def write(self, writer: Writer, value: tuple[Name, ...]) -> None:
        for name in value:
            writer.write(name.to_wire())

    def from_tokens(self, tokens: Tokens, label: str) -> tuple[Name, ...]:
        return tuple([tokens.name(label) for _ in range(len(tokens))])

    def to_text(self, value: tuple[Name, ...]) -> str:
        return " ".join(map(Name.to_text, value))


class AddressV4(FieldKind[IPv4Address]):
    """Rdata field: an IPv4 address."""

    def read(self, reader: Reader) -> IPv4Address:
        return IPv4Address(reader.octets(4))

    def write(self, writer: Writer, value: IPv4Address) -> None:
        writer.write(value.packed)

    def from_tokens(self, tokens: Tokens, label: str) -> IPv4Address:
        text = tokens.token(label).text
        try:
            return IPv4Address(text)
        except ValueError as error:
            raise TextError(f"invalid IPv4 address {text!r}") from error

    def to_text(self, value: IPv4Address) -> str:
        return str(value)


class AddressV6(FieldKind[IPv6Address]):
    """Rdata field: an IPv6 address (RFC 3596 section 2.2)."""

    def read(self, reader: Reader) -> IPv6Address:
        return IPv6Address(reader.octets(16))

    def write(self, writer: Writer, value: IPv6Address) -> None:
        writer.write(value.packed)

    def from_tokens(self, tokens: Tokens, label: str) -> IPv6Address:
        text = tokens.token(label).text
        try:
            if "%" in text:
                raise ValueError("a zone index is valid on one host only")
            return IPv6Address(text)
        except ValueError as error:
            raise TextError(f"invalid IPv6 address {text!r}") from error

    def to_text(self, value: IPv6Address) -> str:
        return str(value)


class CharacterString(FieldKind[bytes]):
    """Rdata field: a character-string, which is a length octet and up to 255 octets."""

    def read(self, reader: Reader) -> bytes:
        return reader.character_string()

    def write(self, writer: Writer, value: bytes) -> None:
        writer.u8(len(value))
        writer.write(value)

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        octets = tokens.octets(label)
        if len(octets) > CHARACTER_STRING_MAX:
            raise TextError(f"{label} has {len(octets)} octets, at most {CHARACTER_STRING_MAX} are allowed")
        return octets

    def to_text(self, value: bytes) -> str:
        return quoted(value)


class CharacterStrings(FieldKind[tuple[bytes, ...]]):
    """Rdata field: one or more character-strings, up to the end of the rdata."""

    _string = CharacterString()

    def read(self, reader: Reader) -> tuple[bytes, ...]:
        strings = [reader.character_string()]
        while reader.remaining:
            strings.append(reader.character_string())
        return tuple(strings)

    def write(self, writer: Writer, value: tuple[bytes, ...]) -> None:
        for string in value:
            self._string.write(writer, string)

    def from_tokens(self, tokens: Tokens, label: str) -> tuple[bytes, ...]:
        strings = [self._string.from_tokens(tokens, label)]
        while len(tokens):
            strings.append(self._string.from_tokens(tokens, label))
        return tuple(strings)

    def to_text(self, value: tuple[bytes, ...]) -> str:
        return " ".join(map(quoted, value))


class Octets(FieldKind[bytes]):
    """Rdata field: octets up to the end of the rdata, in hexadecimal; blanks are permitted anywhere."""

    def read(self, reader: Reader) -> bytes:
        return reader.octets(reader.remaining)

    def write(self, writer: Writer, value: bytes) -> None:
        writer.write(value)

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        return octets_from_hex(_rest(tokens, label), label)

    def to_text(self, value: bytes) -> str:
        return value.hex().upper()


class Base64Octets(Octets):
    """Rdata field: octets up to the end of the rdata, in base64 (RFC 4648 section 4); blanks are permitted anywhere."""

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        return octets_from_base64(_rest(tokens, label), label)

    def to_text(self, value: bytes) -> str:
        return base64.b64encode(value).decode("ascii")


class CountedOctets(FieldKind[bytes]):
    """Rdata field: a length octet and that many octets.

    The presentation format is hexadecimal, with "-" for no octets, or base32hex if `base32`. A base32hex field is never
    empty, since the hash of NSEC3 always has octets (RFC 5155 section 3.1.7).
    """

    def __init__(self, base32: bool = False) -> None:
        self._base32 = base32

    def read(self, reader: Reader) -> bytes:
        octets = reader.character_string()
        if self._base32 and not octets:
            raise WireError("empty hash")
        return octets

    def write(self, writer: Writer, value: bytes) -> None:
        writer.u8(len(value))
        writer.write(value)

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        text = tokens.token(label).text
        octets = self._decoded(text, label)
        if len(octets) > CHARACTER_STRING_MAX:
            raise TextError(f"{label} has {len(octets)} octets, at most {CHARACTER_STRING_MAX} are allowed")
        return octets

    def _decoded(self, text: str, label: str) -> bytes:
        if self._base32:
            return _from_base32hex(text, label)
        return b"" if text == "-" else octets_from_hex(text, label)

    def to_text(self, value: bytes) -> str:
        if self._base32:
            return base64.b32hexencode(value).decode("ascii").rstrip("=")
        return value.hex().upper() or "-"


class TypeBitmap(FieldKind[tuple[int, ...]]):
    """Rdata field: a bitmap of RR types up to the end of the rdata, decoded to the types in ascending order.

    RFC 4034 section 4.1.2.
    """

    def read(self, reader: Reader) -> tuple[int, ...]:
        types: list[int] = []
        previous = -1
        while reader.remaining:
            window, octets = reader.u8(), reader.character_string()
            if window <= previous or not 1 <= len(octets) <= 32 or not octets[-1]:
                raise WireError("invalid type bitmap")
            previous = window
            types += [window << 8 | bit for bit in bits_of(octets)]
        return tuple(types)

    def write(self, writer: Writer, value: tuple[int, ...]) -> None:
        windows: dict[int, list[int]] = {}
        for number in sorted(value):
            windows.setdefault(number >> 8, []).append(number & 0xFF)
        for window, bits in windows.items():
            octets = bitmap_of(bits)
            writer.u8(window)
            writer.u8(len(octets))
            writer.write(octets)

    def from_tokens(self, tokens: Tokens, label: str) -> tuple[int, ...]:
        return tuple(sorted({type_from_text(tokens.token(label).text) for _ in range(len(tokens))}))

    def to_text(self, value: tuple[int, ...]) -> str:
        return " ".join(map(type_to_text, value))


def bits_of(bitmap: bytes) -> list[int]:
    """Return the indices of the set bits in a bitmap; bit 0 is the most significant bit of the first octet."""
    return [8 * index + bit for index, octet in enumerate(bitmap) for bit in range(8) if octet & 0x80 >> bit]


def bitmap_of(bits: Iterable[int]) -> bytes:
    """Return the shortest bitmap, as octets, in which the bits with these indices are set."""
    numbers = set(bits)
    bitmap = bytearray(max(numbers, default=-1) // 8 + 1)
    for number in numbers:
        bitmap[number // 8] |= 0x80 >> number % 8
    return bytes(bitmap)


def _rest(tokens: Tokens, label: str) -> str:
    return "".join(tokens.token(label).text for _ in range(max(len(tokens), 1)))


def octets_from_hex(digits: str, label: str) -> bytes:
    """Decode pairs of hexadecimal digits; raises TextError."""
    try:
        return binascii.unhexlify(digits)
    except ValueError as error:
        raise TextError(f"{label} is {digits!r}, expected pairs of hexadecimal digits") from error


def octets_from_base64(text: str, label: str) -> bytes:
    """Decode base64; raises TextError."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise TextError(f"{label} is {text!r}, expected base64") from error


def _from_base32hex(text: str, label: str) -> bytes:
    try:
        if "=" in text:
            raise ValueError("padding")
        return base64.b32hexdecode(text.upper() + "=" * (-len(text) % 8))
    except ValueError as error:
        raise TextError(f"{label} is {text!r}, expected base32hex without padding (RFC 5155 section 3.3)") from error


class QuotedOctets(Octets):
    """Rdata field: octets up to the end of the rdata, as one quoted string in presentation format (RFC 8659)."""

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        return tokens.octets(label)

    def to_text(self, value: bytes) -> str:
        return quoted(value)


def quoted(octets: bytes) -> str:
    """Return octets as a quoted string of a master file, with escapes."""
    return '"' + "".join(map(_quoted, octets)) + '"'


def _quoted(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet <= 0x7E else f"\\{octet:03d}"


U8, U16, U32 = Unsigned(1), Unsigned(2), Unsigned(4)

COVERED_TYPE = CoveredType()

TIME = Time()

SECONDS = Seconds()

# RFC 3597 section 4: names in the types of RFC 1035 may be compressed.
WELL_KNOWN_NAME = DomainName(sent=True, received=True)

# RFC 3597 section 4: names in RP, AFSDB, RT, SIG, PX, NXT, NAPTR and SRV are decompressed, but not sent compressed.
RECEIVED_NAME = DomainName(sent=False, received=True)

# RFC 3597 section 4: names are never compressed in types later than RFC 1035, except those of RECEIVED_NAME.
PLAIN_NAME = DomainName(sent=False, received=False)

VERBATIM_NAME = DomainName(sent=False, received=False, folded=False)

VERBATIM_NAMES = DomainNames()

IPV4 = AddressV4()

IPV6 = AddressV6()

STRING = CharacterString()

STRINGS = CharacterStrings()

OCTETS = Octets()

BASE64 = Base64Octets()

TYPES = TypeBitmap()

QUOTED = QuotedOctets()

Shape = tuple[tuple[str, FieldKind[Any]], ...]

Self = TypeVar("Self", bound="Rdata")

GENERIC = "\\#"


@dataclass(frozen=True, slots=True)
class Rdata:
    """Base class of the rdata of all RR types; `shape` lists the fields in wire order.

    A subclass whose fields depend on one another has no shape: it has its own read, from_tokens, write and to_text. The
    names in such a class are never compressed, and keep their case in canonical form.
    """

    shape: ClassVar[Shape] = ()

    @classmethod
    def read(cls: type[Self], reader: Reader) -> Self:
        """Decode all fields of the rdata from wire format; raises WireError."""
        return cls(*[kind.read(reader) for _, kind in cls.shape])

    @classmethod
    def from_tokens(cls: type[Self], tokens: Tokens) -> Self:
        """Parse the fields from a master file's tokens; raises TextError."""
        return cls(*[kind.from_tokens(tokens, name) for name, kind in cls.shape])

    def write(self, writer: Writer) -> None:
        """Append all fields of the rdata, in wire order, to the octets in `writer`."""
        for name, kind in self.shape:
            kind.write(writer, getattr(self, name))

    def canonical(self) -> bytes:
        """Return the rdata in canonical form: without compression, names in lower case (RFC 4034 section 6.2)."""
        if not self.shape:
            return self.to_wire()
        writer = Writer()
        for name, kind in self.shape:
            kind.write_canonical(writer, getattr(self, name))
        return bytes(writer.octets)

    def to_wire(self) -> bytes:
        """Return the rdata in wire format, without name compression."""
        writer = Writer()
        if not self.shape:
            self.write(writer)
        for name, kind in self.shape:
            value = getattr(self, name)
            writer.write(value.to_wire()) if isinstance(value, Name) else kind.write(writer, value)
        return bytes(writer.octets)

    def to_text(self) -> str:
        """Return the rdata in presentation format."""
        texts = [kind.to_text(getattr(self, name)) for name, kind in self.shape]
        return " ".join(text for text in texts if text)


@dataclass(frozen=True, slots=True)
class Opaque(Rdata):
    """Rdata of an unknown type or class, kept as octets (RFC 3597)."""

    shape = (("data", OCTETS),)
    data: bytes

    def to_text(self) -> str:
        return f"{GENERIC} {len(self.data)} {self.data.hex().upper()}".rstrip()
