"""DKIM-Signature fields and DKIM key records: parsers and formatters of their tags (RFC 6376 sections 3.5 and 3.6.1).

    DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=2026; t=1764460800; h=from:to:subject;
        bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB...
    2026._domainkey.example.org.  TXT  "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ..."

Left out: hashing by SHA-1, which RFC 8301 forbids. The only key query method (q=) is dns/txt; RFC 6376 defines no
other.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab7.services.mail.authentication.dkim.canonicalization import METHODS, SIMPLE
from lab7.services.mail.authentication.tags import TagError, parse_tags, without_blanks, words

FIELD_NAME = "DKIM-Signature"
RSA, ED25519 = "rsa-sha256", "ed25519-sha256"
# Algorithms of signatures (RFC 6376 section 3.3, RFC 8463 section 3).
ALGORITHMS = (RSA, ED25519)
_DOMAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)+\Z")
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")
# RFC 6376 section 3.5: times have at most 12 digits, body lengths at most 76.
_NUMBER = re.compile(r"[0-9]{1,12}\Z")
_LENGTH = re.compile(r"[0-9]{1,76}\Z")
_LINE_OCTETS = 76


class SignatureError(ValueError):
    """Error for an invalid DKIM-Signature field; verifiers ignore such a field."""


class KeyRecordError(ValueError):
    """Error for a DKIM key record with which a signature cannot be verified (RFC 6376 section 6.1.2)."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The tags of a DKIM-Signature field; `fields` has the names in h=; times are in seconds since 1970 UTC."""

    algorithm: str
    domain: str
    selector: str
    fields: Sequence[str]
    body_hash: bytes
    value: bytes = b""
    header_method: str = SIMPLE
    body_method: str = SIMPLE
    identity: str = ""
    length: int | None = None
    signed_s: int | None = None
    expires_s: int | None = None

    @property
    def key_name(self) -> str:
        """The domain name at which the signature's key record is published (RFC 6376 section 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The tags of a key record; an empty `key` is a revoked key; `hashes` None permits all hash algorithms."""

    key_type: str = "rsa"
    key: bytes = b""
    hashes: Sequence[str] | None = None
    services: Sequence[str] = ("*",)
    flags: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_testing(self) -> bool:
        """True if the domain tests DKIM (t=y): a message with a failed signature counts as unsigned."""
        return "y" in self.flags


def is_domain(text: str) -> bool:
    """Return True if a text is a domain name of at least two labels, as d= requires."""
    return _DOMAIN.match(text) is not None


def is_selector(text: str) -> bool:
    """Return True if a text is a selector of one or more labels."""
    return _SELECTOR.match(text) is not None


def parse_signature(value: bytes) -> Signature:
    """Parse the value of a DKIM-Signature field; raises SignatureError."""
    try:
        tags = parse_tags(value.decode("ascii"))
    except (TagError, UnicodeDecodeError) as error:
        raise SignatureError(str(error)) from error
    missing = [name for name in ("v", "a", "b", "bh", "d", "h", "s") if not tags.get(name)]
    if missing:
        raise SignatureError(f"the tag {missing[0]}= is missing")
    if tags["v"] != "1":
        raise SignatureError(f"unknown version {tags['v']}")
    if tags["a"] not in ALGORITHMS:
        raise SignatureError(f"unsupported algorithm {tags['a']}")
    if "dns/txt" not in words(tags.get("q", "dns/txt")):
        raise SignatureError(f"unsupported query method {tags['q']}")
    header_method, body_method = _methods(tags.get("c", SIMPLE))
    signature = Signature(
        tags["a"],
        tags["d"].lower(),
        tags["s"].lower(),
        [name.lower() for name in words(tags["h"])],
        _decoded("bh", tags["bh"]),
        _decoded("b", tags["b"]),
        header_method,
        body_method,
        tags.get("i", "@" + tags["d"]),
        _number(tags, "l", _LENGTH),
        _number(tags, "t"),
        _number(tags, "x"),
    )
    _check(signature)
    return signature


def _check(signature: Signature) -> None:
    """Raise SignatureError for tags that contradict one another (RFC 6376 section 6.1.1)."""
    if not is_domain(signature.domain) or not is_selector(signature.selector):
        raise SignatureError("the signing domain or the selector is not a domain name")
    domain = signature.identity.rpartition("@")[2].lower()
    if domain != signature.domain and not domain.endswith("." + signature.domain):
        raise SignatureError("the domain of i= is not within the signing domain")
    if "from" not in signature.fields:
        raise SignatureError("the From field is not signed")
    if signature.expires_s is not None and signature.expires_s <= (signature.signed_s or 0):
        raise SignatureError("the signature expires before its time")


def _methods(value: str) -> tuple[str, str]:
    header_method, _, body_method = value.partition("/")
    body_method = body_method or SIMPLE
    if header_method not in METHODS or body_method not in METHODS:
        raise SignatureError(f"unknown canonicalization {value}")
    return header_method, body_method


def _decoded(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(without_blanks(value), validate=True)
    except binascii.Error:
        raise SignatureError(f"the tag {name}= is not base64") from None


def _number(tags: dict[str, str], name: str, pattern: re.Pattern[str] = _NUMBER) -> int | None:
    if name not in tags:
        return None
    if not pattern.match(tags[name]):
        raise SignatureError(f"the tag {name}= is not a number")
    return int(tags[name])


def parse_key_record(text: bytes) -> KeyRecord:
    """Parse a DKIM key record, the text of a TXT record; raises KeyRecordError."""
    try:
        tags = parse_tags(text.decode("ascii"))
        key = base64.b64decode(without_blanks(tags.get("p", "")), validate=True)
    except (TagError, UnicodeDecodeError, binascii.Error) as error:
        raise KeyRecordError(f"invalid key record: {error}") from error
    # RFC 6376 section 3.6.1: the tag v=, if present, comes first.
    if "v" in tags and (tags["v"] != "DKIM1" or next(iter(tags)) != "v"):
        raise KeyRecordError("the record is of another version")
    if "p" not in tags:
        raise KeyRecordError("the key record has no key")
    return KeyRecord(
        tags.get("k", "rsa"),
        key,
        words(tags["h"]) if "h" in tags else None,
        words(tags.get("s", "*")),
        frozenset(words(tags.get("t", ""))),
    )


def check_key_record(record: KeyRecord, signature: Signature) -> None:
    """Raise KeyRecordError if a key record does not permit this signature (RFC 6376 section 6.1.2)."""
    if not record.key:
        raise KeyRecordError("the key is revoked")
    key_type, _, digest = signature.algorithm.partition("-")
    if record.key_type != key_type:
        raise KeyRecordError(f"the key is of type {record.key_type}")
    if record.hashes is not None and digest not in record.hashes:
        raise KeyRecordError(f"the key is not for {digest}")
    if not {"*", "email"} & set(record.services):
        raise KeyRecordError("the key is not for email")
    # With flag s in t=, the domain of i= must be the signing domain, and not a subdomain.
    if "s" in record.flags and signature.identity.rpartition("@")[2].lower() != signature.domain:
        raise KeyRecordError("the key is not for subdomains")


def format_key_record(key_type: str, key: bytes) -> str:
    """Return a DKIM key record as the text of a TXT record."""
    return f"v=DKIM1; k={key_type}; p={base64.b64encode(key).decode()}"


def format_signature(signature: Signature) -> bytes:
    """Return a DKIM-Signature field with folded lines; b= is empty if the signature has no value yet."""
    tags = [
        "v=1",
        f"a={signature.algorithm}",
        f"c={signature.header_method}/{signature.body_method}",
        f"d={signature.domain}",
        f"s={signature.selector}",
    ]
    numbers = (("l", signature.length), ("t", signature.signed_s), ("x", signature.expires_s))
    tags += [f"{name}={number}" for name, number in numbers if number is not None]
    if signature.identity:
        tags.append(f"i={signature.identity}")
    tags.append("h=" + ":".join(signature.fields))
    tags.append("bh=" + base64.b64encode(signature.body_hash).decode())
    lines = [FIELD_NAME + ":"]
    for tag in tags:
        if len(lines[-1]) + len(tag) + 2 <= _LINE_OCTETS:
            lines[-1] += f" {tag};"
        else:
            lines += _folded(f"\t{tag};")
    # The tag b= begins on a new line, since the signature covers the folding before the value of b=.
    lines += _folded("\tb=" + base64.b64encode(signature.value).decode())
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def _folded(line: str) -> list[str]:
    """Fold a long tag where white space is permitted: h= after colons, base64 anywhere (RFC 6376 section 3.5)."""
    if not line.startswith(("\th=", "\tb=", "\tbh=")):
        return [line]
    pieces = []
    while len(line) > _LINE_OCTETS:
        end = line.rfind(":", 0, _LINE_OCTETS) + 1 or _LINE_OCTETS
        pieces.append(line[:end])
        line = "\t" + line[end:]
    return [*pieces, line]
