r"""Rdata: one class per RR type, declared as a list of fields; Opaque for all other types.

    >>> rdata_from_text(RRType.MX, "10 mail", origin=Name.from_text("example.com."))
    MX(preference=10, exchange=Name('mail.example.com.'))

A FieldKind encodes, decodes, parses and prints a field; `shape` of an rdata class lists its fields in wire order.
RFC 1035 sections 3.3 and 5.1, RFC 3596 (AAAA), 2782 (SRV), 6672 (DNAME), 8659 (CAA), 3597 (\# and opaque rdata), and
the types whose names may be received compressed (RFC 3597 section 4): as octets, their pointers would be broken.
Left out: SIG and NXT, which are obsolete, and the DNSSEC types other than DS; they are Opaque here.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar, Generic, TypeVar

from services.dns.codec.codes import RRClass, RRType
from services.dns.codec.errors import NameTooLongError, TextError, WireError
from services.dns.codec.lexer import Token, Tokens, lex
from services.dns.codec.name import ROOT, Name, Reader, Writer
from services.dns.codec.ttl import ttl_from_text

T = TypeVar("T")

CHARACTER_STRING_MAX = 255


class FieldKind(ABC, Generic[T]):
    """Codec for one kind of field, with values of type T."""

    @abstractmethod
    def read(self, reader: Reader) -> T:
        """Decode the field; raises WireError."""

    @abstractmethod
    def write(self, writer: Writer, value: T) -> None:
        """Encode the field."""

    def write_canonical(self, writer: Writer, value: T) -> None:
        """Encode the field in canonical form, for ordering and equality (RFC 4034 section 6.2)."""
        self.write(writer, value)

    @abstractmethod
    def from_tokens(self, tokens: Tokens, label: str) -> T:
        """Parse the field from a master file's tokens; raises TextError, which calls the field `label`."""

    @abstractmethod
    def to_text(self, value: T) -> str:
        """Return the field in presentation format."""


class Unsigned(FieldKind[int]):
    """An unsigned number of `octets` octets."""

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


class Seconds(Unsigned):
    """A 32-bit time in seconds; master files may use units."""

    def __init__(self) -> None:
        super().__init__(4)

    def from_tokens(self, tokens: Tokens, label: str) -> int:
        return ttl_from_text(tokens.token(label).text, label)


class DomainName(FieldKind[Name]):
    """A name; it is compressed when `sent`, and may be compressed when `received`."""

    def __init__(self, sent: bool, received: bool) -> None:
        self._sent = sent
        self._received = received

    def read(self, reader: Reader) -> Name:
        return reader.name(self._received)

    def write(self, writer: Writer, value: Name) -> None:
        writer.name(value, self._sent)

    def write_canonical(self, writer: Writer, value: Name) -> None:
        writer.write(value.canonical())

    def from_tokens(self, tokens: Tokens, label: str) -> Name:
        return tokens.name(label)

    def to_text(self, value: Name) -> str:
        return value.to_text()


class AddressV4(FieldKind[IPv4Address]):
    """An IPv4 address."""

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
    """An IPv6 address (RFC 3596 section 2.2)."""

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
    """A character-string: a length octet and up to 255 octets."""

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
    """One or more character-strings, up to the end of the rdata."""

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
    """Octets up to the end of the rdata, in hexadecimal in presentation format."""

    def read(self, reader: Reader) -> bytes:
        return reader.octets(reader.remaining)

    def write(self, writer: Writer, value: bytes) -> None:
        writer.write(value)

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        digits = "".join(tokens.token(label).text for _ in range(max(len(tokens), 1)))
        try:
            return bytes.fromhex(digits)
        except ValueError as error:
            raise TextError(f"{label} is {digits!r}, expected pairs of hexadecimal digits") from error

    def to_text(self, value: bytes) -> str:
        return value.hex().upper()


class QuotedOctets(Octets):
    """Octets up to the end of the rdata, as one quoted string in presentation format (RFC 8659 section 4.1)."""

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        return tokens.octets(label)

    def to_text(self, value: bytes) -> str:
        return quoted(value)


def quoted(octets: bytes) -> str:
    """Return octets as a quoted string, with escapes."""
    return '"' + "".join(map(_quoted, octets)) + '"'


def _quoted(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet <= 0x7E else f"\\{octet:03d}"


U8, U16, U32 = Unsigned(1), Unsigned(2), Unsigned(4)

SECONDS = Seconds()

# RFC 3597 section 4: names in types of RFC 1035 are compressed; those in the listed types up to SRV may be received
# compressed but are not sent so; those in later types are never compressed.
WELL_KNOWN_NAME = DomainName(sent=True, received=True)

RECEIVED_NAME = DomainName(sent=False, received=True)

PLAIN_NAME = DomainName(sent=False, received=False)

IPV4 = AddressV4()

IPV6 = AddressV6()

STRING = CharacterString()

STRINGS = CharacterStrings()

OCTETS = Octets()

QUOTED = QuotedOctets()

Shape = tuple[tuple[str, FieldKind[Any]], ...]

Self = TypeVar("Self", bound="Rdata")

RDATA_OCTETS_MAX = 65_535

GENERIC = "\\#"


@dataclass(frozen=True, slots=True)
class Rdata:
    """Base class of rdata; `shape` lists the fields in wire order."""

    shape: ClassVar[Shape] = ()

    @classmethod
    def read(cls: type[Self], reader: Reader) -> Self:
        """Decode the fields; raises WireError."""
        return cls(*[kind.read(reader) for _, kind in cls.shape])

    @classmethod
    def from_tokens(cls: type[Self], tokens: Tokens) -> Self:
        """Parse the fields from a master file's tokens; raises TextError."""
        return cls(*[kind.from_tokens(tokens, name) for name, kind in cls.shape])

    def write(self, writer: Writer) -> None:
        """Encode the fields."""
        for name, kind in self.shape:
            kind.write(writer, getattr(self, name))

    def canonical(self) -> bytes:
        """Encode in canonical form: no compression, names in lower case (RFC 4034 section 6.2)."""
        writer = Writer()
        for name, kind in self.shape:
            kind.write_canonical(writer, getattr(self, name))
        return bytes(writer.octets)

    def to_wire(self) -> bytes:
        """Encode without compression."""
        writer = Writer()
        for name, kind in self.shape:
            value = getattr(self, name)
            writer.write(value.to_wire()) if isinstance(value, Name) else kind.write(writer, value)
        return bytes(writer.octets)

    def to_text(self) -> str:
        """Return the presentation format."""
        return " ".join(kind.to_text(getattr(self, name)) for name, kind in self.shape)


@dataclass(frozen=True, slots=True)
class Opaque(Rdata):
    """Rdata of an unknown type or class (RFC 3597)."""

    shape = (("data", OCTETS),)
    data: bytes

    def to_text(self) -> str:
        return f"{GENERIC} {len(self.data)} {self.data.hex().upper()}".rstrip()


@dataclass(frozen=True, slots=True)
class A(Rdata):
    """An IPv4 address."""

    shape = (("address", IPV4),)
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class AAAA(Rdata):
    """An IPv6 address."""

    shape = (("address", IPV6),)
    address: IPv6Address


@dataclass(frozen=True, slots=True)
class SingleName(Rdata):
    """Rdata of a single name; NS, CNAME, PTR and DNAME have subclasses."""

    shape = (("target", WELL_KNOWN_NAME),)
    target: Name


@dataclass(frozen=True, slots=True)
class NS(SingleName):
    """An authoritative name server of the owner's zone."""


@dataclass(frozen=True, slots=True)
class CNAME(SingleName):
    """The canonical name for the alias that is the owner."""


@dataclass(frozen=True, slots=True)
class PTR(SingleName):
    """A pointer, mostly from a reverse-mapping name to a host name."""


@dataclass(frozen=True, slots=True)
class DNAME(SingleName):
    """The target that replaces the owner in all names below it (RFC 6672); it is never compressed (section 2.1)."""

    shape = (("target", PLAIN_NAME),)


@dataclass(frozen=True, slots=True)
class SOA(Rdata):
    """The start of a zone of authority."""

    shape = (
        ("mname", WELL_KNOWN_NAME),
        ("rname", WELL_KNOWN_NAME),
        ("serial", U32),
        ("refresh", SECONDS),
        ("retry", SECONDS),
        ("expire", SECONDS),
        ("minimum", SECONDS),
    )
    mname: Name
    rname: Name
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


@dataclass(frozen=True, slots=True)
class MX(Rdata):
    """A mail exchange of the owner; the lowest preference is tried first."""

    shape = (("preference", U16), ("exchange", WELL_KNOWN_NAME))
    preference: int
    exchange: Name


@dataclass(frozen=True, slots=True)
class TXT(Rdata):
    """One or more character-strings."""

    shape = (("strings", STRINGS),)
    strings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HINFO(Rdata):
    """A host's processor and operating system."""

    shape = (("cpu", STRING), ("os", STRING))
    cpu: bytes
    os: bytes


@dataclass(frozen=True, slots=True)
class MINFO(Rdata):
    """The mailboxes responsible for a mailing list, and for errors of it."""

    shape = (("rmailbx", WELL_KNOWN_NAME), ("emailbx", WELL_KNOWN_NAME))
    rmailbx: Name
    emailbx: Name


@dataclass(frozen=True, slots=True)
class RP(Rdata):
    """The mailbox responsible for the owner, and a name with TXT records about it (RFC 1183 section 2.2)."""

    shape = (("mailbox", RECEIVED_NAME), ("text", RECEIVED_NAME))
    mailbox: Name
    text: Name


@dataclass(frozen=True, slots=True)
class NumberedHost(Rdata):
    """A number and a host name: AFSDB and RT (RFC 1183 sections 1 and 3.3)."""

    shape = (("number", U16), ("host", RECEIVED_NAME))
    number: int
    host: Name


@dataclass(frozen=True, slots=True)
class PX(Rdata):
    """A mapping between X.400 and RFC 822 addresses (RFC 2163 section 4)."""

    shape = (("preference", U16), ("map822", RECEIVED_NAME), ("mapx400", RECEIVED_NAME))
    preference: int
    map822: Name
    mapx400: Name


@dataclass(frozen=True, slots=True)
class SRV(Rdata):
    """The location of a service: host and port (RFC 2782)."""

    shape = (
        ("priority", U16),
        ("weight", U16),
        ("port", U16),
        ("target", RECEIVED_NAME),
    )
    priority: int
    weight: int
    port: int
    target: Name


@dataclass(frozen=True, slots=True)
class NAPTR(Rdata):
    """A naming authority pointer: a rewrite rule (RFC 3403 section 4.1)."""

    shape = (
        ("order", U16),
        ("preference", U16),
        ("flags", STRING),
        ("service", STRING),
        ("regexp", STRING),
        ("replacement", RECEIVED_NAME),
    )
    order: int
    preference: int
    flags: bytes
    service: bytes
    regexp: bytes
    replacement: Name


@dataclass(frozen=True, slots=True)
class DS(Rdata):
    """The digest of a child zone's key, at the parent's side of the zone cut (RFC 4034 section 5)."""

    shape = (("key_tag", U16), ("algorithm", U8), ("digest_type", U8), ("digest", OCTETS))
    key_tag: int
    algorithm: int
    digest_type: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class CAA(Rdata):
    """Certification authority authorization for the owner (RFC 8659)."""

    shape = (("flags", U8), ("tag", STRING), ("value", QUOTED))
    flags: int
    tag: bytes
    value: bytes

    def to_text(self) -> str:
        # RFC 8659 section 4.1.1: the tag has letters and digits only, so it needs no quotes.
        return f"{self.flags} {self.tag.decode('latin-1')} {quoted(self.value)}"


# Types whose rdata has the same format in every class.
_ANY_CLASS: dict[int, type[Rdata]] = {
    RRType.NS: NS,
    RRType.MD: SingleName,
    RRType.MF: SingleName,
    RRType.CNAME: CNAME,
    RRType.SOA: SOA,
    RRType.MB: SingleName,
    RRType.MG: SingleName,
    RRType.MR: SingleName,
    RRType.PTR: PTR,
    RRType.HINFO: HINFO,
    RRType.MINFO: MINFO,
    RRType.MX: MX,
    RRType.TXT: TXT,
    RRType.RP: RP,
    RRType.AFSDB: NumberedHost,
    RRType.RT: NumberedHost,
    RRType.DNAME: DNAME,
    RRType.DS: DS,
    RRType.SPF: TXT,
    RRType.CAA: CAA,
}

# Types whose rdata has this format in class IN only: an A record of Chaosnet is different.
_INTERNET: dict[int, type[Rdata]] = {
    **_ANY_CLASS,
    RRType.A: A,
    RRType.AAAA: AAAA,
    RRType.PX: PX,
    RRType.SRV: SRV,
    RRType.NAPTR: NAPTR,
}


def rdata_class(rtype: int, rclass: int = RRClass.IN) -> type[Rdata]:
    """Return the rdata class for a type and class; Opaque if unknown."""
    return (_INTERNET if rclass == RRClass.IN else _ANY_CLASS).get(rtype, Opaque)


def read_rdata(reader: Reader, rtype: int, rclass: int, size: int) -> Rdata:
    """Decode `size` octets of rdata; raises WireError."""
    message_end = reader.end
    if size > reader.remaining:
        raise WireError(f"rdata of {size} octets, {reader.remaining} are left")
    reader.end = reader.offset + size
    # RFC 2136 sections 2.4 and 2.5: in an UPDATE, empty rdata is a wildcard.
    rdata = rdata_class(rtype, rclass).read(reader) if size or rclass == RRClass.IN else Opaque(b"")
    if reader.remaining:
        raise WireError(f"{reader.remaining} trailing octets in the rdata")
    reader.end = message_end
    return rdata


def rdata_from_tokens(rtype: int, rclass: int, tokens: Tokens) -> Rdata:
    """Parse rdata from all tokens that are left of a line; raises TextError."""
    first = tokens.peek()
    if first is not None and first.text == GENERIC and not first.quoted:
        return _generic(rtype, rclass, tokens)
    kind = rdata_class(rtype, rclass)
    if kind is Opaque:
        raise TextError(f"rdata of this type must have the form {GENERIC} LENGTH HEX")
    rdata = kind.from_tokens(tokens)
    tokens.finish()
    return rdata


def _generic(rtype: int, rclass: int, tokens: Tokens) -> Rdata:
    r"""Parse \# LENGTH HEX (RFC 3597 section 5); octets of a known type are decoded as that type."""
    tokens.token(GENERIC)
    size = tokens.number("the length", RDATA_OCTETS_MAX)
    data = OCTETS.from_tokens(tokens, "the data") if len(tokens) else b""
    if len(data) != size:
        raise TextError(f"{len(data)} octets of rdata, but the length is {size}")
    try:
        return read_rdata(Reader(data), rtype, rclass, size)
    except (WireError, NameTooLongError) as error:
        raise TextError(f"invalid rdata for its type: {error}") from error


def rdata_from_text(rtype: int, text: str, rclass: int = RRClass.IN, origin: Name = ROOT) -> Rdata:
    """Parse rdata in presentation format; raises TextError."""
    tokens: list[Token] = [token for line in lex(text) for token in line.tokens]
    return rdata_from_tokens(rtype, rclass, Tokens(tokens, origin))
