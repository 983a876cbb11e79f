"""Ranges and a stored response: what it can answer, and what a 206 brought (RFC 9110 section 14, RFC 9111 3.3).

Spans count in the representation, as Range and Content-Range do; shifted() makes them count in the stored content.
Left out: multipart/byteranges as something to store.
"""

import re

from services.http.cache.decisions import Piece
from services.http.cache.derived import Facts
from services.http.cache.stored import ContentSpan, StoredResponse
from services.http.conditional import Validators, range_applies
from services.http.fields import Fields
from services.http.messages import Request, Response
from services.http.ranges import Span, select_ranges

# Parts of one representation, put together (RFC 9111 section 3.4, RFC 9110 section 15.3.7.3).
#
# A part that is stored and one that arrives become one where they have the same strong entity tag and touch.


def is_same_representation(facts: Facts, head: Response) -> bool:
    """Tell whether an arriving head has the strong entity tag of what is stored."""
    return facts.has_strong_tag and head.fields.get(b"etag") == facts.entity_tag


def union(old: ContentSpan, new: ContentSpan) -> ContentSpan | None:
    """Return what two parts are together; None where they do not touch or do not agree on the complete length."""
    lengths = {span.complete_length for span in (old, new)} - {None}
    if len(lengths) > 1 or old.last + 1 < new.first or new.last + 1 < old.first:
        return None
    length = next(iter(lengths), None)
    last = max(old.last, new.last)
    if length is not None and length <= last:
        return None
    return ContentSpan(min(old.first, new.first), last, length)


def is_complete(span: ContentSpan) -> bool:
    """Tell whether a part is all of its representation."""
    return span.first == 0 and span.complete_length == span.last + 1


def pieces(stored: StoredResponse, old: ContentSpan, new: ContentSpan) -> tuple[Piece, ...]:
    """Return the content of two parts that touch: what arrives, and on both sides of it what is stored."""
    found = []
    if old.first < new.first:
        found.append(Piece(stored, Span(0, new.first - old.first - 1)))
    found.append(Piece(None, Span(0, len(new) - 1)))
    if old.last > new.last:
        found.append(Piece(stored, Span(new.last + 1 - old.first, old.last - old.first)))
    return tuple(found)


# RFC 9110 section 14.4. No content that can be stored has positions of more digits.
_CONTENT_RANGE = re.compile(rb"bytes (\d{1,19})-(\d{1,19})/(?:(\d{1,19})|\*)", re.IGNORECASE)
_CLOSED_RANGE = re.compile(rb"bytes=(\d{1,19})-(\d{1,19})", re.IGNORECASE)


def content_span(fields: Fields) -> ContentSpan | None:
    """Return what Content-Range says of a 206; None where it is absent, not valid, or not one range of bytes."""
    match = _CONTENT_RANGE.fullmatch(fields.get(b"content-range") or b"")
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    complete = None if match[3] is None else int(match[3])
    # RFC 9110 section 14.4: a Content-Range that contradicts itself is not valid.
    if last < first or (complete is not None and complete <= last):
        return None
    return ContentSpan(first, last, complete)


def asks_for_range(request: Request) -> bool:
    """Tell whether Range has a meaning in a request (RFC 9110 section 14.2: with GET alone)."""
    return request.method == b"GET" and b"range" in request.fields


def selected(stored: StoredResponse, facts: Facts, request: Request) -> list[Span] | None:
    """Return what a request's Range selects of a stored response.

    None: Range is to be ignored (absent, malformed, If-Range does not match, not a 200). An empty list: 416. Of a
    partial response, also of one that has not told how long it is, only what it covers is selected.
    """
    if stored.response.status != 200 or not asks_for_range(request):
        return None
    # RFC 9110 section 13.1.5; as a validator a date is strong where Date is later (section 8.8.2.2).
    modified = -1 if facts.last_modified is None else facts.last_modified
    if not range_applies(request.fields, Validators(facts.entity_tag or b"", modified), facts.date):
        return None
    value = request.fields.get(b"range") or b""
    if stored.span is None:
        return None if stored.size_octets is None else select_ranges(value, stored.size_octets)
    return _within(value, stored.span)


def is_suitable(stored: StoredResponse, facts: Facts, request: Request) -> bool:
    """Tell whether what is stored suffices for a request (RFC 9111 section 3.3).

    A partial response answers nothing but ranges that it holds; one that is still arriving no range at all.
    """
    if stored.span is not None:
        return bool(selected(stored, facts, request))
    return stored.size_octets is not None or stored.method == b"HEAD" or not asks_for_range(request)


def shifted(stored: StoredResponse, span: Span) -> Span:
    """Return a span of the representation as one of the stored content."""
    first = 0 if stored.span is None else stored.span.first
    return Span(span.first - first, span.last - first)


def _within(value: bytes, span: ContentSpan) -> list[Span] | None:
    if span.complete_length is None:
        # Where the end is, is not known: neither an open range nor a suffix can be told.
        match = _CLOSED_RANGE.fullmatch(value)
        spans = [Span(int(match[1]), int(match[2]))] if match else []
    else:
        spans = select_ranges(value, span.complete_length) or []
    return spans if all(span.first <= one.first <= one.last <= span.last for one in spans) else None
