r"""Rdata classes: one per RR type, declared as a list of fields; Opaque for all other types.

    >>> rdata_from_text(RRType.MX, "10 mail", origin=Name.from_text("example.com."))
    MX(preference=10, exchange=Name('mail.example.com.'))

This module has the registry of all types, the types of RFC 1035, and related types; address types, security types and
service bindings have a module each. RFC 1035 sections 3.3 and 5.1, RFC 3596 (AAAA), 2782 (SRV), 3403 (NAPTR), 6672
(DNAME), 7553 (URI), 9859 (DSYNC), 3597 (\# and opaque rdata). Left out: the presentation format of UNSPEC, which is
specific to BIND, and types without a presentation format (NULL, UINFO, UID, GID).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from lab7.services.dns.codec.codes import RRClass, RRType, type_to_text
from lab7.services.dns.codec.errors import NameTooLongError, TextError, WireError
from lab7.services.dns.codec.fields import (
    BASE64,
    COVERED_TYPE,
    IPV4,
    IPV6,
    OCTETS,
    PLAIN_NAME,
    QUOTED,
    RECEIVED_NAME,
    SECONDS,
    STRING,
    STRINGS,
    U8,
    U16,
    U32,
    VERBATIM_NAME,
    WELL_KNOWN_NAME,
    Mnemonic,
    Opaque,
    Rdata,
)
from lab7.services.dns.codec.lexer import Token, Tokens, lex
from lab7.services.dns.codec.name import ROOT, Name, Reader
from lab7.services.dns.codec.rdata_address import (
    A6,
    AMTRELAY,
    APL,
    ATMA,
    EUI48,
    EUI64,
    GPOS,
    ISDN,
    L32,
    LOC,
    LP,
    NSAP,
    WKS,
    X25,
    Locator64,
)
from lab7.services.dns.codec.rdata_security import (
    CAA,
    CERT,
    CSYNC,
    DNSKEY,
    DS,
    HIP,
    IPSECKEY,
    NSEC,
    NSEC3,
    NSEC3PARAM,
    NXT,
    RRSIG,
    SSHFP,
    TKEY,
    TLSA,
    TSIG,
    ZONEMD,
    Base64Data,
)
from lab7.services.dns.codec.service_binding import SVCB

RDATA_OCTETS_MAX = 65_535
GENERIC = "\\#"
# Mnemonics of the scheme field of DSYNC (RFC 9859 section 2.1).
_DSYNC_SCHEME = Mnemonic(1, {"NOTIFY": 1})


@dataclass(frozen=True, slots=True)
class A(Rdata):
    """Rdata of A: an IPv4 address."""

    shape = (("address", IPV4),)
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class AAAA(Rdata):
    """Rdata of AAAA: an IPv6 address."""

    shape = (("address", IPV6),)
    address: IPv6Address


@dataclass(frozen=True, slots=True)
class SingleName(Rdata):
    """Rdata of a single name; base class of the rdata of NS, CNAME, PTR and DNAME."""

    shape = (("target", WELL_KNOWN_NAME),)
    target: Name


@dataclass(frozen=True, slots=True)
class NS(SingleName):
    """Rdata of NS: an authoritative name server of the owner's zone."""


@dataclass(frozen=True, slots=True)
class CNAME(SingleName):
    """Rdata of CNAME: the canonical name, for which the owner is an alias."""


@dataclass(frozen=True, slots=True)
class PTR(SingleName):
    """Rdata of PTR: a pointer, mostly from a reverse-mapping name to a host name."""


@dataclass(frozen=True, slots=True)
class NsapPointer(SingleName):
    """Rdata of NSAP-PTR: a pointer from an OSI address to a name (RFC 1706 section 6)."""

    shape = (("target", RECEIVED_NAME),)


@dataclass(frozen=True, slots=True)
class DNAME(SingleName):
    """Rdata of DNAME: the target that replaces the owner in all names below it (RFC 6672); never compressed."""

    shape = (("target", PLAIN_NAME),)


@dataclass(frozen=True, slots=True)
class SOA(Rdata):
    """Rdata of SOA, the start of a zone of authority: primary server, mailbox, serial number and timers."""

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
    """Rdata of MX: a mail exchange of the owner; the lowest preference is tried first."""

    shape = (("preference", U16), ("exchange", WELL_KNOWN_NAME))
    preference: int
    exchange: Name


@dataclass(frozen=True, slots=True)
class TXT(Rdata):
    """Rdata of TXT: one or more character-strings."""

    shape = (("strings", STRINGS),)
    strings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HINFO(Rdata):
    """Rdata of HINFO: a host's processor and operating system."""

    shape = (("cpu", STRING), ("os", STRING))
    cpu: bytes
    os: bytes


@dataclass(frozen=True, slots=True)
class MINFO(Rdata):
    """Rdata of MINFO: the mailboxes responsible for a mailing list and for its error messages."""

    shape = (("rmailbx", WELL_KNOWN_NAME), ("emailbx", WELL_KNOWN_NAME))
    rmailbx: Name
    emailbx: Name


@dataclass(frozen=True, slots=True)
class RP(Rdata):
    """Rdata of RP: the mailbox responsible for the owner, and a name with TXT records about it (RFC 1183 2.2)."""

    shape = (("mailbox", RECEIVED_NAME), ("text", RECEIVED_NAME))
    mailbox: Name
    text: Name


@dataclass(frozen=True, slots=True)
class NumberedHost(Rdata):
    """Rdata of AFSDB and RT: a number (subtype, preference) and a host name (RFC 1183 sections 1 and 3.3)."""

    shape = (("number", U16), ("host", RECEIVED_NAME))
    number: int
    host: Name


@dataclass(frozen=True, slots=True)
class PX(Rdata):
    """Rdata of PX: a mapping between X.400 and RFC 822 addresses (RFC 2163 section 4)."""

    shape = (("preference", U16), ("map822", RECEIVED_NAME), ("mapx400", RECEIVED_NAME))
    preference: int
    map822: Name
    mapx400: Name


@dataclass(frozen=True, slots=True)
class SRV(Rdata):
    """Rdata of SRV: the location of a service: host and port (RFC 2782)."""

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
    """Rdata of NAPTR, a naming authority pointer: a rewrite rule (RFC 3403 section 4.1)."""

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
class KX(Rdata):
    """Rdata of KX: a key exchanger of the owner (RFC 2230 section 3)."""

    shape = (("preference", U16), ("exchanger", PLAIN_NAME))
    preference: int
    exchanger: Name


@dataclass(frozen=True, slots=True)
class URI(Rdata):
    """Rdata of URI: the URI of a service (RFC 7553 section 4)."""

    shape = (("priority", U16), ("weight", U16), ("target", QUOTED))
    priority: int
    weight: int
    target: bytes


@dataclass(frozen=True, slots=True)
class TALINK(Rdata):
    """Rdata of TALINK: the previous and the next name of a list of trust anchors."""

    shape = (("previous", VERBATIM_NAME), ("next", VERBATIM_NAME))
    previous: Name
    next: Name


@dataclass(frozen=True, slots=True)
class DSYNC(Rdata):
    """Rdata of DSYNC: the host and port to notify about changes of a type (RFC 9859 section 2)."""

    shape = (("notified_type", COVERED_TYPE), ("scheme", _DSYNC_SCHEME), ("port", U16), ("target", VERBATIM_NAME))
    notified_type: int
    scheme: int
    port: int
    target: Name


@dataclass(frozen=True, slots=True)
class SINK(Rdata):
    """Rdata of SINK, the "kitchen sink": octets, and codes of their format (an Internet-Draft, never an RFC)."""

    shape = (("meaning", U8), ("coding", U8), ("subcoding", U8), ("data", BASE64))
    meaning: int
    coding: int
    subcoding: int
    data: bytes

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "SINK":
        """Parse SINK rdata; the data may be absent."""
        meaning, coding = U8.from_tokens(tokens, "meaning"), U8.from_tokens(tokens, "coding")
        subcoding = U8.from_tokens(tokens, "subcoding")
        return cls(meaning, coding, subcoding, BASE64.from_tokens(tokens, "data") if len(tokens) else b"")


@dataclass(frozen=True, slots=True)
class DOA(Rdata):
    """Rdata of DOA: a digital object, or its location (an Internet-Draft that never became an RFC)."""

    shape = (("enterprise", U32), ("object_type", U32), ("location", U8), ("media_type", STRING), ("data", BASE64))
    enterprise: int
    object_type: int
    location: int
    media_type: bytes
    data: bytes

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "DOA":
        """Parse DOA rdata; a hyphen stands for empty data."""
        enterprise, object_type = U32.from_tokens(tokens, "enterprise"), U32.from_tokens(tokens, "object type")
        location, media_type = U8.from_tokens(tokens, "location"), STRING.from_tokens(tokens, "media type")
        first = tokens.peek()
        if first is not None and first.text == "-":
            tokens.token("data")
            return cls(enterprise, object_type, location, media_type, b"")
        return cls(enterprise, object_type, location, media_type, BASE64.from_tokens(tokens, "data"))

    def to_text(self) -> str:
        """Return DOA rdata in presentation format."""
        fields = f"{self.enterprise} {self.object_type} {self.location} {STRING.to_text(self.media_type)}"
        return f"{fields} {BASE64.to_text(self.data) or '-'}"


@dataclass(frozen=True, slots=True)
class HexData(Rdata):
    """Rdata of EID and NIMLOC, of the Nimrod routing architecture: octets in hexadecimal."""

    shape = (("data", OCTETS),)
    data: bytes


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
    RRType.X25: X25,
    RRType.ISDN: ISDN,
    RRType.RT: NumberedHost,
    RRType.SIG: RRSIG,
    RRType.KEY: DNSKEY,
    RRType.GPOS: GPOS,
    RRType.LOC: LOC,
    RRType.NXT: NXT,
    RRType.CERT: CERT,
    RRType.DNAME: DNAME,
    RRType.SINK: SINK,
    RRType.DS: DS,
    RRType.SSHFP: SSHFP,
    RRType.IPSECKEY: IPSECKEY,
    RRType.RRSIG: RRSIG,
    RRType.NSEC: NSEC,
    RRType.DNSKEY: DNSKEY,
    RRType.NSEC3: NSEC3,
    RRType.NSEC3PARAM: NSEC3PARAM,
    RRType.TLSA: TLSA,
    RRType.SMIMEA: TLSA,
    RRType.HIP: HIP,
    RRType.NINFO: TXT,
    RRType.RKEY: DNSKEY,
    RRType.TALINK: TALINK,
    RRType.CDS: DS,
    RRType.CDNSKEY: DNSKEY,
    RRType.OPENPGPKEY: Base64Data,
    RRType.CSYNC: CSYNC,
    RRType.ZONEMD: ZONEMD,
    RRType.DSYNC: DSYNC,
    RRType.HHIT: Base64Data,
    RRType.BRID: Base64Data,
    RRType.SPF: TXT,
    RRType.NID: Locator64,
    RRType.L32: L32,
    RRType.L64: Locator64,
    RRType.LP: LP,
    RRType.EUI48: EUI48,
    RRType.EUI64: EUI64,
    RRType.TKEY: TKEY,
    RRType.TSIG: TSIG,
    RRType.URI: URI,
    RRType.CAA: CAA,
    RRType.AVC: TXT,
    RRType.DOA: DOA,
    RRType.AMTRELAY: AMTRELAY,
    RRType.RESINFO: TXT,
    RRType.WALLET: TXT,
    RRType.TA: DS,
    RRType.DLV: DS,
}

# Types whose rdata format applies to class IN only: an A record of class CH (Chaosnet), for example, differs.
_INTERNET: dict[int, type[Rdata]] = {
    **_ANY_CLASS,
    RRType.A: A,
    RRType.WKS: WKS,
    RRType.NSAP: NSAP,
    RRType.NSAP_PTR: NsapPointer,
    RRType.PX: PX,
    RRType.AAAA: AAAA,
    RRType.EID: HexData,
    RRType.NIMLOC: HexData,
    RRType.SRV: SRV,
    RRType.ATMA: ATMA,
    RRType.NAPTR: NAPTR,
    RRType.KX: KX,
    RRType.A6: A6,
    RRType.APL: APL,
    RRType.DHCID: Base64Data,
    RRType.SVCB: SVCB,
    RRType.HTTPS: SVCB,
}

# Types whose malformed rdata makes the message malformed; malformed rdata of other types is kept as octets.
# The listed types may have compressed names (RFC 3597 section 4), or are interpreted by the services.
_INTERPRETED = frozenset(
    {
        RRType.A,
        RRType.NS,
        RRType.MD,
        RRType.MF,
        RRType.CNAME,
        RRType.SOA,
        RRType.MB,
        RRType.MG,
        RRType.MR,
        RRType.PTR,
        RRType.HINFO,
        RRType.MINFO,
        RRType.MX,
        RRType.TXT,
        RRType.RP,
        RRType.AFSDB,
        RRType.RT,
        RRType.PX,
        RRType.AAAA,
        RRType.SRV,
        RRType.NAPTR,
        RRType.DNAME,
        RRType.DS,
        RRType.SPF,
        RRType.CAA,
    }
)


def rdata_class(rtype: int, rclass: int = RRClass.IN) -> type[Rdata]:
    """Return the Rdata subclass for an RR type and class; Opaque if the type is unknown."""
    return (_INTERNET if rclass == RRClass.IN else _ANY_CLASS).get(rtype, Opaque)


def read_rdata(reader: Reader, rtype: int, rclass: int, size: int) -> Rdata:
    """Decode `size` octets of rdata; raises WireError."""
    begin = reader.offset
    if size > reader.remaining:
        raise WireError(f"rdata of {size} octets, {reader.remaining} are left")
    # RFC 2136 sections 2.4 and 2.5: in an UPDATE, empty rdata is a wildcard.
    kind = rdata_class(rtype, rclass) if size or rclass == RRClass.IN else Opaque
    if rtype in _INTERPRETED:
        return _decode(kind, reader, size)
    message_end = reader.end
    try:
        return _decode(kind, reader, size)
    except (WireError, NameTooLongError):
        reader.offset, reader.end = begin, message_end
        return Opaque(reader.octets(size))


def _decode(kind: type[Rdata], reader: Reader, size: int) -> Rdata:
    message_end = reader.end
    reader.end = reader.offset + size
    rdata = kind.read(reader)
    if reader.remaining:
        raise WireError(f"{reader.remaining} trailing octets in the rdata")
    reader.end = message_end
    return rdata


def rdata_from_tokens(rtype: int, rclass: int, tokens: Tokens) -> Rdata:
    """Parse rdata from the remaining tokens of a master file's line; raises TextError."""
    first = tokens.peek()
    if first is not None and first.text == GENERIC and not first.quoted:
        return _generic(rtype, rclass, tokens)
    kind = rdata_class(rtype, rclass)
    if kind is Opaque:
        raise TextError(f"rdata of {type_to_text(rtype)} must have the form {GENERIC} LENGTH HEX")
    rdata = kind.from_tokens(tokens)
    tokens.finish()
    return rdata


def _generic(rtype: int, rclass: int, tokens: Tokens) -> Rdata:
    r"""Parse rdata in the generic form \# LENGTH HEX (RFC 3597 section 5); the octets of a known type are decoded."""
    tokens.token(GENERIC)
    size = tokens.number("the length", RDATA_OCTETS_MAX)
    data = OCTETS.from_tokens(tokens, "the data") if len(tokens) else b""
    if len(data) != size:
        raise TextError(f"{len(data)} octets of rdata, but the length is {size}")
    try:
        return _decode(rdata_class(rtype, rclass), Reader(data), size)
    except (WireError, NameTooLongError) as error:
        raise TextError(f"invalid rdata for its type: {error}") from error


def rdata_from_text(rtype: int, text: str, rclass: int = RRClass.IN, origin: Name = ROOT) -> Rdata:
    """Parse rdata in presentation format; raises TextError."""
    tokens: list[Token] = [token for line in lex(text) for token in line.tokens]
    return rdata_from_tokens(rtype, rclass, Tokens(tokens, origin))
