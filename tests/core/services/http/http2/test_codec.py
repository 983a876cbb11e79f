"""HTTP/2 codecs and rules: frames, HPACK, header lists, SETTINGS, upgrade, push, rate limits."""

from contextlib import suppress

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.errors import HTTPError, LocalProtocolError
from lab7.services.http.fields import Fields
from lab7.services.http.http2.client_connection import DataReceived, Http2ClientConnection, StreamEnded
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError, MalformedError
from lab7.services.http.http2.frames import (
    END_HEADERS,
    PADDED,
    PREFACE,
    Frame,
    FrameDecoder,
    Kind,
    encode_frame,
    encode_header_block,
    encode_uint32,
    strip_padding,
)
from lab7.services.http.http2.header_lists import parse_content_length, parse_request, response_header_list
from lab7.services.http.http2.hpack import HeaderDecoder, HeaderEncoder, HeaderSizes
from lab7.services.http.http2.limits import RateLimits, TokenBucket
from lab7.services.http.http2.push import promised_requests
from lab7.services.http.http2.settings import Setting, encode_settings, parse_settings
from lab7.services.http.http2.streams import TRANSITIONS, Signal, StreamState, move
from lab7.services.http.http2.upgrade import upgrade_settings, upgraded
from lab7.services.http.messages import HTTP_1_0, Request, Response
from lab7.services.http.server.http1_connection import DetectedVersion, VersionDetector

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]

FRAMES = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=40))


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 30), min_size=1))
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames: list[Frame], cuts: list[int]) -> None:
    octets = b"".join(encode_frame(*frame) for frame in frames)
    reader, at = FrameDecoder(), 0
    out: list[Frame | None] = []
    while at < len(octets):
        size = cuts[len(out) % len(cuts)]
        reader.feed(octets[at : at + size])
        at += size
        while reader.has_frame():
            out.append(reader.next_frame())
    assert out == frames
    assert reader.next_frame() is None
    assert len(reader) == 0


def test_a_frame_that_is_too_long_is_refused_by_its_first_octets() -> None:
    reader = FrameDecoder()
    reader.feed(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01")
    with pytest.raises(Http2ConnectionError) as caught:
        reader.next_frame()
    assert caught.value.code is ErrorCode.FRAME_SIZE_ERROR


@given(st.binary(max_size=30), st.integers(0, 40))
def test_padding_goes_or_is_refused(data: bytes, pad: int) -> None:
    whole = bytes((pad,)) + data + b"\0" * pad
    assert strip_padding(Frame(Kind.DATA, PADDED, 1, whole)) == data
    short = bytes((pad,)) + b"\0" * max(0, pad - 1)
    if pad:
        with pytest.raises(Http2ConnectionError):
            strip_padding(Frame(Kind.DATA, PADDED, 1, short))


@given(st.binary(min_size=1, max_size=300), st.integers(1, 50))
def test_a_long_block_is_cut_into_continuations(payload: bytes, limit: int) -> None:
    reader = FrameDecoder()
    reader.feed(encode_header_block(Kind.HEADERS, 0, 1, payload, limit))
    frames = []
    while (frame := reader.next_frame()) is not None:
        frames.append(frame)
    assert b"".join(frame.payload for frame in frames) == payload
    assert [frame.kind for frame in frames] == [Kind.HEADERS, *[Kind.CONTINUATION] * (len(frames) - 1)]
    assert [bool(frame.flags & END_HEADERS) for frame in frames] == [False] * (len(frames) - 1) + [True]


NAMES = st.sampled_from([b"a", b"b", b"server", b"content-type", b"date"])
LISTS = st.lists(st.tuples(NAMES, st.sampled_from([b"1", b"2", b"x" * 900])), min_size=1, max_size=6)
STEPS = st.lists(st.one_of(LISTS, st.sampled_from([0, 64, 4096, 9999])), max_size=40)


@given(STEPS)
def test_header_blocks_are_encoded_right_with_a_cache(steps: list[list[tuple[bytes, bytes]] | int]) -> None:
    writer, decoder = HeaderEncoder(), Decoder()
    for step in steps:
        if isinstance(step, int):
            writer.resize(step)
            continue
        key = tuple(step)
        block = writer.cached(key)
        if block is None:
            block = writer.encode(step, key)
        assert [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)] == step


@given(STEPS)
def test_header_blocks_are_decoded_right_with_a_cache(
    steps: list[list[tuple[bytes, bytes]] | int],
) -> None:
    encoder, reader = Encoder(), HeaderDecoder()
    for step in steps:
        if isinstance(step, int):
            # The library's encoder drops a size update that is set twice.
            if min(step, 4096) != encoder.header_table_size:
                encoder.header_table_size = min(step, 4096)
            continue
        fields = Fields(tuple(step))
        block = encoder.encode(step)
        got = reader.decode_request(block, lambda lines: Request(b"GET", b"/", Fields(tuple(lines))))
        assert got.fields == fields


@given(st.binary(max_size=60))
def test_no_block_crashes_the_reader(octets: bytes) -> None:
    with suppress(Http2ConnectionError):
        HeaderDecoder().decode(octets)


def test_a_request_is_as_in_http_1() -> None:
    lines = [*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]
    request = parse_request(lines, b"http")
    assert request == Request(b"GET", b"/", Fields(((b"host", b"a"), (b"x", b"y"), (b"cookie", b"a=1; b=2"))), (2, 0))
    assert request.fields.get_all(b"cookie") == [b"a=1; b=2"]


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=6))
def test_no_header_list_crashes_it(lines: list[tuple[bytes, bytes]]) -> None:
    for more in (lines, [*GET, *lines]):
        with suppress(MalformedError, HTTPError):
            parse_content_length(parse_request(more, b"http"))


def test_a_response_has_nothing_of_an_http_1_connection() -> None:
    fields = Fields(((b"Connection", b"close"), (b"Keep-Alive", b"x"), (b"ETag", b'"1"')))
    assert response_header_list(200, fields, DATE, 5) == [
        (b":status", b"200"),
        (b"etag", b'"1"'),
        (b"date", DATE),
        (b"content-length", b"5"),
    ]
    assert response_header_list(204, Fields(((b"Date", b"then"),)), DATE, None) == [
        (b":status", b"204"),
        (b"date", b"then"),
    ]
    for bad in ((b"a b", b""), (b"a", b"b\r\nc: d"), (b"", b"")):
        with pytest.raises(LocalProtocolError):
            response_header_list(200, Fields((bad,)), DATE, None)


def test_settings_that_are_unknown_are_passed_over() -> None:
    known = [(Setting.ENABLE_PUSH, 0)]
    assert parse_settings(b"\x00\xff\0\0\0\1" + encode_settings(known)) == known


def upgrade(*lines: tuple[bytes, bytes], version: tuple[int, int] = (1, 1)) -> Request:
    return Request(b"GET", b"/", Fields(((b"Host", b"a"), *lines)), version)


OFFER = ((b"Connection", b"upgrade, http2-settings"), (b"Upgrade", b"websocket, H2C"), (b"HTTP2-Settings", b"AAMAAABk"))


def test_an_offer_of_h2c_is_taken_up_by_its_terms_alone() -> None:
    assert upgrade_settings(upgrade(*OFFER)) == b"\0\3\0\0\0\x64"
    assert upgrade_settings(upgrade(*OFFER[:2], (b"HTTP2-Settings", b""))) == b""
    assert upgrade_settings(upgrade(*OFFER, version=HTTP_1_0)) is None
    assert upgrade_settings(upgrade(*OFFER, OFFER[2])) is None
    assert upgrade_settings(upgrade(*OFFER[:2])) is None
    assert upgrade_settings(upgrade(*OFFER[1:])) is None
    assert upgrade_settings(upgrade(*OFFER[:2], (b"HTTP2-Settings", b"AASAAAAA"))) is None


def test_an_upgraded_request_has_nothing_of_its_http_1_connection() -> None:
    request = upgraded(upgrade(*OFFER, (b"Accept", b"*/*")))
    assert request == Request(b"GET", b"/", Fields(((b"Host", b"a"), (b"Accept", b"*/*"))), (2, 0))


def page(body: bytes, status: int = 200, kind: bytes = b"text/html; charset=utf-8") -> Response:
    return Response(status, Fields(((b"Content-Type", kind),)), body)


NAMED = b'<img src="/a?q=1"><img src="b"><img src="//other/c"><img src="https://a/d"><img src="#x"><img src="b">'


def targets(request: Request, response: Response) -> list[bytes]:
    return [frame.request_target for frame in promised_requests(request, response, b"http")]


def test_a_page_s_objects_of_its_own_origin_are_promised() -> None:
    request = Request(b"GET", b"/p/", Fields(((b"host", b"a"), (b"user-agent", b"x"), (b"cookie", b"s"))))
    assert targets(request, page(NAMED)) == [b"/a?q=1", b"/p/b"]
    first = next(iter(promised_requests(request, page(NAMED), b"http")))
    assert first.fields == Fields(((b"host", b"a"), (b"user-agent", b"x")))
    assert targets(request, page(NAMED, 404)) == []
    assert targets(request, page(NAMED, kind=b"text/plain")) == []
    assert targets(Request(b"HEAD", b"/p/", request.fields), page(NAMED)) == []
    assert targets(Request(b"GET", b"/p/", request.fields.adding((b"range", b"bytes=0-"))), page(NAMED)) == []


def test_a_bucket_fills_up_with_time() -> None:
    bucket = TokenBucket(2, 10.0, "drops")
    bucket.consume(0.0)
    bucket.consume(0.0)
    bucket.consume(0.15)
    with pytest.raises(Http2ConnectionError, match="drops"):
        bucket.consume(0.15)


def test_window_updates_are_paid_for_by_data() -> None:
    rate_limits = RateLimits()
    for _ in range(10_000):
        rate_limits.credit()
        for _ in range(10):
            rate_limits.count_window_update(0.0)


def test_the_table_of_transitions_is_all_there_is() -> None:
    for state in StreamState:
        for signal in Signal:
            if (state, signal) not in TRANSITIONS:
                with pytest.raises(LocalProtocolError):
                    move(state, signal)
    assert not any(state is StreamState.CLOSED for state, _ in TRANSITIONS)


@pytest.mark.parametrize("octets", [PREFACE[:cut] for cut in range(len(PREFACE))])
def test_the_version_is_open_until_the_preface_is_whole_or_broken(octets: bytes) -> None:
    opening = VersionDetector()
    assert opening.feed(octets) is DetectedVersion.UNDECIDED
    assert opening.feed(b"\xff") is DetectedVersion.HTTP_1
    assert opening.octets == octets + b"\xff"
    opening = VersionDetector()
    opening.feed(octets)
    assert opening.feed(PREFACE[len(octets) :] + b"more") is DetectedVersion.HTTP_2


def test_header_sizes_are_without_padding_priority_and_promised_number() -> None:
    sizes = HeaderSizes(with_preface=True)
    octets = encode_frame(Kind.HEADERS, 0x2D, 1, b"\x02" + b"\0\0\0\0\x10" + b"abc" + b"\0\0")
    octets += encode_frame(Kind.PUSH_PROMISE, 0, 1, encode_uint32(2) + b"ab") + encode_frame(
        Kind.CONTINUATION, 4, 1, b"cd"
    )
    octets += encode_frame(Kind.HEADERS, 4, 2, b"12345")
    sizes.feed(PREFACE + octets)
    assert (sizes.by_stream, sizes.promised) == ({1: 3, 2: 5}, {2: 4})


def test_the_client_parses_the_server_s_output_octet_by_octet() -> None:
    client = Http2ClientConnection(push=False)
    client.start()
    stream_id = client.send_request(Request(b"GET", b"/", Fields(((b"Host", b"a"),))), b"http")
    assert client.data_to_send().startswith(PREFACE)
    block = Encoder().encode([(b":status", b"200")])
    octets = (
        encode_frame(Kind.SETTINGS, 0, 0)
        + encode_frame(Kind.HEADERS, 4, 1, block)
        + encode_frame(Kind.DATA, 1, 1, b"hi")
    )
    events = [event for at in range(len(octets)) for event in client.receive_data(octets[at : at + 1])]
    assert events[-2:] == [DataReceived(stream_id, b"hi"), StreamEnded(stream_id)]
    assert (client.sent_sizes.by_stream[1] > 0, client.received_sizes.by_stream) == (True, {1: len(block)})


def test_a_server_of_another_protocol_is_known_by_its_first_octets() -> None:
    client = Http2ClientConnection(push=False)
    client.start()
    assert client.receive_data(b"HTT") == []
    with pytest.raises(HTTPError, match="does not support HTTP/2"):
        client.receive_data(b"P/1.1 400")
    assert not client.is_open
