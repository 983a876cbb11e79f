"""A cell of the matrix passes if every object arrived whole by the protocol asked for; a failure names its packet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.http.claims.interop import fetched
from lab7.experiments.http.wire.http2 import Kind
from tests.core.experiments.harness.verdicts import lose_one, said
from tests.core.experiments.harness.wire import Tcp, Wire, request, response
from tests.core.experiments.http.http2_wire import TARGETS, Http2, body_of, data, frame, multiplexed, pushed, upgraded
from tests.core.experiments.http.pages import load, parallel, persistent, pipelined, serial

FILES = {target.encode(): body_of(target) for target in TARGETS}
Traffic = Callable[[Wire], Wire]
# How a page of FILES is loaded by each protocol.
WHOLE: list[tuple[str, Traffic]] = [
    ("1.0", serial),
    ("1.0", parallel),
    ("1.1", persistent),
    ("1.1", pipelined),
    ("2", multiplexed),
    ("2-upgrade", upgraded),
    ("2-push", pushed),
]


def decide(wire: Wire, protocol: str, folder: Path, files: Mapping[bytes, bytes] = FILES) -> Verdict:
    return fetched("cell", load(wire, folder), protocol, files)


@pytest.mark.parametrize(("protocol", "traffic"), WHOLE)
def test_a_whole_page_by_the_protocol_asked_for_passes(protocol: str, traffic: Traffic, tmp_path: Path) -> None:
    verdict = said(
        decide(traffic(Wire()), protocol, tmp_path),
        "shown",
        "3 objects were transferred completely",
    )
    found = load(traffic(Wire()), tmp_path)
    assert sorted(verdict.frames) == sorted(one.response.frames[0] for one in found.exchanges if one.response)


def test_it_does_not_matter_on_how_many_connections(tmp_path: Path) -> None:
    wire = Wire()
    for number, target in enumerate(TARGETS):
        multiplexed(wire, (target,), port=45000 + number)
    said(decide(wire, "2", tmp_path), "shown")


@pytest.mark.parametrize(("protocol", "traffic"), WHOLE)
def test_an_object_that_was_not_fetched_fails(protocol: str, traffic: Traffic, tmp_path: Path) -> None:
    files = FILES | {b"/c": b"another"}
    verdict = said(decide(traffic(Wire()), protocol, tmp_path, files), "failed", "/c was not requested")
    assert verdict.frames


@pytest.mark.parametrize(("protocol", "traffic"), WHOLE)
@pytest.mark.parametrize("octets", [body_of("/a")[:-1], body_of("/a") + b"x", b"", body_of("/b")])
def test_wrong_octets_fail(protocol: str, traffic: Traffic, octets: bytes, tmp_path: Path) -> None:
    wire = traffic(Wire())
    verdict = said(
        decide(wire, protocol, tmp_path, FILES | {b"/a": octets}),
        "failed",
        "The response for /a in frame ",
        "differs from the file",
    )
    wrong = next(one for one in load(wire, tmp_path).exchanges if one.target == b"/a").response
    assert wrong is not None
    assert verdict.frames == (wrong.frames[0],)


PROTOCOLS = tuple(dict(WHOLE))
# Push by prior knowledge is HTTP/2 by prior knowledge.
OTHERS = [
    (asked, traffic)
    for asked in PROTOCOLS
    for spoken, traffic in WHOLE
    if spoken != asked and (spoken, asked) != ("2-push", "2")
]


@pytest.mark.parametrize(("asked", "traffic"), OTHERS)
def test_another_protocol_than_the_one_asked_for_fails(asked: str, traffic: Traffic, tmp_path: Path) -> None:
    verdict = said(decide(traffic(Wire()), asked, tmp_path), "failed")
    assert verdict.frames


def test_a_server_that_answers_1_1_by_1_0_does_not_speak_1_1(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1")).server("PA", response(b"page", "1.0")).close()
    said(decide(wire, "1.1", tmp_path, {b"/": b"page"}), "failed", "The response in frame 5 is HTTP/1.0")


def test_a_server_that_answers_1_0_by_1_1_is_as_it_should_be(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.0")).server("PA", response(b"page", "1.1")).close()
    said(decide(wire, "1.0", tmp_path, {b"/": b"page"}), "shown")


@pytest.mark.parametrize("code", [1, 2, 8, 11])
@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("kind", [Kind.GOAWAY, Kind.RST_STREAM])
def test_an_error_code_fails_also_behind_a_whole_page(kind: Kind, from_client: bool, code: int, tmp_path: Path) -> None:
    verdict = said(decide(*ending(kind, code, from_client), tmp_path), "failed", f"{kind.name} with error code {code} ")
    assert verdict.frames == (8,)


@pytest.mark.parametrize("kind", [Kind.GOAWAY, Kind.RST_STREAM])
def test_an_end_without_error_passes(kind: Kind, tmp_path: Path) -> None:
    wire, protocol = ending(kind, 0, from_client=False)
    said(decide(wire, protocol, tmp_path, {b"/": b"page"}), "shown")


def ending(kind: Kind, code: int, from_client: bool) -> tuple[Wire, str]:
    """A page alone by HTTP/2, then in frame 8 a frame with an error code."""
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1)).server(data(1, b"page"))
    # RFC 9113 section 6.8: the last stream comes before the error code.
    payload = (1).to_bytes(4, "big") * (kind == Kind.GOAWAY) + code.to_bytes(4, "big")
    last = frame(kind, 0, 0 if kind == Kind.GOAWAY else 1, payload)
    return (http2.client(last) if from_client else http2.server(last)).wire, "2"


@pytest.mark.parametrize("status", ["404", "500", "304"])
def test_a_response_that_is_not_200_is_no_object(status: str, tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1, status), data(1, b"page"))
    said(decide(wire, "2", tmp_path, {b"/": b"page"}), "failed", f"its status is {status}, not 200")


def test_a_wrong_response_is_not_mended_by_a_right_one(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    for body in (b"wrong", b"page!"):
        tcp.client("PA", request("/", "1.1")).server("PA", response(body, "1.1"))
        wire.after(1)
    said(decide(wire, "1.1", tmp_path, {b"/": b"page!"}), "failed", "differs from octet 0 on")
    # Load generators ask for what they have had.
    said(decide(persistent(Wire(), (*TARGETS, "/a")), "1.1", tmp_path), "shown")


def test_what_is_no_object_of_the_page_fails(tmp_path: Path) -> None:
    wire = persistent(Wire(), (*TARGETS, "/other"))
    said(
        decide(wire, "1.1", tmp_path),
        "failed",
        "The request in frame 16 for /other is not for an object of the page",
        "is not for an object of the page",
    )


def test_octets_behind_the_last_response_fail(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1")).server("PA", response(b"page", "1.1") + b"HTTP/1.1 200 OK\r\nCont").close()
    said(decide(wire, "1.1", tmp_path, {b"/": b"page"}), "failed", "ends inside a message")


def test_an_object_that_was_requested_was_not_pushed(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), http2.push(1, 2, "/a"), data(1, body_of("/")))
    http2.client(http2.ask("/b")).server(http2.head(2), data(2, body_of("/a")), http2.head(3), data(3, body_of("/b")))
    said(decide(wire, "2-push", tmp_path), "failed", "/b was requested, not pushed")


@pytest.mark.parametrize("rest", [b"", data(1, b"pa", end=False)])
def test_a_response_that_is_cut_off_fails(rest: bytes, tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(http2.head(1), rest)
    said(decide(wire, "2", tmp_path, {b"/": b"page"}), "failed", "gets no complete response")


def test_an_answer_that_is_no_http_fails(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1")).server("PA", b"nonsense\r\n").close()
    verdict = said(decide(wire, "1.1", tmp_path), "failed", "not a status line")
    assert verdict.frames == (1,)


def test_text_in_answer_to_the_preface_fails(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    said(decide(wire, "2", tmp_path), "failed")


@pytest.mark.parametrize(("protocol", "traffic"), WHOLE)
def test_a_capture_that_is_not_whole_decides_nothing(protocol: str, traffic: Traffic, tmp_path: Path) -> None:
    dropped = load(traffic(Wire()), tmp_path, dropped=1)
    said(fetched("cell", dropped, protocol, FILES), "undecided", "dropped 1 packets")
    said(decide(lose_one(traffic(Wire())), protocol, tmp_path), "undecided", "is incomplete")
    said(decide(Wire(), protocol, tmp_path), "undecided", "no HTTP connection")
