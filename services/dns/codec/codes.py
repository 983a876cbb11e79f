"""Registered numbers of DNS and their mnemonics: RR types, classes, opcodes and response codes.

RFC 1035 sections 3.2 and 4.1.1, RFC 1996 (NOTIFY), RFC 2136 section 2.2 (UPDATE and its rcodes), RFC 6891 section 9
(BADVERS), RFC 3597 section 5 (TYPE1234 and CLASS32 for numbers without a mnemonic here). Unlisted numbers stay plain
ints: all functions accept any number.
"""

from enum import IntEnum

from lab7.services.dns.codec.errors import TextError

UINT16_MAX = 65_535
DNS_PORT = 53


class RRType(IntEnum):
    """RR types and query types (QTYPE), such as MX and AXFR."""

    A = 1
    NS = 2
    MD = 3
    MF = 4
    CNAME = 5
    SOA = 6
    MB = 7
    MG = 8
    MR = 9
    NULL = 10
    WKS = 11
    PTR = 12
    HINFO = 13
    MINFO = 14
    MX = 15
    TXT = 16
    RP = 17
    AFSDB = 18
    X25 = 19
    ISDN = 20
    RT = 21
    NSAP = 22
    NSAP_PTR = 23
    SIG = 24
    KEY = 25
    PX = 26
    GPOS = 27
    AAAA = 28
    LOC = 29
    NXT = 30
    EID = 31
    NIMLOC = 32
    SRV = 33
    ATMA = 34
    NAPTR = 35
    KX = 36
    CERT = 37
    A6 = 38
    DNAME = 39
    SINK = 40
    OPT = 41
    APL = 42
    DS = 43
    SSHFP = 44
    IPSECKEY = 45
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    DHCID = 49
    NSEC3 = 50
    NSEC3PARAM = 51
    TLSA = 52
    SMIMEA = 53
    HIP = 55
    NINFO = 56
    RKEY = 57
    TALINK = 58
    CDS = 59
    CDNSKEY = 60
    OPENPGPKEY = 61
    CSYNC = 62
    ZONEMD = 63
    SVCB = 64
    HTTPS = 65
    DSYNC = 66
    HHIT = 67
    BRID = 68
    SPF = 99
    UINFO = 100
    UID = 101
    GID = 102
    UNSPEC = 103
    NID = 104
    L32 = 105
    L64 = 106
    LP = 107
    EUI48 = 108
    EUI64 = 109
    NXNAME = 128
    TKEY = 249
    TSIG = 250
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255
    URI = 256
    CAA = 257
    AVC = 258
    DOA = 259
    AMTRELAY = 260
    RESINFO = 261
    WALLET = 262
    TA = 32_768
    DLV = 32_769


class RRClass(IntEnum):
    """Classes of resource records; NONE is for UPDATE (RFC 2136), ANY for queries only."""

    IN = 1
    CH = 3
    HS = 4
    NONE = 254
    ANY = 255


class Opcode(IntEnum):
    """Opcodes: kinds of DNS messages, such as QUERY and UPDATE."""

    QUERY = 0
    IQUERY = 1
    STATUS = 2
    NOTIFY = 4
    UPDATE = 5


class Rcode(IntEnum):
    """Response codes, including the extended codes of EDNS, which have 12 bits."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    YXRRSET = 7
    NXRRSET = 8
    NOTAUTH = 9
    NOTZONE = 10
    BADVERS = 16
    BADCOOKIE = 23


# Query types and meta-types, which no stored record has (RFC 1035 section 3.2.3, RFC 6895 section 3.1).
META_TYPES = frozenset({RRType.OPT, *range(128, 256)})
ADDRESS_TYPES = (RRType.A, RRType.AAAA)

# NSAP-PTR is the only mnemonic with a hyphen, which an enum member cannot have.
_TYPE_NAMES = {int(rtype): rtype.name.replace("_", "-") for rtype in RRType}
_CLASS_NAMES = {int(rclass): rclass.name for rclass in RRClass}
_TYPES = {name: number for number, name in _TYPE_NAMES.items()}
_CLASSES = {name: number for number, name in _CLASS_NAMES.items()} | {"CHAOS": 3, "HESIOD": 4}


def type_to_text(number: int) -> str:
    """Return the mnemonic of an RR type, or TYPEnnn for an unknown number."""
    return _TYPE_NAMES.get(number) or f"TYPE{number}"


def class_to_text(number: int) -> str:
    """Return the mnemonic of a class, or CLASSnnn for an unknown number."""
    return _CLASS_NAMES.get(number) or f"CLASS{number}"


def rcode_to_text(number: int) -> str:
    """Return the mnemonic of a response code, or RCODEnnn for an unknown number."""
    try:
        return Rcode(number).name
    except ValueError:
        return f"RCODE{number}"


def type_from_text(text: str) -> int:
    """Parse the mnemonic of a type in any case, or TYPE1234; raises TextError."""
    return _from_text(text, _TYPES, "TYPE")


def class_from_text(text: str) -> int:
    """Parse the mnemonic of a class in any case, or CLASS32; raises TextError."""
    return _from_text(text, _CLASSES, "CLASS")


def _from_text(text: str, mnemonics: dict[str, int], prefix: str) -> int:
    upper = text.upper()
    if upper in mnemonics:
        return mnemonics[upper]
    # RFC 3597 section 5
    digits = upper.removeprefix(prefix)
    if digits != upper and digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= UINT16_MAX:
        return int(digits)
    raise TextError(f"unknown {prefix.lower()} {text!r}")
