"""How values are written in responses (RFC 3501 section 9)."""

import re
from collections.abc import Iterable

from services.mail.imap.syntax.reader import ASTRING_CHARS

# What a quoted string may hold, and how long one is written: clients keep lines of some kilobytes at most.
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_QUOTED_OCTETS = 1024
NIL = b"NIL"
_SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
_ORDER = {flag: place for place, flag in enumerate(_SYSTEM_FLAGS)} | {"\\*": len(_SYSTEM_FLAGS) + 1}


def string(octets: bytes) -> bytes:
    """Return a string, quoted where that can be and as a literal elsewhere."""
    if len(octets) <= _QUOTED_OCTETS and _QUOTABLE.match(octets):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return literal(octets)


def literal(octets: bytes) -> bytes:
    """Return a literal."""
    # RFC 3501 section 9: CHAR8 has no NUL; a message on the disk may, and its length is to stay.
    if b"\0" in octets:
        octets = octets.replace(b"\0", b"\x80")
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """Return a string or NIL."""
    return NIL if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """Return a string, as it is where it needs no quotes."""
    if ASTRING_CHARS.fullmatch(octets) and octets.upper() != NIL:
        return octets
    return string(octets)


def mailbox(name: str) -> bytes:
    """Return a mailbox's name."""
    return astring(name.encode("ascii", "replace"))


def parenthesized(items: Iterable[bytes]) -> bytes:
    """Return a list."""
    return b"(" + b" ".join(items) + b")"


def flag_list(flags: Iterable[str]) -> bytes:
    """Return flags, those of the system first, in the order in which RFC 3501 section 2.3.2 has them."""
    ordered = sorted(flags, key=lambda flag: (_ORDER.get(flag, len(_SYSTEM_FLAGS)), flag))
    return parenthesized(flag.encode("ascii", "replace") for flag in ordered)
