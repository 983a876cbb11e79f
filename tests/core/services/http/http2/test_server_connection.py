"""HTTP/2 server connection: octets in, events out; its output is decoded by h2 and hpack."""

from itertools import pairwise

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.fields import Fields
from lab7.services.http.http2.events import (
    ConnectionTerminated,
    Event,
    RequestReceived,
    RequestRejected,
    StreamCancelled,
    TunnelData,
)
from lab7.services.http.http2.frames import PREFACE, Frame, FrameDecoder, Kind, encode_frame, encode_uint32
from lab7.services.http.http2.limits import CONCURRENT_STREAMS, OUTGOING_OCTETS, TimeLimits
from lab7.services.http.http2.server_connection import Http2ServerConnection
from lab7.services.http.http2.settings import Setting, encode_settings
from lab7.services.http.messages import Request, Response

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
TIME_LIMITS = TimeLimits(head_s=10.0, body_s=10.0, body_rate_octets_s=100.0, settings_s=10.0)
HELLO = PREFACE + encode_frame(Kind.SETTINGS, 0, 0) + encode_frame(Kind.SETTINGS, 1, 0)
GET = Request(b"GET", b"/", Fields(((b"host", b"a"),)), (2, 0))


def connection() -> Http2ServerConnection:
    return Http2ServerConnection(b"http", 1000, TIME_LIMITS, 0.0)


def asking(stream_id: int, method: bytes = b"GET", flags: int = 5, *fields: tuple[bytes, bytes]) -> bytes:
    lines = [(b":method", method), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a"), *fields]
    # Literals without indexing, so that blocks may be repeated and reordered.
    block = b"".join(b"\0" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in lines)
    return encode_frame(Kind.HEADERS, flags, stream_id, block)


def receive(server: Http2ServerConnection, octets: bytes, now: float = 0.0) -> list[Event]:
    events = server.receive_data(octets, now)
    while more := server.receive_data(b"", now):
        events = events + more
    return events


def sent(server: Http2ServerConnection, limit_octets: int = OUTGOING_OCTETS) -> list[Frame]:
    server.produce(limit_octets)
    reader = FrameDecoder(2**24)
    reader.feed(server.data_to_send())
    frames = []
    while (frame := reader.next_frame()) is not None:
        frames.append(frame)
    return frames


class Counted:
    """A body that counts the octets read, and records whether it was closed."""

    def __init__(self, size_octets: int | None, real_octets: int | None = None) -> None:
        self.size_octets = size_octets
        self.left = size_octets if real_octets is None else real_octets
        self.read_octets = 0
        self.is_closed = False

    def read(self, limit_octets: int) -> bytes:
        size = min(limit_octets, self.left or 0)
        self.left = (self.left or 0) - size
        self.read_octets += size
        return b"x" * size

    def close(self) -> None:
        self.is_closed = True


WHOLE: list[tuple[bytes, list[Event]]] = [
    (asking(1), [RequestReceived(1, GET, b"")]),
    (asking(1) + asking(3), [RequestReceived(1, GET, b""), RequestReceived(3, GET, b"")]),
    (asking(1, flags=4) + encode_frame(0, 0, 1, b"h") + encode_frame(0, 1, 1, b"i"), [RequestReceived(1, GET, b"hi")]),
    (asking(1, flags=4) + encode_frame(3, 0, 1, encode_uint32(8)), [StreamCancelled(1)]),
]


@pytest.mark.parametrize(("octets", "events"), WHOLE)
def test_a_request_is_the_same_whole_octet_by_octet_and_with_more_behind_it(octets: bytes, events: list[Event]) -> None:
    octets = HELLO + octets
    assert receive(connection(), octets) == events
    assert receive(connection(), octets + encode_frame(Kind.PING, 0, 0, b"12345678")) == events
    server = connection()
    assert [event for at in range(len(octets)) for event in receive(server, octets[at : at + 1])] == events


FRAMES = st.builds(
    lambda kind, flags, stream_id, payload: encode_frame(kind, flags, stream_id, payload),
    st.integers(0, 11),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF]),
    st.integers(0, 9),
    st.one_of(st.binary(max_size=12), st.sampled_from([encode_uint32(1), b"\0\4\0\0\0\5", asking(1)[9:]])),
)
MIXED = st.lists(st.one_of(FRAMES, st.sampled_from([asking(1), asking(3), asking(5, b"POST", 4)])), max_size=12)


@given(MIXED, st.lists(st.integers(0, 500), max_size=5), st.booleans())
def test_no_frames_crash_it_and_how_they_are_cut_changes_nothing(
    frames: list[bytes], cuts: list[int], answers: bool
) -> None:
    octets = HELLO + b"".join(frames)
    marks = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})

    def run(pieces: list[bytes]) -> list[Event]:
        server, events = connection(), []
        for piece in pieces:
            events += receive(server, piece)
            if answers:
                for event in events:
                    if isinstance(event, RequestReceived | RequestRejected):
                        server.send_response(event.stream_id, Response(200, body=b"hi"), DATE)
            sent(server)
        return events

    whole = run([octets])
    if not answers:
        assert run([octets[a:b] for a, b in pairwise(marks)]) == whole
    assert sum(isinstance(event, ConnectionTerminated) for event in whole) <= 1


@given(st.binary(max_size=200))
def test_no_octets_crash_it(octets: bytes) -> None:
    receive(connection(), octets)
    receive(connection(), HELLO + octets)


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 60_000])
@pytest.mark.parametrize("held", [True, False])
def test_content_is_sent_as_it_is(size: int, held: bool) -> None:
    server = connection()
    receive(server, HELLO + asking(1))
    body = b"x" * size if held else Counted(size)
    server.send_response(1, Response(200, Fields(((b"Content-Type", b"text/plain"),)), body), DATE)
    frames = sent(server)
    [head] = [frame for frame in frames if frame.kind == Kind.HEADERS]
    assert [(str(name), str(value)) for name, value in Decoder().decode(head.payload)] == [
        (":status", "200"),
        ("content-type", "text/plain"),
        ("date", DATE.decode()),
        ("content-length", str(size)),
    ]
    data = [frame for frame in frames if frame.kind == Kind.DATA]
    assert sum(len(frame.payload) for frame in data) == size
    assert (data or [head])[-1].flags & 1
    assert sum(frame.flags & 1 for frame in data) == (1 if size else 0)
    assert server.open_streams == 0
    assert isinstance(body, bytes) or body.is_closed


def test_content_of_unknown_length_ends_with_an_empty_frame() -> None:
    server = connection()
    receive(server, HELLO + asking(1))
    server.send_response(1, Response(200, body=Counted(None, 20_000)), DATE)
    data = [frame for frame in sent(server) if frame.kind == Kind.DATA]
    assert [(len(frame.payload), frame.flags) for frame in data] == [(16_384, 0), (3_616, 0), (0, 1)]


@pytest.mark.parametrize("real", [100, 299])
def test_content_that_ends_early_resets_its_stream_alone(real: int) -> None:
    server = connection()
    receive(server, HELLO + asking(1) + asking(3))
    body = Counted(300, real)
    server.send_response(1, Response(200, body=body), DATE)
    server.send_response(3, Response(200, body=b"hi"), DATE)
    assert server.produce(OUTGOING_OCTETS) != []
    frames = sent(server)
    assert [(frame.stream_id, frame.payload) for frame in frames if frame.kind == Kind.RST_STREAM] == [
        (1, encode_uint32(2))
    ]
    assert b"hi" in [frame.payload for frame in frames]
    assert body.is_closed


def test_content_is_read_no_further_than_windows_and_socket_allow() -> None:
    server = connection()
    receive(server, HELLO + asking(1) + asking(3))
    bodies = [Counted(10**9), Counted(10**9)]
    for stream_id, body in zip((1, 3), bodies, strict=True):
        server.send_response(stream_id, Response(200, body=body), DATE)
    sent(server, 20_000)
    assert sum(body.read_octets for body in bodies) <= 2 * 16_384
    sent(server)
    assert sum(body.read_octets for body in bodies) == 65_535
    assert not server.can_produce
    receive(server, encode_frame(Kind.RST_STREAM, 0, 1, encode_uint32(8)))
    assert bodies[0].is_closed
    server.abandon()
    assert bodies[1].is_closed


def test_a_response_to_a_stream_that_is_gone_is_let_go() -> None:
    server = connection()
    receive(server, HELLO + asking(1) + encode_frame(Kind.RST_STREAM, 0, 1, encode_uint32(8)))
    body = Counted(10)
    server.send_response(1, Response(200, body=body), DATE)
    assert body.is_closed
    assert not server.can_respond(1)
    assert all(frame.kind != Kind.HEADERS for frame in sent(server))


def test_time_limits_end_incomplete_input() -> None:
    assert [type(event) for event in connection().check_timeouts(10.1)] == [ConnectionTerminated]
    server = connection()
    receive(server, PREFACE + encode_frame(Kind.SETTINGS, 0, 0))
    assert server.check_timeouts(9.9) == []
    assert [type(event) for event in server.check_timeouts(10.1)] == [ConnectionTerminated]
    assert sent(server)[-1].payload[4:8] == encode_uint32(4)
    server = connection()
    receive(server, HELLO + asking(1, flags=4) + encode_frame(Kind.DATA, 0, 1, b"x" * 100), 9.0)
    assert server.check_timeouts(18.9) == []
    assert server.check_timeouts(19.1) == [RequestRejected(1, 408, "timeout while receiving the request")]


def test_a_stop_refuses_later_requests() -> None:
    server = connection()
    receive(server, HELLO + asking(1))
    server.stop()
    assert receive(server, asking(3)) == []
    server.send_response(1, Response(204), DATE)
    kinds = [(frame.kind, frame.stream_id) for frame in sent(server)]
    assert (Kind.GOAWAY, 0) in kinds
    assert (Kind.RST_STREAM, 3) in kinds
    assert (Kind.HEADERS, 1) in kinds
    assert server.available_pushes() == 0


def test_promised_streams_wait_for_their_page() -> None:
    server = connection()
    receive(server, HELLO + asking(1))
    assert server.available_pushes() == 100
    pushed = server.promise(1, Request(b"GET", b"/x", GET.fields, (2, 0)))
    server.send_response(1, Response(200, body=b"p" * 30_000), DATE)
    server.send_response(pushed, Response(200, body=b"q" * 20_000), DATE)
    order = [(frame.kind, frame.stream_id) for frame in sent(server) if frame.kind in (0, 1, 5)]
    page = [(Kind.DATA, 1)] * 2
    assert order == [(Kind.PUSH_PROMISE, 1), (Kind.HEADERS, 1), *page, (Kind.HEADERS, 2), *[(Kind.DATA, 2)] * 2]
    assert server.open_streams == 0


def test_a_cancelled_page_does_not_hold_its_pushes() -> None:
    server = connection()
    settings = encode_frame(Kind.SETTINGS, 0, 0, encode_settings([(Setting.INITIAL_WINDOW_SIZE, 0)]))
    receive(server, HELLO + settings + asking(1))
    pushed = server.promise(1, Request(b"GET", b"/x", GET.fields, (2, 0)))
    server.send_response(1, Response(200, body=b"page"), DATE)
    body = Counted(5)
    server.send_response(pushed, Response(200, body=body), DATE)
    receive(server, encode_frame(Kind.RST_STREAM, 0, 1, encode_uint32(8)))
    assert (Kind.HEADERS, 2) in [(frame.kind, frame.stream_id) for frame in sent(server)]
    receive(server, encode_frame(Kind.RST_STREAM, 0, 2, encode_uint32(8)))
    assert body.is_closed
    assert server.open_streams == 0


def test_closed_streams_are_not_gathered_for_ever() -> None:
    server, encoder = connection(), Encoder()
    receive(server, HELLO + encode_frame(Kind.WINDOW_UPDATE, 0, 0, encode_uint32(2**30)))
    lines = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
    for stream_id in range(1, 20_001, 2):
        receive(server, encode_frame(Kind.HEADERS, 5, stream_id, encoder.encode(lines)))
        server.send_response(stream_id, Response(200, body=b"hi"), DATE)
        server.data_to_send()
        server.take_closed()
    assert server.open_streams == 0
    [ended] = receive(server, encode_frame(Kind.HEADERS, 5, 1, encoder.encode(lines)))
    assert isinstance(ended, ConnectionTerminated)


def test_the_number_of_open_streams_is_bounded_and_comes_down_again() -> None:
    server = connection()
    octets = b"".join(asking(stream_id, flags=4) for stream_id in range(1, 2 * CONCURRENT_STREAMS + 3, 2))
    assert receive(server, HELLO + octets) == []
    assert server.open_streams == CONCURRENT_STREAMS
    refused = [frame for frame in sent(server) if frame.kind == Kind.RST_STREAM]
    assert [(frame.stream_id, frame.payload) for frame in refused] == [(201, encode_uint32(7))]
    receive(server, encode_frame(Kind.DATA, 1, 1, b""))
    server.send_response(1, Response(204), DATE)
    assert receive(server, asking(203)) == [RequestReceived(203, GET, b"")]


# Tunnels (RFC 8441).


def tunnel() -> Http2ServerConnection:
    """Return a connection with a tunnel on stream 1."""
    server = Http2ServerConnection(b"http", 1000, TIME_LIMITS, 0.0, extended_connect=True)
    [opened] = receive(server, HELLO + asking(1, b"CONNECT", 4, (b":protocol", b"websocket")))
    assert isinstance(opened, RequestReceived)
    assert opened.request.method == b"GET"
    assert opened.request.fields.get(b"upgrade") == b"websocket"
    server.send_response(1, Response(200, body=Counted(None, 3)), DATE)
    sent(server)
    return server


def on_stream(frames: list[Frame], kind: Kind) -> list[Frame]:
    return [frame for frame in frames if frame.kind == kind and frame.stream_id == 1]


def test_a_tunnels_window_is_widened_by_what_was_passed_on() -> None:
    server = tunnel()
    for _ in range(3):
        events = receive(server, encode_frame(Kind.DATA, 0, 1, bytes(16_384)))
        assert events == [TunnelData(1, bytes(16_384), False)]
    # Nothing is given back before the tunnel has passed it on, and then all at once.
    assert not on_stream(sent(server), Kind.WINDOW_UPDATE)
    server.credit(1)
    [update] = on_stream(sent(server), Kind.WINDOW_UPDATE)
    assert int.from_bytes(update.payload, "big") == 3 * 16_384
    server.credit(1)
    assert not on_stream(sent(server), Kind.WINDOW_UPDATE)
    # The content limit of requests is none of tunnels; their window is.
    for _ in range(4):
        events = receive(server, encode_frame(Kind.DATA, 0, 1, bytes(16_383)))
    assert len(events) == 1
    assert receive(server, encode_frame(Kind.DATA, 0, 1, bytes(9))) == [StreamCancelled(1)]


def test_a_tunnel_ends_in_both_directions_separately() -> None:
    server = tunnel()
    assert server.open_streams == 1
    assert not server.check_timeouts(1e9)
    assert receive(server, encode_frame(Kind.DATA, 1, 1, b"end")) == [TunnelData(1, b"end", True)]
    assert server.open_streams == 0
    assert not on_stream(sent(server), Kind.RST_STREAM)


def test_without_the_setting_the_protocol_is_unknown() -> None:
    server = connection()
    events = receive(server, HELLO + asking(1, b"CONNECT", 4, (b":protocol", b"websocket")))
    assert events == [StreamCancelled(1)]
    assert on_stream(sent(server), Kind.RST_STREAM)
