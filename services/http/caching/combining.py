"""Parts of one representation, put together (RFC 9111 section 3.4, RFC 9110 section 15.3.7.3).

A part that is stored and one that arrives become one where they have the same strong entity tag and touch.
"""

from services.http.caching.decision import Piece
from services.http.caching.facts import Facts
from services.http.caching.stored import ContentSpan, StoredResponse
from services.http.messages import Response
from services.http.ranges import Span


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
