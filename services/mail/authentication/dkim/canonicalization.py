"""DKIM canonicalization of messages, simple and relaxed, and the hashes of body and header (RFC 6376 section 3.4).

simple ignores only empty lines at the end of the body. relaxed also ignores what relays may change: the case of field
names, folding, and the amount of white space. Messages have CRLF line ends.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CRLF = b"\r\n"
SIMPLE, RELAXED = "simple", "relaxed"
METHODS = (SIMPLE, RELAXED)

_BLANKS = re.compile(rb"[ \t]+")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
# A field with its folded lines.
_FIELD = re.compile(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*")
# Pattern of the value of b=, but not of bh=, in a signature field.
_SIGNATURE_VALUE = re.compile(rb"(\A[^:]*:|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header field: the name in lower case, and all octets including the final CRLF."""

    name: str
    octets: bytes

    @property
    def value(self) -> bytes:
        """The octets after the colon, unfolded, without white space at the ends."""
        return _FOLD.sub(b"", self.octets.partition(b":")[2]).strip(b" \t\r\n")


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """The header fields of a message in order, and the body."""

    fields: Sequence[HeaderField]
    body: bytes

    def named(self, name: str) -> list[HeaderField]:
        """Return the header fields with this lower-case name, in the message's order."""
        return [field for field in self.fields if field.name == name]


def parse_message(content: bytes) -> ParsedMessage:
    """Split a message with CRLF line ends into fields and body; lines that are no fields are left out."""
    header, body = split(content)
    fields = [_field(found[0]) for found in _FIELD.finditer(header)]
    return ParsedMessage([field for field in fields if field is not None], body)


def _field(octets: bytes) -> HeaderField | None:
    name, colon, _ = octets.partition(b":")
    return HeaderField(name.rstrip(b" \t").decode("latin-1").lower(), octets) if colon else None


def without_fields(content: bytes, is_removed: Callable[[HeaderField], bool]) -> bytes:
    """Return a message without the header fields for which `is_removed` returns True."""
    header, _ = split(content)

    def kept(found: re.Match[bytes]) -> bytes:
        field = _field(found[0])
        return b"" if field is not None and is_removed(field) else found[0]

    return _FIELD.sub(kept, header) + content[len(header) :]


def split(content: bytes) -> tuple[bytes, bytes]:
    """Split a message into (header section with the CRLF of its last field, body)."""
    if content.startswith(CRLF):
        return b"", content[len(CRLF) :]
    header, blank, body = content.partition(CRLF + CRLF)
    return header if not blank and header.endswith(CRLF) else header + CRLF, body


def canonical_field(octets: bytes, method: str) -> bytes:
    """Canonicalize a header field, simple or relaxed (RFC 6376 sections 3.4.1 and 3.4.2)."""
    if method == SIMPLE:
        return octets
    name, _, value = octets.partition(b":")
    unfolded = _BLANKS.sub(b" ", value.replace(CRLF, b"")).strip(b" ")
    return name.rstrip(b" \t").lower() + b":" + unfolded + CRLF


def canonical_body(body: bytes, method: str) -> bytes:
    """Canonicalize a body, simple or relaxed (RFC 6376 sections 3.4.3 and 3.4.4)."""
    if method == RELAXED:
        lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(CRLF)]
        body = CRLF.join(lines)
    end = len(body)
    while body.endswith(CRLF, 0, end):
        end -= len(CRLF)
    if end:
        return body[:end] + CRLF
    # RFC 6376 sections 3.4.3 and 3.4.4: an empty body becomes one CRLF in simple, and nothing in relaxed.
    return b"" if method == RELAXED else CRLF


class BodyHashes:
    """Hashes of one body for several signatures; each canonicalization is computed once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._canonical: dict[str, bytes] = {}

    def canonical(self, method: str) -> bytes:
        """Return the canonicalized body; `method` is simple or relaxed."""
        if method not in self._canonical:
            self._canonical[method] = canonical_body(self._body, method)
        return self._canonical[method]

    def digest(self, method: str, length: int | None = None) -> bytes | None:
        """Return the SHA-256 hash of the canonicalized body, or of its first `length` octets (l=).

        Returns None if the body is shorter than `length`.
        """
        octets = self.canonical(method)
        if length is None:
            return hashlib.sha256(octets).digest()
        return hashlib.sha256(octets[:length]).digest() if length <= len(octets) else None


def header_octets(fields: Sequence[HeaderField], names: Sequence[str], signature: bytes, method: str) -> bytes:
    """Return the header octets that a signature covers: the named fields, and the signature field without b=.

    If a name occurs several times, its fields are taken from the last to the first (section 5.4.2). A name for which no
    field is left adds no octets; if a field of this name is added to the message later, the signature becomes invalid.
    """
    left: dict[str, list[HeaderField]] = {}
    for field in fields:
        left.setdefault(field.name, []).append(field)
    chosen = []
    for name in names:
        if left.get(name.lower()):
            chosen.append(canonical_field(left[name.lower()].pop().octets, method))
    # RFC 6376 section 3.7: the signature field comes last, without its final CRLF.
    own = canonical_field(_SIGNATURE_VALUE.sub(rb"\1\2", signature, count=1), method)
    return b"".join(chosen) + own.removesuffix(CRLF)
