"""Flags as a client may write them (RFC 3501 sections 2.3.2 and 9)."""

from services.mail.imap.errors import BadError
from services.mail.imap.reader import Reader
from services.mail.maildir.folder import SYSTEM_FLAGS

_SYSTEM = {flag.upper(): flag for flag in SYSTEM_FLAGS}


def read_flag(reader: Reader) -> str:
    """Read a flag and return it as this server writes it; raises BadError."""
    flag = reader.flag().decode("ascii")
    if not flag.startswith("\\"):
        return flag
    known = _SYSTEM.get(flag.upper())
    if known is None:
        # \\Recent is the server's alone, and no others are defined.
        raise BadError(f"A client cannot set {flag}.")
    return known


def read_flags(reader: Reader) -> frozenset[str]:
    """Read a list of flags, with parentheses or without."""
    if reader.next_is(b"("):
        return frozenset(reader.in_parentheses(lambda: read_flag(reader), may_be_empty=True))
    found = [read_flag(reader)]
    while reader.try_take(b" "):
        found.append(read_flag(reader))
    return frozenset(found)
