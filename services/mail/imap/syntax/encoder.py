"""Encoding of response values: strings, literals, lists, flags (RFC 3501 section 9)."""

import re
from collections.abc import Iterable

from services.mail.imap.syntax.reader import ASTRING_CHARS

# Longer strings are sent as literals: clients limit line lengths to a few kilobytes.
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_QUOTED_OCTETS = 1024
NIL = b"NIL"
_SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
_ORDER = {flag: position for position, flag in enumerate(_SYSTEM_FLAGS)} | {"\\*": len(_SYSTEM_FLAGS) + 1}


def string(octets: bytes) -> bytes:
    """Encode a string, quoted if possible, otherwise as a literal."""
    if len(octets) <= _QUOTED_OCTETS and _QUOTABLE.match(octets):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return literal(octets)


def literal(octets: bytes) -> bytes:
    """Encode a literal."""
    # RFC 3501 section 9: CHAR8 excludes NUL; it is replaced by another octet to keep RFC822.SIZE correct.
    if b"\0" in octets:
        octets = octets.replace(b"\0", b"\x80")
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """Encode a string or NIL."""
    return NIL if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """Encode an astring, as an atom if possible."""
    if ASTRING_CHARS.fullmatch(octets) and octets.upper() != NIL:
        return octets
    return string(octets)


def mailbox(name: str) -> bytes:
    """Encode a mailbox name."""
    return astring(name.encode("ascii", "replace"))


def parenthesized(items: Iterable[bytes]) -> bytes:
    """Encode a parenthesised list."""
    return b"(" + b" ".join(items) + b")"


def flag_list(flags: Iterable[str]) -> bytes:
    """Encode a flag list: system flags in the order of RFC 3501 section 2.3.2, then keywords."""
    ordered = sorted(flags, key=lambda flag: (_ORDER.get(flag, len(_SYSTEM_FLAGS)), flag))
    return parenthesized(flag.encode("ascii", "replace") for flag in ordered)
