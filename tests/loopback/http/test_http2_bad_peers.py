"""HTTP/2 clients that stall, flood, read slowly or disconnect, without effect on other clients."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab7.services.http.server.context import Limits
from tests.loopback.http.conftest import LARGE_OCTETS
from tests.loopback.http.musts import get
from tests.loopback.http.raw_http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    ENHANCE_YOUR_CALM,
    GET,
    HEADERS,
    NO_ERROR,
    PING,
    POST,
    PREFACE,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    SETTINGS_TIMEOUT,
    WINDOW_UPDATE,
    RawPeer,
    block,
    frame,
    headers,
    is_served,
    number,
    raw_peer,
    setting,
)
from tests.loopback.http.support import origin_in_thread, read_answers, talk

SHORT = Limits(head_s=0.1, body_s=0.1, idle_s=0.1, stall_s=0.3, linger_s=0.2, settings_s=0.1, sweep_s=0.02)
LARGE = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/large.bin"), (b":authority", b"a"))
WIDE = frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1 - 65_535))
LARGEST_WINDOW = setting(0x4, 2**31 - 1)


@pytest.fixture(scope="module")
def hasty(root: Path) -> Iterator[int]:
    with origin_in_thread(root, SHORT) as port:
        yield port


def ends_with(peer: RawPeer, code: int) -> bool:
    peer.until(lambda: False)
    return peer.goaway is not None and peer.goaway.error_code == code


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (PREFACE, PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0), SETTINGS_TIMEOUT),
        (PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0), NO_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + headers(1)[:-1], NO_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + headers(1), NO_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + frame(HEADERS, 1, 1, b""), ENHANCE_YOUR_CALM),
    ],
)
def test_a_client_that_stalls_gets_an_error_and_is_closed(hasty: int, octets: bytes, code: int) -> None:
    with raw_peer(hasty, greet=False) as peer:
        peer.send(octets)
        assert ends_with(peer, code)


def test_a_preface_that_does_not_come_to_its_end_is_408(hasty: int) -> None:
    with socket.create_connection(("127.0.0.1", hasty)) as peer:
        peer.sendall(PREFACE[:9])
        assert peer.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_pings_do_not_keep_an_idle_connection(hasty: int) -> None:
    with raw_peer(hasty) as peer:
        while not peer.is_closed:
            peer.send(frame(PING, 0, 0, b"12345678"))
            peer.read()
        assert peer.goaway is not None
        assert peer.goaway.error_code in (NO_ERROR, ENHANCE_YOUR_CALM)


def test_content_that_does_not_come_is_408_and_other_streams_go_on(root: Path) -> None:
    bounds = Limits(body_s=0.1, sweep_s=0.02)
    with origin_in_thread(root, bounds) as port, raw_peer(port) as peer:
        peer.send(headers(1, POST, END_HEADERS), frame(DATA, 0, 1, b"h"))
        peer.until(lambda: 1 in peer.resets)
        assert (peer.replies[1].status, peer.resets[1]) == (408, NO_ERROR)
        peer.send(headers(3))
        peer.until(lambda: peer.is_answered(3))
        assert peer.replies[3].status == 200


@pytest.mark.parametrize("settings", [LARGEST_WINDOW, setting(0x4, 0)])
def test_a_client_without_window_updates_is_dropped(root: Path, settings: bytes) -> None:
    # One connection: the next client is admitted only once the first, active and thus not evicted, is closed.
    bounds = Limits(connections=1, stall_s=0.2, linger_s=0.1, sweep_s=0.02)
    with origin_in_thread(root, bounds) as port, raw_peer(port, settings) as peer:
        peer.send(WIDE, *(headers(stream_id, LARGE) for stream_id in (1, 3, 5)))
        peer.until(lambda: 1 in peer.replies)
        while (answer := read_answers(talk(port, get()), ["GET"])[0]).status == 503:
            pass
    assert answer.body == b"0123456789"


def test_a_client_that_reads_slowly_gets_all(root: Path) -> None:
    bounds = Limits(stall_s=0.2, sweep_s=0.02)
    with origin_in_thread(root, bounds) as port, raw_peer(port, LARGEST_WINDOW) as slow:
        slow.send(WIDE, headers(1, LARGE))
        while not slow.is_answered(1):
            assert slow.read()
            # A whole exchange between two reads makes this client slow without a clock.
            talk(port, get())
    assert len(slow.replies[1].body) == LARGE_OCTETS


def test_an_idle_connection_makes_room(root: Path) -> None:
    with origin_in_thread(root, Limits(connections=2)) as port, ExitStack() as stack:
        peers = []
        for _ in range(3):
            peer = stack.enter_context(raw_peer(port))
            peer.send(headers(1))
            peer.until_answered(1)
            peers.append(peer)
        assert [len(peer.replies) for peer in peers] == [1, 1, 1]
        assert ends_with(peers[0], NO_ERROR)


def resident_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_large_files_on_many_streams_are_never_whole_in_memory(tmp_path: Path) -> None:
    size = 50 * 1024 * 1024
    with (tmp_path / "huge.bin").open("wb") as huge:
        huge.truncate(size)
    lines = (*GET[:2], (b":path", b"/huge.bin"), GET[3])
    with origin_in_thread(tmp_path, Limits()) as port, ExitStack() as stack:
        before = resident_kib()
        for _ in range(4):
            peer = stack.enter_context(raw_peer(port, LARGEST_WINDOW))
            peer.send(WIDE, *(headers(stream_id, lines) for stream_id in range(1, 200, 2)))
            while len(peer.replies) < 100:
                assert peer.read()
        assert read_answers(talk(port, get(target=b"/nope")), ["GET"])[0].status == 404
        assert (resident_kib() - before) * 1024 < size


def test_memory_for_concurrent_uploads_is_bounded(root: Path) -> None:
    with origin_in_thread(root, Limits()) as port, raw_peer(port) as peer:
        before = resident_kib()
        sent = 0
        windows = dict.fromkeys(range(1, 200, 2), 65_535)
        peer.send(*(headers(stream_id, POST, END_HEADERS) for stream_id in windows))
        for stream_id in windows:
            while windows[stream_id] > 0:
                room = min(16_384, windows[stream_id])
                windows[stream_id] -= room
                sent += room
                peer.send(frame(DATA, 0, stream_id, b"x" * room))
        peer.ping()
        assert peer.goaway is None
        assert peer.resets == {}
        assert (resident_kib() - before) * 1024 < 8 * sent
        assert is_served(port)


def pump(peer: RawPeer, octets: bytes, most: int) -> int:
    """Send without reading until the socket blocks."""
    peer.socket.setblocking(False)
    sent = 0
    try:
        while sent < most:
            sent += peer.socket.send(octets)
    except OSError:
        pass
    return sent


@pytest.mark.parametrize(
    "octets",
    [
        frame(PING, 0, 0, b"12345678") * 1000,
        frame(SETTINGS, 0, 0) * 1000,
        b"".join(
            headers(stream_id, LARGE) + frame(RST_STREAM, 0, stream_id, number(8)) for stream_id in range(1, 2001, 2)
        ),
        frame(HEADERS, 0, 1, block(GET)) + frame(CONTINUATION, 0, 1) * 1000,
    ],
)
def test_a_flood_without_reading_accumulates_nothing(root: Path, octets: bytes) -> None:
    most = 64 * 1024 * 1024
    with origin_in_thread(root, Limits()) as port, raw_peer(port, LARGEST_WINDOW) as flood:
        before = resident_kib()
        pump(flood, octets, most)
        assert is_served(port)
        assert (resident_kib() - before) * 1024 < most // 4


def test_requests_without_reading_are_held_back(root: Path) -> None:
    with origin_in_thread(root, Limits()) as port, raw_peer(port, LARGEST_WINDOW) as flood:
        flood.send(WIDE)
        before = resident_kib()
        octets = b"".join(headers(stream_id) for stream_id in range(1, 200_001, 2))
        assert pump(flood, octets, 1) > 0
        assert is_served(port)
        assert (resident_kib() - before) * 1024 < 32 * 1024 * 1024


def test_a_client_that_disconnects_does_not_affect_others(port: int) -> None:
    for octets in (b"", headers(1)[:12], headers(1, LARGE), headers(1, POST, END_HEADERS)):
        for _ in range(20):
            with raw_peer(port) as peer:
                peer.send(octets)
    assert is_served(port)


def test_one_that_fails_does_not_hurt_another(port: int) -> None:
    with raw_peer(port, LARGEST_WINDOW) as good:
        good.send(WIDE, headers(1, LARGE))
        with raw_peer(port) as bad:
            bad.send(frame(PING, 0, 1, b"12345678"))
            assert ends_with(bad, PROTOCOL_ERROR)
        good.until(lambda: good.is_answered(1))
        assert len(good.replies[1].body) == LARGE_OCTETS


def test_a_refusal_arrives_though_the_peer_still_sends(port: int) -> None:
    with raw_peer(port) as sender:
        sender.send(frame(PING, 0, 1, b"12345678"))
        for _ in range(100):
            sender.send(frame(PING, 0, 0, b"12345678") * 500)
        assert ends_with(sender, PROTOCOL_ERROR)
