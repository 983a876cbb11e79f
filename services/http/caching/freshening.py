"""Stored responses that a 304 or a HEAD response says are still good, or are not (RFC 9111 sections 4.3.4, 4.3.5)."""

from collections.abc import Sequence
from dataclasses import replace

from services.http.caching.age import http_date
from services.http.caching.decision import Policy
from services.http.caching.facts import Known
from services.http.caching.freshness import control
from services.http.caching.heads import stored_fields, updated_fields
from services.http.caching.stored import StoredResponse
from services.http.conditional import is_entity_tag, is_same_tag
from services.http.fields import Fields
from services.http.messages import Response


def identified(head: Response, candidates: Sequence[Known], asked_about: Sequence[StoredResponse]) -> list[Known]:
    """Return which stored responses a 304 updates, most recent first (RFC 9111 section 4.3.4).

    `candidates` are those that could have been chosen for the request, most recent first, and `asked_about` those
    whose validators it carried, with none of the client's own beside them.
    """
    tag = head.fields.get(b"etag")
    if tag is not None and is_entity_tag(tag):
        same = [one for one in candidates if is_same_tag(tag, one[1].entity_tag or b"", strongly=False)]
        if tag.startswith(b"W/"):
            return same[:1]
        # A strong validator identifies by strong comparison (RFC 9110 section 8.8.3.2).
        return [one for one in same if one[1].has_strong_tag]
    modified = head.fields.get(b"last-modified")
    if modified is not None:
        date = http_date(modified, candidates[0][0].response_time) if candidates else None
        return [one for one in candidates if date is not None and one[1].last_modified == date][:1]
    # A 304 must repeat the ETag (RFC 9110 section 15.4.5). Of one that does not, and is about one response alone,
    # there is no doubt what it is about.
    if len(asked_about) == 1:
        return [one for one in candidates if _is_same_entry(one[0], asked_about[0])]
    only = candidates[0] if len(candidates) == 1 else None
    return [only] if only is not None and not only[1].has_validator else []


def _is_same_entry(one: StoredResponse, other: StoredResponse) -> bool:
    """A response that was freshened meanwhile has kept its name."""
    return one.name == other.name if one.name else one == other


def freshened(
    stored: StoredResponse,
    head: Response,
    request_fields: Fields,
    request_time: float,
    response_time: float,
    policy: Policy,
) -> StoredResponse:
    """Return a stored response updated from a relayed head (RFC 9111 section 3.2), as old as that is.

    `request_fields` are those of the request that brought the head: it is for them that the response was selected.
    """
    status, reason = stored.response.status, stored.response.reason
    # RFC 9111 section 3.2: but for what the head itself says is not to be stored.
    arriving = Response(head.status, stored_fields(head, control(head, policy).directives))
    merged = Response(status, updated_fields(stored.response.fields, arriving), reason=reason)
    kept = stored_fields(merged, control(merged, policy).directives)
    return replace(
        stored,
        request_fields=request_fields,
        request_time=request_time,
        response_time=response_time,
        response=Response(status, kept, reason=reason, version=stored.response.version),
    )


def is_confirmed(head: Response, stored: StoredResponse) -> bool:
    """Tell whether a 200 to HEAD describes the stored response to GET (RFC 9111 section 4.3.5)."""
    if stored.response.status != head.status:
        return False
    for name in (b"etag", b"last-modified"):
        received = head.fields.get(name)
        if received is not None and received != stored.response.fields.get(name):
            return False
    length = head.fields.get(b"content-length")
    return length is None or length == _complete_length(stored)


def _complete_length(stored: StoredResponse) -> bytes | None:
    size = stored.size_octets if stored.span is None else stored.span.complete_length
    return stored.response.fields.get(b"content-length") if size is None else b"%d" % size
