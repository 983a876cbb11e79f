"""Check that a page load delivered all files of a page: each response has status 200 and the origin's content.

    undelivered(load, {b"/": page, b"/picture-1.png": picture})      # None, or an Undelivered with the difference

`load` is a captured page load; the dictionary has the content of each file by URL path, the page first. A load has
delivered a page if it requests the page first, then each further file once and nothing else, and gets each file in a
response with status 200. Content is decoded independently of lab7's services: transfer coding and HTTP/2 DATA frames in
`wire.http1` and `wire.http2`, content codings here. Content codings that Python's standard library cannot decode (br,
zstd) and range requests are not supported. Sources: RFC 9110 sections 6.4 (content), 8.4 (content codings) and 15.3.1
(200).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from lab7.experiments.http.wire.http1 import Exchange, Message
from lab7.experiments.http.wire.page_load import Files, PageLoad

OK = b"200"
# ABSOLUTE matches the scheme and authority of an absolute-form request-target (RFC 9112 section 3.2.2).
ABSOLUTE = re.compile(rb"(?i)http://[^/?]*")
# zlib's window bits by content coding (RFC 9110 section 8.4.1): 31 decodes gzip, 15 decodes zlib data.
WINDOW_BITS: Mapping[bytes, int] = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
# Assumed maximum size in octets of a gzip or zlib header and trailer (RFC 1952 section 2.3), with a margin.
CODING_OVERHEAD_BYTES = 1024


@dataclass(frozen=True)
class Undelivered:
    """Reason why a page load did not deliver its files: a text, and the number of the frame that is evidence."""

    evidence: str
    frame: int


class _CodingError(ValueError):
    """Exception raised for an unknown or malformed content coding of a response; its message has the reason."""


def undelivered(load: PageLoad, files: Files, as_page: bool = True) -> Undelivered | None:
    """Return the first reason why a page load did not deliver these files; None if it delivered them.

    `files` are the contents by URL path, the page first. If `as_page` is False, files may be requested in any order and
    more than once.
    """
    if not load.conversations:
        return Undelivered("no connection was opened to the server", 0)
    got: dict[bytes, Exchange] = {}
    for exchange in load.exchanges:
        path, frame = path_of(exchange), exchange.request.frames[0]
        if path not in files:
            return Undelivered(
                f"the request in frame {frame} for {_text(path)} is not for an object of the page", frame
            )
        if as_page and path in got:
            return Undelivered(f"{_text(path)} is requested a second time in frame {frame}", frame)
        got[path] = exchange
        if (wrong := difference(exchange, files[path])) is not None:
            return wrong
    for path in files:
        if path not in got:
            return Undelivered(f"{_text(path)} was not requested", load.conversations[0].connection.syn.frame)
    page, first = next(iter(files)), load.exchanges[0]
    if as_page and path_of(first) != page:
        frame = first.request.frames[0]
        return Undelivered(
            f"the request for {_text(path_of(first))} in frame {frame} precedes the request for the page", frame
        )
    return None


def difference(exchange: Exchange, file: bytes) -> Undelivered | None:
    """Return the reason why a response does not deliver `file` with status 200; None if it delivers the file."""
    name, response = _text(path_of(exchange)), exchange.response
    if response is None:
        frame = exchange.request.frames[0]
        return Undelivered(f"the request for {name} in frame {frame} gets no complete response", frame)
    wrong, frame = response_difference(response, file), response.frames[0]
    return (
        None
        if wrong is None
        else Undelivered(f"the response for {name} in frame {frame} differs from the file: {wrong}", frame)
    )


def response_difference(response: Message, file: bytes) -> str | None:
    """Return a text on how a response differs from a 200 with the content `file`; None if it does not differ."""
    status = response.start_line[1]
    if status != OK:
        return f"its status is {_text(status)}, not 200"
    try:
        content = content_of(response, len(file) + 1)
    except _CodingError as error:
        return f"its content cannot be decoded, {error}"
    if content == file:
        return None
    at = next((at for at, pair in enumerate(zip(content, file, strict=False)) if pair[0] != pair[1]), None)
    where = "" if at is None else f" and differs from octet {at} on"
    if len(content) == len(file):
        return f"its content has as many octets as the file ({len(file)}){where}"
    size = f"{len(content)}" if len(content) < len(file) else f"more than {len(file)}"
    return f"its content has {size} octets{where}, the file has {len(file)}"


def content_of(response: Message, limit: int | None = None) -> bytes:
    """Return the content of a response without its content codings, at most `limit` octets.

    Raises ValueError for an unknown or malformed coding.
    """
    codings = [part.strip().lower() for value in response.values(b"content-encoding") for part in value.split(b",")]
    content = response.body
    # Decode in reverse: Content-Encoding lists codings in the order of their application (RFC 9110 section 8.4).
    for coding in reversed(codings):
        if coding in (b"", b"identity"):
            continue
        if coding not in WINDOW_BITS:
            raise _CodingError(f"its content coding is {_text(coding)}")
        # Permit twice `limit` plus a header in each decoding step, since encoded content may exceed the content.
        content = _inflated(content, coding, None if limit is None else 2 * limit + CODING_OVERHEAD_BYTES)
    return content if limit is None else content[:limit]


def _inflated(content: bytes, coding: bytes, limit: int | None) -> bytes:
    reader = zlib.decompressobj(WINDOW_BITS[coding])
    try:
        decoded = reader.decompress(content, limit or 0)
    except zlib.error as error:
        raise _CodingError(f"it is not valid {_text(coding)}") from error
    if not reader.eof and (limit is None or len(decoded) < limit):
        raise _CodingError(f"its {_text(coding)} content is truncated")
    return decoded


def path_of(exchange: Exchange) -> bytes:
    """Return path and query of a request's target, which may be in origin-form or absolute-form."""
    return ABSOLUTE.sub(b"", exchange.target, count=1) or b"/" if exchange.target else exchange.target


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "backslashreplace")
