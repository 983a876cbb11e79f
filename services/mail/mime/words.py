"""Decoder of encoded words (RFC 2047), transfer encodings (RFC 2045 section 6) and character sets."""

import base64
import binascii
import codecs
import quopri
import re

from lab7.services.mail.mime.limits import FIELD_OCTETS_MAX
from lab7.services.mail.mime.parameters import parse_parametric

_ENCODED_WORD = re.compile(rb"=\?([^?*\s]{1,40})(?:\*[^?\s]{1,40})?\?([BbQq])\?([^?\s]*)\?=")
_BETWEEN = re.compile(rb"(\?=)[ \t\r\n]+(=\?)")
# Python codecs that are refused, because they are no character sets; the first two take quadratic time.
_NO_CHARSETS = frozenset(("punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"))
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


# _SUPERSETS maps a declared character set to the superset by which mail is decoded (WHATWG Encoding Standard).
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
}
# Names of character sets that Python lacks, each with the Python codec that decodes the character set.
_CODECS = {
    "windows-31j": "cp932",
    "windows-932": "cp932",
    "sjis": "cp932",
    "windows-949": "cp949",
    "windows-936": "gb18030",
    "windows-950": "cp950",
    "windows-874": "cp874",
    "dos-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
    "visual": "iso8859-8",
    "logical": "iso8859-8",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "koi8-ru": "koi8-u",
    "koi8": "koi8-r",
    "koi": "koi8-r",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "mac": "mac_roman",
    "mac-cyrillic": "mac_cyrillic",
    "cn-gb": "gb18030",
    "cn-big5": "big5hkscs",
}


def _codec(charset: bytes) -> str:
    """Return the Python codec for a character set's name in mail; raises LookupError and ValueError if unknown."""
    name = charset.decode("ascii").strip().lower()
    try:
        codec = codecs.lookup(_CODECS.get(name, name)).name
    except LookupError:
        # Names that are not registered with IANA begin with "x-", sometimes twice.
        bare = name.removeprefix("x-").removeprefix("x-")
        codec = codecs.lookup(_CODECS.get(bare, bare)).name
    if codec.replace("-", "_") in _NO_CHARSETS:
        raise LookupError(f"{codec} is not a character set")
    return _SUPERSETS.get(codec, codec)


def text_of(octets: bytes, charset: bytes | None) -> str:
    """Decode octets of a declared character set; undecodable octets become U+FFFD.

    Octets beyond ASCII without a declared character set are decoded as UTF-8. A declared character set is decoded as
    the superset that mail programs use under its name: ISO-8859-1 as windows-1252, GB2312 as GB18030.
    """
    if charset is None or charset.lower() == b"us-ascii":
        return octets.decode("utf-8", "replace")
    try:
        return octets.decode(_codec(charset), "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def decode_base64(octets: bytes) -> bytes:
    """Decode base64; ignores invalid characters and an incomplete last group."""
    kept = _NOT_BASE64.sub(b"", octets)
    kept = kept[: len(kept) - len(kept) % 4] if len(kept) % 4 == 1 else kept
    try:
        return base64.b64decode(kept + b"=" * (-len(kept) % 4))
    except (binascii.Error, ValueError):
        return b""


def decode_transfer(octets: bytes, encoding: bytes | None) -> bytes:
    """Decode a body by the value of its field Content-Transfer-Encoding (RFC 2045 section 6), which may have comments.

    Returns the octets unchanged if the encoding is unknown.
    """
    name = parse_parametric(encoding or b"").value.lower()
    if name == b"base64":
        return decode_base64(octets)
    if name == b"quoted-printable":
        return quopri.decodestring(octets)
    return octets


def decode_words(value: bytes) -> str:
    """Decode the encoded words (RFC 2047) in a field's value; return the text."""
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
    # RFC 2047 section 4.2: in the "Q" encoding an underscore represents a space.
    return quopri.decodestring(text.replace(b"_", b"=20"))
