"""Cache-Status (RFC 9211), Date (RFC 9110 section 6.6.1) and hop-by-hop fields of relayed responses."""

import pytest

from lab7.services.http.cache.decisions import DEFAULT_POLICY, Policy
from lab7.services.http.cache.response import handle_response
from lab7.services.http.cache.reuse import cache_identifier, mark_collapsed
from lab7.services.http.messages import Request, Response
from tests.core.services.http.cache.exchanges import NOW, URI, Cache, date, entry, fields, forwarded, get, ok, served

MAX_AGE = "Cache-Control: max-age=60"


def status_of(response: Response) -> bytes | None:
    return response.fields.get(b"cache-status")


def relayed(response: Response, request: Request | None = None, policy: Policy = DEFAULT_POLICY) -> Response:
    return handle_response(URI, forwarded(request or get()), response, NOW, NOW, (), policy).response


@pytest.mark.parametrize(
    ("name", "item"),
    [
        (b"lab7", b"lab7"),
        (b"a-b.example:8080", b"a-b.example:8080"),
        (b"*a", b"*a"),
        (b"3f2a9c:8080", b'"3f2a9c:8080"'),
        (b"127.0.0.1:80", b'"127.0.0.1:80"'),
        (b"-a", b'"-a"'),
        (b'a"\\', b'"a\\"\\\\"'),
    ],
)
def test_2_a_cache_is_a_token_or_a_string(name: bytes, item: bytes) -> None:
    assert cache_identifier(name) == item
    line = status_of(relayed(ok(MAX_AGE), policy=Policy(cache_identifier(name))))
    assert line == item + b"; fwd=uri-miss; ttl=60; stored"


def test_2_2_why_a_request_went_on() -> None:
    assert status_of(relayed(ok(MAX_AGE))) == b"lab7; fwd=uri-miss; ttl=60; stored"
    assert status_of(relayed(ok("Cache-Control: no-store"))) == b"lab7; fwd=uri-miss"
    assert status_of(relayed(ok(), get(method=b"PUT"))) == b"lab7; fwd=method"
    assert status_of(relayed(ok(), get("Content-Length: 1"))) == b"lab7; fwd=bypass"


def test_2_4_ttl_is_what_is_left() -> None:
    assert status_of(relayed(ok(MAX_AGE, "Age: 20"))) == b"lab7; fwd=uri-miss; ttl=40; stored"
    assert status_of(served(get(), entry(MAX_AGE), after=20.5).response) == b"lab7; hit; ttl=40"
    stale = served(get("Cache-Control: max-stale"), entry(MAX_AGE), after=100.5)
    assert status_of(stale.response) == b"lab7; hit; ttl=-40"


def test_2_members_of_other_caches_stay_in_front() -> None:
    response = relayed(ok(MAX_AGE, "Cache-Status: inner; hit"))
    assert response.fields.get_all(b"cache-status") == [b"inner; hit", b"lab7; fwd=uri-miss; ttl=60; stored"]
    cache = Cache()
    cache.ask(get(), (ok(MAX_AGE, "Cache-Status: inner; hit"), b""))
    assert status_of(cache.ask(get())[0]) == b"inner; hit, lab7; hit; ttl=60"


def test_2_6_collapsed() -> None:
    forward = forwarded(get())
    answer = served(get(), entry(MAX_AGE)).response
    assert status_of(mark_collapsed(answer, DEFAULT_POLICY, forward)) == b"lab7; fwd=uri-miss; collapsed; ttl=60"
    alone = mark_collapsed(relayed(ok()), DEFAULT_POLICY, forward, is_reused=False)
    assert status_of(alone) == b"lab7; fwd=uri-miss; collapsed=?0"
    assert mark_collapsed(ok(), DEFAULT_POLICY, forward) == ok()


def test_2_7_the_key_is_told_where_the_policy_says_so() -> None:
    policy = Policy(identifier=b"edge", show_key=True)
    assert status_of(relayed(ok(MAX_AGE), policy=policy)) == b'edge; fwd=uri-miss; ttl=60; stored; key="%b"' % URI
    assert status_of(served(get(), entry(MAX_AGE), policy=policy).response) == b'edge; hit; ttl=60; key="%b"' % URI


def test_rfc9110_6_6_1_a_response_without_a_valid_date_gets_one() -> None:
    for lines in ([], ["Date: yesterday"], [f"Date: {date(-5)}", f"Date: {date(-5)}"]):
        assert relayed(Response(200, fields(*lines))).fields.get_all(b"date") == [date(0).encode()]
    assert relayed(Response(200, fields(f"Date: {date(-5)}"))).fields.get_all(b"date") == [date(-5).encode()]


def test_rfc9110_7_6_1_fields_of_the_connection_end_here() -> None:
    lines = ["Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: x", "Transfer-Encoding: chunked", "Content-Length: 9"]
    response = relayed(ok(MAX_AGE, *lines, "X: 1"))
    assert response.fields.without((b"cache-status",)) == fields(f"Date: {date(0)}", MAX_AGE, "X: 1")


def test_rfc9110_7_6_1_what_is_for_all_recipients_stays_whatever_connection_names() -> None:
    response = relayed(ok("Cache-Control: no-store", "Connection: Cache-Control, Date"))
    assert response.fields.get(b"cache-control") == b"no-store"
    assert response.fields.get_all(b"date") == [date(0).encode()]


def test_an_unknown_status_is_relayed_as_it_is() -> None:
    response = relayed(Response(599, fields(f"Date: {date(0)}", "X: 1"), reason=b"Odd"))
    assert (response.status, response.reason, response.fields.get(b"x")) == (599, b"Odd", b"1")


def test_an_interim_response_is_relayed_untouched() -> None:
    early = Response(103, fields("Link: </a>"))
    received = handle_response(URI, forwarded(get()), early, NOW, NOW, ())
    assert received.response is early
    assert received.store is None
