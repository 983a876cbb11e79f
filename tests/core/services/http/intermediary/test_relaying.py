"""HTTPServer with a relay: content streamed in both directions, interim responses, and truncation."""

import asyncio

import pytest

from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.body_stream import BUFFER_OCTETS, BodyStream
from lab7.services.http.server.context import LazyResponse
from lab7.services.http.server.inbound import Inbound
from lab7.services.http.server.phase import Phase
from tests.core.services.http.server.test_connection import BOUNDS, GET, POST, Peer, run, turn, whole

GET_1_0 = b"GET / HTTP/1.0\r\n\r\n"
TRAILERS = Fields(((b"Digest", b"1"),))


class Relay:
    """A relay that responds with `body` when released, and records its requests."""

    def __init__(self, size_octets: int | None = None) -> None:
        self.body = BodyStream(size_octets)
        self.go = asyncio.Event()
        self.seen: list[Inbound] = []
        self.contents: list[BodyStream | None] = []
        self.cancelled = 0

    def __call__(self, request: Request, inbound: Inbound) -> LazyResponse[Response]:
        """Return an awaitable response."""
        del request
        self.seen.append(inbound)
        self.contents.append(inbound.content)
        return LazyResponse(self._answer)

    async def _answer(self) -> Response:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Response(200, body=self.body)


async def begun(peer: Peer, relay: Relay, request: bytes = GET) -> None:
    peer.sends(request)
    relay.go.set()
    await turn()
    await turn()


def test_a_body_is_written_as_it_comes_with_its_trailers() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        await begun(peer, relay)
        assert b"\r\nTransfer-Encoding: chunked\r\n" in peer.wire.written
        relay.body.feed(b"one")
        assert peer.wire.written.endswith(b"3\r\none\r\n")
        relay.body.finish(TRAILERS)
        assert peer.wire.written.endswith(b"0\r\nDigest: 1\r\n\r\n")
        assert peer.serving.phase is Phase.IDLE

    run(test, relay=relay)


def test_a_client_that_does_not_read_holds_back_the_source() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        await begun(peer, relay)
        peer.serving.pause_writing()
        relay.body.feed(b"x" * BUFFER_OCTETS)
        assert relay.body.is_full
        peer.serving.resume_writing()
        assert not relay.body.is_full

    run(test, relay=relay)


def test_a_body_that_breaks_off_ends_the_connection_early() -> None:
    relay = Relay(10)

    async def test(peer: Peer) -> None:
        await begun(peer, relay)
        relay.body.feed(b"one")
        relay.body.fail("gone")
        assert peer.wire.written.endswith(b"Content-Length: 10\r\n\r\none")
        assert peer.wire.aborted

    run(test, relay=relay)


def test_a_source_that_is_slow_is_not_the_client_s_fault() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        await begun(peer, relay)
        relay.body.feed(b"one")
        peer.reads(1_000_000)
        for _ in range(3):
            peer.waits(BOUNDS.stall_s)
        assert not peer.wire.aborted
        relay.body.feed(b"two")
        for _ in range(2):
            peer.waits(BOUNDS.stall_s)
        assert peer.wire.aborted

    run(test, relay=relay)


def test_content_that_came_with_its_head_is_passed_on_as_well() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Content-Length: 3\r\n\r\nabc")
        [content] = relay.contents
        assert content is not None
        assert content.read(10) == b"abc"
        assert content.read(10) == b""

    run(test, relay=relay)


def test_content_is_passed_on_before_it_is_complete() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Content-Length: 6\r\n\r\nabc")
        [content] = relay.contents
        assert content is not None
        assert content.read(10) == b"abc"
        assert content.read(10) is None
        peer.sends(b"def" + GET)
        assert content.read(10) == b"def"
        assert content.read(10) == b""
        relay.body.finish()
        relay.go.set()
        await turn()
        await turn()
        assert peer.answers == 2

    run(test, relay=relay)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_interim_responses_go_ahead_to_who_knows_them(version: bytes) -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        peer.sends(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)
        await turn()
        relay.seen[0].send_interim(Response(103, Fields(((b"Link", b"</a>"),))))
        expected = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert peer.wire.written == (expected if version == b"1.1" else b"")

    run(test, relay=relay)


def test_nobody_but_the_relay_asks_for_content() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        await turn()
        assert peer.wire.written == b""
        relay.seen[0].send_interim(Response(100))
        assert peer.wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"

    run(test, relay=relay)


def test_a_client_that_goes_away_ends_what_was_done_for_it() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Content-Length: 6\r\n\r\nabc")
        await turn()
        peer.serving.connection_lost(None)
        await turn()
        assert relay.cancelled == 1
        [content] = relay.contents
        assert content is not None
        assert content.read(10) == b"abc"
        with pytest.raises(OSError, match="closed the connection"):
            content.read(10)

    run(test, relay=relay)


@pytest.mark.parametrize("ending", [b"zz\r\n", b""])
def test_content_that_is_broken_earns_its_error_and_is_not_passed_on(ending: bytes) -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await turn()
        if ending:
            peer.sends(ending)
        else:
            peer.waits(BOUNDS.body_s + BOUNDS.head_s)
        await turn()
        assert peer.wire.written.startswith(b"HTTP/1.1 400 " if ending else b"HTTP/1.1 408 ")
        assert relay.cancelled == 1
        [content] = relay.contents
        assert content is not None
        assert content.read(10) == b"abc"
        with pytest.raises(OSError, match="was truncated"):
            content.read(10)

    run(test, relay=relay)


def test_an_upload_that_finds_no_room_waits_without_being_timed_out() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        peer.sends(POST + b"Content-Length: %d\r\n\r\n" % (BUFFER_OCTETS + 1) + b"x" * BUFFER_OCTETS)
        await turn()
        for _ in range(3):
            peer.waits(BOUNDS.body_s + BOUNDS.head_s)
        assert peer.wire.written == b""
        [content] = relay.contents
        assert content is not None
        content.read(BUFFER_OCTETS)
        for _ in range(3):
            peer.waits(BOUNDS.body_s + BOUNDS.head_s + BOUNDS.stall_s)
        assert peer.wire.written.startswith(b"HTTP/1.1 408 ")

    run(test, relay=relay)


def test_a_relay_that_answers_at_once_is_as_any_handler() -> None:
    async def test(peer: Peer) -> None:
        peer.sends(GET * 3)
        assert peer.answers == 3

    run(test, relay=lambda *_: Response(200, body=b"x"))


def test_without_a_length_an_old_client_is_told_by_the_end() -> None:
    relay = Relay()

    async def test(peer: Peer) -> None:
        await begun(peer, relay, GET_1_0)
        relay.body.feed(b"all")
        relay.body.finish(TRAILERS)
        head, _, content = peer.wire.written.partition(b"\r\n\r\n")
        assert b"Connection: close" in head
        assert b"Transfer-Encoding" not in head
        assert content == b"all"
        assert peer.wire.ended

    run(test, whole, relay=relay)
