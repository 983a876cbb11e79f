"""Which requests a stored response answers: the fields that its Vary names (RFC 9111 section 4.1).

    >>> selecting(Fields(((b"Accept-Language", b"de;q=0.50 , EN"),)), (b"accept-language",))
    (b'de;q=0.5,en',)

Values that the field's own definition makes the same are the same here: white space and empty members of lists, lines
that combine, and for the fields of content negotiation (RFC 9110 section 12.5) also case, order and the ways to write
a weight. Left out: ranking stored responses by weights, which section 4.1 permits; the most recent one is chosen.
"""

import re
from functools import lru_cache

from services.http.cache.stored import StoredResponse
from services.http.fields import Fields
from services.http.syntax import is_token, list_members

VALUES_KEPT = 4096

# RFC 9110 sections 12.5.1 to 12.5.4 and 10.1.4: members with weights, whose order says nothing. In Accept the value of
# a media type's parameter may be case-sensitive (section 8.3.1).
_NEGOTIATED = frozenset((b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"te"))
# Fields that are no lists: a comma in them is part of the value, and so is the white space beside it.
_SINGLE = frozenset(
    (
        b"authorization",
        b"cookie",
        b"date",
        b"from",
        b"host",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"origin",
        b"range",
        b"referer",
        b"user-agent",
    )
)
_AROUND_MARKS = re.compile(rb"[ \t]*+([;=])[ \t]*+")
_WEIGHT = re.compile(rb";q=([01])(?:\.(\d{0,3}))?(?=;|$)", re.IGNORECASE)
_PARAMETER = re.compile(rb";([^;=]*+)")


def nominated(fields: Fields) -> tuple[bytes, ...] | None:
    """Return the lower-case names in a response's Vary, sorted; None where it has "*" or what is no field name."""
    value = fields.get(b"vary")
    return () if value is None else _names(value)


@lru_cache(maxsize=VALUES_KEPT)
def _names(value: bytes) -> tuple[bytes, ...] | None:
    names = set(list_members(value.lower()))
    # RFC 9110 section 12.5.5: "*" stands for anything, the client's address too. No name can be made of a bad one.
    return None if b"*" in names or not all(map(is_token, names)) else tuple(sorted(names))


def selecting(fields: Fields, names: tuple[bytes, ...]) -> tuple[bytes | None, ...]:
    """Return a request's values of the named fields, normalised; None for a field that is absent."""
    values = ((name, fields.get(name)) for name in names)
    return tuple(None if value is None else normalised_value(name, value) for name, value in values)


@lru_cache(maxsize=VALUES_KEPT)
def normalised_value(name: bytes, value: bytes) -> bytes:
    """Return a field's combined value so that two that mean the same are the same octets (RFC 9111 section 4.1)."""
    if name in _SINGLE:
        return value.strip(b" \t")
    members = list_members(value)
    if name in _NEGOTIATED:
        members = sorted(_member(name, member) for member in members)
    return b",".join(members)


def _member(name: bytes, member: bytes) -> bytes:
    member = _AROUND_MARKS.sub(rb"\1", member)
    if name == b"accept":
        kind, mark, rest = member.partition(b";")
        member = kind.lower() + _PARAMETER.sub(lambda match: match[0].lower(), mark + rest)
    else:
        member = member.lower()
    return _WEIGHT.sub(_weight, member)


def _weight(match: re.Match[bytes]) -> bytes:
    """RFC 9110 section 12.4.2: 1 without a weight, and zeros at the end say nothing."""
    decimals = (match[2] or b"").rstrip(b"0")
    if match[1] == b"1" and not decimals:
        return b""
    return b";q=%b.%b" % (match[1], decimals) if decimals else b";q=" + match[1]


def answers(stored: StoredResponse, fields: Fields) -> bool:
    """Tell whether a request with these fields is one that Vary lets a stored response answer."""
    names = nominated(stored.response.fields)
    if names is None:
        return False
    return not names or selecting(stored.request_fields, names) == selecting(fields, names)


def same_key(old: StoredResponse, new: StoredResponse) -> bool:
    """Tell whether storing `new` makes `old`, of the same URI and method, go.

    It does where `old` would answer the request that brought `new`. Two parts of one representation that are not one
    piece stay side by side.
    """
    if not answers(old, new.request_fields):
        return False
    if new.span is None or old.span is None or not _is_same_representation(old, new):
        return True
    return new.span.first <= old.span.first and old.span.last <= new.span.last


def _is_same_representation(old: StoredResponse, new: StoredResponse) -> bool:
    tag = new.response.fields.get(b"etag")
    return tag is not None and tag.startswith(b'"') and tag == old.response.fields.get(b"etag")
