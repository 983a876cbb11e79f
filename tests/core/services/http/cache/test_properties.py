"""Properties of all decisions, for arbitrary requests and responses (RFC 9111)."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lab7.services.http.cache.decisions import DEFAULT_POLICY, Forward, Serve, Unsatisfiable
from lab7.services.http.cache.freshness import derived_metadata
from lab7.services.http.cache.lookup import decide
from lab7.services.http.cache.response import handle_failure, handle_response
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request, Response
from lab7.services.http.ranges import Span
from tests.core.services.http.cache.exchanges import NOW, URI, date

DIRECTIVES = st.sampled_from(
    (
        "max-age=60", "max-age=0", "max-age=x", "s-maxage=60", "no-cache", "no-store", "private", "public", "immutable",
        "must-revalidate", "proxy-revalidate", "must-understand", "stale-while-revalidate=60", "stale-if-error=60",
        'no-cache="x"', 'private="set-cookie"', "max-stale", "max-stale=60", "min-fresh=30", "only-if-cached", "x=1",
    )
)  # fmt: skip
CONTROL = st.lists(DIRECTIVES, max_size=3).map(", ".join)
DATES = st.integers(-200, 200).map(date) | st.just("0")
TAGS = st.sampled_from(('"a"', '"b"', 'W/"a"', "a", '"a", "b"', "*"))
RANGES = st.sampled_from(("bytes=0-1", "bytes=2-", "bytes=-3", "bytes=0-0,4-5", "bytes=9-", "x"))
SPANS = st.sampled_from(("bytes 0-1/10", "bytes 2-9/10", "bytes 0-9/10", "bytes 0-1/*", "bytes 5-1/3"))
OCTETS = st.text('az09=,;"\\ -', max_size=12)


def lines(**values: st.SearchStrategy[str]) -> st.SearchStrategy[Fields]:
    """Generate fields, each absent, or with a valid value or arbitrary octets."""
    names = [name.replace("_", "-").encode() for name in values]
    choices = [st.none() | value | OCTETS for value in values.values()]
    return st.tuples(*choices).map(
        lambda found: Fields(
            tuple((name, value.encode()) for name, value in zip(names, found, strict=True) if value is not None)
        )
    )


RESPONSE_FIELDS = lines(
    Cache_Control=CONTROL, CDN_Cache_Control=CONTROL, Expires=DATES, Date=DATES, Age=st.sampled_from(("0", "30", "-1")),
    Last_Modified=DATES, ETag=TAGS, Vary=st.sampled_from(("Accept", "*", "X")), Content_Range=SPANS,
    Content_Length=st.sampled_from(("10", "2")), Location=st.sampled_from(("/b", "//x/")), Set_Cookie=st.just("a=1"),
    Connection=st.sampled_from(("close", "Date", "Set-Cookie")),
)  # fmt: skip
REQUEST_FIELDS = lines(
    Cache_Control=CONTROL, Pragma=st.just("no-cache"), If_None_Match=TAGS, If_Modified_Since=DATES, If_Match=TAGS,
    If_Unmodified_Since=DATES, If_Range=TAGS | DATES, Range=RANGES, Accept=st.just("x"), Authorization=st.just("y"),
)  # fmt: skip
METHODS = st.sampled_from((b"GET", b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"FOO"))
REQUESTS = st.builds(Request, METHODS, st.just(b"/a"), REQUEST_FIELDS)
STATUSES = st.sampled_from((200, 200, 200, 204, 206, 301, 304, 304, 404, 412, 416, 500, 503, 599))
RESPONSES = st.builds(Response, STATUSES, RESPONSE_FIELDS)
AFTER = st.floats(0, 300)
SIZE = 10


def arrived(stored: StoredResponse | None) -> list[StoredResponse]:
    if stored is None:
        return []
    size = SIZE if stored.span is None else len(stored.span)
    return [replace(stored, size_octets=0 if stored.method == b"HEAD" else size, name="1")]


def first_stored(request: Request, response: Response) -> list[StoredResponse]:
    """Return the response that an empty cache stores of an exchange."""
    decision = decide(request, URI, [], NOW)
    if isinstance(decision, Unsatisfiable):
        return []
    assert isinstance(decision, Forward)
    return arrived(handle_response(URI, decision, response, NOW, NOW, []).store)


def check_serve(answer: Serve, request: Request, now: float) -> None:
    stored = answer.stored
    facts = derived_metadata(stored, DEFAULT_POLICY)
    assert request.method in (b"GET", b"HEAD")
    assert stored.method != b"HEAD" or request.method == b"HEAD"
    assert facts.answers(request.fields)
    assert not facts.directives.private
    assert answer.is_stale is (facts.age_s(now) >= facts.lifetime_s)
    assert not (answer.is_stale and facts.is_prohibited_stale)
    if stored.span is not None:
        assert answer.response.status in (206, 304)
    for segment in answer.segments or ():
        assert not isinstance(segment, Span) or 0 <= segment.first <= segment.last < (stored.size_octets or 0)
    # A 416 that the origin sent may be stored, with content; one that the cache generates has none.
    generated = answer.response.status == 304 or (answer.response.status == 416 and stored.response.status != 416)
    if generated or request.method == b"HEAD":
        assert answer.segments == ()
    else:
        sent = stored.size_octets if answer.segments is None else sum(map(len, answer.segments))
        told = answer.response.fields.get(b"content-length")
        assert told == b"%d" % (sent or 0) or answer.response.status == 204


@settings(max_examples=200)
@given(REQUESTS, RESPONSES, REQUESTS, AFTER)
def test_what_is_served(first: Request, response: Response, second: Request, after: float) -> None:
    stored = first_stored(first, response)
    decision = decide(second, URI, stored, NOW + after)
    if isinstance(decision, Serve):
        facts = derived_metadata(decision.stored, DEFAULT_POLICY)
        assert not facts.directives.no_cache
        assert int(decision.response.fields.get(b"age") or b"-1") == decision.age_s >= int(after)
        check_serve(decision, second, NOW + after)
    elif isinstance(decision, Forward):
        assert all(one in stored for one in decision.validating)
        assert decision.original is second
        instead = handle_failure(URI, decision, NOW + after)
        if instead is not None:
            check_serve(instead, second, NOW + after)


@settings(max_examples=200)
@given(REQUESTS, RESPONSES, REQUESTS, RESPONSES, AFTER)
def test_what_is_received(first: Request, response: Response, second: Request, answer: Response, after: float) -> None:
    stored = first_stored(first, response)
    decision = decide(second, URI, stored, NOW + after)
    if not isinstance(decision, Forward):
        return
    received = handle_response(URI, decision, answer, NOW + after, NOW + after, stored)
    assert all(old in stored for old, _ in received.updates)
    assert all(one in stored or one in [new for _, new in received.updates] for one in received.removals)
    if received.serve is not None:
        assert answer.status in (304, 500, 503)
        check_serve(received.serve, second, NOW + after)
    if received.retry is not None:
        assert received.retry.request == second != decision.request
    if received.store is not None:
        check_store(received.store, second, answer)
        check_asked(decision.request, answer.status)
    if received.serve is None and received.retry is None:
        assert received.response.status == (200 if received.relays_pieces else answer.status)


def check_store(stored: StoredResponse, request: Request, answer: Response) -> None:
    """Check that storing is permitted (RFC 9111 section 3)."""
    assert answer.status != 304
    assert request.method in (b"GET", b"HEAD", b"POST")
    assert b"no-store" not in (request.fields.get(b"cache-control") or b"").split(b", ")
    directives = derived_metadata(stored, DEFAULT_POLICY).directives
    assert not directives.private
    assert not directives.no_store or directives.must_understand
    if b"authorization" in request.fields:
        assert directives.public or directives.must_revalidate or directives.s_maxage is not None
    assert b"connection" not in stored.response.fields
    assert answer.status != 206 or b"content-range" not in stored.response.fields
    assert stored.response.fields.get(b"date") is not None
    assert stored.span is None or answer.status == 206


def check_asked(request: Request, status: int) -> None:
    """Check that a response to a precondition or range is not stored (RFC 9110 sections 15.5.13 and 15.5.17)."""
    names = {line[0].lower() for line in request.fields.lines}
    assert status != 412 or not any(name.startswith(b"if-") and name != b"if-range" for name in names)
    assert status != 416 or b"range" not in names


@given(REQUESTS, RESPONSES)
def test_an_unsafe_request_that_succeeds_leaves_nothing(first: Request, response: Response) -> None:
    """RFC 9111 section 4.4"""
    for method in (b"PUT", b"DELETE", b"FOO", b"POST"):
        request = Request(method, b"/a", first.fields)
        decision = decide(request, URI, first_stored(first, response), NOW)
        assert isinstance(decision, Forward)
        invalidates = handle_response(URI, decision, response, NOW, NOW, []).invalidates
        assert (URI in invalidates) is (200 <= response.status < 400 and response.status != 304)
