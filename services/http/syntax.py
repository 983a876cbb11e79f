"""Common syntax of HTTP fields: tokens, lists, quoted strings (RFC 9110 section 5.6).

    >>> list_members(b'a, "b, c" ,, d')
    [b'a', b'"b, c"', b'd']

Left out: parameters and weights; no field that the origin interprets has them.
"""

import re

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
QUOTED_STRING = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
TOKEN = re.compile(TCHAR + rb"++")

# RFC 9110 section 5.6.1.2: a member ends at a comma outside quotes.
_MEMBER = re.compile(rb'(?:"(?:[^"\\]|\\.)*+"|[^,"]|")++', re.DOTALL)


def is_token(value: bytes) -> bool:
    """Return whether `value` is a token (RFC 9110 section 5.6.2)."""
    return TOKEN.fullmatch(value) is not None


def list_members(value: bytes) -> list[bytes]:
    """Split a list field's combined value into its non-empty members (RFC 9110 section 5.6.1.2)."""
    members = _MEMBER.findall(value) if b'"' in value else value.split(b",")
    return [stripped for member in members if (stripped := member.strip(b" \t"))]


def lower_tokens(value: bytes | None) -> list[bytes]:
    """Return the members of a list of case-insensitive tokens, in lower case; [] for an absent field."""
    return [] if value is None else list_members(value.lower())
