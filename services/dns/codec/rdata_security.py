"""Rdata of security types: DNSSEC, keys, certificates, and digests of keys and certificates.

RFC 4034 and 3755 (DNSKEY, RRSIG, NSEC, DS and their forerunners KEY, SIG, NXT), RFC 5155 (NSEC3, NSEC3PARAM), RFC 7344
(CDS, CDNSKEY), RFC 7477 (CSYNC), RFC 8976 (ZONEMD), RFC 6698 and 8162 (TLSA, SMIMEA), RFC 4255 (SSHFP), RFC 4398
(CERT), RFC 7929 (OPENPGPKEY), RFC 4701 (DHCID), RFC 4025 (IPSECKEY), RFC 8005 (HIP), RFC 8659 (CAA), RFC 2930 (TKEY)
and 8945 (TSIG), which are in messages only. Left out: signing and validation.
"""

import base64
from dataclasses import dataclass

from lab7.services.dns.codec.errors import TextError, WireError
from lab7.services.dns.codec.fields import (
    BASE64,
    CHARACTER_STRING_MAX,
    COVERED_TYPE,
    OCTETS,
    PLAIN_NAME,
    QUOTED,
    SECONDS,
    STRING,
    TIME,
    TYPES,
    U8,
    U16,
    U32,
    VERBATIM_NAME,
    VERBATIM_NAMES,
    CountedOctets,
    FieldKind,
    Mnemonic,
    Rdata,
    Unsigned,
    bitmap_of,
    bits_of,
    octets_from_base64,
    octets_from_hex,
    quoted,
)
from lab7.services.dns.codec.gateway import Gateway, gateway_from_tokens, gateway_to_text, read_gateway, write_gateway
from lab7.services.dns.codec.lexer import Tokens
from lab7.services.dns.codec.name import Name, Reader, Writer

# Mnemonics of the IANA registry of DNSSEC algorithm numbers, and spellings that BIND accepts in master files.
_ALGORITHMS = {
    "DELETE": 0,
    "RSAMD5": 1,
    "DH": 2,
    "DSA": 3,
    "ECC": 4,  # RFC 4034 appendix A.1; no longer in the registry, and printed by other programs
    "RSASHA1": 5,
    "DSA-NSEC3-SHA1": 6,
    "NSEC3DSA": 6,
    "RSASHA1-NSEC3-SHA1": 7,
    "NSEC3RSASHA1": 7,
    "RSASHA256": 8,
    "RSASHA512": 10,
    "ECC-GOST": 12,
    "ECCGOST": 12,
    "ECDSAP256SHA256": 13,
    "ECDSA256": 13,
    "ECDSAP384SHA384": 14,
    "ECDSA384": 14,
    "ED25519": 15,
    "ED448": 16,
    "SM2SM3": 17,  # RFC 9563
    "MLDSA44": 18,
    "ECC-GOST12": 23,  # RFC 9558
    "INDIRECT": 252,
    "PRIVATEDNS": 253,
    "PRIVATEOID": 254,
}
_DIGESTS = {"SHA-1": 1, "SHA1": 1, "SHA-256": 2, "SHA256": 2, "GOST": 3, "SHA-384": 4, "SHA384": 4}
# RFC 4398 section 2.1
_CERTIFICATES = {
    "PKIX": 1,
    "SPKI": 2,
    "PGP": 3,
    "IPKIX": 4,
    "ISPKI": 5,
    "IPGP": 6,
    "ACPKIX": 7,
    "IACPKIX": 8,
    "URI": 253,
    "OID": 254,
}
# Mnemonics of the protocol field of KEY (RFC 2535 section 3.1.3).
_PROTOCOLS = {"NONE": 0, "TLS": 1, "EMAIL": 2, "DNSSEC": 3, "IPSEC": 4, "ALL": 255}
ALGORITHM = Mnemonic(1, _ALGORITHMS)
_DIGEST_TYPE = Mnemonic(1, _DIGESTS)
_CERTIFICATE_TYPE = Mnemonic(2, _CERTIFICATES)
_KEY_PROTOCOL = Mnemonic(1, _PROTOCOLS)
_SALT = CountedOctets()
_NEXT_HASH = CountedOctets(base32=True)
# Maximum octets of the type bitmap of NXT, for types below 128, without windows (RFC 2535 section 5.2).
_NXT_OCTETS_MAX = 16


@dataclass(frozen=True, slots=True)
class DS(Rdata):
    """Rdata of DS: the digest of a child zone's key, in the parent zone (RFC 4034 section 5); also CDS, DLV and TA."""

    shape = (("key_tag", U16), ("algorithm", ALGORITHM), ("digest_type", _DIGEST_TYPE), ("digest", OCTETS))
    key_tag: int
    algorithm: int
    digest_type: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class DNSKEY(Rdata):
    """Rdata of DNSKEY: a public key (RFC 4034 section 2); also CDNSKEY, KEY and RKEY, which have the same format."""

    shape = (("flags", U16), ("protocol", _KEY_PROTOCOL), ("algorithm", ALGORITHM), ("key", BASE64))
    flags: int
    protocol: int
    algorithm: int
    key: bytes

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "DNSKEY":
        """Parse DNSKEY rdata; the key may be absent, as the flags of a KEY record permit (RFC 2535 section 3.1.2)."""
        flags, protocol, algorithm, key = cls.shape
        return cls(
            flags[1].from_tokens(tokens, flags[0]),
            protocol[1].from_tokens(tokens, protocol[0]),
            algorithm[1].from_tokens(tokens, algorithm[0]),
            key[1].from_tokens(tokens, key[0]) if len(tokens) else b"",
        )


@dataclass(frozen=True, slots=True)
class RRSIG(Rdata):
    """Rdata of RRSIG: the signature of an RRset (RFC 4034 section 3); SIG has the same format."""

    shape = (
        ("type_covered", COVERED_TYPE),
        ("algorithm", ALGORITHM),
        ("labels", U8),
        ("original_ttl", SECONDS),
        ("expiration", TIME),
        ("inception", TIME),
        ("key_tag", U16),
        ("signer", PLAIN_NAME),
        ("signature", BASE64),
    )
    type_covered: int
    algorithm: int
    labels: int
    original_ttl: int
    expiration: int
    inception: int
    key_tag: int
    signer: Name
    signature: bytes


@dataclass(frozen=True, slots=True)
class NSEC(Rdata):
    """Rdata of NSEC: the next name of a zone in canonical order, and the owner's RR types (RFC 4034 section 4)."""

    shape = (("next", VERBATIM_NAME), ("types", TYPES))
    next: Name
    types: tuple[int, ...]


class _NxtTypes(FieldKind[tuple[int, ...]]):
    """Rdata field: a bitmap of the types below 128 (RFC 2535 section 5.2)."""

    def read(self, reader: Reader) -> tuple[int, ...]:
        octets = reader.octets(reader.remaining)
        if not 1 <= len(octets) <= _NXT_OCTETS_MAX or not octets[-1]:
            raise WireError("invalid type bitmap of NXT")
        return tuple(bits_of(octets))

    def write(self, writer: Writer, value: tuple[int, ...]) -> None:
        writer.write(bitmap_of(value))

    def from_tokens(self, tokens: Tokens, label: str) -> tuple[int, ...]:
        types = TYPES.from_tokens(tokens, label)
        if types and types[-1] >= 8 * _NXT_OCTETS_MAX:
            raise TextError(f"{label} has a type above {8 * _NXT_OCTETS_MAX - 1}, which NXT cannot express")
        return types

    def to_text(self, value: tuple[int, ...]) -> str:
        return TYPES.to_text(value)


@dataclass(frozen=True, slots=True)
class NXT(Rdata):
    """Rdata of NXT, the forerunner of NSEC: the next name of a zone, and the owner's types (RFC 2535 section 5.2)."""

    shape = (("next", PLAIN_NAME), ("types", _NxtTypes()))
    next: Name
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NSEC3(Rdata):
    """Rdata of NSEC3: the next hash in a zone's chain of hashed names, and RR types (RFC 5155 section 3).

    The types are those of the name whose hash is in the owner name.
    """

    shape = (
        ("hash_algorithm", U8),
        ("flags", U8),
        ("iterations", U16),
        ("salt", _SALT),
        ("next_hash", _NEXT_HASH),
        ("types", TYPES),
    )
    hash_algorithm: int
    flags: int
    iterations: int
    salt: bytes
    next_hash: bytes
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NSEC3PARAM(Rdata):
    """Rdata of NSEC3PARAM: the parameters of a zone's NSEC3 hashes (RFC 5155 section 4)."""

    shape = (("hash_algorithm", U8), ("flags", U8), ("iterations", U16), ("salt", _SALT))
    hash_algorithm: int
    flags: int
    iterations: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class CSYNC(Rdata):
    """Rdata of CSYNC: the types of records that a parent zone copies from its child (RFC 7477 section 2)."""

    shape = (("serial", U32), ("flags", U16), ("types", TYPES))
    serial: int
    flags: int
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ZONEMD(Rdata):
    """Rdata of ZONEMD: the digest of a whole zone (RFC 8976 section 2)."""

    shape = (("serial", U32), ("scheme", U8), ("hash_algorithm", U8), ("digest", OCTETS))
    serial: int
    scheme: int
    hash_algorithm: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class TLSA(Rdata):
    """Rdata of TLSA: the certificate of a TLS service (RFC 6698), or, as SMIMEA, of a mailbox (RFC 8162)."""

    shape = (("usage", U8), ("selector", U8), ("matching_type", U8), ("data", OCTETS))
    usage: int
    selector: int
    matching_type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SSHFP(Rdata):
    """Rdata of SSHFP: the fingerprint of an SSH host key (RFC 4255 section 3)."""

    shape = (("algorithm", U8), ("fingerprint_type", U8), ("fingerprint", OCTETS))
    algorithm: int
    fingerprint_type: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class CERT(Rdata):
    """Rdata of CERT: a certificate or a revocation list (RFC 4398 section 2)."""

    shape = (("certificate_type", _CERTIFICATE_TYPE), ("key_tag", U16), ("algorithm", ALGORITHM), ("data", BASE64))
    certificate_type: int
    key_tag: int
    algorithm: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Base64Data(Rdata):
    """Rdata of OPENPGPKEY (RFC 7929), DHCID (RFC 4701), HHIT and BRID (RFC 9886): octets in base64."""

    shape = (("data", BASE64),)
    data: bytes


@dataclass(frozen=True, slots=True)
class IPSECKEY(Rdata):
    """Rdata of IPSECKEY: a key for IPsec, and the gateway that uses it (RFC 4025 section 2)."""

    precedence: int
    gateway_type: int
    algorithm: int
    gateway: Gateway
    key: bytes

    @classmethod
    def read(cls, reader: Reader) -> "IPSECKEY":
        """Decode IPSECKEY rdata; the gateway type field determines the format of the gateway."""
        precedence, gateway_type, algorithm = reader.u8(), reader.u8(), reader.u8()
        gateway = read_gateway(reader, gateway_type)
        return cls(precedence, gateway_type, algorithm, gateway, BASE64.read(reader))

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "IPSECKEY":
        """Parse IPSECKEY rdata; the key may be absent (algorithm 0)."""
        precedence = U8.from_tokens(tokens, "precedence")
        gateway_type = U8.from_tokens(tokens, "gateway_type")
        algorithm = U8.from_tokens(tokens, "algorithm")
        gateway = gateway_from_tokens(tokens, gateway_type, "gateway")
        key = BASE64.from_tokens(tokens, "key") if len(tokens) else b""
        return cls(precedence, gateway_type, algorithm, gateway, key)

    def write(self, writer: Writer) -> None:
        """Append IPSECKEY rdata in wire format to the octets in `writer`."""
        writer.write(bytes((self.precedence, self.gateway_type, self.algorithm)))
        write_gateway(writer, self.gateway)
        writer.write(self.key)

    def to_text(self) -> str:
        """Return IPSECKEY rdata in presentation format (RFC 4025 section 3.1)."""
        numbers = f"{self.precedence} {self.gateway_type} {self.algorithm}"
        return f"{numbers} {gateway_to_text(self.gateway)} {BASE64.to_text(self.key)}".rstrip()


@dataclass(frozen=True, slots=True)
class HIP(Rdata):
    """Rdata of HIP: a host identity and its rendezvous servers (RFC 8005 section 5)."""

    algorithm: int
    hit: bytes
    key: bytes
    servers: tuple[Name, ...]

    @classmethod
    def read(cls, reader: Reader) -> "HIP":
        """Decode HIP rdata, which begins with the lengths of the identity tag and of the public key."""
        hit_octets, algorithm, key_octets = reader.u8(), reader.u8(), reader.u16()
        hit, key = reader.octets(hit_octets), reader.octets(key_octets)
        return cls(algorithm, hit, key, VERBATIM_NAMES.read(reader))

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "HIP":
        """Parse HIP rdata; the identity tag and the key are one token each."""
        algorithm = U8.from_tokens(tokens, "algorithm")
        hit = octets_from_hex(tokens.token("hit").text, "hit")
        if len(hit) > CHARACTER_STRING_MAX:
            raise TextError(f"hit has {len(hit)} octets, at most {CHARACTER_STRING_MAX} are allowed")
        key = octets_from_base64(tokens.token("key").text, "key")
        return cls(algorithm, hit, key, VERBATIM_NAMES.from_tokens(tokens, "rendezvous server"))

    def to_text(self) -> str:
        """Return HIP rdata in presentation format (RFC 8005 section 6)."""
        words = [str(self.algorithm), self.hit.hex().upper(), base64.b64encode(self.key).decode("ascii")]
        return " ".join([*words, *map(Name.to_text, self.servers)])

    def write(self, writer: Writer) -> None:
        """Append HIP rdata in wire format to the octets in `writer`."""
        writer.u8(len(self.hit))
        writer.u8(self.algorithm)
        writer.u16(len(self.key))
        writer.write(self.hit + self.key)
        VERBATIM_NAMES.write(writer, self.servers)


@dataclass(frozen=True, slots=True)
class CAA(Rdata):
    """Rdata of CAA: certification authority authorization for the owner (RFC 8659)."""

    shape = (("flags", U8), ("tag", STRING), ("value", QUOTED))
    flags: int
    tag: bytes
    value: bytes

    def to_text(self) -> str:
        # RFC 8659 section 4.1.1: the tag has letters and digits only, so it needs no quotes.
        tag = self.tag.decode("ascii") if self.tag.isalnum() else quoted(self.tag)
        return f"{self.flags} {tag} {quoted(self.value)}"


class _SizedOctets(FieldKind[bytes]):
    """Rdata field: a 16-bit length and that many octets; in text the length, and base64 if the length is not 0."""

    def read(self, reader: Reader) -> bytes:
        return reader.octets(reader.u16())

    def write(self, writer: Writer, value: bytes) -> None:
        writer.u16(len(value))
        writer.write(value)

    def from_tokens(self, tokens: Tokens, label: str) -> bytes:
        raise TextError(f"{label} {tokens.token(label).text!r} is of a type that occurs in messages only, not in zones")

    def to_text(self, value: bytes) -> str:
        return f"{len(value)} {base64.b64encode(value).decode('ascii')}".rstrip()


_SIZED = _SizedOctets()


@dataclass(frozen=True, slots=True)
class TSIG(Rdata):
    """Rdata of TSIG: the signature of a message by a shared key (RFC 8945 section 4.2); not parsed from text."""

    shape = (
        ("algorithm", PLAIN_NAME),
        ("time_signed", Unsigned(6)),
        ("fudge", U16),
        ("mac", _SIZED),
        ("original_id", U16),
        ("error", U16),
        ("other", _SIZED),
    )
    algorithm: Name
    time_signed: int
    fudge: int
    mac: bytes
    original_id: int
    error: int
    other: bytes


@dataclass(frozen=True, slots=True)
class TKEY(Rdata):
    """Rdata of TKEY: the establishment of a shared key (RFC 2930 section 2); not parsed from text."""

    shape = (
        ("algorithm", PLAIN_NAME),
        ("inception", U32),
        ("expiration", U32),
        ("mode", U16),
        ("error", U16),
        ("key", _SIZED),
        ("other", _SIZED),
    )
    algorithm: Name
    inception: int
    expiration: int
    mode: int
    error: int
    key: bytes
    other: bytes
