"""What a file holds that describes one stored response: one line that guards the rest, then one JSON object.

    lab7-stored 1 000001c9 8d3f10ab
    {"name": "000000000000002a", "uri": "http://www.example.com/", "method": "GET", ...}

The numbers are the format's version, and in hexadecimal the JSON's length in octets and its CRC-32. The JSON carries
the content's length and CRC-32, so that a content is believed only where it is the one that was stored. Octets are
written as text of ISO 8859-1, one character each.

A CRC-32 finds every damage of up to 32 bits in a row, and of any other all but one in 2^32. It is no protection from
somebody who writes into the directory.
"""

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

from services.http.cache.stored import ContentSpan, StoredResponse
from services.http.fields import FieldLine, Fields
from services.http.messages import Response
from services.http.storage.limits import HEAD_OCTETS

# To be raised whenever what is written changes: what another version wrote is not read.
VERSION = 1
_GUARD = b"lab7-stored %d %%08x %%08x\n" % VERSION
NAME = re.compile(r"[0-9a-f]{16}")


class FormatError(ValueError):
    """A head is torn, damaged, or of another version."""


@dataclass(frozen=True, slots=True)
class Head:
    """A stored response and the CRC-32 of its content."""

    stored: StoredResponse
    checksum: int


def encode_head(head: Head) -> bytes:
    """Return the octets of a head's file; `stored.size_octets` and `stored.name` are known by now."""
    stored, response = head.stored, head.stored.response
    span = stored.span
    record = {
        "name": stored.name,
        "uri": _text(stored.uri),
        "method": _text(stored.method),
        "request_fields": _lines(stored.request_fields),
        "request_time": stored.request_time,
        "response_time": stored.response_time,
        "status": response.status,
        "reason": None if response.reason is None else _text(response.reason),
        "version": list(response.version),
        "fields": _lines(response.fields),
        "size_octets": stored.size_octets,
        "span": None if span is None else [span.first, span.last, span.complete_length],
        "checksum": head.checksum,
    }
    octets = json.dumps(record).encode("ascii")
    return _guard(octets) + octets


def decode_head(octets: bytes) -> Head:
    """Return what encode_head() was given; raises FormatError for anything that it does not write."""
    guard, line_end, rest = octets.partition(b"\n")
    # Compared as a whole and not parsed: of all ways to write the numbers one alone is right.
    if len(octets) > HEAD_OCTETS or guard + line_end != _guard(rest):
        raise FormatError("the head is damaged, or of another version")
    try:
        return _head(json.loads(rest))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise FormatError(f"the head lacks something: {error!r}") from error


def _guard(octets: bytes) -> bytes:
    return _GUARD % (len(octets), zlib.crc32(octets))


def _head(record: dict[str, Any]) -> Head:
    response = Response(
        status=_integer(record["status"]),
        fields=_fields(record["fields"]),
        reason=None if record["reason"] is None else _octets(record["reason"]),
        version=_version(*record["version"]),
    )
    stored = StoredResponse(
        uri=_octets(record["uri"]),
        method=_octets(record["method"]),
        request_fields=_fields(record["request_fields"]),
        request_time=float(record["request_time"]),
        response_time=float(record["response_time"]),
        response=response,
        size_octets=_integer(record["size_octets"]),
        span=None if record["span"] is None else _span(*record["span"]),
        name=_name(record["name"]),
    )
    return Head(stored, _integer(record["checksum"]))


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _lines(fields: Fields) -> list[tuple[str, str]]:
    return [(_text(name), _text(value)) for name, value in fields]


def _octets(value: Any) -> bytes:
    octets: bytes = value.encode("latin-1")
    return octets


def _fields(lines: Any) -> Fields:
    return Fields(tuple(_line(*line) for line in lines))


def _line(name: Any, value: Any) -> FieldLine:
    return _octets(name), _octets(value)


def _integer(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number of this format")
    return value


def _version(major: Any, minor: Any) -> tuple[int, int]:
    return _integer(major), _integer(minor)


def _span(first: Any, last: Any, complete_length: Any) -> ContentSpan:
    length = None if complete_length is None else _integer(complete_length)
    return ContentSpan(_integer(first), _integer(last), length)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name of an entry")
    return value
