"""DNSSEC keys: key tags, DS records, and the private keys of a zone in files or derived from a secret.

    Kexample.com.+015+12345.key        example.com. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=
    Kexample.com.+015+12345.private    Private-key-format: v1.3 ...

RFC 4034 section 2.1.1 (flags), section 5.1.4 (digest of DS) and Appendix B (key tags), RFC 5011 section 7 (REVOKE), RFC
6840 section 6.2 (any key may be a key-signing key). The files are those of BIND's dnssec-keygen, which ldns reads too.
"""

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lab7.services.dns.codec.errors import MasterFileError
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Record
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.codec.rdata_security import DNSKEY, DS
from lab7.services.dns.security.algorithms import (
    SIGNING,
    Algorithm,
    Digest,
    KeyFormatError,
    LibraryKey,
    PrivateKey,
    derive_key,
    digest,
    is_digest_supported,
)
from lab7.services.errors import ServiceError

ZONE_KEY, REVOKED, SECURE_ENTRY_POINT = 0x0100, 0x0080, 0x0001
DNSSEC_PROTOCOL = 3
# Maximum number of key tags in the cache.
TAGS_MAX = 4096

_RSAMD5 = 1
_RSA_FIELDS = (
    "Modulus",
    "PublicExponent",
    "PrivateExponent",
    "Prime1",
    "Prime2",
    "Exponent1",
    "Exponent2",
    "Coefficient",
)


@lru_cache(TAGS_MAX)
def key_tag(key: DNSKEY) -> int:
    """Return the key tag, which is not unique (RFC 4034 Appendix B)."""
    if key.algorithm == _RSAMD5:
        # RFC 4034 Appendix B.1: the key tag of RSA/MD5 is the highest 16 bits of the last 24 bits of the modulus.
        return int.from_bytes(key.key[-3:-1], "big")
    octets = key.to_wire()
    total = sum(octets[1::2]) + (sum(octets[0::2]) << 8)
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


def is_zone_key(key: DNSKEY) -> bool:
    """Tell whether a key may sign records of its zone (RFC 4034 sections 2.1.1 and 2.1.2)."""
    return bool(key.flags & ZONE_KEY) and key.protocol == DNSSEC_PROTOCOL


def is_revoked(key: DNSKEY) -> bool:
    """Tell whether a key is revoked (RFC 5011 section 2.1)."""
    return bool(key.flags & REVOKED)


def ds_of(zone: Name, key: DNSKEY, digest_type: int = Digest.SHA256) -> DS:
    """Return the DS record of a key (RFC 4034 section 5.1.4); raises KeyError for an unknown digest."""
    octets = digest(digest_type, zone.canonical() + key.to_wire())
    return DS(key_tag(key), key.algorithm, int(digest_type), octets)


def may_match(key: DNSKEY, ds: DS) -> bool:
    """Tell whether a DS record may refer to a key: same key tag and algorithm, and a digest that can be computed."""
    return ds.key_tag == key_tag(key) and ds.algorithm == key.algorithm and is_digest_supported(ds.digest_type)


def matches(zone: Name, key: DNSKEY, ds: DS) -> bool:
    """Tell whether the digest in a DS record is that of a key (RFC 4035 section 5.2)."""
    if not may_match(key, ds):
        return False
    return digest(ds.digest_type, zone.canonical() + key.to_wire()) == ds.digest


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of a zone, together with its DNSKEY record."""

    zone: Name
    dnskey: DNSKEY
    private: PrivateKey

    @classmethod
    def of(cls, zone: Name, private: PrivateKey, flags: int) -> "SigningKey":
        """Return a zone's signing key, made from a private key and DNSKEY flags."""
        return cls(zone, DNSKEY(flags, DNSSEC_PROTOCOL, int(private.algorithm), private.public), private)

    @property
    def tag(self) -> int:
        """The key tag of the DNSKEY record (RFC 4034 Appendix B)."""
        return key_tag(self.dnskey)

    @property
    def is_key_signing(self) -> bool:
        """Return whether the SEP flag is set: a key-signing key, which signs the DNSKEY RRset and has a DS record."""
        return bool(self.dnskey.flags & SECURE_ENTRY_POINT)


def derived_keys(zone: Name, secret: str, algorithm: int = Algorithm.ED25519) -> tuple[SigningKey, SigningKey]:
    """Return (key-signing key, zone-signing key) of a zone, derived from a secret; for laboratories only."""
    names = (("ksk", ZONE_KEY | SECURE_ENTRY_POINT), ("zsk", ZONE_KEY))
    made = [
        SigningKey.of(
            zone, derive_key(algorithm, b"\0".join((secret.encode(), role.encode(), zone.canonical()))), flags
        )
        for role, flags in names
    ]
    return made[0], made[1]


# Key files.


def file_stem(zone: Name, key: DNSKEY) -> str:
    """Return a key's file name without extension, in the format of dnssec-keygen: Kexample.com.+015+12345."""
    return f"K{zone.to_text().lower()}+{key.algorithm:03d}+{key_tag(key):05d}"


def write_key(directory: Path, key: SigningKey) -> Path:
    """Write the .key and .private files of a key; return the path of the private file, readable by its owner only."""
    stem = directory / file_stem(key.zone, key.dnskey)
    public, private = stem.with_name(stem.name + ".key"), stem.with_name(stem.name + ".private")
    try:
        public.write_text(f"{key.zone} IN DNSKEY {key.dnskey.to_text()}\n", encoding="ascii")
        private.touch(mode=0o600)
        private.write_text(private_text(key.private), encoding="ascii")
    except OSError as error:
        raise ServiceError(f"cannot write the key {error.filename} ({error.strerror})") from error
    return private


def private_text(key: PrivateKey) -> str:
    """Return the text of a private key file, in the format of dnssec-keygen."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    algorithm = Algorithm(key.algorithm)
    lines = ["Private-key-format: v1.3", f"Algorithm: {int(algorithm)} ({algorithm.name})"]
    private = key.private if isinstance(key, LibraryKey) else None
    if isinstance(private, rsa.RSAPrivateKey):
        n = private.private_numbers()
        numbers = (n.public_numbers.n, n.public_numbers.e, n.d, n.p, n.q, n.dmp1, n.dmq1, n.iqmp)
        for field, number in zip(_RSA_FIELDS, numbers, strict=True):
            lines.append(f"{field}: {_base64(number.to_bytes((number.bit_length() + 7) // 8, 'big'))}")
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        value = private.private_numbers().private_value
        lines.append(f"PrivateKey: {_base64(value.to_bytes(private.key_size // 8, 'big'))}")
    elif isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        raw = private.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        lines.append(f"PrivateKey: {_base64(raw)}")
    return "\n".join(lines) + "\n"


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def read_key(path: Path) -> SigningKey:
    """Read a key from its .private file and the .key file beside it; raises ServiceError."""
    public_path = path.with_suffix(".key")
    records = records_of_text(_text(public_path), str(public_path))
    text = _text(path)
    found = [(record.name, record.rdata) for record in records if isinstance(record.rdata, DNSKEY)]
    if len(found) != 1:
        raise ServiceError(f"{public_path} has {len(found)} DNSKEY records, expected one")
    zone, dnskey = found[0]
    if dnskey.algorithm not in SIGNING:
        raise ServiceError(f"{path}: algorithm {dnskey.algorithm} is not used for signing (RFC 8624)")
    try:
        private = _private_key(Algorithm(dnskey.algorithm), _fields(text))
    except (KeyError, ValueError, KeyFormatError) as error:
        raise ServiceError(f"{path} is not a private key of algorithm {dnskey.algorithm} ({error})") from error
    if private.public != dnskey.key:
        raise ServiceError(f"{path} is not the private key of {public_path}")
    return SigningKey(zone, dnskey, private)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="latin-1")
    except OSError as error:
        raise ServiceError(f"cannot read the key {path} ({error.strerror})") from error


def records_of_text(text: str, file: str) -> list[Record]:
    """Parse the DNSKEY or DS records in a key file, where the TTL may be missing; raises ServiceError."""
    try:
        return [entry.record for entry in parse_master_file("$TTL 0\n" + text, ROOT, file)]
    except MasterFileError as error:
        raise ServiceError(f"{file}:{error.line - 1}: {error.detail}") from error


def read_keys(directory: Path) -> list[SigningKey]:
    """Read all keys of a directory, in the order of their file names; raises ServiceError."""
    paths = sorted(directory.glob("K*.private"))
    if not paths:
        raise ServiceError(f"{directory} has no key: make one with python -m lab7.services.dns.sign --generate ZONE")
    return [read_key(path) for path in paths]


def _fields(text: str) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    for line in text.splitlines():
        label, _, value = line.partition(":")
        if label in ("PrivateKey", *_RSA_FIELDS):
            try:
                fields[label] = base64.b64decode(value.strip(), validate=True)
            except binascii.Error as error:
                raise ValueError(f"{label} is not base64") from error
    return fields


def _private_key(algorithm: Algorithm, fields: dict[str, bytes]) -> LibraryKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    if algorithm == Algorithm.RSASHA256:
        n, e, d, p, q, dmp1, dmq1, iqmp = (int.from_bytes(fields[field], "big") for field in _RSA_FIELDS)
        numbers = rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, rsa.RSAPublicNumbers(e, n))
        return LibraryKey(algorithm, numbers.private_key())
    secret = fields["PrivateKey"]
    if algorithm == Algorithm.ED25519:
        return LibraryKey(algorithm, ed25519.Ed25519PrivateKey.from_private_bytes(secret))
    if algorithm == Algorithm.ED448:
        return LibraryKey(algorithm, ed448.Ed448PrivateKey.from_private_bytes(secret))
    curve = ec.SECP256R1() if algorithm == Algorithm.ECDSAP256SHA256 else ec.SECP384R1()
    return LibraryKey(algorithm, ec.derive_private_key(int.from_bytes(secret, "big"), curve))
