"""Responses whose content is read from a file, whole or in part (RFC 9110 sections 14.4, 14.6, 15.3.7 and 15.5.17).

HTTP/1.1 206 Partial Content
Content-Range: bytes 0-4/10
"""

import hashlib

from services.http.fields import Fields
from services.http.files.representation import FileBody, Representation
from services.http.files.static import StaticFiles
from services.http.messages import Response
from services.http.ranges import Span
from services.http.server.error_pages import page_response

Segment = bytes | tuple[int, int]


class Measured:
    """Content that a HEAD request is told the size of and does not get."""

    def __init__(self, size_octets: int) -> None:
        self.size_octets: int | None = size_octets

    def read(self, limit_octets: int) -> bytes:
        """Return nothing: no response to HEAD has content."""
        raise OSError(f"nothing to read, {limit_octets} octets asked for")

    def close(self) -> None:
        """Hold nothing, let go of nothing."""


def whole_body(files: StaticFiles, found: Representation, method: bytes) -> Response:
    """Return the 200 response for a file that is not held; raises OSError when it cannot be opened."""
    if method == b"HEAD":
        return Response(200, found.response.fields, Measured(found.size_octets))
    return Response(200, found.response.fields, FileBody(files.open(found), [(0, found.size_octets)]))


def partial_response(files: StaticFiles, found: Representation, spans: list[Span], is_known: bool) -> Response:
    """Return 206 for the spans, 416 where there are none; raises OSError when the file cannot be opened.

    `is_known`: the client has shown by If-Range that it has the representation's fields from an earlier response.
    """
    size = found.size_octets
    if not spans:
        unsatisfied = (b"Content-Range", b"bytes */%d" % size)
        return page_response(416, "The file has no such octets.", (b"Accept-Ranges", b"bytes"), unsatisfied)
    if len(spans) == 1:
        # RFC 9110 section 15.3.7.1
        fields = _fields(found, is_known).adding((b"Content-Range", _content_range(spans[0], size)))
        return Response(206, fields, _body(files, found, [(spans[0].first, len(spans[0]))]))
    return _multipart(files, found, spans, is_known)


def _fields(found: Representation, is_known: bool) -> Fields:
    """RFC 9110 section 15.3.7: after If-Range no more of the representation's fields than are required (its ETag)."""
    fields = found.response.fields
    return fields.without((b"content-type", b"last-modified")) if is_known else fields


def _multipart(files: StaticFiles, found: Representation, spans: list[Span], is_known: bool) -> Response:
    """RFC 9110 section 15.3.7.2: each part has its Content-Range, the whole has none."""
    boundary = hashlib.sha256(found.validators.entity_tag + repr(spans).encode()).hexdigest()[:32].encode()
    segments: list[Segment] = []
    for number, span in enumerate(spans):
        # RFC 2046 section 5.1.1: the line end before a boundary is the boundary's, and before the first is nothing.
        line_end = b"\r\n" if number else b""
        content_range = _content_range(span, found.size_octets)
        fields = b"Content-Type: %b\r\nContent-Range: %b\r\n" % (found.content_type, content_range)
        segments.append(b"%b--%b\r\n%b\r\n" % (line_end, boundary, fields))
        segments.append((span.first, len(span)))
    segments.append(b"\r\n--%b--\r\n" % boundary)
    kind = (b"Content-Type", b"multipart/byteranges; boundary=%b" % boundary)
    others = _fields(found, is_known).without((b"content-type",))
    return Response(206, Fields((kind, *others)), _body(files, found, segments))


def _content_range(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span.first, span.last, size)


def _body(files: StaticFiles, found: Representation, segments: list[Segment]) -> bytes | FileBody:
    content = found.content
    if content is None:
        return FileBody(files.open(found), segments)
    return b"".join(s if isinstance(s, bytes) else content[s[0] : s[0] + s[1]] for s in segments)
