"""File format of a stored response's metadata: a line with version, length and CRC-32, then one JSON object.

    lab7-stored 1 000001c9 8d3f10ab
    {"name": "000000000000002a", "uri": "http://www.example.com/", "method": "GET", ...}

The numbers are the format's version and, in hexadecimal, the length of the JSON in octets and its CRC-32. The JSON has
the length and CRC-32 of the content, which are verified before the content is used. Octets are encoded as ISO 8859-1
text.

A CRC-32 detects every burst error of up to 32 bits, and all but one in 2^32 of other errors. It does not protect from
deliberate changes of the files.
"""

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

from lab7.services.http.cache.stored import ContentSpan, StoredResponse
from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.messages import Response
from lab7.services.http.storage.limits import HEAD_OCTETS

# Increase the version with every change of the format: files of other versions are not read.
VERSION = 1
_GUARD = b"lab7-stored %d %%08x %%08x\n" % VERSION
NAME = re.compile(r"[0-9a-f]{16}")


class FormatError(ValueError):
    """Error for a metadata file that is truncated, damaged, or of another format version."""


@dataclass(frozen=True, slots=True)
class Head:
    """Content of a metadata file: the metadata of a stored response, and the CRC-32 of its content."""

    stored: StoredResponse
    checksum: int


def encode_head(head: Head) -> bytes:
    """Return the octets of a metadata file; head.stored.size_octets and head.stored.name must be set."""
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
    """Decode a metadata file into a Head; raises FormatError if encode_head() cannot have produced the octets."""
    guard, line_end, rest = octets.partition(b"\n")
    # Compare the line with the expected one instead of parsing it, so that numbers have a single valid notation.
    if len(octets) > HEAD_OCTETS or guard + line_end != _guard(rest):
        raise FormatError("the head is damaged, or of another version")
    try:
        return _head(json.loads(rest))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise FormatError(f"the head is incomplete or invalid: {error!r}") from error


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
        raise ValueError(f"invalid number {value!r}")
    return value


def _version(major: Any, minor: Any) -> tuple[int, int]:
    return _integer(major), _integer(minor)


def _span(first: Any, last: Any, complete_length: Any) -> ContentSpan:
    length = None if complete_length is None else _integer(complete_length)
    return ContentSpan(_integer(first), _integer(last), length)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"invalid entry name {value!r}")
    return value
