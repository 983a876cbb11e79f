"""DKIM signatures of captured messages, verified from the octets: canonicalization, SHA-256 and RSA (RFC 6376).

RSA is computed here: s^e mod n is compared with the padded hash of RFC 8017 section 8.2.2 (PKCS #1 v1.5); n and e are
read from the DER of the key record. The result thus depends neither on the code of lab7's services nor on a signature
library.

Left out: Ed25519 (RFC 8463), and tags that no claim needs. UnreadableSignature is raised for such a signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(?:[^\r\n]*\r\n)(?:[ \t][^\r\n]*\r\n)*")
BLANK_LINE = b"\r\n\r\n"
# DER octets that precede a SHA-256 hash in an RSA signature (RFC 8017 section 9.2, note 1).
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
SEQUENCE, INTEGER, BIT_STRING = 0x30, 0x02, 0x03


class UnreadableSignature(ValueError):  # noqa: N818 - a finding about the traffic, not an error of the program
    """Exception for a signature or key record whose form or algorithm this module cannot verify."""


@dataclass(frozen=True)
class SignatureTags:
    """Tags of a DKIM-Signature field, and the octets of the whole field."""

    tags: dict[str, str]
    octets: bytes

    @property
    def domain(self) -> str:
        """Return the signing domain (d=)."""
        return self.tags.get("d", "").lower()

    @property
    def key_name(self) -> str:
        """Return the domain name of the key record, with its final dot (RFC 6376 section 3.6.2.1)."""
        return f"{self.tags.get('s', '').lower()}._domainkey.{self.domain}."


@dataclass(frozen=True)
class SignatureCheck:
    """Result of a DKIM verification, separately for the body (its hash equals bh=) and for the header (b= is valid)."""

    body_is_signed: bool
    header_is_signed: bool

    @property
    def verifies(self) -> bool:
        """Return True if the signature is valid for both body and header."""
        return self.body_is_signed and self.header_is_signed


def tag_list(text: str) -> dict[str, str]:
    """Parse a tag list `tag=value; ...`, without white space in the values (RFC 6376 section 3.2)."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip(): re.sub(r"\s+", "", value) for name, _, value in pairs}


def header_of(content: bytes) -> list[tuple[str, bytes]]:
    """Return the fields of a message as (name in lower case, octets of the whole field)."""
    header = content.partition(BLANK_LINE)[0] + b"\r\n"
    return [(found[1].decode().lower(), found[0]) for found in FIELD.finditer(header)]


def field_value(content: bytes, name: str) -> str:
    """Return the unfolded value of the first header field with this name; empty if the field is missing."""
    octets = next((octets for each, octets in header_of(content) if each == name), b":")
    return re.sub(rb"\r\n(?=[ \t])", b"", octets.partition(b":")[2]).strip().decode("utf-8", "replace")


def author_domain(content: bytes) -> str:
    """Return the domain of the author's address in the From field."""
    return field_value(content, "from").rpartition("@")[2].strip("<> ").lower()


def signatures(content: bytes) -> list[SignatureTags]:
    """Return the DKIM-Signature fields of a message, topmost first."""
    fields = [octets for name, octets in header_of(content) if name == "dkim-signature"]
    return [SignatureTags(tag_list(octets.partition(b":")[2].decode("ascii", "replace")), octets) for octets in fields]


def check_signature(content: bytes, signature: SignatureTags, key_record: str) -> SignatureCheck:
    """Verify a signature with the text of a key record. Raises UnreadableSignature if the algorithm is unknown."""
    tags = signature.tags
    if tags.get("a") != "rsa-sha256" or "l" in tags:
        raise UnreadableSignature(f"a signature by {tags.get('a')} cannot be checked here")
    header_method, _, body_method = tags.get("c", "simple").partition("/")
    body = content.partition(BLANK_LINE)[2]
    digest = hashlib.sha256(_canonical_body(body, body_method or "simple")).digest()
    signed = _signed_header(content, signature, header_method)
    modulus, exponent = _public_key(key_record)
    return SignatureCheck(digest == _base64(tags.get("bh", "")), _verify(_base64(tags["b"]), signed, modulus, exponent))


def _canonical_body(body: bytes, method: str) -> bytes:
    """Canonicalize a body, simple or relaxed (RFC 6376 sections 3.4.3 and 3.4.4)."""
    lines = body.split(b"\r\n")
    if method == "relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if method == "relaxed" else b"\r\n"
    return b"".join(line + b"\r\n" for line in lines)


def _canonical_field(octets: bytes, method: str) -> bytes:
    """Canonicalize a header field, simple or relaxed (RFC 6376 sections 3.4.1 and 3.4.2)."""
    if method == "simple":
        return octets
    name, _, value = octets.partition(b":")
    return name.strip().lower() + b":" + b" ".join(value.split()) + b"\r\n"


def _signed_header(content: bytes, signature: SignatureTags, method: str) -> bytes:
    """Return the header octets that a signature covers: the fields in h=, then the DKIM-Signature field without b=.

    Of several fields with one name, the lowest is taken first (RFC 6376 section 5.4.2).
    """
    left = [(name, octets) for name, octets in header_of(content) if octets != signature.octets]
    signed = b""
    for name in signature.tags.get("h", "").lower().split(":"):
        at = max((at for at, (each, _) in enumerate(left) if each == name), default=None)
        if at is not None:
            signed += _canonical_field(left.pop(at)[1], method)
    own = re.sub(rb"([;:][ \t\r\n]*b[ \t\r\n]*=)[^;]*", rb"\1", signature.octets)
    own = own if own.endswith(b"\r\n") else own + b"\r\n"
    return signed + _canonical_field(own, method).removesuffix(b"\r\n")


def _verify(value: bytes, signed: bytes, modulus: int, exponent: int) -> bool:
    """Return True if an RSA signature is valid (RFC 8017 section 8.2.2)."""
    size = (modulus.bit_length() + 7) // 8
    number = int.from_bytes(value, "big")
    if len(value) != size or number >= modulus:
        return False
    ending = b"\0" + SHA256_PREFIX + hashlib.sha256(signed).digest()
    return pow(number, exponent, modulus).to_bytes(size, "big") == (b"\0\1" + ending.rjust(size - 2, b"\xff"))


def _public_key(key_record: str) -> tuple[int, int]:
    """Return (modulus, exponent) of the RSA key in a key record (RFC 6376 section 3.6.1, RFC 8017 appendix A.1.1)."""
    tags = tag_list(key_record)
    if tags.get("v", "DKIM1") != "DKIM1" or tags.get("k", "rsa") != "rsa" or not tags.get("p"):
        raise UnreadableSignature(f"no RSA key in {key_record[:40]!r}")
    info = _value(_base64(tags["p"]), SEQUENCE)[0]
    _, after = _value(info, SEQUENCE)
    bits = _value(after, BIT_STRING)[0]
    key = _value(bits[1:], SEQUENCE)[0]
    modulus, rest = _value(key, INTEGER)
    exponent, _ = _value(rest, INTEGER)
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def _value(octets: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return (content of the first DER element, octets after it).

    Raises UnreadableSignature if the element has another tag than `tag`.
    """
    if len(octets) < 2 or octets[0] != tag:
        raise UnreadableSignature("the key is not a SubjectPublicKeyInfo of RSA")
    length, start = octets[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(octets[2:start], "big")
    return octets[start : start + length], octets[start + length :]


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise UnreadableSignature(f"{text[:20]!r}... is not base64") from None
