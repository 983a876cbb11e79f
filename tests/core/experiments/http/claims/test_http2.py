"""H10, H12, H13 and H14: each has a capture that shows it, several that contradict it, some that decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.http.claims.http2 import (
    decide_binary_framing,
    decide_concurrent_streams,
    decide_header_compression,
    decide_server_push,
    header_sizes,
)
from lab7.experiments.http.wire.http2 import END_HEADERS, Kind
from lab7.experiments.http.wire.page_load import PageLoad
from tests.core.experiments.harness.verdicts import holds, lose_one, said
from tests.core.experiments.harness.wire import Tcp, Wire, request, response
from tests.core.experiments.http.http2_wire import (
    RTT_MS,
    TARGETS,
    USUAL,
    Http2,
    body_of,
    data,
    frame,
    headers,
    multiplexed,
    pushed,
    upgraded,
)
from tests.core.experiments.http.pages import files_of, load, persistent, pipelined, serial

Traffic = Callable[[Wire], Wire]


# H10


@pytest.mark.parametrize("text", [serial, persistent, pipelined])
@pytest.mark.parametrize("binary", [multiplexed, pushed, upgraded])
def test_h10_lines_of_text_and_frames_show_it(text: Traffic, binary: Traffic, tmp_path: Path) -> None:
    texts, binaries = load(text(Wire()), tmp_path), load(binary(Wire()), tmp_path)
    verdict = said(
        decide_binary_framing([texts], [binaries]),
        "shown",
        "The header sections of 6 HTTP/1 messages are lines of ASCII (the first in frame 4)",
    )
    head, first, block = verdict.frames
    assert holds(texts, head, b"GET / HTTP")
    assert holds(binaries, first, frame(Kind.SETTINGS, 0, 0))
    assert first <= block


def test_h10_a_header_block_that_goes_on_in_continuation_is_binary_as_well(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    block = http2.up.request("/")
    http2.start(headers(1, b"", end=True, flags=0), frame(Kind.CONTINUATION, END_HEADERS, 1, block))
    http2.server(http2.head(1), data(1, b"hello"))
    said(decide_binary_framing([load(serial(Wire()), tmp_path)], [load(wire, tmp_path)]), "shown")


def test_h10_fails_when_a_head_is_not_ascii(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/"))
    tcp.server("PA", b"HTTP/1.0 200 \xc3\x89\r\nContent-Length: 0\r\n\r\n").close()
    texts = load(wire, tmp_path)
    verdict = said(decide_binary_framing([texts], [load(multiplexed(Wire()), tmp_path)]), "failed", "is not ASCII text")
    assert holds(texts, verdict.frames[0], b"HTTP/1.0 200")


def test_h10_fails_when_binary_octets_follow_a_response(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/")).server("PA", response() + b"\x00\x01\x02\n").close()
    said(
        decide_binary_framing([load(wire, tmp_path)], [load(multiplexed(Wire()), tmp_path)]),
        "failed",
        "not a status line",
    )


def test_h10_fails_when_octets_lie_outside_of_frames(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), data(1, b"hello"), b"text")
    said(
        decide_binary_framing([load(serial(Wire()), tmp_path)], [load(wire, tmp_path)]),
        "failed",
        "has octets outside of frames",
    )


def test_h10_fails_when_the_versions_are_not_what_they_were_said_to_be(tmp_path: Path) -> None:
    text, binary = load(serial(Wire()), tmp_path), load(multiplexed(Wire()), tmp_path)
    said(decide_binary_framing([binary], [binary]), "failed", "uses HTTP/2, not HTTP/1")
    said(decide_binary_framing([text], [text]), "failed", "does not use HTTP/2")


def test_h10_fails_when_the_header_block_is_no_hpack(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(headers(1, b"HTTP/1.1 200 OK\r\n"), data(1, b"hello"))
    binary = load(wire, tmp_path)
    verdict = said(decide_binary_framing([load(serial(Wire()), tmp_path)], [binary]), "failed", "cannot be decoded")
    assert verdict.frames == (binary.conversations[0].connection.syn.frame,)


def test_h10_needs_both_versions(tmp_path: Path) -> None:
    text, binary = load(serial(Wire()), tmp_path), load(multiplexed(Wire()), tmp_path)
    said(decide_binary_framing([], [binary]), "undecided", "The capture has no page load by HTTP/1.x")
    said(decide_binary_framing([text], []), "undecided", "no page load by HTTP/2")


# H12


def test_h12_a_table_that_remembers_shows_it(tmp_path: Path) -> None:
    text, binary = load(rich(Wire()), tmp_path), load(multiplexed(Wire()), tmp_path)
    verdict = said(decide_header_compression([text], [binary]), "shown")
    first, *others = header_sizes(binary)
    assert max(others) < first
    assert max(others) < min(header_sizes(text))
    assert f"by HTTP/2 on one connection: {first}, {others[0]}, {others[1]} " in verdict.evidence
    assert verdict.frames == tuple(each.request.frames[0] for each in binary.exchanges)


def rich(wire: Wire, targets: Sequence[str] = TARGETS) -> Wire:
    """The page by HTTP/1.1 with the header lines that the requests of HTTP/2 have."""
    tcp = Tcp(wire, port=43000).open(RTT_MS)
    lines = "".join(f"{name}: {value}\r\n" for name, value in USUAL)
    for target in targets:
        tcp.client("PA", f"GET {target} HTTP/1.1\r\nHost: www.example.com\r\n{lines}\r\n".encode())
        wire.after(RTT_MS)
        tcp.server("PA", response(body_of(target), "1.1"))
    return wire


def test_h12_fails_without_compression(tmp_path: Path) -> None:
    binary = load(multiplexed(Wire(), compressed=False), tmp_path)
    verdict = said(
        decide_header_compression([load(rich(Wire()), tmp_path)], [binary]), "failed", "Request 2 by HTTP/2 has "
    )
    assert verdict.frames == (binary.exchanges[1].request.frames[0],)


def test_h12_fails_when_one_load_of_several_is_not_compressed(tmp_path: Path) -> None:
    good, bad = load(multiplexed(Wire()), tmp_path), load(multiplexed(Wire(), compressed=False), tmp_path)
    said(decide_header_compression([load(rich(Wire()), tmp_path)], [good, bad]), "failed")


def test_h12_fails_when_every_request_has_fields_of_its_own(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), data(1, b"page"))
    http2.client(http2.ask("/a", [("cookie", "0123456789 a value that the table does not have " * 4)]))
    http2.server(http2.head(3), data(3, b"a"))
    said(
        decide_header_compression([load(rich(Wire()), tmp_path)], [load(wire, tmp_path)]),
        "failed",
        "Request 2 by HTTP/2",
    )


def test_h12_fails_when_2_used_a_connection_an_object(tmp_path: Path) -> None:
    wire = Wire()
    for number, target in enumerate(TARGETS):
        multiplexed(wire, (target,), port=45000 + number)
    said(decide_header_compression([load(rich(Wire()), tmp_path)], [load(wire, tmp_path)]), "failed", "3 connections")


def test_h12_fails_when_2_is_not_2(tmp_path: Path) -> None:
    text = load(rich(Wire()), tmp_path)
    said(decide_header_compression([text], [text]), "failed", "does not use HTTP/2")


def test_h12_fails_when_a_header_block_cannot_be_read(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/"), headers(3, b"\xff")).server(http2.head(1), data(1, b"page"))
    said(
        decide_header_compression([load(rich(Wire()), tmp_path)], [load(wire, tmp_path)]), "failed", "cannot be decoded"
    )


def test_h12_needs_a_second_request_by_both_versions(tmp_path: Path) -> None:
    text, binary = load(rich(Wire()), tmp_path), load(multiplexed(Wire()), tmp_path)
    said(decide_header_compression([], [binary]), "undecided")
    said(decide_header_compression([text], []), "undecided")
    said(
        decide_header_compression([text], [load(multiplexed(Wire(), ("/",)), tmp_path)]),
        "undecided",
        "A page of 1 object",
    )
    said(decide_header_compression([load(rich(Wire(), ("/",)), tmp_path)], [binary]), "undecided")


# H13


def test_h13_objects_that_arrive_unasked_show_it(tmp_path: Path) -> None:
    found = load(pushed(Wire()), tmp_path)
    verdict = said(decide_server_push([found]), "shown", "2 objects were promised (PUSH_PROMISE in frame 6)")
    asked, *promises = verdict.frames
    assert holds(found, asked, b"PRI * HTTP/2.0")
    (packet,) = set(promises)
    promising = [each for each in found.exchanges if each.target in (b"/a", b"/b")]
    assert {each.request.frames[0] for each in promising} == {packet}
    assert "page loads" not in verdict.evidence
    said(decide_server_push([found, found]), "shown", "The same holds for all 2 page loads")


def test_h13_fails_when_the_client_asks_for_an_object(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), http2.push(1, 2, "/a"), data(1, b"page"))
    http2.client(http2.ask("/b"))
    http2.server(http2.head(2), data(2, b"a")).server(http2.head(3), data(3, b"b"))
    found = load(wire, tmp_path)
    verdict = said(decide_server_push([found]), "failed", "2 requests")
    assert verdict.frames == tuple(each.request.frames[0] for each in found.exchanges if each.target != b"/a")


def test_h13_fails_when_nothing_is_pushed(tmp_path: Path) -> None:
    said(decide_server_push([load(multiplexed(Wire(), ("/",)), tmp_path)]), "failed", "The server pushed no object")
    said(decide_server_push([load(multiplexed(Wire()), tmp_path)]), "failed", "3 requests")


@pytest.mark.parametrize("together", [False, True])
def test_h13_fails_when_the_promise_follows_the_page(together: bool, tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/"))
    frames = [http2.head(1), data(1, b"page"), http2.push(1, 2, "/a"), http2.head(2), data(2, b"a")]
    # Also in one packet, where no clock tells them apart.
    for packet in [frames] if together else [[each] for each in frames]:
        http2.server(*packet)
    found = load(wire, tmp_path)
    verdict = said(decide_server_push([found]), "failed", "follows the page")
    promise = next(each for each in found.exchanges if each.target == b"/a").request
    assert verdict.frames == (promise.frames[0],)


@pytest.mark.parametrize(
    "rest",
    [
        [],
        [frame(Kind.RST_STREAM, 0, 2, (8).to_bytes(4, "big"))],
        [data(2, b"half", end=False)],
    ],
)
def test_h13_fails_when_what_was_promised_does_not_arrive_whole(rest: list[bytes], tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), http2.push(1, 2, "/a"), data(1, b"page"))
    http2.server(http2.head(2), *rest)
    found = load(wire, tmp_path)
    verdict = said(decide_server_push([found]), "failed", "is incomplete")
    promise = next(each for each in found.exchanges if each.target == b"/a").request
    assert verdict.frames == (promise.frames[0],)


def test_h13_fails_when_the_page_itself_does_not_arrive(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.push(1, 2, "/a"), http2.head(2), data(2, b"a"))
    said(decide_server_push([load(wire, tmp_path)]), "failed", "gets no complete response")


def test_h13_fails_when_an_object_comes_without_a_promise(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), data(1, b"page"), http2.head(2), data(2, b"a"))
    said(decide_server_push([load(wire, tmp_path)]), "failed", "the server sends frames on stream 2")


def test_h13_fails_when_the_client_asks_for_nothing(tmp_path: Path) -> None:
    said(decide_server_push([load(Http2(Wire()).start().wire, tmp_path)]), "failed", "0 requests")


def test_h13_fails_on_two_connections_and_by_1_1(tmp_path: Path) -> None:
    said(decide_server_push([load(pushed(pushed(Wire()), port=45100), tmp_path)]), "failed", "2 connections")
    said(decide_server_push([load(persistent(Wire()), tmp_path)]), "failed", "does not use HTTP/2")


# H14


def test_h14_all_requests_before_the_first_response_show_it_whatever_n(tmp_path: Path) -> None:
    three = load(multiplexed(Wire()), tmp_path)
    targets = ["/", *(f"/{number}" for number in range(8))]
    nine = load(multiplexed(Wire(), targets), tmp_path, files=files_of(targets))
    verdict = said(
        decide_concurrent_streams([three, nine]), "shown", "3 and 9 objects", "The same holds for all 2 page loads"
    )
    assert verdict.frames == tuple(each.request.frames[0] for one in (three, nine) for each in one.exchanges)
    assert "page loads" not in said(decide_concurrent_streams([three]), "shown", "3 objects on one connection").evidence


def test_h14_fails_with_push(tmp_path: Path) -> None:
    found = load(pushed(Wire()), tmp_path)
    verdict = said(decide_concurrent_streams([found]), "failed", "The server pushed")
    promise = next(each for each in found.exchanges if each.target == b"/a").request
    assert verdict.frames == (promise.frames[0],)


def test_h14_fails_on_two_connections(tmp_path: Path) -> None:
    wire = multiplexed(multiplexed(Wire(), TARGETS[:2]), TARGETS[2:], port=45100)
    verdict = said(decide_concurrent_streams([load(wire, tmp_path)]), "failed", "2 connections")
    assert len(verdict.frames) == 2


def test_h14_fails_when_a_request_follows_a_response(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), data(1, b"page"))
    for stream_id, target in ((3, "/a"), (5, "/b")):
        http2.client(http2.ask(target)).server(http2.head(stream_id), data(stream_id, b"body"))
    found = load(wire, tmp_path)
    verdict = said(decide_concurrent_streams([found]), "failed", "follows a response")
    assert verdict.frames == (found.exchanges[2].request.frames[0],)


def test_h14_fails_when_a_request_precedes_the_page(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(*(http2.ask(target) for target in TARGETS))
    for stream_id in (1, 3, 5):
        http2.server(http2.head(stream_id), data(stream_id, b"body"))
    verdict = said(decide_concurrent_streams([load(wire, tmp_path)]), "failed", "precedes the page")
    assert len(verdict.frames) == 1


def test_h14_fails_when_an_object_does_not_arrive(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), data(1, b"page"))
    http2.client(http2.ask("/a"), http2.ask("/b")).server(http2.head(3), data(3, b"a"))
    found = load(wire, tmp_path)
    verdict = said(decide_concurrent_streams([found]), "failed", "gets no complete response")
    assert verdict.frames == (found.exchanges[2].request.frames[0],)


def test_h14_fails_when_nothing_is_asked_or_nothing_can_be_read(tmp_path: Path) -> None:
    said(
        decide_concurrent_streams([load(Http2(Wire()).start().wire, tmp_path)]),
        "failed",
        "The connection opened in frame 1 carries no request",
    )
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(headers(1, b"\xff"))
    said(decide_concurrent_streams([load(wire, tmp_path)]), "failed", "cannot be decoded")


def test_h14_fails_by_1_1(tmp_path: Path) -> None:
    said(decide_concurrent_streams([load(pipelined(Wire()), tmp_path)]), "failed", "does not use HTTP/2")


@pytest.mark.parametrize("targets", [TARGETS[:1], TARGETS[:2]])
def test_h14_needs_three_objects(targets: Sequence[str], tmp_path: Path) -> None:
    found = load(multiplexed(Wire(), targets), tmp_path, files=files_of(targets))
    said(decide_concurrent_streams([found]), "undecided", f"A page of {len(targets)} object")
    said(decide_concurrent_streams([load(multiplexed(Wire()), tmp_path), found]), "undecided")


# All of them


Decide = Callable[[Sequence[PageLoad], Sequence[PageLoad]], Verdict]
CLAIMS: list[tuple[Decide, Traffic]] = [
    (decide_binary_framing, multiplexed),
    (decide_header_compression, multiplexed),
    (lambda _, binary: decide_server_push(binary), pushed),
    (lambda _, binary: decide_concurrent_streams(binary), multiplexed),
]


@pytest.mark.parametrize(("decide", "binary"), CLAIMS, ids=["H10", "H12", "H13", "H14"])
def test_a_capture_that_dropped_or_has_a_hole_or_no_traffic_decides_nothing(
    decide: Decide, binary: Traffic, tmp_path: Path
) -> None:
    texts, dropped = load(rich(Wire()), tmp_path), load(binary(Wire()), tmp_path, dropped=2)
    said(decide([texts], [dropped]), "undecided", "dropped 2 packets")
    said(decide([texts], [load(lose_one(binary(Wire())), tmp_path)]), "undecided", "is incomplete")
    elsewhere = Wire()
    Tcp(elsewhere, server_port=25).open()
    said(decide([texts], [load(elsewhere, tmp_path)]), "undecided", "no HTTP connection")
    said(decide([texts], []), "undecided")
