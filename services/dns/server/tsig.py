"""Transaction signatures (TSIG): verification of signed queries, and signing of the responses to them (RFC 8945).

    key "transfer.example." {
        algorithm hmac-sha256;
        secret "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";
    };

Keys are shared secrets in files of this form, which tsig-keygen writes and `dig -k FILE` reads. A query is signed if
TSIG is its last record. The sections of RFC 8945: 4.3 (octets that are signed), 5.1 (TSIG only as the last record), 5.2
(checks of key, signature and time, in this order, with the errors BADKEY, BADSIG and BADTIME), 5.3 (responses are
signed; the messages of a zone transfer after the first cover the signature of the one before), 6 (algorithms). A server
without keys responds with BADKEY to every signed query. Left out: truncated signatures (BADTRUNC), HMAC-MD5, which
section 6 forbids, and TKEY (RFC 2930).
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab7.services.dns.codec.codes import RRClass, RRType
from lab7.services.dns.codec.errors import NameTooLongError, TextError, WireError
from lab7.services.dns.codec.message import HEADER_OCTETS
from lab7.services.dns.codec.name import Name, Reader
from lab7.services.errors import ServiceError

# RFC 8945 section 5.2.3: the recommended number of seconds by which the clocks may differ.
FUDGE_S = 300
# TSIG errors (RFC 8945 section 3); as response codes of a message the numbers have another meaning.
BADSIG, BADKEY, BADTIME, BADTRUNC = 16, 17, 18, 22
# Algorithms by name (RFC 8945 section 6), with their names in hashlib.
ALGORITHMS: Mapping[Name, str] = {
    Name.from_text(f"hmac-{digest}."): digest for digest in ("sha1", "sha224", "sha256", "sha384", "sha512")
}
# RFC 8945 section 5.2.2.1: a truncated signature has at least 10 octets and half of the hash.
_MAC_OCTETS_MIN = 10

_KEY = re.compile(r'key\s+"?([^\s"{;]+)"?\s*\{\s*(.*?)\s*\}\s*;?', re.DOTALL)
_FIELD = re.compile(r'(\w+)\s+"?([^\s";]+)"?\s*;')
_COMMENT = re.compile(r"#[^\n]*|(?:^|(?<=\s))//[^\n]*|/\*.*?\*/", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TSIGKey:
    """A shared secret: its name, the name of its algorithm, and its octets."""

    name: Name
    algorithm: Name
    secret: bytes

    def mac(self, data: bytes) -> bytes:
        """Return the message authentication code of `data`."""
        return hmac.digest(self.secret, data, ALGORITHMS[self.algorithm])


TSIGKeys = Mapping[Name, TSIGKey]


def tsig_keys(paths: Iterable[str]) -> TSIGKeys:
    """Return the keys in these files, by name; raises ServiceError."""
    keys: dict[Name, TSIGKey] = {}
    for path in paths:
        try:
            text = Path(path).read_text("latin-1")
        except OSError as error:
            raise ServiceError(f"cannot read the TSIG key {path} ({error.strerror})") from error
        found = _KEY.findall(_COMMENT.sub("", text))
        if not found:
            raise ServiceError(f'{path}: no TSIG key, expected `key "NAME" {{ algorithm ...; secret "..."; }};`')
        for name, body in found:
            key = _key(path, name, dict(_FIELD.findall(body)))
            keys[key.name] = key
    return keys


def _key(path: str, name: str, fields: Mapping[str, str]) -> TSIGKey:
    try:
        algorithm = Name.from_text(fields.get("algorithm", ""))
        key = TSIGKey(Name.from_text(name), algorithm, base64.b64decode(fields.get("secret", ""), validate=True))
    except (TextError, NameTooLongError, binascii.Error) as error:
        raise ServiceError(f"{path}: the TSIG key {name} is invalid ({error})") from error
    if algorithm not in ALGORITHMS:
        known = ", ".join(one.to_text().rstrip(".") for one in ALGORITHMS)
        raise ServiceError(f"{path}: the TSIG key {name} needs one of the algorithms {known}")
    if not key.secret:
        raise ServiceError(f"{path}: the TSIG key {name} has no secret")
    return key


@dataclass(frozen=True, slots=True)
class TSIGRecord:
    """The fields of a TSIG record (RFC 8945 section 4.2), and its offset in the message.

    `time` is in seconds since 1970.
    """

    key: Name
    algorithm: Name
    time: int
    fudge: int
    mac: bytes
    original_id: int
    error: int
    other: bytes
    offset: int = 0

    def variables(self) -> bytes:
        """Return the octets of the record that a signature covers (RFC 8945 section 4.3.3)."""
        head = self.key.canonical() + RRClass.ANY.to_bytes(2, "big") + bytes(4) + self.algorithm.canonical()
        tail = self.error.to_bytes(2, "big") + len(self.other).to_bytes(2, "big") + self.other
        return head + self.timers() + tail

    def timers(self) -> bytes:
        """Return the time fields of the record, which the signatures of later messages in a series cover (5.3.1)."""
        return self.time.to_bytes(6, "big") + self.fudge.to_bytes(2, "big")

    def to_wire(self) -> bytes:
        """Return the whole record in wire format."""
        mac = len(self.mac).to_bytes(2, "big") + self.mac + self.original_id.to_bytes(2, "big")
        tail = self.error.to_bytes(2, "big") + len(self.other).to_bytes(2, "big") + self.other
        rdata = self.algorithm.to_wire() + self.timers() + mac + tail
        head = self.key.to_wire() + RRType.TSIG.to_bytes(2, "big") + RRClass.ANY.to_bytes(2, "big") + bytes(4)
        return head + len(rdata).to_bytes(2, "big") + rdata


def find_tsig(data: bytes) -> TSIGRecord | None:
    """Return the TSIG record of a message; None without one.

    Raises WireError if it is not the last record, or malformed (RFC 8945 sections 5.1 and 5.2).
    """
    reader = Reader(data)
    reader.octets(4)
    questions, *counts = [reader.u16() for _ in range(4)]
    for _ in range(questions):
        reader.name()
        reader.octets(4)
    total = sum(counts)
    for number in range(total):
        offset = reader.offset
        owner, rtype, rclass = reader.name(), reader.u16(), reader.u16()
        ttl, size = reader.u32(), reader.u16()
        if rtype != RRType.TSIG:
            reader.octets(size)
            continue
        if number < total - 1 or not counts[2] or rclass != RRClass.ANY or ttl:
            raise WireError("a TSIG record must be the last record, of class ANY, with TTL 0")
        return _record(owner, Reader(reader.octets(size)), offset)
    return None


def _record(owner: Name, reader: Reader, offset: int) -> TSIGRecord:
    algorithm = reader.name(compressed=False)
    time, fudge = int.from_bytes(reader.octets(6), "big"), reader.u16()
    mac = reader.octets(reader.u16())
    original_id, error = reader.u16(), reader.u16()
    other = reader.octets(reader.u16())
    if reader.remaining:
        raise WireError("octets after the fields of a TSIG record")
    return TSIGRecord(owner, algorithm, time, fudge, mac, original_id, error, other, offset)


class SignedTransaction:
    """A query with TSIG: the error found in it, and the signer of the messages that respond to it."""

    def __init__(self, data: bytes, record: TSIGRecord, keys: TSIGKeys, now: Callable[[], float]) -> None:
        key = keys.get(record.key)
        self._key = key if key is not None and key.algorithm == record.algorithm else None
        self._record = record
        self._now = now
        # The signature that the next response covers: first that of the query, then that of the response before.
        self._prior = record.mac
        self._is_first = True
        self.error = self._check(data)

    @property
    def key_name(self) -> Name | None:
        """Name of the key that signed the query; None if the query is not validly signed."""
        return self._record.key if not self.error else None

    @property
    def octets(self) -> int:
        """Number of octets that the TSIG record adds to a response."""
        size = 0 if self._key is None or self.error in (BADKEY, BADSIG) else len(self._key.mac(b""))
        return len(self._answer(self.error, bytes(size), bytes(6 if self.error == BADTIME else 0)).to_wire())

    def _check(self, data: bytes) -> int:
        record = self._record
        if self._key is None:
            return BADKEY
        # RFC 8945 section 4.3.2: the message without the record, with the id that it had when it was signed.
        counted = int.from_bytes(data[10:HEADER_OCTETS], "big") - 1
        head = record.original_id.to_bytes(2, "big") + data[2:10] + counted.to_bytes(2, "big")
        expected = self._key.mac(head + data[HEADER_OCTETS : record.offset] + record.variables())
        if len(record.mac) > len(expected) or len(record.mac) < max(_MAC_OCTETS_MIN, len(expected) // 2):
            raise WireError("the signature in a TSIG record has an invalid length")
        if not hmac.compare_digest(record.mac, expected[: len(record.mac)]):
            return BADSIG
        if abs(int(self._now()) - record.time) > record.fudge:
            return BADTIME
        return BADTRUNC if len(record.mac) < len(expected) else 0

    def _answer(self, error: int, mac: bytes = b"", other: bytes = b"") -> TSIGRecord:
        record = self._record
        # RFC 8945 section 5.2.3: BADTIME has the client's time, and the server's in the other data. The time of an
        # unsigned record is of no use.
        time = record.time if error in (BADKEY, BADSIG, BADTIME) else int(self._now())
        return TSIGRecord(record.key, record.algorithm, time, FUDGE_S, mac, record.original_id, error, other)

    def sign(self, response: bytes) -> bytes:
        """Return a response, or the next message of a zone transfer, with its TSIG record (RFC 8945 section 5.3)."""
        count = int.from_bytes(response[10:HEADER_OCTETS], "big") + 1
        head = response[:10] + count.to_bytes(2, "big")
        if self._key is None or self.error in (BADKEY, BADSIG):
            # RFC 8945 section 5.3.2: without a common key the response cannot be signed.
            return head + response[HEADER_OCTETS:] + self._answer(self.error).to_wire()
        other = int(self._now()).to_bytes(6, "big") if self.error == BADTIME else b""
        answer = self._answer(self.error, other=other)
        # RFC 8945 section 4.3.2: the id in the signed octets is the original one.
        signed = answer.original_id.to_bytes(2, "big") + response[2:]
        covered = answer.variables() if self._is_first else answer.timers()
        mac = self._key.mac(len(self._prior).to_bytes(2, "big") + self._prior + signed + covered)
        self._prior, self._is_first = mac, False
        return head + response[HEADER_OCTETS:] + self._answer(self.error, mac, other).to_wire()
