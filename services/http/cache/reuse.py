"""Reuse of a stored response: building a 200, 206, 304 or 416, with Age and Cache-Status (RFC 9111 section 4).

    HTTP/1.1 206 Partial Content
    Content-Range: bytes 0-4/10
    Age: 60
    Cache-Status: lab7; hit; ttl=240

RFC 9111 sections 3.3 and 3.4 (partial responses), 4.3.2 (preconditions of the client) and 5.1 (Age); RFC 9110 section
14 (range requests); RFC 9211 (Cache-Status).

A span is a byte range of the representation, as in Range and Content-Range; to_content_span() converts it to a range of
the stored content, which may be a part of the representation only. A stored and an arriving part are combined if they
have the same strong entity tag and are adjacent or overlap (RFC 9111 section 3.4, RFC 9110 section 15.3.7.3). Left out:
storing multipart/byteranges.
"""

import hashlib
import re
from math import floor

from lab7.services.http.cache.decisions import Forward, Piece, Policy, Serve
from lab7.services.http.cache.directives import INFINITY_S
from lab7.services.http.cache.freshness import DerivedMetadata, derived_metadata
from lab7.services.http.cache.stored import ContentSpan, StoredResponse
from lab7.services.http.conditional import Validators, precondition_status, range_applies
from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.messages import Request, Response
from lab7.services.http.ranges import Span, select_ranges

# Cache-Status (RFC 9211).

CACHE_STATUS = b"Cache-Status"

# RFC 8941 section 3.3.3: octets that a String cannot contain unescaped; cache keys have them percent-encoded.
_NOT_IN_STRING = re.compile(rb'[^\x20-\x7e]|["\\]')
# RFC 8941 section 3.3.4: a Token; a host name that begins with a digit is not a Token and is sent as a String.
_TOKEN = re.compile(rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+")


def cache_identifier(name: bytes) -> bytes:
    """Encode a cache's name for Cache-Status, as a Token if possible, else as a String (RFC 9211 section 2).

    The name consists of visible ASCII characters.
    """
    return name if _TOKEN.fullmatch(name) else b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def cache_status_hit(policy: Policy, uri: bytes, ttl_s: int, detail: bytes | None = None) -> FieldLine:
    """Return the Cache-Status line of a hit (RFC 9211 section 2.1). `detail` is a token for its parameter detail."""
    return CACHE_STATUS, b"%b; hit; ttl=%d%b%b" % (
        policy.identifier,
        ttl_s,
        _key_parameter(policy, uri),
        _detail_parameter(detail),
    )


def cache_status_forward(
    policy: Policy,
    uri: bytes,
    forward: Forward,
    *,
    forward_status: int | None = None,
    ttl_s: int | None = None,
    is_stored: bool = False,
    detail: bytes | None = None,
) -> FieldLine:
    """Return the Cache-Status line of a response to a forwarded request (RFC 9211 sections 2.2 to 2.5).

    `forward_status` is the status received from upstream; None if the client gets the same status.
    """
    value = b"%b; fwd=%b" % (policy.identifier, forward.reason)
    if forward_status is not None:
        value += b"; fwd-status=%d" % forward_status
    if ttl_s is not None:
        value += b"; ttl=%d" % ttl_s
    if is_stored:
        value += b"; stored"
    return CACHE_STATUS, value + _key_parameter(policy, uri) + _detail_parameter(detail)


def mark_collapsed(response: Response, policy: Policy, forward: Forward, is_reused: bool = True) -> Response:
    """Return a response head with the parameter `collapsed` in its last Cache-Status line (RFC 9211 section 2.6).

    `forward` is the decision for the collapsed request. `is_reused` is False if the shared response did not satisfy the
    collapsed request, which was therefore forwarded separately.
    """
    lines = list(response.fields.lines)
    at = max((number for number, line in enumerate(lines) if line[0] == CACHE_STATUS), default=None)
    if at is None:
        return response
    hit, collapsed = b"%b; hit" % policy.identifier, b"; collapsed" if is_reused else b"; collapsed=?0"
    value = lines[at][1]
    if value.startswith(hit):
        value = b"%b; fwd=%b%b%b" % (policy.identifier, forward.reason, collapsed, value[len(hit) :])
    else:
        value += collapsed
    lines[at] = (CACHE_STATUS, value)
    return Response(response.status, Fields(tuple(lines)), response.body, response.reason, response.version)


def _key_parameter(policy: Policy, uri: bytes) -> bytes:
    if not policy.show_key:
        return b""
    return b'; key="%b"' % _NOT_IN_STRING.sub(lambda match: b"%%%02X" % match[0][0], uri)


def _detail_parameter(detail: bytes | None) -> bytes:
    return b"" if detail is None else b"; detail=" + detail


# Range requests and partial responses.


def is_same_representation(metadata: DerivedMetadata, head: Response) -> bool:
    """Return True if an arriving response has the same strong entity tag as the stored response."""
    return metadata.has_strong_tag and head.fields.get(b"etag") == metadata.entity_tag


def union(old: ContentSpan, new: ContentSpan) -> ContentSpan | None:
    """Return the union of two spans of a representation.

    Returns None if they leave a gap, or have different complete lengths.
    """
    lengths = {span.complete_length for span in (old, new)} - {None}
    if len(lengths) > 1 or old.last + 1 < new.first or new.last + 1 < old.first:
        return None
    length = next(iter(lengths), None)
    last = max(old.last, new.last)
    if length is not None and length <= last:
        return None
    return ContentSpan(min(old.first, new.first), last, length)


def is_complete(span: ContentSpan) -> bool:
    """Return True if a span covers the whole representation."""
    return span.first == 0 and span.complete_length == span.last + 1


def pieces(stored: StoredResponse, old: ContentSpan, new: ContentSpan) -> tuple[Piece, ...]:
    """Return the pieces of stored and arriving content that together form the union of the spans `old` and `new`.

    `old` is a stored span, `new` an arriving one; octets that are in both are taken from the arriving content.
    """
    parts = []
    if old.first < new.first:
        parts.append(Piece(stored, Span(0, new.first - old.first - 1)))
    parts.append(Piece(None, Span(0, len(new) - 1)))
    if old.last > new.last:
        parts.append(Piece(stored, Span(new.last + 1 - old.first, old.last - old.first)))
    return tuple(parts)


# RFC 9110 section 14.4: positions of more than 19 digits are beyond any content that can be stored.
_CONTENT_RANGE = re.compile(rb"bytes (\d{1,19})-(\d{1,19})/(?:(\d{1,19})|\*)", re.IGNORECASE)
_CLOSED_RANGE = re.compile(rb"bytes=(\d{1,19})-(\d{1,19})", re.IGNORECASE)


def parse_content_range(fields: Fields) -> ContentSpan | None:
    """Parse the Content-Range of a 206; return None if it is absent, invalid, or not a single byte range."""
    match = _CONTENT_RANGE.fullmatch(fields.get(b"content-range") or b"")
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    complete = None if match[3] is None else int(match[3])
    # RFC 9110 section 14.4: an inconsistent Content-Range is invalid.
    if last < first or (complete is not None and complete <= last):
        return None
    return ContentSpan(first, last, complete)


def is_range_request(request: Request) -> bool:
    """Return True for a GET with Range; other methods ignore that field (RFC 9110 section 14.2)."""
    return request.method == b"GET" and b"range" in request.fields


def select_spans(stored: StoredResponse, metadata: DerivedMetadata, request: Request) -> list[Span] | None:
    """Return the spans of a stored response that a request's Range selects; an empty list means 416.

    Returns None if Range is ignored (absent, malformed, If-Range is false, status other than 200), or if `stored` is a
    partial response that does not cover all requested spans.
    """
    if stored.response.status != 200 or not is_range_request(request):
        return None
    # RFC 9110 section 13.1.5; Last-Modified is a strong validator if Date is sufficiently later (section 8.8.2.2).
    modified = -1 if metadata.last_modified is None else metadata.last_modified
    if not range_applies(request.fields, Validators(metadata.entity_tag or b"", modified), metadata.date):
        return None
    value = request.fields.get(b"range") or b""
    if stored.span is None:
        return None if stored.size_octets is None else select_ranges(value, stored.size_octets)
    return _within(value, stored.span)


def is_suitable(stored: StoredResponse, metadata: DerivedMetadata, request: Request) -> bool:
    """Return True if the stored content can satisfy a request; freshness is not considered (RFC 9111 section 3.3).

    A partial response satisfies only range requests that it covers. A complete response whose content is still arriving
    satisfies no range request.
    """
    if stored.span is not None:
        return bool(select_spans(stored, metadata, request))
    return stored.size_octets is not None or stored.method == b"HEAD" or not is_range_request(request)


def to_content_span(stored: StoredResponse, span: Span) -> Span:
    """Convert a span of the representation to a span of the stored content."""
    first = 0 if stored.span is None else stored.span.first
    return Span(span.first - first, span.last - first)


def _within(value: bytes, span: ContentSpan) -> list[Span] | None:
    if span.complete_length is None:
        # Without the complete length, neither an open-ended nor a suffix range can be resolved.
        match = _CLOSED_RANGE.fullmatch(value)
        spans = [Span(int(match[1]), int(match[2]))] if match else []
    else:
        spans = select_ranges(value, span.complete_length) or []
    return spans if all(span.first <= requested.first <= requested.last <= span.last for requested in spans) else None


# Built responses.

# RFC 9110 section 15.4.5: a 304 has no representation metadata except validators and the fields that update a cache.
_NOT_IN_304 = frozenset(
    (b"content-encoding", b"content-language", b"content-length", b"content-range", b"content-type", b"last-modified")
)
# RFC 9110 section 15.3.7: a client that sends If-Range has the content-* fields and Last-Modified already.
_KNOWN_TO_CLIENT = frozenset((b"content-encoding", b"content-language", b"content-type", b"last-modified"))
_OF_WHOLE = frozenset((b"content-length", b"content-range"))
# RFC 9110 section 15.5.17: a 416 is about the range, so fields that describe the representation are dropped.
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
    """Build the decision to serve a stored response to a GET or HEAD request that it satisfies (is_suitable).

    `status_line` is the Cache-Status line, `extra` are field lines that are not stored. `with_age` is False if the
    origin itself has just validated the response (RFC 9111 section 5.1).
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
        # RFC 9110 section 15.4.5: Last-Modified is the validator if there is no ETag.
        dropped = _NOT_IN_304 if metadata.entity_tag is not None else _NOT_IN_304 - {b"last-modified"}
        return Response(304, Fields(_without(metadata, dropped) + added)), ()
    spans = select_spans(stored, metadata, request)
    if spans is not None:
        return _partial(request, stored, metadata, spans, added)
    response = Response(stored.response.status, Fields(metadata.lines + added), reason=stored.response.reason)
    return response, () if request.method == b"HEAD" else None


def not_modified(request: Request, stored: StoredResponse, metadata: DerivedMetadata, now: float) -> bool:
    """Return True if the client's preconditions evaluate to 304 for a stored response (RFC 9111 section 4.3.2)."""
    fields = request.fields
    # RFC 9110 section 13.2.1: preconditions are ignored unless the response is successful.
    if not fields.has_any(_PRECONDITIONS) or not 200 <= stored.response.status < 300:
        return False
    # RFC 9111 section 4.3.2: If-Match and If-Unmodified-Since are not applicable to a cache.
    if fields.has_any(_TO_ORIGIN_ALONE):
        fields = fields.without(_TO_ORIGIN_ALONE)
    # RFC 9111 section 4.3.2: without Last-Modified, If-Modified-Since is compared with Date.
    modified = metadata.date if metadata.last_modified is None else metadata.last_modified
    current = Validators(metadata.entity_tag or b"", modified)
    return precondition_status(request.method, fields, current, now) == 304


def _partial(
    request: Request, stored: StoredResponse, metadata: DerivedMetadata, spans: list[Span], added: tuple[FieldLine, ...]
) -> Content:
    """Return (head, segments) of a 206, or of a 416 if no span is selected (RFC 9110 sections 15.3.7 and 15.5.17)."""
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
    """Return (head, segments) of a multipart/byteranges 206: only its parts have Content-Range (RFC 9110 15.3.7.2)."""
    size = stored.size_octets if stored.span is None else stored.span.complete_length
    boundary = hashlib.sha256(b"%b %d" % (stored.uri, metadata.date) + repr(spans).encode()).hexdigest()[:32].encode()
    kind = stored.response.fields.get(b"content-type")
    described = b"" if kind is None else b"Content-Type: %b\r\n" % kind
    segments: list[bytes | Span] = []
    for number, span in enumerate(spans):
        # RFC 2046 section 5.1.1: the CRLF before a delimiter is part of the delimiter; the first delimiter needs none.
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
