"""ENVELOPE: what a header says, taken apart (RFC 3501 section 7.4.2)."""

from collections.abc import Sequence

from services.mail.imap.writing import NIL, nstring, parenthesized
from services.mail.mime.addresses import Address, parse_addresses
from services.mail.mime.header import Header


def envelope(header: Header) -> bytes:
    """Return the ENVELOPE of a message with this header."""
    sender = _addresses(header, b"from")
    lists = [sender]
    # RFC 3501 section 7.4.2: Sender and Reply-To are From's where they are not there or empty.
    lists += [_addresses(header, name) or sender for name in (b"sender", b"reply-to")]
    lists += [_addresses(header, name) for name in (b"to", b"cc", b"bcc")]
    return parenthesized(
        [
            nstring(header.exact(b"date")),
            nstring(header.first(b"subject")),
            *(_address_list(one) for one in lists),
            nstring(header.exact(b"in-reply-to")),
            nstring(header.exact(b"message-id")),
        ]
    )


def _addresses(header: Header, name: bytes) -> list[Address]:
    value = b",".join(header.all(name))
    return parse_addresses(value)


def _address_list(addresses: Sequence[Address]) -> bytes:
    if not addresses:
        return NIL
    return b"(" + b"".join(_address(one) for one in addresses) + b")"


def _address(one: Address) -> bytes:
    return parenthesized(nstring(part) for part in (one.name, one.route, one.mailbox, one.host))
