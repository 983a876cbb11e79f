"""Parser of address lists for IMAP's ENVELOPE (RFC 5322 section 3.4; RFC 3501 section 7.4.2).

    parse_addresses(b"Ann <ann@example.org>, friends: bob@example.org;") ==
        [Address(b"Ann", None, b"ann", b"example.org"), Address(None, None, b"friends", None),
         Address(None, None, b"bob", b"example.org"), Address(None, None, None, None)]

As in ENVELOPE, an address without a domain begins a group, here `friends`, and one without any value ends it.
"""

from dataclasses import dataclass

from lab7.services.mail.mime.lexer import Lexer
from lab7.services.mail.mime.limits import ADDRESSES_MAX

# RFC 3501 section 7.4.2: a NIL host denotes a group, so that an address without a host gets this placeholder.
MISSING_HOST = b"MISSING_DOMAIN"
MISSING_MAILBOX = b"MISSING_MAILBOX"


@dataclass(frozen=True, slots=True)
class Address:
    """An address with the four parts of IMAP's ENVELOPE (RFC 3501 section 7.4.2).

    An Address without a host marks a group: `mailbox` is the group's name where the group starts, and None where it
    ends.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


def parse_addresses(octets: bytes, to_error: bool = False) -> list[Address]:
    """Parse an address list; malformed parts are parsed as far as possible.

    If `to_error` is True, the list ends at the first octet that cannot follow an address, and the rest of the field is
    ignored, as in Dovecot's ENVELOPE.
    """
    lexer = Lexer(octets)
    addresses: list[Address] = []
    in_group = False
    # Offset up to which words are known to begin no group or display name: every word is parsed once (linear time).
    barren = 0
    separated = True
    while len(addresses) < ADDRESSES_MAX:
        lexer.skip_blanks()
        if lexer.at_end:
            break
        if lexer.accept(b","):
            separated = True
            continue
        if to_error and not (separated or (in_group and lexer.next_is(b";"))):
            break
        separated = False
        if lexer.accept(b";"):
            if in_group:
                addresses.append(Address(None, None, None, None))
                in_group = False
            continue
        begin = lexer.place
        name = _phrase(lexer) if begin >= barren else None
        if name is not None and not in_group and lexer.accept(b":"):
            addresses.append(Address(None, None, name, None))
            in_group = separated = True
        elif lexer.accept(b"<"):
            addresses.append(_in_angles(lexer, name))
        else:
            barren = max(barren, lexer.place)
            lexer.place = begin
            address = _bare(lexer)
            if to_error and lexer.place < barren:
                # Several words without an address form a display name, so the mailbox and host get placeholders.
                lexer.place, address = barren, Address(name, None, MISSING_MAILBOX, MISSING_HOST)
            addresses.append(address)
    if in_group:
        addresses.append(Address(None, None, None, None))
    return addresses


def _phrase(lexer: Lexer) -> bytes | None:
    """Parse a phrase (words and dots); return the words joined by single spaces, None if there are none."""
    pieces: list[bytes] = []
    glued = True
    while True:
        word = lexer.word()
        if word is None and pieces and lexer.accept(b"."):
            word = b"."
            glued = True
        if word is None:
            return b"".join(pieces) if pieces else None
        pieces.append(word if glued else b" " + word)
        glued = not lexer.skip_blanks()


def _bare(lexer: Lexer) -> Address:
    """Parse an address without angle brackets; a comment after it becomes the display name."""
    begin = lexer.place
    lexer.comment = None
    mailbox = _local_part(lexer)
    host = _host(lexer) if lexer.accept(b"@") else None
    lexer.skip_blanks()
    comment = lexer.comment
    if mailbox is None and host is None:
        # Skip an invalid octet, so that the loop makes progress.
        lexer.place = max(lexer.place, begin + 1)
    return Address(comment, None, mailbox or MISSING_MAILBOX, host or MISSING_HOST)


def _in_angles(lexer: Lexer, name: bytes | None) -> Address:
    lexer.skip_blanks()
    route = _route(lexer)
    mailbox = _local_part(lexer)
    host = _host(lexer) if lexer.accept(b"@") else None
    lexer.skip_blanks()
    while not lexer.at_end and not lexer.accept(b">"):
        lexer.place += 1
    return Address(name, route, mailbox or MISSING_MAILBOX, host or MISSING_HOST)


def _route(lexer: Lexer) -> bytes | None:
    """Parse an obs-route such as `@a,@b:` (RFC 5322 section 4.4); return None if there is none."""
    begin = lexer.place
    hosts = []
    while lexer.accept(b"@"):
        hosts.append(b"@" + (_host(lexer) or b""))
        lexer.skip_blanks()
        while lexer.accept(b","):
            lexer.skip_blanks()
    if hosts and lexer.accept(b":"):
        lexer.skip_blanks()
        return b",".join(hosts)
    lexer.place = begin
    return None


def _local_part(lexer: Lexer) -> bytes | None:
    """Parse a local part: words and dots, with white space around dots (obs-local-part); return None without a word."""
    pieces: list[bytes] = []
    while True:
        word = lexer.quoted() if lexer.next_is(b'"') else lexer.dot_atom()
        if word is None:
            break
        pieces.append(word)
        lexer.skip_blanks()
        # A blank without a dot before or after it ends the local part.
        if not (word.endswith(b".") or lexer.next_is(b".")):
            break
    return b"".join(pieces) or None


def _host(lexer: Lexer) -> bytes | None:
    lexer.skip_blanks()
    literal = lexer.domain_literal()
    if literal is not None:
        return literal
    return _local_part(lexer)
