r"""The data of records: one class a type, each a row of fields, and Opaque for every type that has no class here.

    >>> rdata_from_text(RRType.MX, "10 mail", origin=Name.from_text("example.com."))
    MX(preference=10, exchange=Name('mail.example.com.'))

RFC 1035 section 3.3, 3596 (AAAA), 2782 (SRV), 6672 (DNAME), 8659 (CAA), 3597 (\# and opaque data), and the types
whose names RFC 3597 section 4 says are received compressed, since keeping those as octets would break their pointers.
Left out: SIG and NXT, which nothing sends any more, and what DNSSEC signs with; they are opaque here.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar, TypeVar

from services.dns.codec import fields
from services.dns.codec.codes import RRClass, RRType
from services.dns.codec.errors import NameTooLongError, TextError, WireError
from services.dns.codec.lexer import Token, Tokens, lex
from services.dns.codec.name import ROOT, Name
from services.dns.codec.wire import Reader, Writer

Shape = tuple[tuple[str, fields.FieldKind[Any]], ...]
Self = TypeVar("Self", bound="Rdata")

RDATA_OCTETS_MAX = 65_535
GENERIC = "\\#"


@dataclass(frozen=True, slots=True)
class Rdata:
    """The data of one record; `shape` lists its fields in the order of the wire."""

    shape: ClassVar[Shape] = ()

    @classmethod
    def read(cls: type[Self], reader: Reader) -> Self:
        """Take the fields from octets; raises WireError."""
        return cls(*[kind.read(reader) for _, kind in cls.shape])

    @classmethod
    def from_tokens(cls: type[Self], tokens: Tokens) -> Self:
        """Take the fields from a master file's words; raises TextError."""
        return cls(*[kind.from_tokens(tokens, name) for name, kind in cls.shape])

    def write(self, writer: Writer) -> None:
        """Append the fields' octets."""
        for name, kind in self.shape:
            kind.write(writer, getattr(self, name))

    def canonical(self) -> bytes:
        """Return the octets without compression and with names in lower case (RFC 4034 section 6.2)."""
        writer = Writer()
        for name, kind in self.shape:
            kind.write_canonical(writer, getattr(self, name))
        return bytes(writer.octets)

    def to_wire(self) -> bytes:
        """Return the octets without compression."""
        writer = Writer()
        for name, kind in self.shape:
            value = getattr(self, name)
            writer.write(value.to_wire()) if isinstance(value, Name) else kind.write(writer, value)
        return bytes(writer.octets)

    def to_text(self) -> str:
        """Return the presentation form."""
        return " ".join(kind.to_text(getattr(self, name)) for name, kind in self.shape)


@dataclass(frozen=True, slots=True)
class Opaque(Rdata):
    """Data of a type or class that is not known here (RFC 3597)."""

    shape = (("data", fields.OCTETS),)
    data: bytes

    def to_text(self) -> str:
        return f"{GENERIC} {len(self.data)} {self.data.hex().upper()}".rstrip()


@dataclass(frozen=True, slots=True)
class A(Rdata):
    """An IPv4 address."""

    shape = (("address", fields.IPV4),)
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class AAAA(Rdata):
    """An IPv6 address."""

    shape = (("address", fields.IPV6),)
    address: IPv6Address


@dataclass(frozen=True, slots=True)
class OneName(Rdata):
    """A type of RFC 1035 whose data is one name; NS, CNAME, PTR and DNAME have classes of their own."""

    shape = (("target", fields.WELL_KNOWN_NAME),)
    target: Name


@dataclass(frozen=True, slots=True)
class NS(OneName):
    """A name server of the owner's zone."""


@dataclass(frozen=True, slots=True)
class CNAME(OneName):
    """The canonical name that the owner is an alias of."""


@dataclass(frozen=True, slots=True)
class PTR(OneName):
    """A name that the owner, mostly an address, points to."""


@dataclass(frozen=True, slots=True)
class DNAME(OneName):
    """Where the names below the owner are to be looked for (RFC 6672 section 2.1: its target is not compressed)."""

    shape = (("target", fields.PLAIN_NAME),)


@dataclass(frozen=True, slots=True)
class SOA(Rdata):
    """The start of a zone of authority."""

    shape = (
        ("mname", fields.WELL_KNOWN_NAME),
        ("rname", fields.WELL_KNOWN_NAME),
        ("serial", fields.U32),
        ("refresh", fields.SECONDS),
        ("retry", fields.SECONDS),
        ("expire", fields.SECONDS),
        ("minimum", fields.SECONDS),
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
    """A host that takes mail for the owner; the lowest preference is tried first."""

    shape = (("preference", fields.U16), ("exchange", fields.WELL_KNOWN_NAME))
    preference: int
    exchange: Name


@dataclass(frozen=True, slots=True)
class TXT(Rdata):
    """One character-string or more."""

    shape = (("strings", fields.STRINGS),)
    strings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HINFO(Rdata):
    """A host's processor and operating system."""

    shape = (("cpu", fields.STRING), ("os", fields.STRING))
    cpu: bytes
    os: bytes


@dataclass(frozen=True, slots=True)
class MINFO(Rdata):
    """The mailboxes that answer for a mailing list."""

    shape = (("rmailbx", fields.WELL_KNOWN_NAME), ("emailbx", fields.WELL_KNOWN_NAME))
    rmailbx: Name
    emailbx: Name


@dataclass(frozen=True, slots=True)
class RP(Rdata):
    """Who is responsible for the owner (RFC 1183 section 2.2)."""

    shape = (("mailbox", fields.RECEIVED_NAME), ("text", fields.RECEIVED_NAME))
    mailbox: Name
    text: Name


@dataclass(frozen=True, slots=True)
class NumberedHost(Rdata):
    """A number and a host: AFSDB and RT (RFC 1183 sections 1 and 3.3)."""

    shape = (("number", fields.U16), ("host", fields.RECEIVED_NAME))
    number: int
    host: Name


@dataclass(frozen=True, slots=True)
class PX(Rdata):
    """A mapping between mail systems (RFC 2163 section 4)."""

    shape = (("preference", fields.U16), ("map822", fields.RECEIVED_NAME), ("mapx400", fields.RECEIVED_NAME))
    preference: int
    map822: Name
    mapx400: Name


@dataclass(frozen=True, slots=True)
class SRV(Rdata):
    """Where a service is to be found (RFC 2782)."""

    shape = (
        ("priority", fields.U16),
        ("weight", fields.U16),
        ("port", fields.U16),
        ("target", fields.RECEIVED_NAME),
    )
    priority: int
    weight: int
    port: int
    target: Name


@dataclass(frozen=True, slots=True)
class NAPTR(Rdata):
    """A rule that rewrites a name (RFC 3403 section 4.1)."""

    shape = (
        ("order", fields.U16),
        ("preference", fields.U16),
        ("flags", fields.STRING),
        ("service", fields.STRING),
        ("regexp", fields.STRING),
        ("replacement", fields.RECEIVED_NAME),
    )
    order: int
    preference: int
    flags: bytes
    service: bytes
    regexp: bytes
    replacement: Name


@dataclass(frozen=True, slots=True)
class DS(Rdata):
    """The digest of a child zone's key, which stands at the parent's side of a zone cut (RFC 4034 section 5)."""

    shape = (("key_tag", fields.U16), ("algorithm", fields.U8), ("digest_type", fields.U8), ("digest", fields.OCTETS))
    key_tag: int
    algorithm: int
    digest_type: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class CAA(Rdata):
    """Who may issue certificates for the owner (RFC 8659)."""

    shape = (("flags", fields.U8), ("tag", fields.STRING), ("value", fields.QUOTED))
    flags: int
    tag: bytes
    value: bytes

    def to_text(self) -> str:
        # RFC 8659 section 4.1.1: the tag is letters and digits, written without quotes.
        return f"{self.flags} {self.tag.decode('latin-1')} {fields.quoted(self.value)}"


# Types whose data has this form in every class.
_ANY_CLASS: dict[int, type[Rdata]] = {
    RRType.NS: NS,
    RRType.MD: OneName,
    RRType.MF: OneName,
    RRType.CNAME: CNAME,
    RRType.SOA: SOA,
    RRType.MB: OneName,
    RRType.MG: OneName,
    RRType.MR: OneName,
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
# Types whose data has this form in class IN only: in Chaosnet an A is something else.
_INTERNET: dict[int, type[Rdata]] = {
    **_ANY_CLASS,
    RRType.A: A,
    RRType.AAAA: AAAA,
    RRType.PX: PX,
    RRType.SRV: SRV,
    RRType.NAPTR: NAPTR,
}


def rdata_class(rtype: int, rclass: int = RRClass.IN) -> type[Rdata]:
    """Return the class for the data of a type in a class; Opaque where none is known."""
    return (_INTERNET if rclass == RRClass.IN else _ANY_CLASS).get(rtype, Opaque)


def read_rdata(reader: Reader, rtype: int, rclass: int, size: int) -> Rdata:
    """Take `size` octets as the data of a type in a class; raises WireError."""
    whole = reader.end
    if size > reader.remaining:
        raise WireError(f"{size} octets of rdata should follow, and {reader.remaining} do")
    reader.end = reader.offset + size
    # RFC 2136 sections 2.4 and 2.5: in an update, no data at all stands for any or none.
    made = rdata_class(rtype, rclass).read(reader) if size or rclass == RRClass.IN else Opaque(b"")
    if reader.remaining:
        raise WireError(f"{reader.remaining} octets follow the fields of the rdata")
    reader.end = whole
    return made


def rdata_from_tokens(rtype: int, rclass: int, tokens: Tokens) -> Rdata:
    """Take the data of a type from a master file's words, to the last; raises TextError."""
    first = tokens.peek()
    if first is not None and first.text == GENERIC and not first.quoted:
        return _generic(rtype, rclass, tokens)
    known = rdata_class(rtype, rclass)
    if known is Opaque:
        raise TextError(f"the data of this type is only understood as {GENERIC} LENGTH HEX")
    made = known.from_tokens(tokens)
    tokens.finish()
    return made


def _generic(rtype: int, rclass: int, tokens: Tokens) -> Rdata:
    """RFC 3597 section 5: the length and the octets; those of a known type are then read as that type."""
    tokens.take(GENERIC)
    size = tokens.number("the length", RDATA_OCTETS_MAX)
    data = fields.OCTETS.from_tokens(tokens, "the data") if len(tokens) else b""
    if len(data) != size:
        raise TextError(f"{len(data)} octets of data follow where the length says {size}")
    try:
        return read_rdata(Reader(data), rtype, rclass, size)
    except (WireError, NameTooLongError) as error:
        raise TextError(f"the data does not have the form of its type: {error}") from error


def rdata_from_text(rtype: int, text: str, rclass: int = RRClass.IN, origin: Name = ROOT) -> Rdata:
    """Read the data of a type from its presentation form; raises TextError."""
    words: list[Token] = [token for line in lex(text) for token in line.tokens]
    return rdata_from_tokens(rtype, rclass, Tokens(words, origin))
