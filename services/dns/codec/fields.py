"""The kinds of field that rdata is made of: how each is read, written, and shown in a master file.

RFC 1035 sections 3.3 and 5.1, RFC 3597 section 4 (which names may be compressed, and which only read so).
"""

from abc import ABC, abstractmethod
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, TypeVar

from services.dns.codec.errors import TextError
from services.dns.codec.lexer import Tokens
from services.dns.codec.name import Name
from services.dns.codec.ttl import ttl_from_text
from services.dns.codec.wire import Reader, Writer

T = TypeVar("T")
CHARACTER_STRING_MAX = 255


class FieldKind(ABC, Generic[T]):
    """One kind of field, of values of type T."""

    @abstractmethod
    def read(self, reader: Reader) -> T:
        """Take the field from octets; raises WireError."""

    @abstractmethod
    def write(self, writer: Writer, value: T) -> None:
        """Append the field's octets."""

    def write_canonical(self, writer: Writer, value: T) -> None:
        """Append the field's octets in the form that order and equality look at (RFC 4034 section 6.2)."""
        self.write(writer, value)

    @abstractmethod
    def from_tokens(self, tokens: Tokens, what: str) -> T:
        """Take the field from a master file's words; raises TextError."""

    @abstractmethod
    def to_text(self, value: T) -> str:
        """Return the field as a master file has it."""


class Unsigned(FieldKind[int]):
    """A number of so many octets."""

    def __init__(self, octets: int) -> None:
        self._octets = octets
        self._maximum = (1 << 8 * octets) - 1

    def read(self, reader: Reader) -> int:
        return int.from_bytes(reader.take(self._octets), "big")

    def write(self, writer: Writer, value: int) -> None:
        writer.write(value.to_bytes(self._octets, "big"))

    def from_tokens(self, tokens: Tokens, what: str) -> int:
        return tokens.number(what, self._maximum)

    def to_text(self, value: int) -> str:
        return str(value)


class Seconds(Unsigned):
    """A time in seconds, which a master file may write with units."""

    def __init__(self) -> None:
        super().__init__(4)

    def from_tokens(self, tokens: Tokens, what: str) -> int:
        return ttl_from_text(tokens.take(what).text, what)


class DomainName(FieldKind[Name]):
    """A name; `sent` says whether it may be written compressed, `received` whether it may be read so."""

    def __init__(self, sent: bool, received: bool) -> None:
        self._sent = sent
        self._received = received

    def read(self, reader: Reader) -> Name:
        return reader.name(self._received)

    def write(self, writer: Writer, value: Name) -> None:
        writer.name(value, self._sent)

    def write_canonical(self, writer: Writer, value: Name) -> None:
        writer.write(value.canonical())

    def from_tokens(self, tokens: Tokens, what: str) -> Name:
        return tokens.name(what)

    def to_text(self, value: Name) -> str:
        return value.to_text()


class AddressV4(FieldKind[IPv4Address]):
    """An address of four octets."""

    def read(self, reader: Reader) -> IPv4Address:
        return IPv4Address(reader.take(4))

    def write(self, writer: Writer, value: IPv4Address) -> None:
        writer.write(value.packed)

    def from_tokens(self, tokens: Tokens, what: str) -> IPv4Address:
        text = tokens.take(what).text
        try:
            return IPv4Address(text)
        except ValueError as error:
            raise TextError(f"{text!r} is no IPv4 address") from error

    def to_text(self, value: IPv4Address) -> str:
        return str(value)


class AddressV6(FieldKind[IPv6Address]):
    """An address of sixteen octets (RFC 3596 section 2.2)."""

    def read(self, reader: Reader) -> IPv6Address:
        return IPv6Address(reader.take(16))

    def write(self, writer: Writer, value: IPv6Address) -> None:
        writer.write(value.packed)

    def from_tokens(self, tokens: Tokens, what: str) -> IPv6Address:
        text = tokens.take(what).text
        try:
            if "%" in text:
                raise ValueError("a scope is of one machine only")
            return IPv6Address(text)
        except ValueError as error:
            raise TextError(f"{text!r} is no IPv6 address") from error

    def to_text(self, value: IPv6Address) -> str:
        return str(value)


class CharacterString(FieldKind[bytes]):
    """Up to 255 octets after one of length."""

    def read(self, reader: Reader) -> bytes:
        return reader.character_string()

    def write(self, writer: Writer, value: bytes) -> None:
        writer.u8(len(value))
        writer.write(value)

    def from_tokens(self, tokens: Tokens, what: str) -> bytes:
        octets = tokens.octets(what)
        if len(octets) > CHARACTER_STRING_MAX:
            raise TextError(f"{what} has {len(octets)} octets, where {CHARACTER_STRING_MAX} may be")
        return octets

    def to_text(self, value: bytes) -> str:
        return quoted(value)


class CharacterStrings(FieldKind[tuple[bytes, ...]]):
    """One character-string or more, to the end of the rdata."""

    _one = CharacterString()

    def read(self, reader: Reader) -> tuple[bytes, ...]:
        strings = [reader.character_string()]
        while reader.remaining:
            strings.append(reader.character_string())
        return tuple(strings)

    def write(self, writer: Writer, value: tuple[bytes, ...]) -> None:
        for string in value:
            self._one.write(writer, string)

    def from_tokens(self, tokens: Tokens, what: str) -> tuple[bytes, ...]:
        strings = [self._one.from_tokens(tokens, what)]
        while len(tokens):
            strings.append(self._one.from_tokens(tokens, what))
        return tuple(strings)

    def to_text(self, value: tuple[bytes, ...]) -> str:
        return " ".join(map(quoted, value))


class Octets(FieldKind[bytes]):
    """Octets to the end of the rdata, shown as hexadecimal digits."""

    def read(self, reader: Reader) -> bytes:
        return reader.take(reader.remaining)

    def write(self, writer: Writer, value: bytes) -> None:
        writer.write(value)

    def from_tokens(self, tokens: Tokens, what: str) -> bytes:
        digits = "".join(tokens.take(what).text for _ in range(max(len(tokens), 1)))
        try:
            return bytes.fromhex(digits)
        except ValueError as error:
            raise TextError(f"{what} is {digits!r}, where pairs of hexadecimal digits should be") from error

    def to_text(self, value: bytes) -> str:
        return value.hex().upper()


class QuotedOctets(Octets):
    """Octets to the end of the rdata, shown as one quoted string (RFC 8659 section 4.1)."""

    def from_tokens(self, tokens: Tokens, what: str) -> bytes:
        return tokens.octets(what)

    def to_text(self, value: bytes) -> str:
        return quoted(value)


def quoted(octets: bytes) -> str:
    """Return octets as a quoted string."""
    return '"' + "".join(map(_quoted, octets)) + '"'


def _quoted(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet <= 0x7E else f"\\{octet:03d}"


U8, U16, U32 = Unsigned(1), Unsigned(2), Unsigned(4)
SECONDS = Seconds()
# RFC 3597 section 4: the types of RFC 1035 are sent and received compressed, the types up to SRV that it names are
# only received so, all later ones neither.
WELL_KNOWN_NAME = DomainName(sent=True, received=True)
RECEIVED_NAME = DomainName(sent=False, received=True)
PLAIN_NAME = DomainName(sent=False, received=False)
IPV4 = AddressV4()
IPV6 = AddressV6()
STRING = CharacterString()
STRINGS = CharacterStrings()
OCTETS = Octets()
QUOTED = QuotedOctets()
