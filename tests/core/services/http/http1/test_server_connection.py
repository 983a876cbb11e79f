from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.errors import LocalProtocolError
from lab7.services.http.fields import Fields
from lab7.services.http.http1.connection import ServerConnection
from lab7.services.http.http1.states import HalfState
from lab7.services.http.messages import (
    END,
    HTTP_1_0,
    Closed,
    Data,
    EndOfMessage,
    Event,
    Fault,
    Request,
    Response,
)
from tests.core.services.http.http1.pieces import feed, octet_by_octet

HOST = (b"Host", b"a")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\n"
POSTED = Request(b"POST", b"/p", Fields((HOST, (b"Content-Length", b"2"))))
CODED = Request(b"POST", b"/p", Fields((HOST, (b"Transfer-Encoding", b"chunked"))))

WHOLE: list[tuple[bytes, list[Event]]] = [
    (GET, [Request(b"GET", b"/", Fields((HOST,))), END]),
    (b"\r\n\r\n" + GET, [Request(b"GET", b"/", Fields((HOST,))), END]),
    (b"GET / HTTP/1.0\r\n\r\n", [Request(b"GET", b"/", version=HTTP_1_0), END]),
    (POST + b"Content-Length: 2\r\n\r\nhi", [POSTED, Data(b"hi"), END]),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nh\r\n1\r\ni\r\n0\r\n\r\n", [CODED, Data(b"hi"), END]),
    (
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n",
        [CODED, EndOfMessage(Fields(((b"A", b"b"), (b"C", b"d"))))],
    ),
]

REFUSED = [
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /" + b"a" * 9000, 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 70_000, 431),
    (b"\r\n" * 9, 400),
    (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 17 + b"\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 2000, 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1;a=" + b"b" * 900 + b"\r\nx\r\n") * 30, 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 2000, 431),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n65\r\n", 413),
    (POST + b"Content-Length: 101\r\n\r\n", 413),
]


def connection() -> ServerConnection:
    return ServerConnection(body_limit_octets=100)


@pytest.mark.parametrize(("octets", "events"), WHOLE)
def test_a_request_is_the_same_whole_and_octet_by_octet(octets: bytes, events: list[Event]) -> None:
    assert feed(connection().receive_data, [octets]) == events
    assert feed(connection().receive_data, octet_by_octet(octets)) == events


@pytest.mark.parametrize(("octets", "events"), WHOLE)
def test_pipelined_requests_wait_for_the_response(octets: bytes, events: list[Event]) -> None:
    server = connection()
    assert feed(server.receive_data, [octets + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"]) == events
    server.send_response(Response(204), DATE)
    if server.persistent:
        assert server.next_exchange() == [Request(b"GET", b"/2", Fields((HOST,))), END]


@pytest.mark.parametrize(("octets", "status"), REFUSED)
def test_a_mistake_is_one_fault_and_the_last_event(octets: bytes, status: int) -> None:
    for pieces in ([octets], octet_by_octet(octets)):
        server = connection()
        events = feed(server.receive_data, pieces)
        assert [event.status for event in events if isinstance(event, Fault)] == [status]
        assert isinstance(events[-1], Fault)
        assert server.receive_data(GET) == []
        assert b"\r\nConnection: close\r\n" in server.send_response(Response(status), DATE)


def test_a_response_is_framed_dated_and_sent_in_one_piece() -> None:
    server = connection()
    server.receive_data(GET)
    assert server.send_response(Response(200, Fields(((b"A", b"b"),)), b"hi"), DATE) == (
        b"HTTP/1.1 200 OK\r\nA: b\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert server.is_sent


def test_a_relayed_date_is_left_as_it_is() -> None:
    server = connection()
    server.receive_data(GET)
    octets = server.send_response(Response(200, Fields(((b"date", b"then"),))), DATE)
    assert octets.lower().count(b"\r\ndate:") == 1


class Streamed:
    def __init__(self, size_octets: int | None) -> None:
        self.size_octets = size_octets

    def read(self, limit_octets: int) -> bytes:
        raise NotImplementedError(limit_octets)

    def close(self) -> None:
        pass


def test_content_of_unknown_length_is_chunked_for_1_1_and_ends_with_the_connection_for_1_0() -> None:
    server = connection()
    server.receive_data(GET)
    assert b"Transfer-Encoding: chunked" in server.send_response(Response(200, body=Streamed(None)), DATE)
    assert server.send_data(b"hi") == b"2\r\nhi\r\n"
    assert server.send_data(b"") == b""
    assert server.send_end(Fields(((b"A", b"b"),))) == b"0\r\nA: b\r\n\r\n"
    assert server.persistent
    server = connection()
    server.receive_data(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    head = server.send_response(Response(200, body=Streamed(None)), DATE)
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head
    assert server.send_data(b"hi") + server.send_end() == b"hi"
    assert not server.persistent


def test_content_must_be_as_long_as_was_said() -> None:
    server = connection()
    server.receive_data(GET)
    server.send_response(Response(200, body=Streamed(3)), DATE)
    server.send_data(b"ab")
    with pytest.raises(LocalProtocolError):
        server.send_end()
    server = connection()
    server.receive_data(GET)
    server.send_response(Response(200, body=Streamed(3)), DATE)
    with pytest.raises(LocalProtocolError):
        server.send_data(b"abcd")


def test_a_second_response_to_one_request_is_a_mistake_of_ours() -> None:
    server = connection()
    server.receive_data(GET)
    server.send_response(Response(200), DATE)
    with pytest.raises(LocalProtocolError):
        server.send_response(Response(200), DATE)


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\nb", b"a\0"])
def test_no_value_smuggles_a_line_into_a_response(value: bytes) -> None:
    server = connection()
    server.receive_data(GET)
    with pytest.raises(LocalProtocolError):
        server.send_response(Response(200, Fields(((b"A", value),))), DATE)


@pytest.mark.parametrize("status", [204, 304])
def test_such_a_response_has_neither_length_nor_content(status: int) -> None:
    server = connection()
    server.receive_data(GET)
    octets = server.send_response(Response(status, body=b"no"), DATE)
    assert b"Content-Length" not in octets
    assert octets.endswith(b"\r\n\r\n")


def test_100_is_wanted_only_where_the_content_did_not_come_along() -> None:
    octets = POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    server = connection()
    server.receive_data(octets)
    assert server.wants_continue
    assert server.send_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert server.receive_data(b"hi") == [Data(b"hi"), END]
    server = connection()
    server.receive_data(octets + b"hi")
    assert not server.wants_continue


def test_the_end_of_the_connection_between_requests_and_inside_one() -> None:
    assert connection().receive_eof() == [Closed()]
    server = connection()
    server.receive_data(GET[:9])
    assert isinstance(server.receive_eof()[0], Fault)
    server = connection()
    server.receive_data(POST + b"Content-Length: 2\r\n\r\nh")
    assert isinstance(server.receive_eof()[0], Fault)
    server = connection()
    server.receive_data(GET)
    assert server.receive_eof() == []
    assert b"Connection: close" in server.send_response(Response(200), DATE)


def refused(server: ServerConnection, events: list[Event]) -> bytes:
    """Return the response to a fault, with its content."""
    [fault] = events
    assert isinstance(fault, Fault)
    return server.send_response(Response(fault.status, body=b"why"), DATE)


BROKEN = [
    b" /" + b"a" * 9000,
    b" / HTTP/1.1\r\nA: " + b"b" * 70_000,
    b" / HTTP/1.1\nHost: a\n\n",
    b" / HTTP/1.1\r\nHost: a\nA",
    b" /\r\n",
    b" / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_head_request_gets_no_content_and_others_do(broken: bytes) -> None:
    server = connection()
    assert refused(server, feed(server.receive_data, octet_by_octet(b"HEAD" + broken))).endswith(b"\r\n\r\n")
    server = connection()
    assert refused(server, feed(server.receive_data, [b"\r\nHEAD" + broken])).endswith(b"\r\n\r\n")
    server = connection()
    assert refused(server, server.receive_data(b"GET" + broken)).endswith(b"why")


def test_a_head_request_that_is_never_complete_gets_no_content() -> None:
    for octets, end in ((b"HEAD / HT", b"\r\n\r\n"), (b"HEADS / HT", b"why")):
        server = connection()
        server.receive_data(octets)
        assert refused(server, [server.time_out()]).endswith(end)
        server = connection()
        server.receive_data(octets)
        assert refused(server, server.receive_eof()).endswith(end)


@pytest.mark.parametrize("broken", [*BROKEN, b" / HT"])
def test_an_error_is_not_attributed_to_the_previous_request(broken: bytes) -> None:
    server = connection()
    server.receive_data(b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    server.send_response(Response(200, body=b"hi"), DATE)
    assert server.next_exchange() == []
    events = server.receive_data(b"GET" + broken) or [server.time_out()]
    assert refused(server, events).endswith(b"Content-Length: 3\r\nConnection: close\r\n\r\nwhy")


def test_empty_lines_are_counted_for_each_request_anew() -> None:
    server = connection()
    for _ in range(9):
        assert server.receive_data(b"\r\n") == []
        assert server.unparsed_octets == 0
        assert server.receive_data(GET) == [Request(b"GET", b"/", Fields((HOST,))), END]
        server.send_response(Response(204), DATE)
        server.next_exchange()


@pytest.mark.parametrize(("line", "status"), [(b"GET /\r\n", 400), (b"GET\r\n", 400), (b"GET / HTTP/2.0\r\n", 505)])
def test_a_request_line_is_judged_when_it_ends(line: bytes, status: int) -> None:
    for pieces in ([line], octet_by_octet(line)):
        [event] = feed(connection().receive_data, pieces)
        assert isinstance(event, Fault)
        assert event.status == status


def test_a_client_that_ends_its_side_while_it_is_answered_is_seen_to_have() -> None:
    server = connection()
    server.receive_data(GET)
    server.send_response(Response(200, body=Streamed(2)), DATE)
    assert server.receive_eof() == []
    server.send_data(b"hi")
    server.send_end()
    assert server.next_exchange() == [Closed()]


def test_an_expectation_that_is_unknown_is_no_mistake_in_the_framing() -> None:
    server = connection()
    events = server.receive_data(POST + b"Expect: wonders\r\nContent-Length: 2\r\n\r\nhi")
    assert events[1:] == [Data(b"hi"), END]
    assert not server.wants_continue


def test_a_request_that_does_not_come_in_time_earns_408() -> None:
    server = connection()
    server.receive_data(GET[:9])
    assert server.time_out().status == 408
    assert server.receiving is HalfState.FAILED


def test_too_much_sent_ahead_is_a_fault() -> None:
    server = connection()
    server.receive_data(GET)
    events = feed(server.receive_data, [b"x" * 300_000] * 4)
    assert [type(event) for event in events] == [Fault]


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_no_octets_crash_it(pieces: list[bytes]) -> None:
    server = connection()
    for piece in pieces:
        server.receive_data(piece)
    server.receive_eof()


SEEDS = st.sampled_from([octets for octets, _ in WHOLE] + [octets for octets, _ in REFUSED])


@given(SEEDS, st.integers(0, 400), st.binary(max_size=3), st.lists(st.integers(0, 400), max_size=4))
def test_where_a_request_is_cut_changes_nothing(seed: bytes, at: int, change: bytes, cuts: list[int]) -> None:
    octets = seed[:at] + change + seed[at + len(change) :]
    marks = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    pieces = [octets[a:b] for a, b in pairwise(marks)]
    whole, cut = feed(connection().receive_data, [octets]), feed(connection().receive_data, pieces)
    # Of two faults either may be detected first, so their status and detail are not compared.
    assert [e if not isinstance(e, Fault) else Fault for e in whole] == [
        e if not isinstance(e, Fault) else Fault for e in cut
    ]


@pytest.mark.parametrize("status", [301, 400, 403, 407, 501, 502])
def test_nothing_behind_a_refused_connect_is_a_request(status: int) -> None:
    server = connection()
    server.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET)
    assert b"\r\nConnection: close\r\n" in server.send_response(Response(status), DATE)
    assert server.next_exchange() == []
    assert server.receive_data(GET) == []


def test_nothing_behind_an_accepted_connect_is_a_request() -> None:
    server = connection()
    server.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET)
    assert b"Connection" not in server.send_response(Response(200), DATE)
    assert server.take_rest() == GET
    assert server.next_exchange() == []
    assert server.receive_data(GET) == []
