"""Evaluation of HTTP preconditions: 304, 412 or proceed (RFC 9110 section 13).

    >>> fields, current = Fields(((b"If-None-Match", b'"v1"'),)), Validators(b'"v1"', 784111777)
    >>> precondition_status(b"GET", fields, current, now=784111800)
    304

All of section 13 is implemented; fields that do not apply to a method are ignored (section 13.2.1).
"""

import re
from dataclasses import dataclass

from lab7.services.http.fields import Fields, parse_date

CONDITIONAL_NAMES = frozenset(
    (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range")
)

# RFC 9110 section 8.8.3
_ENTITY_TAG = rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"'
_TAG = re.compile(_ENTITY_TAG)
_TAG_LIST = re.compile(rb"[ \t,]*+%b(?>(?:[ \t]*+,[ \t,]*+%b)*)[ \t,]*+" % (_ENTITY_TAG, _ENTITY_TAG))


@dataclass(frozen=True, slots=True)
class Validators:
    """Validators of a representation: entity tag with its quotes, Last-Modified in whole seconds since 1970 UTC."""

    entity_tag: bytes
    last_modified: int


def precondition_status(method: bytes, fields: Fields, current: Validators, now: float) -> int | None:
    """Evaluate the preconditions in the order of RFC 9110 section 13.2.2; return 304, 412, or None to proceed."""
    is_read = method in (b"GET", b"HEAD")
    # Steps 1 and 2
    if (if_match := fields.get(b"if-match")) is not None:
        if not _matches(if_match, current.entity_tag, strongly=True):
            return 412
    elif (date := _date(fields, b"if-unmodified-since", now)) is not None and current.last_modified > date:
        return 412
    # Step 3
    if (if_none_match := fields.get(b"if-none-match")) is not None:
        if _matches(if_none_match, current.entity_tag, strongly=False):
            return 304 if is_read else 412
        return None
    # RFC 9110 section 13.2.2 step 4, section 13.1.3: If-Modified-Since applies to GET and HEAD only.
    if is_read and (date := _date(fields, b"if-modified-since", now)) is not None:
        return 304 if current.last_modified <= date else None
    return None


def range_applies(fields: Fields, current: Validators, now: float) -> bool:
    """Return whether If-Range permits the Range field (RFC 9110 sections 13.1.5 and 13.2.2 step 5)."""
    values = fields.get_all(b"if-range")
    if not values:
        return True
    if len(values) > 1:
        return False
    if _TAG.fullmatch(values[0]):
        return is_same_tag(values[0], current.entity_tag, strongly=True)
    # RFC 9110 section 8.8.2.2: a date of the current second is weak, since the file may change again within it.
    return int(now) > current.last_modified == parse_date(values[0], now)


def is_entity_tag(value: bytes) -> bool:
    """Return whether `value` is an entity tag, weak or strong (RFC 9110 section 8.8.3)."""
    return _TAG.fullmatch(value) is not None


def entity_tags(value: bytes) -> list[bytes] | None:
    """Parse the entity tags of If-Match or If-None-Match; return None unless the value is a list of entity tags."""
    return None if _TAG_LIST.fullmatch(value) is None else _TAG.findall(value)


def _date(fields: Fields, name: bytes, now: float) -> int | None:
    """Parse an HTTP-date field into seconds since 1970 UTC; return None, and thus ignore it, if absent or invalid."""
    value = fields.get(name)
    return None if value is None else parse_date(value, now)


def _matches(value: bytes, entity_tag: bytes, strongly: bool) -> bool:
    """Return whether "*" or a list of entity tags matches a tag (RFC 9110 sections 13.1.1 and 13.1.2).

    An invalid value, which these sections leave undefined, matches no tag, even if it contains well-formed tags. This
    is safe: If-Match is false (412), and If-None-Match is true (the request proceeds).
    """
    if value == b"*":
        return True
    return any(is_same_tag(tag, entity_tag, strongly) for tag in entity_tags(value) or ())


def is_same_tag(tag: bytes, other: bytes, strongly: bool) -> bool:
    """Return whether two entity tags are equal by strong or weak comparison (RFC 9110 section 8.8.3.2)."""
    if strongly:
        return tag == other and not tag.startswith(b"W/")
    return tag.removeprefix(b"W/") == other.removeprefix(b"W/")
