"""Text decoding: encoded words (RFC 2047), transfer encodings (RFC 2045 section 6), character sets."""

import base64
import binascii
import codecs
import quopri
import re

from services.mail.mime.limits import FIELD_OCTETS_MAX

_ENCODED_WORD = re.compile(rb"=\?([^?*\s]{1,40})(?:\*[^?\s]{1,40})?\?([BbQq])\?([^?\s]*)\?=")
_BETWEEN = re.compile(rb"(\?=)[ \t\r\n]+(=\?)")
# Python codecs that are not character sets; the first two need quadratic time.
_NO_CHARSETS = frozenset(("punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"))
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def text_of(octets: bytes, charset: bytes | None) -> str:
    """Decode octets of a character set; undecodable octets become U+FFFD.

    Octets beyond ASCII without a declared character set are decoded as UTF-8.
    """
    if charset is None or charset.lower() == b"us-ascii":
        return octets.decode("utf-8", "replace")
    try:
        codec = codecs.lookup(charset.decode("ascii", "replace")).name
        return octets.decode("utf-8" if codec.replace("-", "_") in _NO_CHARSETS else codec, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def decode_base64(octets: bytes) -> bytes:
    """Decode base64 leniently, as far as it is complete."""
    kept = _NOT_BASE64.sub(b"", octets)
    kept = kept[: len(kept) - len(kept) % 4] if len(kept) % 4 == 1 else kept
    try:
        return base64.b64decode(kept + b"=" * (-len(kept) % 4))
    except (binascii.Error, ValueError):
        return b""


def decode_transfer(octets: bytes, encoding: bytes | None) -> bytes:
    """Decode the Content-Transfer-Encoding of a body."""
    name = (encoding or b"").strip().lower()
    if name == b"base64":
        return decode_base64(octets)
    if name == b"quoted-printable":
        return quopri.decodestring(octets)
    return octets


def decode_words(value: bytes) -> str:
    """Decode the encoded words of a field's value."""
    value = value[:FIELD_OCTETS_MAX]
    if b"=?" not in value:
        return value.decode("utf-8", "replace")
    # RFC 2047 section 6.2: ignore blanks between encoded words.
    value = _BETWEEN.sub(rb"\1\2", value)
    pieces = []
    place = 0
    for match in _ENCODED_WORD.finditer(value):
        pieces.append(value[place : match.start()].decode("utf-8", "replace"))
        pieces.append(text_of(_word_octets(match[2], match[3]), match[1]))
        place = match.end()
    pieces.append(value[place:].decode("utf-8", "replace"))
    return "".join(pieces)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Bb":
        return decode_base64(text)
    # RFC 2047 section 4.2
    return quopri.decodestring(text.replace(b"_", b"=20"))
