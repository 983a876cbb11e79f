"""Encoder of values in IMAP responses: strings, literals, lists, flags (RFC 3501 section 9), identifiers (RFC 8474)."""

import contextlib
import hashlib
import re
from collections.abc import Iterable

from lab7.services.mail.imap.syntax.reader import ASTRING_CHARS
from lab7.services.mail.maildir import folder_names

# Pattern of strings sent as quoted string; other strings, and those above _QUOTED_OCTETS, are sent as literals.
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_QUOTED_OCTETS = 1024
NIL = b"NIL"
_DIGEST_OCTETS = 16
_SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
_ORDER = {flag: position for position, flag in enumerate(_SYSTEM_FLAGS)} | {"\\*": len(_SYSTEM_FLAGS) + 1}


def string(octets: bytes) -> bytes:
    """Encode a `string`: quoted if possible, otherwise as a literal."""
    if len(octets) <= _QUOTED_OCTETS and _QUOTABLE.match(octets):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return literal(octets)


def literal(octets: bytes) -> bytes:
    """Encode a literal: `{size}`, CRLF and the octets."""
    # RFC 3501 section 9: literals exclude NUL; replace NULs by another octet, which keeps RFC822.SIZE correct.
    if b"\0" in octets:
        octets = octets.replace(b"\0", b"\x80")
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """Encode an `nstring`: a string, or NIL for None."""
    return NIL if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """Encode an `astring`: an atom if possible, otherwise a string."""
    if ASTRING_CHARS.fullmatch(octets) and octets.upper() != NIL:
        return octets
    return string(octets)


def mailbox(name: str, utf8: bool = False) -> bytes:
    """Encode a mailbox name in modified UTF-7, or with `utf8` in UTF-8 for IMAP4rev2 (RFC 9051 section 5.1)."""
    if utf8:
        with contextlib.suppress(ValueError):
            octets = folder_names.decode(name).encode("utf-8")
            if octets.isascii():
                return astring(octets)
            return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return astring(name.encode("ascii", "replace"))


def parenthesized(items: Iterable[bytes]) -> bytes:
    """Join encoded items to a parenthesised list."""
    return b"(" + b" ".join(items) + b")"


def flag_list(flags: Iterable[str]) -> bytes:
    """Encode a flag list: system flags in the order of RFC 3501 section 2.3.2, then keywords."""
    ordered = sorted(flags, key=lambda flag: (_ORDER.get(flag, len(_SYSTEM_FLAGS)), flag))
    return parenthesized(flag.encode("ascii", "replace") for flag in ordered)


def literal8(octets: bytes) -> bytes:
    """Encode a literal, as a literal8 if it contains NUL octets (RFC 3516 section 4.4)."""
    return b"~{%d}\r\n%b" % (len(octets), octets) if b"\0" in octets else literal(octets)


def email_id(octets: bytes) -> bytes:
    """Return the EMAILID of a message: a digest of its octets, equal for all copies (RFC 8474 section 5.1)."""
    return b"M" + hashlib.blake2b(octets, digest_size=_DIGEST_OCTETS).hexdigest().encode("ascii")


def mailbox_id(first_uidvalidity: int) -> bytes:
    """Return the MAILBOXID of a mailbox, made from its first UIDVALIDITY.

    This is suitable because a rename keeps it (RFC 8474 section 4), and no two mailboxes of a user have the same.
    """
    return b"F%d" % first_uidvalidity
