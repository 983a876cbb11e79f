"""Exact changes to forwarded messages, and routing of requests."""

import pytest

from lab7.services.http.cache.keys import cache_key
from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import Fields
from lab7.services.http.http1.codec import parse_request_head
from lab7.services.http.intermediary.forwarding import (
    build_response,
    check_request,
    forwarded_request,
    forwarded_trailers,
    normal_route,
    own_response,
    remaining_forwards,
    route,
    strip_hop_by_hop,
    takes_trailers,
    via,
)
from lab7.services.http.intermediary.settings import is_connect_permitted, parse_connect_target
from lab7.services.http.messages import HTTP_1_0, Request, Response, split_target
from lab7.services.http.urls import Origin

NAME = b"lab7:3128"
ORIGIN = Origin("origin.example", 8000)


def request(*lines: bytes, start: bytes = b"GET http://a.example/p?q HTTP/1.1") -> Request:
    return parse_request_head(b"\r\n".join([start, b"Host: a.example", *lines, b"", b""]))


def forwarded(came: Request, length: int | None = 0) -> list[tuple[bytes, bytes]]:
    trailers = takes_trailers(came.fields)
    return list(forwarded_request(strip_hop_by_hop(came), route(came, None), NAME, length, trailers).fields)


def test_a_plain_request_gets_nothing_but_via() -> None:
    came = request(b"Accept: */*", b"x-ODD: 1", b"Cookie: a", b"Cookie: b")
    assert forwarded(came) == [
        (b"Host", b"a.example"),
        (b"Accept", b"*/*"),
        (b"x-ODD", b"1"),
        (b"Cookie", b"a"),
        (b"Cookie", b"b"),
        (b"Via", b"1.1 lab7:3128"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: Basic YTpi",
        b"Upgrade: websocket",
        b"TE: gzip",
        b"Transfer-Encoding: chunked",
    ],
)
def test_what_is_for_one_connection_goes_no_further(line: bytes) -> None:
    assert forwarded(request(line)) == [(b"Host", b"a.example"), (b"Via", b"1.1 lab7:3128")]


def test_what_connection_names_goes_no_further() -> None:
    came = request(b"X-Hop: 1", b"Connection: close, x-HOP", b"x-hop: 2", b"X-Kept: 3")
    assert forwarded(came) == [(b"Host", b"a.example"), (b"X-Kept", b"3"), (b"Via", b"1.1 lab7:3128")]


@pytest.mark.parametrize("named", [b"Host", b"Content-Length", b"Via"])
def test_naming_a_field_in_connection_breaks_neither_framing_nor_routing(named: bytes) -> None:
    came = request(b"Content-Length: 3", b"Connection: " + named, start=b"POST http://a.example/ HTTP/1.1")
    names = [name for name, _ in forwarded(came, 3)]
    assert names == [b"Host", b"Via", b"Content-Length"]


def test_trailer_fields_are_asked_for_when_the_client_takes_them() -> None:
    lines = forwarded(request(b"TE: trailers, deflate;q=0.5", b"Connection: TE"))
    assert lines[-2:] == [(b"TE", b"trailers"), (b"Connection", b"TE")]


@pytest.mark.parametrize(
    ("start", "length", "line"),
    [
        (b"POST http://a.example/ HTTP/1.1", 0, (b"Content-Length", b"0")),
        (b"POST http://a.example/ HTTP/1.1", 7, (b"Content-Length", b"7")),
        (b"POST http://a.example/ HTTP/1.1", None, (b"Transfer-Encoding", b"chunked")),
        (b"GET http://a.example/ HTTP/1.1", 0, (b"Via", b"1.1 lab7:3128")),
    ],
)
def test_content_is_framed_once(start: bytes, length: int | None, line: tuple[bytes, bytes]) -> None:
    lines = forwarded(request(start=start), length)
    assert lines[-1] == line
    assert sum(name in (b"Content-Length", b"Transfer-Encoding") for name, _ in lines) == (line[0] != b"Via")


def test_via_follows_those_before_and_says_what_the_client_spoke() -> None:
    came = request(b"Via: 1.0 fred", start=b"GET http://a.example/ HTTP/1.0")
    lines = forwarded(came)
    assert lines[-2:] == [(b"Via", b"1.0 fred"), (b"Via", b"1.0 lab7:3128")]
    assert via((2, 0), NAME) == b"2 lab7:3128"


@pytest.mark.parametrize("value", [b"1.1 lab7:3128", b"1.0 a, HTTP/1.1 LAB7:3128 (comment)"])
def test_a_request_that_was_here_before_is_a_loop(value: bytes) -> None:
    with pytest.raises(HTTPError) as refused:
        check_request(request(b"Via: " + value), NAME)
    assert refused.value.status == 508


def test_other_proxies_are_no_loop() -> None:
    check_request(request(b"Via: 1.1 lab7:3129, 1.1 other"), NAME)


@pytest.mark.parametrize(
    ("method", "value", "left"),
    [
        (b"TRACE", b"0", 0),
        (b"OPTIONS", b"3", 3),
        (b"GET", b"0", None),
        (b"OPTIONS", b"x", None),
        (b"TRACE", b"99999999999999999999", 9999999999),
    ],
)
def test_max_forwards_is_for_trace_and_options(method: bytes, value: bytes, left: int | None) -> None:
    came = request(b"Max-Forwards: " + value, start=method + b" http://a.example/ HTTP/1.1")
    assert remaining_forwards(came) == left
    if left:
        assert (b"Max-Forwards", b"%d" % (left - 1)) in forwarded(came)
    elif left is None:
        assert (b"Max-Forwards", value) in forwarded(came)


def test_the_last_recipient_of_trace_shows_the_request_without_its_secrets() -> None:
    came = request(b"Cookie: c", b"Authorization: a", b"X: 1", start=b"TRACE http://a.example/ HTTP/1.1")
    answer = own_response(came)
    assert answer.status == 200
    assert answer.body == b"TRACE http://a.example/ HTTP/1.1\r\nHost: a.example\r\nX: 1\r\n\r\n"


def test_a_response_gets_via_and_loses_what_was_for_one_connection() -> None:
    fields = Fields(
        ((b"Content-Length", b"5"), (b"Keep-Alive", b"x"), (b"Proxy-Authenticate", b"x"), (b"ETag", b'"a"'))
    )
    passed = build_response(b"GET", Response(299, fields, reason=b"Odd"), b"hello", NAME, HTTP_1_0)
    assert list(passed.fields) == [(b"ETag", b'"a"'), (b"Via", b"1.0 lab7:3128")]
    assert (passed.status, passed.reason, passed.body) == (299, b"Odd", b"hello")


@pytest.mark.parametrize(("line", "length"), [((b"Content-Length", b"5"), 5), ((b"X", b"5"), None)])
def test_the_length_in_a_response_to_head_is_the_one_that_was_told(
    line: tuple[bytes, bytes], length: int | None
) -> None:
    passed = build_response(b"HEAD", Response(200, Fields((line,))), b"", NAME)
    assert not isinstance(passed.body, bytes)
    assert passed.body.size_octets == length
    assert passed.body.read(10) == b""


def test_trailers_may_not_change_what_was_said_before() -> None:
    trailers = Fields(((b"Content-Length", b"5"), (b"Set-Cookie", b"a"), (b"Digest", b"1")))
    assert list(forwarded_trailers(trailers)) == [(b"Digest", b"1")]


@pytest.mark.parametrize(
    ("target", "host", "port", "authority", "sent"),
    [
        (b"http://b.example", "b.example", 80, b"b.example", b"/"),
        (b"http://B.example:81/%7e/../x?", "b.example", 81, b"B.example:81", b"/%7e/../x?"),
        (b"HTTP://b.example?q", "b.example", 80, b"b.example", b"/?q"),
        (b"http://[::1]:8080//x", "::1", 8080, b"[::1]:8080", b"//x"),
        (b"http://b.example:/x", "b.example", 80, b"b.example:", b"/x"),
    ],
)
def test_an_absolute_target_alone_says_where_to(
    target: bytes, host: str, port: int, authority: bytes, sent: bytes
) -> None:
    found = route(request(start=b"GET " + target + b" HTTP/1.1"), None)
    assert (found.origin, found.authority, found.request_target) == (Origin(host, port), authority, sent)


@pytest.mark.parametrize("host", [b"A.Example:80", b"a.example:", b"*.a"])
@pytest.mark.parametrize(
    "target", [b"/%7ea%2f?%41", b"http://B.example:080", b"http://b.example/%%37e?x[]=%7e", b"/a|b", b"*"]
)
def test_a_cache_forwards_its_key(target: bytes, host: bytes) -> None:
    method = b"OPTIONS" if target == b"*" else b"GET"
    came = request(start=b"%b %b HTTP/1.1" % (method, target))
    came = Request(came.method, came.request_target, Fields(((b"Host", host),)))
    found = normal_route(route(came, ORIGIN))
    authority = route(came, ORIGIN).authority
    assert b"http://" + found.authority + found.request_target == cache_key(split_target(method, target), authority)


def test_options_for_a_whole_server_is_sent_as_an_asterisk() -> None:
    found = route(request(start=b"OPTIONS http://b.example HTTP/1.1"), None)
    assert found.request_target == b"*"
    assert found.authority == b"b.example"


def test_a_forward_proxy_has_nothing_of_its_own() -> None:
    with pytest.raises(HTTPError) as refused:
        route(request(start=b"GET / HTTP/1.1"), None)
    assert refused.value.status == 421


def test_a_port_that_nobody_has_is_refused() -> None:
    with pytest.raises(HTTPError):
        route(request(start=b"GET http://a:0/ HTTP/1.1"), None)


@pytest.mark.parametrize(
    ("start", "authority"),
    [
        (b"GET /x HTTP/1.1", b"a.example"),
        (b"GET http://b.example/x HTTP/1.1", b"b.example"),
    ],
)
def test_a_reverse_proxy_asks_its_origin_whatever_the_host(start: bytes, authority: bytes) -> None:
    found = route(request(start=start), ORIGIN)
    assert found.origin == ORIGIN
    assert (found.authority, found.request_target) == (authority, b"/x")


def test_an_old_request_without_host_is_for_the_one_origin() -> None:
    came = parse_request_head(b"GET /x HTTP/1.0\r\n\r\n")
    assert route(came, ORIGIN).authority == b"origin.example:8000"


@pytest.mark.parametrize(
    ("allowed", "host", "port", "verdict"),
    [
        ("a.example:443", "a.example", 443, True),
        ("a.example:443", "a.example", 444, False),
        ("a.example:443", "b.a.example", 443, False),
        ("*:443", "b.example", 443, True),
        ("*:443", "b.example", 25, False),
        ("[::1]:80", "::1", 80, True),
    ],
)
def test_a_tunnel_leads_where_the_operator_said(allowed: str, host: str, port: int, verdict: bool) -> None:
    assert is_connect_permitted(Origin(host, port), [parse_connect_target(allowed)]) is verdict


@pytest.mark.parametrize("text", ["", "a", ":443", "a:", "a:0", "a:65536", "a:http"])
def test_an_allowance_is_a_host_and_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_connect_target(text)
