"""Responses built from a stored response: complete, 304, 206 or 416, with Age (RFC 9111 sections 4, 4.3.2 and 5.1).

HTTP/1.1 206 Partial Content
Content-Range: bytes 0-4/10
Age: 60
Cache-Status: lab7; hit; ttl=240
"""

import hashlib
from math import floor

from services.http.cache.decisions import Forward, Policy, Serve
from services.http.cache.derived import DerivedMetadata, derived_metadata
from services.http.cache.directives import INFINITY_S
from services.http.cache.ranges import select_spans, to_content_span
from services.http.cache.stored import StoredResponse
from services.http.conditional import Validators, precondition_status
from services.http.fields import FieldLine, Fields
from services.http.messages import Request, Response
from services.http.ranges import Span

# RFC 9110 section 15.4.5: a 304 has no representation metadata except validators and the fields that update a cache.
_NOT_IN_304 = frozenset(
    (b"content-encoding", b"content-language", b"content-length", b"content-range", b"content-type", b"last-modified")
)
# RFC 9110 section 15.3.7: a client that sent If-Range has these from the earlier response.
_KNOWN_TO_CLIENT = frozenset((b"content-encoding", b"content-language", b"content-type", b"last-modified"))
_OF_WHOLE = frozenset((b"content-length", b"content-range"))
# RFC 9110 section 15.5.17: a 416 is about the range; these fields describe the representation.
_NOT_IN_416 = _NOT_IN_304 - {b"last-modified"} | {b"content-disposition"}
_TO_ORIGIN_ALONE = (b"if-match", b"if-unmodified-since")
_PRECONDITIONS = (b"if-none-match", b"if-modified-since")

Content = tuple[Response, tuple[bytes | Span, ...] | None]


def serve(
    request: Request,
    stored: StoredResponse,
    now: float,
    policy: Policy,
    status_line: FieldLine,
    *,
    with_age: bool = True,
    revalidate: Forward | None = None,
    extra: tuple[FieldLine, ...] = (),
) -> Serve:
    """Build the response to a GET or HEAD request from a stored response that satisfies it (ranges.is_suitable).

    `status_line` is the Cache-Status line. `with_age` is False after a validation by the origin itself (RFC 9111
    section 5.1). `extra` are field lines that are not stored.
    """
    metadata = derived_metadata(stored, policy)
    age = metadata.age_s(now)
    age_s = min(floor(age), INFINITY_S)
    added = (*extra, (b"Age", b"%d" % age_s), status_line) if with_age else (*extra, status_line)
    response, segments = _content(request, stored, metadata, now, added)
    return Serve(stored, age_s, metadata.lifetime_s <= age, response, segments, revalidate)


def _content(
    request: Request, stored: StoredResponse, metadata: DerivedMetadata, now: float, added: tuple[FieldLine, ...]
) -> Content:
    if not_modified(request, stored, metadata, now):
        # RFC 9110 section 15.4.5: Last-Modified is the validator where there is no ETag.
        dropped = _NOT_IN_304 if metadata.entity_tag is not None else _NOT_IN_304 - {b"last-modified"}
        return Response(304, Fields(_without(metadata, dropped) + added)), ()
    spans = select_spans(stored, metadata, request)
    if spans is not None:
        return _partial(request, stored, metadata, spans, added)
    response = Response(stored.response.status, Fields(metadata.lines + added), reason=stored.response.reason)
    return response, () if request.method == b"HEAD" else None


def not_modified(request: Request, stored: StoredResponse, metadata: DerivedMetadata, now: float) -> bool:
    """Return True where the client's preconditions evaluate to 304 for a stored response (RFC 9111 section 4.3.2)."""
    fields = request.fields
    # RFC 9110 section 13.2.1: preconditions are ignored unless the response is successful.
    if not fields.has_any(_PRECONDITIONS) or not 200 <= stored.response.status < 300:
        return False
    # RFC 9111 section 4.3.2: If-Match and If-Unmodified-Since are not applicable to a cache.
    if fields.has_any(_TO_ORIGIN_ALONE):
        fields = fields.without(_TO_ORIGIN_ALONE)
    # The same section: without Last-Modified, If-Modified-Since is compared with Date.
    modified = metadata.date if metadata.last_modified is None else metadata.last_modified
    current = Validators(metadata.entity_tag or b"", modified)
    return precondition_status(request.method, fields, current, now) == 304


def _partial(
    request: Request, stored: StoredResponse, metadata: DerivedMetadata, spans: list[Span], added: tuple[FieldLine, ...]
) -> Content:
    """Build a 206, or a 416 where no span is selected (RFC 9110 sections 15.3.7 and 15.5.17)."""
    size = stored.size_octets if stored.span is None else stored.span.complete_length
    if not spans:
        unsatisfied = ((b"Content-Range", b"bytes */%d" % (size or 0)), (b"Content-Length", b"0"))
        return Response(416, Fields(_without(metadata, _NOT_IN_416) + unsatisfied + added)), ()
    dropped = _OF_WHOLE | _KNOWN_TO_CLIENT if b"if-range" in request.fields else _OF_WHOLE
    if len(spans) > 1:
        return _multipart(stored, metadata, spans, dropped, added)
    span = spans[0]
    described = ((b"Content-Range", content_range(span, size)), (b"Content-Length", b"%d" % len(span)))
    return Response(206, Fields(_without(metadata, dropped) + described + added)), (to_content_span(stored, span),)


def _multipart(
    stored: StoredResponse,
    metadata: DerivedMetadata,
    spans: list[Span],
    dropped: frozenset[bytes],
    added: tuple[FieldLine, ...],
) -> Content:
    """Build a multipart/byteranges: a Content-Range in each part, none in the header (RFC 9110 section 15.3.7.2)."""
    size = stored.size_octets if stored.span is None else stored.span.complete_length
    boundary = hashlib.sha256(b"%b %d" % (stored.uri, metadata.date) + repr(spans).encode()).hexdigest()[:32].encode()
    kind = stored.response.fields.get(b"content-type")
    described = b"" if kind is None else b"Content-Type: %b\r\n" % kind
    segments: list[bytes | Span] = []
    for number, span in enumerate(spans):
        # RFC 2046 section 5.1.1: the CRLF before a delimiter is part of it; the first one needs none.
        line_end = b"\r\n" if number else b""
        part = (line_end, boundary, described, content_range(span, size))
        segments.append(b"%b--%b\r\n%bContent-Range: %b\r\n\r\n" % part)
        segments.append(to_content_span(stored, span))
    segments.append(b"\r\n--%b--\r\n" % boundary)
    whole = (
        (b"Content-Type", b"multipart/byteranges; boundary=%b" % boundary),
        (b"Content-Length", b"%d" % sum(map(len, segments))),
    )
    return Response(206, Fields(_without(metadata, dropped | {b"content-type"}) + whole + added)), tuple(segments)


def content_range(span: Span, size: int | None) -> bytes:
    """Encode a Content-Range value; `size` is None for an unknown complete length (RFC 9110 section 14.4)."""
    return b"bytes %d-%d/%b" % (span.first, span.last, b"*" if size is None else b"%d" % size)


def _without(metadata: DerivedMetadata, names: frozenset[bytes]) -> tuple[FieldLine, ...]:
    return tuple(line for line in metadata.lines if line[0].lower() not in names)
