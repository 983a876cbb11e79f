"""Substring search in header fields and text parts, for SEARCH (RFC 3501 section 6.4.4).

Encoded words and transfer encodings are decoded first. Text is compared after case folding and Unicode decomposition
(fold()), close to i;unicode-casemap (RFC 5051). No regular expressions: the time is linear in the message size.
"""

import unicodedata
from collections.abc import Iterator

from lab7.services.mail.imap.session_state import CachedMessage
from lab7.services.mail.mime.addresses import MISSING_HOST, MISSING_MAILBOX, parse_addresses
from lab7.services.mail.mime.header import Field
from lab7.services.mail.mime.structure import Part
from lab7.services.mail.mime.words import decode_transfer, decode_words, text_of


def fold(text: str) -> str:
    """Return text in lower case and decomposed (NFKD), for comparison regardless of case and Unicode composition."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKD", text).lower()


def header_contains(content: CachedMessage, name: bytes, needle: str) -> bool:
    """Return True if a field with this lower-case name contains `needle`, which fold() has folded.

    An empty needle matches any such field.
    """
    fields = (field for field in content.header.fields if field.name == name)
    return any(needle in fold(value) for field in fields for value in _values(field))


def addresses_contain(content: CachedMessage, name: bytes, needle: str) -> bool:
    """Return True if an address field contains `needle`, which fold() has folded.

    Each address is compared as received and as `name <mailbox@host>`.
    """
    addresses = _formatted_addresses(content, name)
    return header_contains(content, name, needle) or any(needle in fold(address) for address in addresses)


def _formatted_addresses(content: CachedMessage, name: bytes) -> Iterator[str]:
    """Yield each address of a field as `name <mailbox@host>`, without quoting and comments."""
    for address in parse_addresses(b",".join(content.header.all(name))):
        if address.mailbox not in (None, MISSING_MAILBOX) and address.host not in (None, MISSING_HOST):
            yield decode_words(b"%b <%b@%b>" % (address.name or b"", address.mailbox, address.host)).lstrip()


def body_contains(content: CachedMessage, needle: str) -> bool:
    """Return True if a text part contains `needle`, folded by fold(); headers of parts are not searched."""
    return any(needle in fold(text) for part in _parts(content.root) for text in _text(content.octets, part))


def text_contains(content: CachedMessage, needle: str) -> bool:
    """Return True if the body, the header or the header of a part contains `needle`, folded by fold()."""
    lines = (line for part in _parts(content.root) for line in _header_lines(part))
    return any(needle in fold(line) for line in lines) or body_contains(content, needle)


def _header_lines(part: Part) -> Iterator[str]:
    for field in part.header.fields:
        for value in _values(field):
            yield f"{field.raw.partition(b':')[0].decode('utf-8', 'replace')}: {value}"


def _values(field: Field) -> Iterator[str]:
    """Yield the decoded value of a field twice: unfolded with one space per fold, and with the original white space."""
    value = field.value
    yield decode_words(value)
    if b"\n" in field.raw and field.exact != value:
        yield decode_words(field.exact)


def _parts(root: Part) -> Iterator[Part]:
    pending = [root]
    while pending:
        part = pending.pop()
        yield part
        if part.message is not None:
            pending.append(part.message)
        pending += reversed(part.children)


def _text(octets: bytes, part: Part) -> Iterator[str]:
    is_text = part.type_and_subtype[0].lower() in (b"text", b"message")
    if is_text and part.message is None and not part.is_multipart:
        body = octets[part.body_begin : part.body_end]
        encoding = part.header.first(b"content-transfer-encoding")
        yield text_of(decode_transfer(body, encoding), part.content_type.get(b"charset"))
