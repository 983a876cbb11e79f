"""Range requests and partial responses in a cache (RFC 9110 section 14, RFC 9111 sections 3.3 and 3.4).

Spans are positions in the representation, as in Range and Content-Range; to_content_span() converts them to positions
in the stored content. A stored and an arriving part are combined where they have the same strong entity tag and touch
or overlap (RFC 9111 section 3.4, RFC 9110 section 15.3.7.3). Left out: storing multipart/byteranges.
"""

import re

from services.http.cache.decisions import Piece
from services.http.cache.derived import DerivedMetadata
from services.http.cache.stored import ContentSpan, StoredResponse
from services.http.conditional import Validators, range_applies
from services.http.fields import Fields
from services.http.messages import Request, Response
from services.http.ranges import Span, select_ranges


def is_same_representation(metadata: DerivedMetadata, head: Response) -> bool:
    """Return True where an arriving head has the same strong entity tag as the stored response."""
    return metadata.has_strong_tag and head.fields.get(b"etag") == metadata.entity_tag


def union(old: ContentSpan, new: ContentSpan) -> ContentSpan | None:
    """Return the union of two parts; None where they do not touch, or disagree on the complete length."""
    lengths = {span.complete_length for span in (old, new)} - {None}
    if len(lengths) > 1 or old.last + 1 < new.first or new.last + 1 < old.first:
        return None
    length = next(iter(lengths), None)
    last = max(old.last, new.last)
    if length is not None and length <= last:
        return None
    return ContentSpan(min(old.first, new.first), last, length)


def is_complete(span: ContentSpan) -> bool:
    """Return True where a part is the complete representation."""
    return span.first == 0 and span.complete_length == span.last + 1


def pieces(stored: StoredResponse, old: ContentSpan, new: ContentSpan) -> tuple[Piece, ...]:
    """Return the content of the union of two parts: the arriving one, extended on both sides by the stored one."""
    parts = []
    if old.first < new.first:
        parts.append(Piece(stored, Span(0, new.first - old.first - 1)))
    parts.append(Piece(None, Span(0, len(new) - 1)))
    if old.last > new.last:
        parts.append(Piece(stored, Span(new.last + 1 - old.first, old.last - old.first)))
    return tuple(parts)


# RFC 9110 section 14.4. Positions of more digits are beyond any content that can be stored.
_CONTENT_RANGE = re.compile(rb"bytes (\d{1,19})-(\d{1,19})/(?:(\d{1,19})|\*)", re.IGNORECASE)
_CLOSED_RANGE = re.compile(rb"bytes=(\d{1,19})-(\d{1,19})", re.IGNORECASE)


def parse_content_range(fields: Fields) -> ContentSpan | None:
    """Parse the Content-Range of a 206; return None where it is absent, invalid, or not a single byte range."""
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

    None: Range is ignored (absent, malformed, If-Range does not match, not a 200). In a partial response, with or
    without a known complete length, only spans that it covers are selected.
    """
    if stored.response.status != 200 or not is_range_request(request):
        return None
    # RFC 9110 section 13.1.5; Last-Modified is a strong validator where Date is sufficiently later (section 8.8.2.2).
    modified = -1 if metadata.last_modified is None else metadata.last_modified
    if not range_applies(request.fields, Validators(metadata.entity_tag or b"", modified), metadata.date):
        return None
    value = request.fields.get(b"range") or b""
    if stored.span is None:
        return None if stored.size_octets is None else select_ranges(value, stored.size_octets)
    return _within(value, stored.span)


def is_suitable(stored: StoredResponse, metadata: DerivedMetadata, request: Request) -> bool:
    """Return True where the stored content can satisfy a request (RFC 9111 section 3.3).

    A partial response satisfies only ranges that it covers; one whose content is still arriving, no range at all.
    """
    if stored.span is not None:
        return bool(select_spans(stored, metadata, request))
    return stored.size_octets is not None or stored.method == b"HEAD" or not is_range_request(request)


def to_content_span(stored: StoredResponse, span: Span) -> Span:
    """Convert a span of the representation to one of the stored content."""
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
