"""Decisions of the HTTP cache (Serve, Forward, Unsatisfiable, ResponseActions), and its policy parameters (RFC 9111).

The functions that return them are in the modules lookup and response:

lookup.decide              -> Serve | Forward | Unsatisfiable
response.handle_response   -> ResponseActions   after the response to a Forward: relay, store, freshen, invalidate
response.handle_failure    -> Serve | None      without a response to a Forward: a stale response, or None: an error
"""

from dataclasses import dataclass

from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.messages import Request, Response
from lab7.services.http.ranges import Span

# RFC 9111 section 4.2.2 names a tenth of the interval since Last-Modified as the typical setting.
HEURISTIC_FRACTION = 0.1
# Maximum heuristic freshness lifetime in seconds: above a day, RFC 7234 section 5.5.4 required a warning (113).
HEURISTIC_MOST_S = 86_400
# RFC 9111 section 4.2.4 sets no limit on the staleness of reused responses; this default is squid's max_stale.
STALE_MOST_S = 7 * 86_400


@dataclass(frozen=True)
class Policy:
    """Cache policy: the parameters that the RFCs leave to the cache.

    Use one instance for all requests: the metadata derived from a stored response is cached per Policy instance,
    compared by identity.

    identifier          the cache's name in Cache-Status, encoded as a Token or String by reuse.cache_identifier
    heuristic_fraction  heuristic freshness lifetime as a fraction of the time since Last-Modified (4.2.2)
    heuristic_most_s    maximum heuristic freshness lifetime, seconds
    targeted            lower-case names of the targeted fields to obey, in order of precedence (RFC 9213 section 2.2)
    stale_on_failure    serve a stale response when upstream cannot be reached, unless a directive prohibits it
    stale_on_error      treat a 5xx to a validation as if upstream could not be reached (RFC 9111 4.3.3); independent of
                        stale-if-error
    stale_most_s        maximum staleness of a response served by stale_on_failure or stale_on_error, seconds
    show_key            include the cache key in Cache-Status (RFC 9211 section 2.7)
    """

    identifier: bytes = b"lab7"
    heuristic_fraction: float = HEURISTIC_FRACTION
    heuristic_most_s: int = HEURISTIC_MOST_S
    targeted: tuple[bytes, ...] = (b"cdn-cache-control",)
    stale_on_failure: bool = True
    stale_on_error: bool = False
    stale_most_s: int = STALE_MOST_S
    show_key: bool = False


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Forward:
    """Decision to send `request` upstream; its response goes to handle_response, a failure to handle_failure.

    original      the request to satisfy: the client's request, or for Serve.revalidate one derived from it
    request       the request to send: preconditions and Range are final; Via, the connection fields and the target are
                  still those of the client's request
    reason        the fwd parameter of Cache-Status (RFC 9211 section 2.2): uri-miss, vary-miss, method, request, stale,
                  partial, miss or bypass
    validating    the stored responses whose validators the request carries (RFC 9111 4.3.1); () if it carries none
    fallback      the stored response to serve stale after a failure or a server error, if handle_failure or
                  handle_response permits it
    completing    a stored partial response whose missing end the request fetches (RFC 9111 3.3), else None
    may_collapse  request collapsing is permitted: other requests for this URI may wait for the response, and are
                  decided again once it is stored
    """

    original: Request
    request: Request
    reason: bytes
    validating: tuple[StoredResponse, ...] = ()
    fallback: StoredResponse | None = None
    completing: StoredResponse | None = None
    may_collapse: bool = False


@dataclass(frozen=True, slots=True)
class Serve:
    """Decision to reuse a stored response: `response` is the head to send, `segments` describe the content.

    stored      the stored response whose content is sent; its updated form if ResponseActions.updates contains it
    age_s       the value of Age in the response, whole seconds
    is_stale    the response is past its freshness lifetime
    response    the head: the stored status, or 206, 304 or 416; with Age, Cache-Status, and Content-Length if known.
                Only Via and the hop-by-hop fields are missing
    segments    None for all of the stored content. Otherwise a sequence of literal octets and of Spans, which are
                relative to the first octet of the stored content; empty for 304, 416 and HEAD
    revalidate  a request to send in the background; handle_response gets the response to it (RFC 5861 section 3)
    """

    stored: StoredResponse
    age_s: int
    is_stale: bool
    response: Response
    segments: tuple[bytes | Span, ...] | None = None
    revalidate: Forward | None = None


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """Decision to send `response`, a 504: only-if-cached without a reusable response (RFC 9111 section 5.2.1.7)."""

    response: Response


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of combined content: the octets `span` of `stored`, or of the content that is arriving if `stored` is None.

    Positions are counted from the first octet of the content, even if the content is part of a representation.
    """

    stored: StoredResponse | None
    span: Span


@dataclass(frozen=True, slots=True)
class ResponseActions:
    """Effects of a received response on the store and on the client.

    response     the head to relay: without hop-by-hop fields, with Date and Cache-Status
    serve        a stored response to send to the client instead; None: relay `response` with its content
    retry        a request to send instead; the response is discarded, since it does not satisfy the client's request
    invalidates  cache keys whose stored responses are all removed (RFC 9111 section 4.4)
    updates      pairs (old, new): the stored response old is freshened to new, with the same content (section 4.3.4)
    store        the response to store with the arriving content, its size_octets None; None to store nothing. If the
                 content ends early, truncated() in response.py returns the partial response to store
    pieces       (): store and relay the arriving content. Otherwise store the concatenation of the pieces
    relays_pieces  relay the concatenation of the pieces to the client, instead of the arriving content
    removals     outdated stored responses; remove them once the content of `serve` has been opened
    """

    response: Response
    serve: Serve | None = None
    retry: Forward | None = None
    invalidates: tuple[bytes, ...] = ()
    updates: tuple[tuple[StoredResponse, StoredResponse], ...] = ()
    store: StoredResponse | None = None
    pieces: tuple[Piece, ...] = ()
    relays_pieces: bool = False
    removals: tuple[StoredResponse, ...] = ()


Decision = Serve | Forward | Unsatisfiable
