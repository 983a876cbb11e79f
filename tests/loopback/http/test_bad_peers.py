"""HTTP/1 clients that stall, flood, read slowly or disconnect, without effect on other clients."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from lab7.services.http.messages import Request, Response
from lab7.services.http.server.context import EventualResponse, LazyResponse, Limits
from tests.loopback.http.conftest import LARGE_OCTETS
from tests.loopback.http.musts import get
from tests.loopback.http.support import (
    HOST,
    PATIENCE_S,
    origin_in_thread,
    read_answers,
    read_to_end,
    read_until,
    server_in_thread,
    talk,
)

SHORT = Limits(head_s=0.1, body_s=0.1, idle_s=0.1, stall_s=0.3, linger_s=0.1, sweep_s=0.02, connections=8)


@pytest.fixture(scope="module")
def hasty(root: Path) -> Iterator[int]:
    with origin_in_thread(root, SHORT) as port:
        yield port


@contextmanager
def peer(port: int, octets: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as connected:
        connected.sendall(octets)
        yield connected


@pytest.mark.parametrize(
    "octets",
    [
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhi",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
        get() + b"GET",
        get(target=b"/large.bin") + b"GET",
        get(target=b"/large.bin") + b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhi",
    ],
)
def test_a_client_that_stalls_in_a_request_gets_408_and_is_closed(hasty: int, octets: bytes) -> None:
    with peer(hasty, octets) as stalled:
        answers = read_answers(read_to_end(stalled), ["GET"] * 3)
    assert answers[-1].status == 408
    assert answers[-1].field("Connection") == "close"


def test_octets_that_trickle_in_do_not_put_off_the_deadline(hasty: int) -> None:
    with peer(hasty, b"GET / HTTP/1.1\r\nHost: a\r\n") as slow:
        slow.settimeout(SHORT.sweep_s)
        octets = b""
        while not octets:
            slow.sendall(b"A: b\r\n")
            with suppress(TimeoutError):
                octets = slow.recv(65_536)
    assert octets.startswith(b"HTTP/1.1 408 ")


def test_a_silent_client_is_closed_silently(hasty: int) -> None:
    with peer(hasty) as silent:
        assert read_to_end(silent) == b""
    with peer(hasty, get()) as idle:
        assert len(read_answers(read_to_end(idle), ["GET"] * 2)) == 1


def test_a_client_that_does_not_read_is_dropped(root: Path) -> None:
    # One connection: the next client is admitted only once the first, active and thus not evicted, is closed.
    bounds = Limits(connections=1, stall_s=0.2, linger_s=0.1, sweep_s=0.02)
    with origin_in_thread(root, bounds) as port, peer(port, get(target=b"/large.bin") * 3):
        while (answer := read_answers(talk(port, get()), ["GET"])[0]).status == 503:
            pass
    assert answer.body == b"0123456789"


def test_a_client_that_reads_slowly_gets_all(root: Path) -> None:
    bounds = Limits(stall_s=0.2, sweep_s=0.02)
    with origin_in_thread(root, bounds) as port, peer(port, get(b"Connection: close", target=b"/large.bin")) as slow:
        octets = 0
        while got := len(slow.recv(16_384)):
            octets += got
            # A whole exchange between two reads makes this client slow without a clock.
            talk(port, get())
    assert octets > LARGE_OCTETS


def test_a_pipelining_client_that_reads_slowly_gets_all(tmp_path: Path) -> None:
    """Each response is one write; pipelined requests wait in the server until the client has read responses."""
    count, size = 200, 60_000
    (tmp_path / "a.txt").write_bytes(b"x" * size)
    bounds = Limits(head_s=0.1, stall_s=0.3, linger_s=0.1, sweep_s=0.02)
    with origin_in_thread(tmp_path, bounds) as port, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        slow.settimeout(PATIENCE_S)
        slow.connect((HOST, port))
        slow.sendall(get() * (count - 1) + get(b"Connection: close"))
        octets = b""
        while piece := slow.recv(65_536):
            octets += piece
            talk(port, get(method=b"HEAD"))
    answers = read_answers(octets, ["GET"] * count)
    assert [(answer.status, len(answer.body)) for answer in answers] == [(200, size)] * count


def test_a_half_closed_connection_ends_with_its_stream(port: int) -> None:
    # The idle timeout is longer than this test's time limit.
    assert Limits().idle_s > PATIENCE_S
    assert len(talk(port, get(target=b"/large.bin"))) > LARGE_OCTETS


def test_beyond_the_connection_limit_the_longest_idle_makes_room(root: Path) -> None:
    with origin_in_thread(root, Limits(connections=4)) as port, ExitStack() as stack:
        idle = [stack.enter_context(peer(port, get())) for _ in range(4)]
        for connected in idle:
            read_until(connected, b"0123456789")
        with peer(port, get()) as late:
            assert b"0123456789" in read_until(late, b"0123456789")
        assert read_to_end(idle[0]) == b""


def test_beyond_the_connection_limit_with_none_idle_is_503(root: Path) -> None:
    with origin_in_thread(root, Limits(connections=2)) as port, ExitStack() as stack:
        for _ in range(2):
            busy = stack.enter_context(
                peer(port, b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
            )
            read_until(busy, b"100 Continue\r\n\r\n")
        with peer(port) as late:
            assert read_answers(read_to_end(late), ["GET"])[0].status == 503


def test_five_hundred_clients_at_once_are_all_served(port: int) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(peer(port, get())) for _ in range(500)]
        assert all(b"0123456789" in read_until(connected, b"0123456789") for connected in peers)


def test_a_thousand_pipelined_requests_are_answered_in_order(port: int) -> None:
    targets = [b"/a.txt", b"/nope", b"/sub/b.js"]
    octets = b"".join(get(target=targets[number % 3]) for number in range(999))
    with peer(port, octets) as connected:
        connected.shutdown(socket.SHUT_WR)
        answers = read_answers(read_to_end(connected), ["GET"] * 999)
    assert [answer.status for answer in answers] == [200, 404, 200] * 333


def test_a_large_file_among_pipelined_requests(port: int) -> None:
    octets = talk(port, get() + get(target=b"/large.bin") + get(target=b"/large.bin", method=b"HEAD") + get())
    answers = read_answers(octets, ["GET", "GET", "HEAD", "GET"])
    assert [len(answer.body) for answer in answers] == [10, LARGE_OCTETS, 0, 10]


def test_a_flood_of_requests_without_reading_is_held_back(root: Path) -> None:
    with origin_in_thread(root, Limits()) as port, peer(port) as flood:
        flood.setblocking(False)
        sent = 0
        request = get(target=b"/large.bin") * 100
        try:
            while sent < 64 * 1024 * 1024:
                sent += flood.send(request)
        except BlockingIOError:
            pass
        assert sent < 64 * 1024 * 1024
        assert b"0123456789" in talk(port, get())


def test_a_large_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    size = 512 * 1024 * 1024
    with (tmp_path / "huge.bin").open("wb") as huge:
        huge.truncate(size)
    with origin_in_thread(tmp_path, Limits()) as port, ExitStack() as stack:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        slow = [stack.enter_context(peer(port, get(target=b"/huge.bin"))) for _ in range(8)]
        for connected in slow:
            read_until(connected, b"\r\n\r\n")
        assert read_answers(talk(port, get(target=b"/nope")), ["GET"])[0].status == 404
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib * 1024 < size // 8


def test_a_client_that_disconnects_does_not_affect_others(port: int) -> None:
    for octets in (b"GET", get(target=b"/large.bin"), b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"):
        for _ in range(20):
            with peer(port, octets):
                pass
    assert b"0123456789" in talk(port, get())


def test_a_refusal_arrives_though_the_peer_still_sends(port: int) -> None:
    with peer(port, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n") as sender:
        try:
            for _ in range(100):
                sender.sendall(b"x" * 10_000)
        except OSError:
            pass
        assert read_answers(read_until(sender, b"</p>"), ["POST"])[0].status == 413


def test_a_handler_that_fails_is_a_500_and_one_that_waits_is_awaited() -> None:
    async def later(body: bytes) -> Response:
        return Response(200, body=body)

    def handler(request: Request, body: bytes) -> EventualResponse:
        if request.request_target == b"/fail":
            raise ValueError("no")
        return LazyResponse(later, body)

    with server_in_thread(handler, Limits()) as port:
        answers = read_answers(
            talk(port, get(target=b"/fail") + get(b"Content-Length: 2") + b"hi" + get(b"Content-Length: 2") + b"ho"),
            ["GET"] * 3,
        )
    assert [(answer.status, answer.body[:2]) for answer in answers] == [(500, b"<!"), (200, b"hi"), (200, b"ho")]
