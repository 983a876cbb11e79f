"""Storable responses and invalidation (RFC 9111 sections 3 to 3.3, 3.5 and 4.4; RFC 9110 section 9.3).

A response is stored where method, status, request and directives all permit it, and where it can ever be reused or
validated. Left out: responses to methods other than GET, HEAD, POST and PATCH, whose definitions allow no caching or
define no key; 206 with several ranges; and "Vary: *", which never matches a request.
"""

from dataclasses import replace

from services.http.cache.decisions import Policy
from services.http.cache.derived import DerivedMetadata, derived_metadata
from services.http.cache.directives import ResponseDirectives, request_directives
from services.http.cache.freshness import HEURISTICALLY_CACHEABLE, EffectiveControl, effective_control
from services.http.cache.headers import stored_fields
from services.http.cache.keys import resolved_key
from services.http.cache.ranges import is_complete, is_range_request, parse_content_range
from services.http.cache.stored import ContentSpan, StoredResponse
from services.http.cache.validation import CLIENT_PRECONDITIONS
from services.http.fields import Fields
from services.http.messages import Request, Response

# The safe methods of RFC 9110 section 9.2.1, and of the IANA registry of methods: PROPFIND (RFC 4918), REPORT
# (RFC 3253), SEARCH (RFC 5323). All others are treated as unsafe.
SAFE_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PROPFIND", b"REPORT", b"SEARCH"))


def invalidated(method: bytes, uri: bytes, response: Response) -> tuple[bytes, ...]:
    """Return the cache keys invalidated by a response to an unsafe method, `uri` first (RFC 9111 section 4.4).

    Location and Content-Location are included where they have the same origin.
    """
    # A non-error response: 2xx or 3xx.
    if method in SAFE_METHODS or not 200 <= response.status < 400:
        return ()
    keys = [uri]
    for name in (b"location", b"content-location"):
        for reference in response.fields.get_all(name):
            key = resolved_key(uri, reference)
            if key is not None and key not in keys:
                keys.append(key)
    return tuple(keys)


# RFC 9110 section 9.3.3 and RFC 5789 section 2: with Content-Location, a response to these may satisfy a later GET.
_WITH_CONTENT_LOCATION = frozenset((b"POST", b"PATCH"))
# The final status codes of RFC 9110 section 15 except 304, which is never stored itself, and the registered codes
# without a rule on caching. Needed for must-understand (RFC 9111 section 5.2.2.3).
UNDERSTOOD = frozenset(
    (*range(200, 208), 226, *range(300, 304), 305, 307, 308, *range(400, 418), 421, 422, 423, 424, 426, 451)
) | frozenset((500, 501, 502, 503, 504, 505, 506, 507, 508))
# A 304 updates stored responses, 407 is from the proxy; RFC 6585 sections 3 to 6 forbid storing 428, 429, 431 and 511.
NEVER_STORED_STATUS = frozenset((304, 407, 428, 429, 431, 511))
# Statuses caused by request fields that are not in the cache key (RFC 9110 sections 15.5.13, 15.5.17 and 15.5.18).
# A response with such a status is stored only if the request has none of these fields.
ANSWERS_TO_FIELDS = {412: CLIENT_PRECONDITIONS, 416: (b"range",), 417: (b"expect",)}


def storable(
    request: Request,
    uri: bytes,
    response: Response,
    request_time: float,
    response_time: float,
    policy: Policy,
) -> StoredResponse | None:
    """Return the response to store, None where storing is forbidden or useless.

    `request` is the forwarded request without the cache's preconditions; `response` comes from headers.relayed.
    """
    control = effective_control(response, policy)
    if not (
        _method_allows(request, uri, response, control)
        and _status_allows(request, response, control.directives)
        and _request_allows(request, control.directives)
        and _directives_allow(response, control)
    ):
        return None
    span = _span(response)
    stored = StoredResponse(
        uri=uri,
        method=request.method,
        request_fields=request.fields,
        request_time=request_time,
        response_time=response_time,
        response=_head(response, stored_fields(response, control.directives), is_whole=span is None),
        span=span,
    )
    return stored if _is_useful(derived_metadata(stored, policy), control) else None


def truncated(stored: StoredResponse, received_octets: int) -> StoredResponse | None:
    """Return the partial response to store where content ended early, None for none (RFC 9111 section 3.3).

    `stored` is the result of storable, `received_octets` the size of the content received. Stored is content that can
    be completed later: of a 200 to GET with a strong validator (section 3.4).
    """
    tag = stored.response.fields.get(b"etag")
    if stored.method != b"GET" or stored.response.status != 200 or received_octets <= 0 or tag is None:
        return None
    if not tag.startswith(b'"'):
        return None
    if stored.span is not None:
        span = replace(stored.span, last=stored.span.first + received_octets - 1)
        return replace(stored, span=span) if span.last < stored.span.last else None
    length = stored.response.fields.get(b"content-length") or b""
    complete = int(length) if length.isdigit() and len(length) < 20 else None
    if complete is not None and complete <= received_octets:
        return None
    response = _head(stored.response, stored.response.fields.without((b"content-length",)), is_whole=False)
    return replace(stored, response=response, span=ContentSpan(0, received_octets - 1, complete))


def _span(response: Response) -> ContentSpan | None:
    """Return the span of a partial response; None for a complete one, which a 206 can be (RFC 9110 section 15.3.7)."""
    span = parse_content_range(response.fields) if response.status == 206 else None
    # By Content-Length, which agrees with the span, the store detects truncated content.
    is_all = span is not None and is_complete(span) and b"content-length" in response.fields
    return None if is_all else span


def _head(response: Response, fields: Fields, *, is_whole: bool) -> Response:
    """Return the head to store: a 206 as an incomplete 200, its Content-Range as the span (RFC 9111 section 3.3)."""
    # RFC 9110 section 7.6.3: Via has the version in which the response was received.
    if response.status != 206:
        return Response(response.status, fields, reason=response.reason, version=response.version)
    fields = fields.without((b"content-range",) if is_whole else (b"content-range", b"content-length"))
    return Response(200, fields, version=response.version)


def _method_allows(request: Request, uri: bytes, response: Response, control: EffectiveControl) -> bool:
    if request.method in (b"GET", b"HEAD"):
        # RFC 9110 section 9.3.1: content of a GET has no semantics; an origin that uses it makes the key incomplete.
        return not has_content(request)
    # RFC 9110 section 9.3.3, RFC 5789 section 2: explicit freshness and Content-Location with the target's URI.
    if request.method not in _WITH_CONTENT_LOCATION or response.status != 200 or not control.is_explicit:
        return False
    location = response.fields.get(b"content-location")
    return location is not None and resolved_key(uri, location) == uri


def has_content(request: Request) -> bool:
    """Return True where a request's framing announces content (RFC 9112 section 6.3)."""
    length = request.fields.get(b"content-length")
    return b"transfer-encoding" in request.fields or (length is not None and length.strip(b"0") != b"")


def is_about_fields(request: Request, response: Response) -> bool:
    """Return True where the status may be caused by request fields that are not in the cache key."""
    return request.fields.has_any(ANSWERS_TO_FIELDS.get(response.status, ()))


def _status_allows(request: Request, response: Response, directives: ResponseDirectives) -> bool:
    status = response.status
    # RFC 9111 section 3: a final status code; with must-understand, one that the cache understands.
    if status < 200 or status in NEVER_STORED_STATUS:
        return False
    if is_about_fields(request, response):
        return False
    if directives.must_understand and status not in UNDERSTOOD:
        return False
    if status != 206:
        return True
    # RFC 9111 section 3.3: GET only; RFC 9110 section 15.3.7: a 206 without a range request is an error of the origin.
    span = parse_content_range(response.fields)
    if span is None or not is_range_request(request):
        return False
    length = response.fields.get(b"content-length")
    return length is None or length == b"%d" % len(span)


def request_allows(request: Request, response: Response, policy: Policy) -> bool:
    """Return True where a request permits storing a response to it (RFC 9111 sections 3.5 and 5.2.1.5)."""
    return _request_allows(request, effective_control(response, policy).directives)


def _request_allows(request: Request, directives: ResponseDirectives) -> bool:
    fields = request.fields
    # RFC 9111 section 5.2.1.5
    if request_directives(tuple(fields.get_all(b"cache-control")), None).no_store:
        return False
    # RFC 9111 section 3.5
    return b"authorization" not in fields or (
        directives.must_revalidate or directives.public or directives.s_maxage is not None
    )


def may_remain_stored(response: Response, policy: Policy) -> bool:
    """Return True where a response with updated fields may stay stored (RFC 9111 sections 3.2, 5.2.2.5, 5.2.2.7)."""
    return _directives_allow(response, effective_control(response, policy))


def _directives_allow(response: Response, control: EffectiveControl) -> bool:
    directives = control.directives
    # RFC 9111 section 5.2.2.3: must-understand, where the status code is understood, overrides no-store.
    if directives.no_store and not (directives.must_understand and response.status in UNDERSTOOD):
        return False
    # RFC 9111 section 5.2.2.7, a shared cache
    if directives.private:
        return False
    # RFC 9111 section 3, the last requirement
    return control.is_explicit or directives.public or response.status in HEURISTICALLY_CACHEABLE


def _is_useful(metadata: DerivedMetadata, control: EffectiveControl) -> bool:
    """Return False for a response that can be neither reused nor validated (RFC 9111 section 3)."""
    # Section 4.1: "*" always fails to match.
    if metadata.names is None:
        return False
    if metadata.has_validator or (metadata.lifetime_s > metadata.initial_age_s and not metadata.directives.no_cache):
        return True
    # Stale from the start, without a validator: useful only where stale responses are permitted.
    given = metadata.directives
    is_meant_to_stay = control.is_explicit or given.public or given.stale_while_revalidate or given.stale_if_error
    return bool(is_meant_to_stay) and not metadata.is_prohibited_stale
