"""Time limits and closing of one HTTP/1 connection, with a fake transport and a fake clock."""

import asyncio
import socket
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lab7.services.eventlog import EventLog
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.context import Handler, LazyResponse, Limits, Refuse, Relay
from lab7.services.http.server.phase import Phase
from lab7.services.http.server.server import HTTPServer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
BOUNDS = Limits(head_s=20, idle_s=40, stall_s=30, linger_s=2, linger_most_s=30, body_octets=1_000_000)
CONTENT = b"x" * 1000


class Wire(asyncio.Transport):
    """A fake transport with `unsent` octets in its write buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.ended = self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets."""
        self.written += data
        self.unsent += len(data)

    def get_write_buffer_size(self) -> int:
        """Return the number of octets that the client has not read."""
        return self.unsent

    def is_closing(self) -> bool:
        """Return whether the server has closed the connection."""
        return self.closed or self.aborted

    def close(self) -> None:
        """Close after the octets written."""
        self.closed = True

    def abort(self) -> None:
        """End at once."""
        self.aborted = True

    def can_write_eof(self) -> bool:
        """Return True: the transport can half-close."""
        return True

    def write_eof(self) -> None:
        """Half-close from the server."""
        self.ended = True

    def pause_reading(self) -> None:
        """Do nothing: tests send the input."""

    def resume_reading(self) -> None:
        """Do nothing."""


class Stream:
    """A body without end, until `ends` is set."""

    def __init__(self) -> None:
        self.size_octets: int | None = None
        self.ends = False

    def read(self, limit_octets: int) -> bytes:
        """Return one octet, or the end."""
        return b"" if self.ends else b"y"[:limit_octets]

    def close(self) -> None:
        """Do nothing."""


class Peer:
    """The client of one connection, with its clock."""

    def __init__(self, handler: Handler, refusal: Refuse | None, relay: Relay | None = None) -> None:
        self.now = 0.0
        log = EventLog(None, lambda: 0.0)
        self.server = HTTPServer(handler, log, lambda: 0.0, BOUNDS, refusal=refusal, relay=relay)
        self.server.context.now = lambda: self.now
        self.wire = Wire()
        self.socket = socket.socket()
        slot = self.server.connections.admit(self.socket, "192.0.2.7", speaks_tls=False)
        assert slot is not None
        self.serving = self.server.protocol(slot)
        self.serving.connection_made(self.wire)

    def sends(self, octets: bytes) -> None:
        """Send octets."""
        self.serving.data_received(octets)

    def waits(self, seconds: float) -> None:
        """Advance the clock, and run the server's deadline check."""
        self.now += seconds
        self.serving.check_deadline(self.now)

    def reads(self, octets: int) -> None:
        """Read octets from the write buffer."""
        self.wire.unsent = max(0, self.wire.unsent - octets)

    @property
    def answers(self) -> int:
        """Return the number of responses sent."""
        return self.wire.written.count(b"HTTP/1.1 ")


def whole(request: Request, body: bytes) -> Response:
    del request
    return Response(200, body=CONTENT + body)


def run(
    test: Callable[[Peer], Coroutine[Any, Any, None]],
    handler: Handler = whole,
    refusal: Refuse | None = None,
    relay: Relay | None = None,
) -> None:
    async def inside() -> None:
        await test(Peer(handler, refusal, relay))

    asyncio.run(inside())


async def turn() -> None:
    """Run the callbacks that are due in the event loop."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def held_back(peer: Peer) -> None:
    """Three pipelined requests, two of them waiting until the client has read the first response."""
    peer.serving.pause_writing()
    peer.sends(GET * 3)
    assert peer.answers == 1


def test_complete_requests_that_wait_for_this_side_are_not_timed_out() -> None:
    async def test(peer: Peer) -> None:
        held_back(peer)
        for _ in range(9):
            peer.waits(19)
            peer.reads(100)
        assert b" 408 " not in peer.wire.written
        peer.serving.resume_writing()
        assert peer.answers == 3
        assert not peer.wire.is_closing()

    run(test)


def test_a_pipelining_client_that_does_not_read_is_closed() -> None:
    async def test(peer: Peer) -> None:
        held_back(peer)
        for _ in range(3):
            peer.sends(b"GET")
            peer.waits(BOUNDS.stall_s)
        assert peer.wire.aborted

    run(test)


def test_the_last_response_may_still_be_read_during_the_next_request() -> None:
    async def test(peer: Peer) -> None:
        peer.sends(GET + b"GET / HT")
        for _ in range(5):
            peer.reads(100)
            peer.waits(BOUNDS.stall_s)
        assert peer.answers == 1
        peer.reads(1_000_000)
        for _ in range(2):
            peer.waits(BOUNDS.stall_s)
        assert b" 408 " in peer.wire.written

    run(test)


def test_when_all_was_sent_ahead_and_answered_the_connection_is_idle() -> None:
    async def test(peer: Peer) -> None:
        held_back(peer)
        peer.reads(1_000_000)
        peer.serving.resume_writing()
        peer.reads(1_000_000)
        assert peer.serving.phase is Phase.IDLE
        peer.waits(BOUNDS.idle_s)
        assert peer.wire.closed
        assert peer.answers == 3

    run(test)


@pytest.mark.parametrize("lines", [b"\r\n", b"\r\n\r\n"])
def test_empty_lines_alone_are_no_request(lines: bytes) -> None:
    async def test(peer: Peer) -> None:
        peer.sends(lines)
        peer.waits(BOUNDS.head_s)
        assert not peer.wire.closed
        peer.waits(BOUNDS.idle_s - BOUNDS.head_s)
        assert peer.wire.closed
        assert peer.wire.written == b""

    run(test)


def refused(peer: Peer) -> None:
    peer.sends(POST + b"Content-Length: 99999999\r\n\r\n")
    assert b" 413 " in peer.wire.written
    assert peer.wire.ended
    peer.reads(1_000_000)


def test_a_refused_upload_is_read_as_long_as_it_goes_on() -> None:
    async def test(peer: Peer) -> None:
        refused(peer)
        for _ in range(10):
            peer.waits(BOUNDS.linger_s * 0.9)
            peer.sends(b"x")
            assert not peer.wire.is_closing()
        peer.waits(BOUNDS.linger_s)
        assert peer.wire.aborted

    run(test)


def test_a_refused_upload_is_not_read_for_ever() -> None:
    async def test(peer: Peer) -> None:
        refused(peer)
        steps = 0
        while not peer.wire.aborted and steps < 100:
            peer.sends(b"x")
            peer.waits(1.0)
            steps += 1
        assert BOUNDS.linger_most_s - 1 <= peer.now <= BOUNDS.linger_most_s + 1

    run(test)


def test_a_client_that_ends_its_side_during_a_stream_gets_the_end_of_the_connection() -> None:
    stream = Stream()

    async def test(peer: Peer) -> None:
        peer.sends(GET)
        assert peer.serving.eof_received()
        await turn()
        assert not peer.wire.closed
        stream.ends = True
        await turn()
        assert peer.wire.written.endswith(b"0\r\n\r\n")
        assert peer.wire.closed

    run(test, lambda *_: Response(200, body=stream))


def test_a_stop_lets_a_stream_come_to_its_end() -> None:
    stream = Stream()

    async def test(peer: Peer) -> None:
        peer.sends(GET + GET)
        await turn()
        peer.serving.stop()
        assert not peer.wire.is_closing()
        stream.ends = True
        await turn()
        assert peer.wire.written.endswith(b"0\r\n\r\n")
        assert peer.wire.ended
        assert peer.answers == 1

    run(test, lambda *_: Response(200, body=stream))


def test_a_stop_lets_an_answer_be_found_and_says_that_it_is_the_last() -> None:
    futures: list[asyncio.Future[Response]] = []

    async def later() -> Response:
        futures.append(asyncio.get_running_loop().create_future())
        return await futures[0]

    async def test(peer: Peer) -> None:
        peer.sends(GET + GET)
        await turn()
        peer.serving.stop()
        assert not peer.wire.is_closing()
        futures[0].set_result(Response(200, body=b"found"))
        await turn()
        assert b"\r\nConnection: close\r\n" in peer.wire.written
        assert peer.wire.written.endswith(b"found")
        assert peer.answers == 1

    run(test, lambda *_: LazyResponse(later))


@pytest.mark.parametrize("octets", [b"", b"GET / HT", GET])
def test_a_stop_closes_idle_connections_at_once(octets: bytes) -> None:
    async def test(peer: Peer) -> None:
        if octets:
            peer.sends(octets)
        peer.serving.stop()
        assert peer.wire.closed
        assert not peer.wire.aborted

    run(test)


def test_content_in_tiny_chunks_takes_little_more_than_its_size() -> None:
    chunks = 10_000

    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        tracemalloc.start()
        try:
            for _ in range(chunks // 1000):
                peer.sends(b"2\r\nhi\r\n" * 1000)
            held_octets = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held_octets < 4 * len(b"hi") * chunks
        peer.sends(b"0\r\n\r\n")
        assert peer.wire.written.endswith(CONTENT + b"hi" * chunks)

    run(test)


def test_no_100_continue_for_a_request_that_the_head_decides() -> None:
    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert peer.wire.written.startswith(b"HTTP/1.1 403 ")
        assert b"\r\nConnection: close\r\n" in peer.wire.written
        peer.sends(b"hi" + GET)
        assert peer.answers == 1
        assert peer.wire.ended

    run(test, refusal=lambda _: Response(403, body=b"no"))
