"""Two streams of octets become HTTP/2 frames, requests and responses, however TCP cut them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.http2 import (
    END_HEADERS,
    END_STREAM,
    PADDED,
    PREFACE,
    Http2Conversation,
    Kind,
    converse_http2,
    is_http2,
)
from tests.core.experiments.harness.wire import Wire, request, response
from tests.core.experiments.http import http2_wire
from tests.core.experiments.http.http2_wire import (
    SWITCHING,
    Packer,
    connection,
    converse,
    data,
    frame,
    headers,
    prioritised,
    promise,
    settings,
    upgrade_request,
)
from tests.core.experiments.http.pages import load

UNKNOWN = 0xFA


def asked(*targets: str) -> bytes:
    up = Packer()
    return b"".join(headers(2 * place + 1, up.request(target), end=True) for place, target in enumerate(targets))


def answered(*bodies: bytes) -> bytes:
    down = Packer()
    return b"".join(
        headers(2 * place + 1, down.response()) + data(2 * place + 1, body) for place, body in enumerate(bodies)
    )


def only(found: Http2Conversation) -> Exchange:
    assert found.problem is None, found.problem
    (exchange,) = found.exchanges
    return exchange


def got(found: Http2Conversation) -> list[tuple[bytes, bytes | None]]:
    """Targets and bodies of a sound conversation."""
    assert found.problem is None, found.problem
    return [(one.target, one.response.body if one.response else None) for one in found.exchanges]


def test_requests_and_responses_are_read_from_their_frames() -> None:
    found = converse(asked("/"), answered(b"hello"))
    exchange = only(found)
    assert exchange.request.start_line == (b"GET", b"/", b"HTTP/2")
    assert (b"user-agent", b"a browser with a long name") in exchange.request.fields
    assert exchange.response is not None
    assert exchange.response.start_line == (b"HTTP/2", b"200", b"")
    assert exchange.response.fields == ((b"content-type", b"image/png"),)
    assert exchange.response.body == b"hello"
    assert [each.kind for each in found.server_frames] == [Kind.SETTINGS, Kind.HEADERS, Kind.DATA]
    assert not found.leftover
    assert not found.upgraded


CLIENT = PREFACE + settings() + asked("/", "/a", "/b")
SERVER = settings() + answered(b"page", b"a" * 300, b"")


@given(st.lists(st.integers(1, max(len(CLIENT), len(SERVER)) - 1), max_size=30))
def test_segmentation_changes_nothing_but_the_packets(cuts: list[int]) -> None:
    assert_same_as_whole(cuts)


def test_octet_by_octet_changes_nothing_but_the_packets() -> None:
    assert_same_as_whole(list(range(max(len(CLIENT), len(SERVER)))))


def assert_same_as_whole(cuts: list[int]) -> None:
    whole, cut = (converse_http2(connection(CLIENT, SERVER, where)) for where in ([], cuts))
    assert got(cut) == [(b"/", b"page"), (b"/a", b"a" * 300), (b"/b", b"")]
    for one, other in zip(whole.exchanges, cut.exchanges, strict=True):
        assert one.response is not None
        assert other.response is not None
        assert (one.request.octets, one.response.octets) == (other.request.octets, other.response.octets)
    for mine, theirs in ((whole.client_frames, cut.client_frames), (whole.server_frames, cut.server_frames)):
        assert [each.octets for each in mine] == [each.octets for each in theirs]
    for each in cut.server_frames:
        assert each.pieces[0].start <= SERVER.index(each.octets) < each.pieces[0].end


def test_frames_name_the_packets_that_carried_them() -> None:
    start = len(settings())
    found = converse(asked("/"), answered(b"x" * 100), cuts=[start, start + 40, start + 80])
    # Packet 10 has SETTINGS; the response lies in the next three.
    assert found.server_frames[0].packet == 10
    assert only(found).response is not None
    assert only(found).response.frames == (11, 12, 13)  # type: ignore[union-attr]


@pytest.mark.parametrize("padding", [0, 1, 7, 255])
def test_padding_is_no_part_of_a_body_or_of_a_header_block(padding: int) -> None:
    block = Packer().response()
    padded = frame(Kind.HEADERS, END_HEADERS | PADDED, 1, bytes([padding]) + block + bytes(padding))
    found = converse(prioritised(1, Packer().request("/"), padding), padded + data(1, b"hello", padding=padding))
    assert got(found) == [(b"/", b"hello")]


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd", b"\xff" * 200])
def test_padding_longer_than_its_frame_is_named(payload: bytes) -> None:
    down = headers(1, Packer().response()) + frame(Kind.DATA, END_STREAM | PADDED, 1, payload)
    found = converse(asked("/"), down)
    assert found.problem is not None
    assert "padding longer than its frame in packet 10" in found.problem
    assert found.exchanges == ()


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_header_block_goes_on_in_continuation_frames(size: int) -> None:
    block = Packer().request("/")
    parts = [block[at : at + size] for at in range(0, len(block), size)]
    frames = headers(1, parts[0], end=True, flags=0)
    for number, part in enumerate(parts[1:], start=2):
        frames += frame(Kind.CONTINUATION, END_HEADERS if number == len(parts) else 0, 1, part)
    found = converse(frames, answered(b"hello"))
    assert got(found) == [(b"/", b"hello")]
    assert only(found).request.octets == frames


@pytest.mark.parametrize(
    "between",
    [
        frame(Kind.PING, 0, 0, bytes(8)),
        # The flag that ends a header block means nothing on any other frame.
        frame(Kind.WINDOW_UPDATE, END_HEADERS, 0, bytes(4)),
        frame(Kind.CONTINUATION, END_HEADERS, 3, b""),
        frame(UNKNOWN, 0, 1, b""),
        data(1, b"early", end=False),
        headers(3, Packer().request("/a"), end=True),
    ],
)
def test_nothing_may_come_between_the_frames_of_a_header_block(between: bytes) -> None:
    block = Packer().request("/")
    frames = headers(1, block[:3], end=True, flags=0) + between + frame(Kind.CONTINUATION, END_HEADERS, 1, block[3:])
    found = converse(frames, answered(b"hello"))
    assert found.problem == "a header block is interrupted by another frame in packet 10"


def test_continuation_of_nothing_is_named() -> None:
    found = converse(frame(Kind.CONTINUATION, END_HEADERS, 1, Packer().request("/")), b"")
    assert found.problem == "CONTINUATION without a header block in packet 10"


def test_the_dynamic_table_goes_on_from_request_to_request() -> None:
    up, down = Packer(), Packer()
    blocks = [up.request(f"/{number}") for number in range(40)]
    assert len(blocks[1]) < len(blocks[0]) / 2
    sent = b"".join(headers(2 * place + 1, block, end=True) for place, block in enumerate(blocks))
    back = b"".join(headers(2 * place + 1, down.response(), end=True) for place in range(len(blocks)))
    found = converse(sent, back)
    assert [one.target for one in found.exchanges] == [f"/{number}".encode() for number in range(40)]
    assert len({one.request.fields for one in found.exchanges}) == 1


def test_promises_and_responses_share_one_table() -> None:
    down = Packer()
    back = promise(1, 2, down.request("/a")) + headers(1, down.response()) + data(1, b"page")
    back += promise(1, 4, down.request("/b")) + headers(2, down.response()) + data(2, b"a")
    back += headers(4, down.response()) + data(4, b"b")
    found = converse(asked("/"), back)
    assert got(found) == [(b"/", b"page"), (b"/a", b"a"), (b"/b", b"b")]
    assert found.promised == {2, 4}
    assert [stream_id for stream_id, _ in found.streams] == [1, 2, 4]


def test_an_interim_response_is_no_part_of_the_final_one() -> None:
    down = Packer()
    early = headers(1, down.response("103", [("link", "</a>; rel=preload")]))
    back = early + headers(1, down.response("100", [])) + headers(1, down.response()) + data(1, b"hello")
    found = only(converse(asked("/"), back, cuts=[len(settings()) + len(early)]))
    assert found.response is not None
    assert found.response.start_line[1] == b"200"
    assert found.response.values(b"link") == []
    assert not found.response.octets.startswith(early)
    assert found.response.frames == (11,)


def test_an_interim_response_alone_is_no_response() -> None:
    assert got(converse(asked("/"), headers(1, Packer().response("103", []), end=True))) == [(b"/", None)]


def test_trailers_add_fields_and_end_the_response() -> None:
    down = Packer()
    back = headers(1, down.response()) + data(1, b"hello", end=False)
    back += headers(1, down.block([("digest", "abc")]), end=True)
    exchange = only(converse(asked("/"), back))
    assert exchange.response is not None
    assert exchange.response.values(b"digest") == [b"abc"]


@pytest.mark.parametrize(
    "cut_off",
    [
        b"",
        headers(1, Packer().response()),
        headers(1, Packer().response()) + data(1, b"hel", end=False),
        headers(1, Packer().response()) + data(1, b"hel", end=False) + frame(Kind.RST_STREAM, 0, 1, bytes(4)),
        data(1, b"hello"),
    ],
)
def test_a_response_without_its_head_or_its_end_is_none(cut_off: bytes) -> None:
    found = converse(asked("/"), cut_off)
    assert got(found) == [(b"/", None)]
    assert not found.leftover


@pytest.mark.parametrize("keep", [1, 8, 9, 12])
def test_a_stream_that_ends_inside_a_frame_says_so(keep: int) -> None:
    found = converse(asked("/"), headers(1, Packer().response()) + data(1, b"hello")[:keep])
    assert got(found) == [(b"/", None)]
    assert found.leftover


def test_text_instead_of_frames_is_left_over() -> None:
    found = converse_http2(connection(PREFACE + settings() + asked("/"), response()))
    assert found.leftover
    assert got(found) == [(b"/", None)]


def test_frames_of_unknown_types_are_passed_over() -> None:
    strange = frame(UNKNOWN, 0xFF, 1, b"whatever") + frame(UNKNOWN, 0, 0)
    found = converse(strange + asked("/") + strange, strange + answered(b"hello") + strange)
    assert got(found) == [(b"/", b"hello")]
    assert sum(each.kind == UNKNOWN for each in found.server_frames) == 4


def test_the_reserved_bit_of_a_stream_identifier_is_ignored() -> None:
    back = headers(1 | 1 << 31, Packer().response()) + data(1, b"hello")
    assert got(converse(asked("/"), back)) == [(b"/", b"hello")]


@pytest.mark.parametrize("first", [frame(Kind.PING, 0, 0, bytes(8)), settings(ack=True), b""])
def test_the_server_s_first_frame_is_settings(first: bytes) -> None:
    found = converse_http2(connection(PREFACE + settings() + asked("/"), first + answered(b"hello")))
    assert found.problem is not None
    assert "the server's first frame" in found.problem


def test_the_client_s_first_frame_is_settings() -> None:
    found = converse_http2(connection(PREFACE + asked("/"), settings() + answered(b"hello")))
    assert found.problem == "the client's first frame is of type 1, not SETTINGS"


def test_a_response_on_stream_0_is_named() -> None:
    found = converse(asked("/"), answered(b"hello") + data(0, b"hello"))
    assert found.problem == "the server sends a frame of type 0 on stream 0"


def test_a_push_without_a_promise_is_named() -> None:
    back = headers(2, Packer().response()) + data(2, b"hello")
    assert converse(asked("/"), back).problem == "the server sends frames on stream 2, which was not opened"


def test_a_client_that_promises_is_named() -> None:
    assert converse(promise(1, 2, Packer().request("/")), b"").problem == "PUSH_PROMISE from a client in packet 10"


@pytest.mark.parametrize("block", [b"\xbe", b"\x41\x82\x1f\xff", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_header_block_that_cannot_be_read_is_named(block: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    found = converse(asked("/"), headers(1, block))
    assert found.problem is not None
    assert found.problem.startswith("the header block that ends in packet 10 cannot be decoded: ")
    # Standard output belongs to results.
    assert capsys.readouterr().out == ""


def test_the_request_that_asks_for_an_upgrade_is_that_of_stream_1() -> None:
    client = upgrade_request("/page") + PREFACE + settings() + headers(3, Packer().request("/a"), end=True)
    down = Packer()
    server = SWITCHING + settings() + headers(1, down.response()) + data(1, b"page")
    server += headers(3, down.response()) + data(3, b"a")
    found = converse_http2(connection(client, server))
    assert got(found) == [(b"/page", b"page"), (b"/a", b"a")]
    assert found.upgraded
    assert not found.leftover
    assert found.exchanges[0].request.octets == upgrade_request("/page")
    assert found.exchanges[0].request.values(b"upgrade") == [b"h2c"]


@pytest.mark.parametrize("answer", [response(version="1.1"), b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_an_upgrade_that_the_server_does_not_take_is_named(answer: bytes) -> None:
    client = upgrade_request() + PREFACE + settings()
    found = converse_http2(connection(client, answer + settings() + answered(b"hello")))
    assert found.problem == "the server does not reply to the Upgrade with 101 Switching Protocols"
    assert found.upgraded


def test_an_upgrade_without_a_request_line_is_named() -> None:
    found = converse_http2(connection(b"nonsense\r\n\r\n" + PREFACE + settings(), SWITCHING + settings()))
    assert found.problem == "the request with Upgrade has no request line"


def test_the_preface_tells_http_2_from_http_1() -> None:
    assert is_http2(connection(CLIENT, SERVER))
    assert is_http2(connection(upgrade_request() + CLIENT, SWITCHING + SERVER))
    assert not is_http2(connection(request("/", "1.1"), response()))
    # The server went on with HTTP/1.1, as it may.
    assert not is_http2(connection(upgrade_request(), response(version="1.1")))
    assert not is_http2(connection(b"", b""))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_follows_the_preface_is_read_or_named(up: bytes, down: bytes) -> None:
    found = converse_http2(connection(PREFACE + up, down))
    assert found.problem is None or found.problem


def test_a_capture_is_read_by_what_its_connections_speak(tmp_path: Path) -> None:
    wire = http2_wire.upgraded(http2_wire.pushed(http2_wire.multiplexed(Wire()), port=45100), port=45200)
    found = load(wire, tmp_path).conversations
    assert [isinstance(one, Http2Conversation) and (one.upgraded, bool(one.promised)) for one in found] == [
        (False, False),
        (False, True),
        (True, False),
    ]
    assert all(not one.leftover and one.problem is None for one in found)
