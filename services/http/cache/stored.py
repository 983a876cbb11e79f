"""Stored responses of the HTTP cache: immutable records of head, times and stored range (RFC 9111 sections 3 and 3.1).

    StoredResponse(
        b"http://a/", b"GET", request.fields,   # cache key, method and fields of the request
        10.0, 10.2,                             # times of the request and of the response
        response, 5, None, "1f3a",              # head, size of the content, span (None: all of it), name of the content
    )

The content itself is in the store (services/http/storage), which identifies it by the attribute `name`.
"""

from dataclasses import dataclass, field

from lab7.services.http.fields import Fields
from lab7.services.http.messages import Response


@dataclass(frozen=True, slots=True)
class ContentSpan:
    """Octets `first` to `last` of a representation, inclusive, as in Content-Range (RFC 9110 section 14.4).

    `complete_length` is the representation's size in octets, None if unknown. If the content of a response ended early,
    `last` is the last octet received.
    """

    first: int
    last: int
    complete_length: int | None

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """Stored response with the metadata of its exchange that the rules of RFC 9111 need.

    uri             the cache key, from keys.cache_key
    method          method of the original request. A response to HEAD has no content and satisfies HEAD only; one to
                    GET, POST or PATCH satisfies GET and HEAD (RFC 9110 9.3.3)
    request_fields  fields of the original request as the client sent it, for Vary (RFC 9111 4.1)
    request_time    time when the request was sent upstream, wall clock, seconds since 1970 UTC (RFC 9111 4.2.3)
    response_time   time when the response's head was received, the same clock
    response        head of the response, with the fields that RFC 9111 section 3.1 lets a cache store; its body is b""
    size_octets     size of the stored content, None while the content is still arriving
    span            None for complete content, else the part of the representation that is stored
    name            the store's handle for the content, "" before it has one
    """

    uri: bytes
    method: bytes
    request_fields: Fields
    request_time: float
    response_time: float
    response: Response
    size_octets: int | None = None
    span: ContentSpan | None = None
    name: str = ""
    # Cache of derived metadata (freshness.py), filled at the first use; a copy of the response starts without it.
    memo: object = field(default=None, init=False, compare=False, repr=False)
