"""Sort keys of messages for IMAP SORT (RFC 5256 section 3, RFC 5957), compared by i;unicode-casemap (RFC 5051).

The keys are computed from the header; it is read once per message.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.mail.imap.session_state import CachedMessage, View
from lab7.services.mail.imap.syntax.base_subject import base_subject
from lab7.services.mail.imap.syntax.dates import sent_time
from lab7.services.mail.mime.addresses import MISSING_HOST, Address, parse_addresses
from lab7.services.mail.mime.words import decode_words

# Value of a sort key: text as its casemapped octets, or a number.
SortValue = bytes | float


def casemap(text: str) -> bytes:
    """Return the octets by which i;unicode-casemap compares a text (RFC 5051 section 2): title case, decomposed."""
    if text.isascii():
        return text.upper().encode("ascii")
    return unicodedata.normalize("NFKD", "".join(character.title() for character in text)).encode("utf-8", "replace")


def sent_at(view: View, content: CachedMessage) -> float:
    """Return the sent date (Date field), else the internal date, in seconds since 1970 UTC (RFC 5256 section 2.2)."""
    seconds = sent_time(content.header.first(b"date"))
    return view.folder.date(content.uid) if seconds is None else seconds


def subject_of(content: CachedMessage) -> str:
    """Return the decoded Subject of a message."""
    return decode_words(content.header.first(b"subject") or b"")


def _first_address(content: CachedMessage, name: bytes) -> Address | None:
    value = content.header.first(name)
    addresses = parse_addresses(value, to_error=True) if value is not None else []
    return addresses[0] if addresses else None


def _mailbox(content: CachedMessage, name: bytes) -> bytes:
    """Return the casemapped mailbox of a field's first address (addr-mailbox of ENVELOPE), b"" without an address."""
    address = _first_address(content, name)
    return casemap(decode_words(address.mailbox or b"")) if address is not None else b""


def _display(content: CachedMessage, name: bytes) -> bytes:
    """Return the display name of a field's first address, or mailbox@host if it has none (RFC 5957 section 3)."""
    address = _first_address(content, name)
    if address is None:
        return b""
    if address.name:
        return casemap(decode_words(address.name))
    host = b"" if address.host in (None, MISSING_HOST) else b"@%b" % address.host
    return casemap(decode_words((address.mailbox or b"") + host))


SORT_KEYS: dict[bytes, Callable[[View, CachedMessage], SortValue]] = {
    b"ARRIVAL": lambda view, content: view.folder.date(content.uid),
    b"CC": lambda _view, content: _mailbox(content, b"cc"),
    b"DATE": sent_at,
    b"FROM": lambda _view, content: _mailbox(content, b"from"),
    b"SIZE": lambda view, content: view.folder.size_octets(content.uid),
    b"SUBJECT": lambda _view, content: casemap(base_subject(subject_of(content)).text),
    b"TO": lambda _view, content: _mailbox(content, b"to"),
    b"DISPLAYFROM": lambda _view, content: _display(content, b"from"),
    b"DISPLAYTO": lambda _view, content: _display(content, b"to"),
}


@dataclass(frozen=True, slots=True)
class SortCriterion:
    """One criterion of SORT: a sort key, in descending order if `reverse` is True."""

    key: bytes
    reverse: bool

    def value(self, view: View, content: CachedMessage) -> SortValue:
        """Return the value of the sort key for a message; raise MessageGoneError and OSError."""
        return SORT_KEYS[self.key](view, content)
