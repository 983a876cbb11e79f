"""Decoder of message parts for FETCH BINARY: the content without its transfer encoding (RFC 3516 section 4.3)."""

import binascii
import re

from lab7.services.mail.imap.errors import NoError
from lab7.services.mail.imap.syntax.fetch_items import Section, section_octets
from lab7.services.mail.mime.parameters import parse_parametric
from lab7.services.mail.mime.structure import Part, find
from lab7.services.mail.mime.words import decode_transfer

_IDENTITY = frozenset((b"", b"7bit", b"8bit", b"binary"))
_DECODED = frozenset((b"base64", b"quoted-printable"))
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]*=*\s*")


def binary_octets(octets: bytes, root: Part, section: Section) -> bytes | None:
    """Return the decoded content of a BINARY section, None if the message has no such part.

    The content is complete: the caller cuts out the octet range of a partial fetch. Raises NoError with UNKNOWN-CTE if
    the transfer encoding is unknown or the content is invalid in it.
    """
    part = find(root, list(section.numbers))
    if part is None or section.text or part.is_multipart or part.message is not None:
        # Headers and composite parts have no encoding (RFC 2045 section 6.4).
        return section_octets(octets, root, section)
    if not section.numbers:
        return octets
    content = octets[part.body_begin : part.body_end]
    encoding = parse_parametric(part.header.first(b"content-transfer-encoding") or b"").value.lower()
    if encoding in _IDENTITY:
        return content
    if encoding not in _DECODED or (encoding == b"base64" and not _is_base64(content)):
        raise NoError("The transfer encoding cannot be decoded.", "UNKNOWN-CTE")
    return decode_transfer(content, encoding)


def _is_base64(content: bytes) -> bool:
    if not _BASE64.fullmatch(content):
        return False
    try:
        binascii.a2b_base64(content)
    except binascii.Error:
        return False
    return True
