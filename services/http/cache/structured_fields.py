"""Structured fields: a parser of Dictionaries, the syntax of targeted cache control (RFC 8941 sections 3.2 and 4.2.2).

    >>> parse_dictionary(b'max-age=60, no-cache="a, b", private;x=1')
    {b'max-age': 60, b'no-cache': b'a, b', b'private': True}

Parameters, such as x=1 above, are validated and ignored (RFC 9213 section 2.1). Left out, since no cache directive uses
them: the values of Inner Lists, Byte Sequences and Decimals, which are validated and returned as OTHER.
"""

import re
from enum import Enum

_KEY = rb"[a-z*][a-z0-9_\-.*]*+"
_INTEGER = rb"-?+[0-9]{1,15}+(?![0-9.])"
_DECIMAL = rb"-?+[0-9]{1,12}\.[0-9]{1,3}(?![0-9.])"
_STRING = rb'"[\x20\x21\x23-\x5b\x5d-\x7e]*+(?>(?:\\["\\][\x20\x21\x23-\x5b\x5d-\x7e]*+)*)"'
_TOKEN = rb"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+"
_BYTES = rb":[A-Za-z0-9+/]*+=*+:"
_BOOLEAN = rb"\?[01]"
_BARE = b"(?:%b)" % b"|".join((_INTEGER, _DECIMAL, _STRING, _TOKEN, _BYTES, _BOOLEAN))
_PARAMETERS = rb"(?>(?:;\x20*+%b(?:=%b)?)*)" % (_KEY, _BARE)
_ITEM = _BARE + _PARAMETERS
_INNER_LIST = rb"\(\x20*+(?:%b(?>(?:\x20++%b)*))?\x20*+\)" % (_ITEM, _ITEM)
_MEMBER = re.compile(
    rb"(?P<key>%b)(?:=(?:(?P<integer>%b)|(?P<string>%b)|(?P<token>%b)|(?P<boolean>%b)|(?P<other>%b|%b|%b)))?%b"
    % (_KEY, _INTEGER, _STRING, _TOKEN, _BOOLEAN, _DECIMAL, _BYTES, _INNER_LIST, _PARAMETERS)
)
# RFC 8941 section 4.2.2: members are separated by a comma with optional white space on both sides.
_COMMA = re.compile(rb"[ \t]*+,[ \t]*+")
_ESCAPED = re.compile(rb'\\(["\\])')


class Kind(Enum):
    """Marker that parse_dictionary() returns in place of a value whose type no cache directive uses."""

    OTHER = "other"


OTHER = Kind.OTHER
Value = int | bytes | bool | Kind


def parse_dictionary(value: bytes) -> dict[bytes, Value] | None:
    """Parse a Dictionary into a dict with values int, bool, bytes (String, Token) or OTHER; return None on a failure.

    Of several members with one key, the last is used (RFC 8941 section 4.2.2 step 2.4). An empty value is an empty
    Dictionary.
    """
    value = value.strip(b" ")
    members: dict[bytes, Value] = {}
    at = 0
    while at < len(value):
        match = _MEMBER.match(value, at)
        if match is None:
            return None
        members[match["key"]] = _value(match)
        if match.end() == len(value):
            return members
        comma = _COMMA.match(value, match.end())
        if comma is None or comma.end() == len(value):
            return None
        at = comma.end()
    return members


def _value(match: re.Match[bytes]) -> Value:
    if match["integer"] is not None:
        return int(match["integer"])
    if match["string"] is not None:
        return _ESCAPED.sub(rb"\1", match["string"][1:-1])
    if match["token"] is not None:
        return match["token"]
    if match["other"] is not None:
        return OTHER
    # RFC 8941 section 3.2: a Dictionary member without a value is the Boolean true.
    return match["boolean"] != b"?0"
