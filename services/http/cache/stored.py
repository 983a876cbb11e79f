"""What a cache stores of a response (RFC 9111 sections 3 and 3.1), as immutable values.

    StoredResponse(b"http://a/", b"GET", request.fields, 10.0, 10.2, response, 5, None, "1f3a")

The content is not here: a store keeps it under `name`.
"""

from dataclasses import dataclass, field

from services.http.fields import Fields
from services.http.messages import Response


@dataclass(frozen=True, slots=True)
class ContentSpan:
    """Octets `first` to `last` of a representation, both counted in, as Content-Range has them (RFC 9110 14.4).

    `complete_length` is the representation's size in octets, None where it was not told. Where the end of the content
    is not known before it has come (an unfinished complete response), `last` is set when it ends.
    """

    first: int
    last: int
    complete_length: int | None

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response in the cache and what the rules need to know of how it came. A changed one is a new value.

    uri             the cache key, from keys.cache_key
    method          of the request that brought it: GET; HEAD, which has no content and answers HEAD alone; POST, which
                    answers GET and HEAD (RFC 9110 9.3.3)
    request_fields  of that request as the client sent it, for Vary (RFC 9111 4.1)
    request_time    wall clock, seconds since 1970 UTC: when the request was sent upstream (RFC 9111 4.2.3)
    response_time   the same clock: when the response's head came
    response        its head, fields as RFC 9111 3.1 has them stored, body b""
    size_octets     of the stored content, None while it is still arriving
    span            None: the content is complete. Else which part of the representation the content is
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
    # What follows from the values above, worked out at the first use (facts.py). A copy begins without it.
    memo: object = field(default=None, init=False, compare=False, repr=False)
