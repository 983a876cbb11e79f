"""The words in which a cache's decisions are told to whoever carries them out, and the policy they rest on.

decide  -> Serve | Forward | Unsatisfiable
receive -> Received       what becomes of the response to a Forward
failed  -> Serve | None   no response came
"""

from dataclasses import dataclass

from services.http.cache.stored import StoredResponse
from services.http.messages import Request, Response
from services.http.ranges import Span

# RFC 9111 section 4.2.2 names a tenth of the interval since Last-Modified as the typical setting.
HEURISTIC_FRACTION = 0.1
# The bound that RFC 7234 section 5.5.4 drew: what was reused for longer on a heuristic had to carry a warning.
HEURISTIC_MOST_S = 86_400
# RFC 9111 section 4.2.4 bounds nothing; this is squid's max_stale.
STALE_MOST_S = 7 * 86_400


@dataclass(frozen=True)
class Policy:
    """What the RFCs leave to the cache. Compared by identity on the hot path: make one and keep it.

    identifier          the cache's name in Cache-Status as it stands there, a Token or String: cache_status.identifier
    heuristic_fraction  of the time since Last-Modified that a response without explicit freshness is fresh (4.2.2)
    heuristic_most_s    the longest that such a response is fresh, seconds
    targeted            lower-case names of the targeted fields to obey, the first one first (RFC 9213 section 2.2)
    stale_on_failure    whether a stale response is served when upstream cannot be reached, where nothing forbids it
    stale_on_error      whether a 5xx to a validation counts as that (RFC 9111 4.3.3); stale-if-error needs no leave
    stale_most_s        the longest that a response served for one of these two reasons may have been stale, seconds
    show_key            whether Cache-Status tells the cache key (RFC 9211 section 2.7)
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
    """Send `request` upstream, then call receive, or failed when no response comes.

    original      what is asked for: the client's request, or for `revalidate` one made of it
    request       what to send but for what every proxy changes (Via, connection fields, target): its precondition and
                  range fields are already those to send
    reason        Cache-Status's fwd parameter: uri-miss, vary-miss, method, request, stale, partial, miss or bypass
                  (RFC 9211 section 2.2)
    validating    the stored responses whose validators the request carries (RFC 9111 4.3.1); () where it carries none
    fallback      a stored response that may be sent when the request fails or brings a server error: failed and receive
                  decide whether it is
    completing    a stored partial response whose missing end the request asks for (RFC 9111 3.3), else None
    may_collapse  whether other requests for this URI may wait for the response and be decided anew with it stored
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
    """Answer from storage: send `response`, a final head, with the content that `segments` names.

    stored      where the content is from (after Received.updates, where the same answer names one)
    age_s       the Age that the response carries, whole seconds
    is_stale    whether it is past its freshness lifetime
    response    the head: 200, or what was stored; 206, 304 or 416; with Age, Cache-Status and Content-Length where it
                is known. Its fields are complete but for Via and the connection's own
    segments    None: all of the stored content. Else the pieces in order, none for 304, 416 and HEAD: octets to be
                sent as they are, and Spans of the stored content, counted from its own beginning
    revalidate  to be sent in the background, its answer given to receive and not to the client (RFC 5861 section 3)
    """

    stored: StoredResponse
    age_s: int
    is_stale: bool
    response: Response
    segments: tuple[bytes | Span, ...] | None = None
    revalidate: Forward | None = None


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """only-if-cached and nothing that may be reused: send `response`, a 504 (RFC 9111 section 5.2.1.7)."""

    response: Response


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets `span` of a representation: of the stored content, counted from its own beginning, or, where `stored` is
    None, of the content that is arriving, counted from its own beginning."""

    stored: StoredResponse | None
    span: Span


@dataclass(frozen=True, slots=True)
class Received:
    """What becomes of a response. To be carried out in the order of the attributes.

    retry        send this instead and forget the response: it does not answer what the client asked
    invalidates  cache keys of which all stored responses are to be removed (RFC 9111 section 4.4)
    updates      (old, new): the stored response old is freshened to new, its content kept (RFC 9111 section 4.3.4)
    store        to be stored with the content that arrives, if it arrives as a whole; else None. Its size_octets is
                 None. When content of a complete response with a strong validator ends early, storing.truncated says
                 what may be stored of it
    pieces       () : the content to store, and to relay, is the content that arrives. Else it is these, in order
    relays_pieces  whether the client, too, gets the pieces instead of what arrives
    serve        the answer to the client is this, from storage; None: it is `response` with its content
    removals     stored responses that are to be removed, when the content of `serve` is open: they are outdated
    response     the head to relay: fields that concern the connection alone are removed; Date and Cache-Status are in
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
