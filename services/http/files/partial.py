"""Partial responses from a file: 206 and 416 (RFC 9110 sections 14.4, 14.6, 15.3.7 and 15.5.17).

HTTP/1.1 206 Partial Content
Content-Range: bytes 0-4/10
"""

import hashlib

from lab7.services.http.fields import Fields
from lab7.services.http.files.static import FileBody, Representation, Segment, StaticFiles
from lab7.services.http.messages import Response
from lab7.services.http.ranges import Span
from lab7.services.http.server.error_pages import page_response


def partial_response(files: StaticFiles, representation: Representation, spans: list[Span], is_known: bool) -> Response:
    """Return a 206 with the given spans, or a 416 if there are none; raises OSError if the file cannot be opened.

    `is_known` is True if the request has a valid If-Range: the client already knows the fields of the representation.
    """
    size = representation.size_octets
    if not spans:
        unsatisfied = (b"Content-Range", b"bytes */%d" % size)
        return page_response(
            416, "The requested range is outside of the file.", (b"Accept-Ranges", b"bytes"), unsatisfied
        )
    if len(spans) == 1:
        # RFC 9110 section 15.3.7.1
        fields = _fields(representation, is_known).adding((b"Content-Range", _content_range(spans[0], size)))
        return Response(206, fields, _body(files, representation, [(spans[0].first, len(spans[0]))]))
    return _multipart(files, representation, spans, is_known)


def _fields(representation: Representation, is_known: bool) -> Fields:
    """Return the header fields of a 206.

    After If-Range, only the required fields are sent (RFC 9110 section 15.3.7).
    """
    fields = representation.response.fields
    return fields.without((b"content-type", b"last-modified")) if is_known else fields


def _multipart(files: StaticFiles, representation: Representation, spans: list[Span], is_known: bool) -> Response:
    """Return a 206 with multipart/byteranges; only its parts have a Content-Range (RFC 9110 section 15.3.7.2)."""
    boundary = hashlib.sha256(representation.validators.entity_tag + repr(spans).encode()).hexdigest()[:32].encode()
    segments: list[Segment] = []
    for number, span in enumerate(spans):
        # RFC 2046 section 5.1.1: the CRLF before a boundary belongs to the boundary; the first boundary has none.
        line_end = b"\r\n" if number else b""
        content_range = _content_range(span, representation.size_octets)
        fields = b"Content-Type: %b\r\nContent-Range: %b\r\n" % (representation.content_type, content_range)
        segments.append(b"%b--%b\r\n%b\r\n" % (line_end, boundary, fields))
        segments.append((span.first, len(span)))
    segments.append(b"\r\n--%b--\r\n" % boundary)
    kind = (b"Content-Type", b"multipart/byteranges; boundary=%b" % boundary)
    others = _fields(representation, is_known).without((b"content-type",))
    return Response(206, Fields((kind, *others)), _body(files, representation, segments))


def _content_range(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span.first, span.last, size)


def _body(files: StaticFiles, representation: Representation, segments: list[Segment]) -> bytes | FileBody:
    content = representation.content
    if content is None:
        return FileBody(files.open(representation), segments)
    return b"".join(s if isinstance(s, bytes) else content[s[0] : s[0] + s[1]] for s in segments)
