"""The origin over HTTP/2, frame by frame: responses, scheduling, flow control, push, upgrade, shutdown."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, PushPromiseFrame, SettingsFrame, WindowUpdateFrame

from lab7.services.http.server.context import Limits
from tests.loopback.http.conftest import LARGE_OCTETS
from tests.loopback.http.raw_http2 import (
    CANCEL,
    DATA,
    END_HEADERS,
    HEADERS,
    NO_ERROR,
    POST,
    PREFACE,
    PRIORITY,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Lines,
    RawPeer,
    frame,
    headers,
    number,
    raw_peer,
    setting,
)
from tests.loopback.http.support import PATIENCE_S, origin_in_thread, origin_process, read_until
from tests.loopback.http.test_bad_peers import peer
from tests.loopback.http.test_shell import start

WIDE = frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1 - 65_535))
LARGEST_WINDOW = setting(0x4, 2**31 - 1)
NO_WINDOW = setting(0x4, 0)
NO_PUSH = setting(0x2, 0)


def to(path: bytes, method: bytes = b"GET", *fields: tuple[bytes, bytes]) -> Lines:
    return ((b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"a"), *fields)


@pytest.fixture(scope="module")
def pushing(root: Path) -> Iterator[int]:
    with origin_in_thread(root, Limits(), push=True) as port:
        yield port


def test_a_response_has_lower_case_fields_a_date_and_none_of_the_connection_s(port: int) -> None:
    with raw_peer(port) as client:
        client.send(headers(1))
        client.until(lambda: client.is_answered(1))
    fields = dict(client.replies[1].fields)
    assert fields[":status"] == "200"
    assert fields["content-length"] == "10"
    assert "date" in fields
    assert all(name == name.lower() for name in fields)
    assert not fields.keys() & {"connection", "keep-alive", "transfer-encoding", "upgrade"}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (to(b"/a.txt", b"HEAD"), 200),
        (to(b"/large.bin", b"HEAD"), 200),
        (to(b"/a.txt", b"GET", (b"if-modified-since", b"Sun, 06 Nov 1994 08:49:37 GMT")), 304),
        (((b":method", b"HEAD"), (b":scheme", b"https"), *to(b"/a.txt")[2:]), 421),
    ],
)
def test_head_and_304_have_no_content(port: int, lines: Lines, status: int) -> None:
    with raw_peer(port) as client:
        client.send(headers(1, lines))
        client.until(lambda: client.is_answered(1))
        client.ping()
    assert client.replies[1].status == status
    assert not any(isinstance(item, DataFrame) for item in client.frames)


def test_a_request_s_window_is_widened_as_its_content_is_taken(port: int) -> None:
    with raw_peer(port, LARGEST_WINDOW) as client:
        client.send(WIDE, headers(1, POST, END_HEADERS))
        sent = 0
        window = 65_535
        while sent < 1_000_000:
            room = min(16_384, window - sent, 1_000_000 - sent)
            if room:
                sent += room
                client.send(frame(DATA, int(sent == 1_000_000), 1, b"x" * room))
            else:
                client.read()
                window = 65_535 + sum(
                    item.window_increment
                    for item in client.frames
                    if isinstance(item, WindowUpdateFrame) and item.stream_id == 1
                )
        client.until(lambda: client.is_answered(1))
        assert client.replies[1].body == b"x" * 1_000_000


def test_concurrent_uploads_proceed_in_any_order_of_the_windows(port: int) -> None:
    size, streams = 150_000, range(1, 21, 2)
    with raw_peer(port, LARGEST_WINDOW) as client:
        client.send(WIDE, *(headers(stream_id, POST, END_HEADERS) for stream_id in streams))
        left = dict.fromkeys(streams, size)
        windows = {0: 65_535, **dict.fromkeys(streams, 65_535)}
        seen = 0
        while not all(client.is_answered(stream_id) for stream_id in streams):
            for stream_id in streams:
                while (room := min(16_384, windows[0], windows[stream_id], left[stream_id])) > 0:
                    left[stream_id] -= room
                    windows[0] -= room
                    windows[stream_id] -= room
                    client.send(frame(DATA, int(not left[stream_id]), stream_id, b"%d" % (stream_id % 10) * room))
            assert client.read()
            for update in client.frames[seen:]:
                if isinstance(update, WindowUpdateFrame):
                    windows[update.stream_id] += update.window_increment
            seen = len(client.frames)
    assert [client.replies[stream_id].body for stream_id in streams] == [
        b"%d" % (stream_id % 10) * size for stream_id in streams
    ]


def test_expect_100_continue_is_met(port: int) -> None:
    with raw_peer(port) as client:
        client.send(headers(1, (*POST, (b"expect", b"100-continue")), END_HEADERS))
        client.until(lambda: 1 in client.replies)
        assert client.replies[1].status == 100
        client.send(frame(DATA, 1, 1, b"hi"))
        client.until(lambda: client.is_answered(1))
    assert (client.replies[1].status, client.replies[1].body) == (200, b"hi")


def test_content_that_is_too_long_is_413_and_the_rest_is_not_wanted(root: Path) -> None:
    with origin_in_thread(root, Limits(body_octets=100)) as port, raw_peer(port) as client:
        client.send(headers(1, (*POST, (b"content-length", b"101")), END_HEADERS))
        client.send(headers(3, POST, END_HEADERS), frame(DATA, 0, 3, b"x" * 101))
        client.until(lambda: {1, 3} <= client.resets.keys())
        assert [client.replies[stream_id].status for stream_id in (1, 3)] == [413, 413]
        assert client.resets == {1: NO_ERROR, 3: NO_ERROR}
        client.send(frame(DATA, 0, 3, b"late"))
        client.ping()
        assert client.goaway is None


def data_order(client: RawPeer) -> list[int]:
    return [item.stream_id for item in client.frames if isinstance(item, DataFrame) and item.data]


def test_streams_take_turns_a_frame_each(port: int) -> None:
    with raw_peer(port, NO_WINDOW) as client:
        client.send(WIDE, *(headers(stream_id, to(b"/large.bin")) for stream_id in (1, 3, 5)))
        client.until(lambda: {1, 3, 5} <= client.replies.keys())
        client.send(frame(SETTINGS, 0, 0, LARGEST_WINDOW))
        client.until(lambda: len(data_order(client)) > 300)
    order = data_order(client)[:300]
    assert [order[at : at + 3] for at in range(0, 300, 3)] == [[1, 3, 5]] * 100


def test_a_small_object_does_not_wait_for_a_large_one(port: int) -> None:
    with raw_peer(port, LARGEST_WINDOW) as client:
        client.send(WIDE, headers(1, to(b"/large.bin")), headers(3))
        client.until(lambda: client.is_answered(3))
        assert not client.is_answered(1)
        assert len(client.replies[1].body) < LARGE_OCTETS // 2


def test_windows_are_kept_to_the_octet_also_when_they_turn_negative(port: int) -> None:
    with raw_peer(port, setting(0x4, 7)) as client:
        client.send(headers(1))
        client.until(lambda: client.octets_of(1) == 7)
        client.send(frame(SETTINGS, 0, 0, setting(0x4, 5)), frame(WINDOW_UPDATE, 0, 1, number(2)))
        client.ping(b"nothing!")
        assert len(client.replies[1].body) == 7
        client.send(frame(WINDOW_UPDATE, 0, 1, number(1)))
        client.until(lambda: len(client.replies[1].body) == 8)
        client.send(frame(SETTINGS, 0, 0, setting(0x4, 100)))
        client.until(lambda: client.is_answered(1))
    assert client.replies[1].body == b"0123456789"


def test_the_connection_s_window_holds_all_streams(port: int) -> None:
    with raw_peer(port, LARGEST_WINDOW) as client:
        client.send(headers(1, to(b"/large.bin")), headers(3, to(b"/large.bin")))
        client.until(lambda: sum(len(reply.body) for reply in client.replies.values()) == 65_535)
        client.ping()
        assert sum(len(reply.body) for reply in client.replies.values()) == 65_535
        client.send(frame(WINDOW_UPDATE, 0, 0, number(1)))
        client.until(lambda: sum(len(reply.body) for reply in client.replies.values()) == 65_536)


def test_more_streams_than_announced_are_refused(port: int) -> None:
    with raw_peer(port, NO_WINDOW) as client:
        client.send(*(headers(stream_id) for stream_id in range(1, 203, 2)))
        client.until(lambda: 201 in client.resets)
        assert client.resets == {201: REFUSED_STREAM}
        client.send(frame(RST_STREAM, 0, 1, number(CANCEL)), headers(203))
        client.until(lambda: 203 in client.replies)
        announced = next(item for item in client.frames if isinstance(item, SettingsFrame))
        assert announced.settings == {3: 100, 6: 65_536}


def test_a_stream_that_is_cancelled_makes_room_for_the_others(port: int) -> None:
    with raw_peer(port, LARGEST_WINDOW) as client:
        client.send(headers(1, to(b"/large.bin")), headers(3, to(b"/large.bin")))
        client.until(lambda: {1, 3} <= client.replies.keys())
        client.send(frame(RST_STREAM, 0, 1, number(CANCEL)), WIDE)
        client.until(lambda: client.is_answered(3))
        assert len(client.replies[3].body) == LARGE_OCTETS
        assert not client.is_answered(1)


def test_many_requests_with_one_header_table(port: int) -> None:
    """The cache of header blocks stays valid while the dynamic tables change."""
    with raw_peer(port) as client:
        client.send(WIDE)
        streams = range(1, 801, 2)
        for stream_id in streams:
            fields = [*to((b"/a.txt", b"/sub/b.js", b"/nope")[stream_id % 3]), (b"x-test", b"%d" % (stream_id // 16))]
            client.send(frame(HEADERS, 5, stream_id, client.encoder.encode(fields)))
            if stream_id % 50 == 1:
                client.send(frame(SETTINGS, 0, 0, setting(0x1, (0, 4096, 100, 65_536)[stream_id // 50 % 4])))
                client.until_answered(stream_id)
        client.until(lambda: all(client.is_answered(stream_id) for stream_id in streams))
    assert [client.replies[stream_id].status for stream_id in streams] == [
        (200, 200, 404)[stream_id % 3] for stream_id in streams
    ]
    assert {client.replies[stream_id].body for stream_id in streams if stream_id % 3 == 0} == {b"0123456789"}


# Push.


def test_a_page_s_objects_are_promised_before_its_data_and_sent_after_it(pushing: int) -> None:
    with raw_peer(pushing) as client:
        client.send(headers(1, to(b"/")))
        client.until(lambda: all(client.is_answered(stream_id) for stream_id in (1, 2, 4)))
        assert [client.pushes[stream_id][":path"] for stream_id in (2, 4)] == ["/a.txt", "/sub/b.js"]
        assert (client.pushes[2][":method"], client.pushes[2][":authority"]) == ("GET", "a")
        assert [client.replies[stream_id].body for stream_id in (2, 4)] == [b"0123456789", b"1"]
    kinds = [
        type(stream_id)
        for stream_id in client.frames
        if isinstance(stream_id, PushPromiseFrame | HeadersFrame | DataFrame)
    ]
    assert kinds[:4] == [PushPromiseFrame, PushPromiseFrame, HeadersFrame, DataFrame]
    assert data_order(client) == [1, 2, 4]


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ((NO_PUSH,), to(b"/")),
        ((setting(0x3, 0),), to(b"/")),
        ((), to(b"/", b"HEAD")),
        ((), to(b"/", b"GET", (b"if-none-match", b'"x"'))),
        ((), to(b"/", b"GET", (b"range", b"bytes=0-3"))),
        ((), to(b"/a.txt")),
        ((), to(b"/nope")),
    ],
)
def test_nothing_is_pushed(pushing: int, settings: tuple[bytes, ...], lines: Lines) -> None:
    with raw_peer(pushing, *settings) as client:
        client.send(headers(1, lines))
        client.until(lambda: client.is_answered(1))
        client.ping()
        assert client.pushes == {}


def test_nothing_is_pushed_unless_the_server_is_told_to(port: int) -> None:
    with raw_peer(port) as client:
        client.send(headers(1, to(b"/")))
        client.until(lambda: client.is_answered(1))
        client.ping()
        assert client.pushes == {}


def test_the_client_s_stream_limit_bounds_pushes(pushing: int) -> None:
    with raw_peer(pushing, setting(0x3, 1)) as client:
        client.send(headers(1, to(b"/")))
        client.until(lambda: client.is_answered(1) and client.is_answered(2))
        client.ping()
        assert list(client.pushes) == [2]


def test_a_refused_push_is_not_sent(pushing: int) -> None:
    with raw_peer(pushing, NO_WINDOW) as client:
        client.send(headers(1, to(b"/")))
        client.until(lambda: {2, 4} <= client.pushes.keys())
        client.send(frame(RST_STREAM, 0, 2, number(CANCEL)), frame(PRIORITY, 0, 4, number(1) + b"\0"))
        client.send(frame(SETTINGS, 0, 0, setting(0x4, 65_535)))
        client.until(lambda: client.is_answered(1) and client.is_answered(4))
        client.ping()
        assert 2 not in client.replies


@pytest.mark.parametrize("kind", [DATA, HEADERS])
def test_a_client_sends_nothing_on_a_promised_stream(pushing: int, kind: int) -> None:
    with raw_peer(pushing, NO_WINDOW) as client:
        client.send(headers(1, to(b"/")))
        client.until(lambda: 2 in client.pushes)
        client.send(frame(kind, 5, 2, b"x"))
        client.until(lambda: False)
        assert client.goaway is not None
        assert client.goaway.error_code == 1


# Upgrade.

UPGRADE = (
    b"%b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"
)


def upgraded(port: int, octets: bytes, tail: bytes = b"") -> RawPeer:
    """Request an upgrade, send the preface after 101, and read the response."""
    with raw_peer(port, greet=False) as client:
        client.send(octets)
        head, _, rest = read_until(client.socket, b"\r\n\r\n").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        client.greet()
        client.send(tail)
        client.decode(rest)
        client.until(lambda: client.is_answered(1))
        client.send(headers(3))
        client.until(lambda: client.is_answered(3))
        return client


def test_an_upgraded_request_is_stream_1(port: int) -> None:
    client = upgraded(port, UPGRADE % b"GET /a.txt" + b"\r\n")
    assert client.replies[1].body == client.replies[3].body == b"0123456789"
    assert isinstance(client.frames[0], SettingsFrame)


def test_a_request_with_content_is_upgraded_once_it_is_whole(port: int) -> None:
    assert upgraded(port, UPGRADE % b"POST /echo" + b"Content-Length: 2\r\n\r\nhi").replies[1].body == b"hi"


def test_a_head_request_is_upgraded(port: int) -> None:
    client = upgraded(port, UPGRADE % b"HEAD /a.txt" + b"\r\n")
    assert (client.replies[1].status, client.replies[1].body) == (200, b"")


def test_the_preface_may_come_with_the_request(port: int) -> None:
    with raw_peer(port, greet=False) as client:
        client.send(UPGRADE % b"GET /a.txt" + b"\r\n" + PREFACE + frame(SETTINGS, 0, 0) + headers(3))
        client.decode(read_until(client.socket, b"\r\n\r\n").partition(b"\r\n\r\n")[2])
        client.until(lambda: client.is_answered(1) and client.is_answered(3))


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + b"HTTP2-Settings: AAMAAABk\r\n" * 2,
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA+/AABk\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    ],
)
def test_an_offer_that_is_not_as_it_should_be_is_answered_in_http_1(port: int, fields: bytes) -> None:
    with peer(port, b"GET /a.txt HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n") as client:
        assert read_until(client, b"0123456789").startswith(b"HTTP/1.1 200 ")


# The end.


def test_a_stop_completes_requests_in_progress(root: Path) -> None:
    with start("--root", str(root), "--port", "0", "--listen", "127.0.0.1") as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        with raw_peer(port, LARGEST_WINDOW) as client:
            client.send(headers(1, to(b"/large.bin")))
            client.until(lambda: client.octets_of(1) == 65_535)
            process.send_signal(signal.SIGTERM)
            client.until(lambda: client.goaway is not None)
            assert client.goaway is not None
            assert (client.goaway.error_code, client.goaway.last_stream_id) == (NO_ERROR, 1)
            client.send(headers(3), WIDE)
            client.until(lambda: client.is_answered(1))
            assert len(client.replies[1].body) == LARGE_OCTETS
            assert client.resets == {3: REFUSED_STREAM}
            client.until(lambda: False)
        assert process.wait(PATIENCE_S) == 0


def test_the_log_tells_the_header_sizes(root: Path, tmp_path: Path) -> None:
    with origin_process(root, "--log", str(tmp_path / "log")) as port, raw_peer(port) as client:
        client.send(headers(1))
        client.until(lambda: client.is_answered(1))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    [event] = [line for line in lines if line["event"] == "request"]
    assert (event["version"], event["stream"], event["status"], event["target"]) == ("2", 1, 200, "/a.txt")
    assert event["request_header_size_bytes"] == len(headers(1)) - 9
    sent = next(stream_id for stream_id in client.frames if isinstance(stream_id, HeadersFrame))
    assert event["response_header_size_bytes"] == len(sent.data)
