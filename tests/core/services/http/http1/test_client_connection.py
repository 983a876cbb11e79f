import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.errors import LocalProtocolError
from lab7.services.http.fields import Fields
from lab7.services.http.http1.connection import ClientConnection, ServerConnection
from lab7.services.http.messages import END, Closed, Data, EndOfMessage, Event, Fault, Request, Response
from tests.core.services.http.http1.pieces import feed, joined, octet_by_octet

HOST = (b"Host", b"a")
GET = Request(b"GET", b"/", Fields((HOST,)))
HEAD = Request(b"HEAD", b"/", Fields((HOST,)))


def client(*requests: Request) -> ClientConnection:
    connection = ClientConnection(body_limit_octets=1000)
    for request in requests or (GET,):
        connection.send_request(request)
    return connection


def ok(status: int = 200, *lines: tuple[bytes, bytes], reason: bytes = b"OK") -> Response:
    return Response(status, Fields(lines), reason=reason)


TWO = (b"Content-Length", b"2")
CHUNKED = (b"Transfer-Encoding", b"chunked")
# RFC 9112 section 6.3, rule by rule: request, octets, events, events at the end of the connection.
RULES: list[tuple[Request, bytes, list[Event], list[Event]]] = [
    (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", [ok(200, TWO), END], [Closed()]),
    (GET, b"HTTP/1.1 204 OK\r\nContent-Length: 2\r\n\r\n", [ok(204, TWO), END], [Closed()]),
    (GET, b"HTTP/1.1 304 OK\r\nContent-Length: 2\r\n\r\n", [ok(304, TWO), END], [Closed()]),
    (
        GET,
        b"HTTP/1.1 103 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        [ok(103), ok(200, TWO), Data(b"hi"), END],
        [Closed()],
    ),
    (
        GET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n",
        [ok(200, CHUNKED), Data(b"hi"), EndOfMessage(Fields(((b"A", b"b"),)))],
        [Closed()],
    ),
    (GET, b"HTTP/1.1 200 OK\r\n\r\nhi", [ok(), Data(b"hi")], [END]),
    (
        GET,
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        [ok(200, (b"Content-Length", b"0"), reason=b""), END],
        [Closed()],
    ),
]


@pytest.mark.parametrize(("request_", "octets", "events", "at_end"), RULES)
def test_each_rule_for_a_response_s_length(
    request_: Request, octets: bytes, events: list[Event], at_end: list[Event]
) -> None:
    for pieces in ([octets], octet_by_octet(octets)):
        connection = client(request_)
        assert feed(connection.receive_data, pieces) == events
        assert connection.receive_eof() == at_end


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 101 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore",
        b"x" * 70_000,
    ],
)
def test_a_response_that_cannot_be_relied_on_is_a_fault(octets: bytes) -> None:
    assert isinstance(client().receive_data(octets)[-1], Fault)


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 20",
    ],
)
def test_a_response_that_ends_early_is_a_fault(octets: bytes) -> None:
    connection = client()
    connection.receive_data(octets)
    assert isinstance(connection.receive_eof()[-1], Fault)


def test_pipelined_responses_answer_requests_in_order() -> None:
    connection = client(GET, HEAD, GET)
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert joined(connection.receive_data(octets + b"hi" + octets + octets + b"ho")) == [
        ok(200, TWO),
        Data(b"hi"),
        END,
        ok(200, TWO),
        END,
        ok(200, TWO),
        Data(b"ho"),
        END,
    ]
    assert connection.unanswered == 0
    assert connection.persistent


def test_after_close_nothing_more_is_read_or_sent() -> None:
    connection = client(GET, GET)
    octets = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert len(connection.receive_data(octets + octets)) == 2
    assert connection.unanswered == 1
    assert connection.receive_eof() == [Closed()]
    with pytest.raises(LocalProtocolError):
        connection.send_request(GET)


@pytest.mark.parametrize(
    "request_",
    [Request(b"GET", b"/ a", Fields((HOST,))), Request(b"G T", b"/"), Request(b"GET", b"/", Fields(((b"A b", b""),)))],
)
def test_a_malformed_request_is_a_mistake_of_ours(request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        ClientConnection().send_request(request_)


TOKENS = st.text("abcXYZ019-_", min_size=1, max_size=8).map(str.encode)
VALUES = st.text('abc ,;="\t\xe9', max_size=12).map(lambda text: text.encode("latin-1").strip(b" \t"))
NAMES = TOKENS.map(lambda token: b"X-" + token)
SECTIONS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(lambda lines: Fields((HOST, *lines)))


@given(TOKENS, TOKENS, SECTIONS, st.binary(max_size=50), st.booleans())
def test_a_server_parses_the_requests_of_a_client(
    method: bytes, path: bytes, fields: Fields, body: bytes, chunked: bool
) -> None:
    fields = fields.adding(CHUNKED) if chunked else fields
    octets = ClientConnection().send_request(Request(method, b"/" + path, fields), body)
    events = joined(ServerConnection(100).receive_data(octets))
    assert isinstance(events[0], Request)
    assert (events[0].method, events[0].request_target) == (method, b"/" + path)
    assert events[0].fields.without((b"content-length",)) == fields
    assert [event.data for event in events if isinstance(event, Data)] == ([body] if body else [])
    assert events[-1] == END


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_no_octets_crash_it(pieces: list[bytes]) -> None:
    connection = client(GET, HEAD)
    for piece in pieces:
        connection.receive_data(b"HTTP/1.1 2" + piece)
    connection.receive_eof()


@pytest.mark.parametrize("octets", [b"HTTP/1.1 200 OK\nServer: a\n\n", b"HTTP/1.1 200 OK\r\nServer: a\n"])
def test_a_head_with_a_bare_line_end_is_not_awaited(octets: bytes) -> None:
    """RFC 9112 section 2.2."""
    (fault,) = client().receive_data(octets)
    assert isinstance(fault, Fault)
    assert fault.status == 502
    assert "bare CR or LF" in fault.detail
