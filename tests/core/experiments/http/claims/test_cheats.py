"""Cheats on the order and the form of messages: what a check of objects alone, or of a first message alone, passes.

The table of what is found by what stands in `test_http_delivered`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.http.claims import http1, strategies
from lab7.experiments.http.claims import http2 as http_http2
from lab7.experiments.http.wire.page_load import PageLoad
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import Tcp, Wire, request, response
from tests.core.experiments.http.http2_wire import Http2, Packer, body_of, data, headers, multiplexed, pushed
from tests.core.experiments.http.pages import RTT_MS, TARGETS, load, persistent, serial

Decide = Callable[[Sequence[PageLoad]], Verdict]


def one(tmp_path: Path, answered: bytes) -> PageLoad:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1")).server("PA", answered).close()
    return load(wire, tmp_path)


# H1, H2 and H3 are about connections and messages


@pytest.mark.parametrize(
    "decide", [http1.decide_connection_setup, http1.decide_request_grammar, http1.decide_response_grammar]
)
def test_an_error_response_is_a_response(decide: Decide, tmp_path: Path) -> None:
    answered = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    said(decide([one(tmp_path, answered)]), "shown")


def test_h1_fails_when_a_later_response_precedes_its_request(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1")).server("PA", response(version="1.1") * 2)
    tcp.client("PA", request("/a", "1.1"))
    found = load(wire, tmp_path)
    said(http1.decide_connection_setup([found]), "failed", "handshake, request and response are not in this order")
    said(strategies.decide_persistent_connection([found]), "failed", "precedes")


def test_h1_fails_when_the_response_precedes_the_end_of_the_request(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    octets = request("/")
    tcp.client("PA", octets[:10]).server("PA", response()).client("PA", octets[10:])
    said(
        http1.decide_connection_setup([load(wire, tmp_path)]),
        "failed",
        "handshake, request and response are not in this order",
    )


@pytest.mark.parametrize("answered", [b"what is this?\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"])
def test_a_response_outside_the_grammar_leaves_the_request_alone(answered: bytes, tmp_path: Path) -> None:
    found = [one(tmp_path, answered)]
    said(http1.decide_request_grammar(found), "shown")
    said(http1.decide_connection_setup(found), "failed", "not a status line")
    said(http1.decide_response_grammar(found), "failed", "not a status line")


def test_octets_behind_the_content_fail_h3_alone(tmp_path: Path) -> None:
    found = [one(tmp_path, response() + b"and more\r\n")]
    said(http1.decide_connection_setup(found), "shown")
    said(http1.decide_request_grammar(found), "shown")
    said(http1.decide_response_grammar(found), "failed", "not a status line")


@pytest.mark.parametrize("status", ["099", "600", "999"])
def test_h3_fails_for_what_is_no_status_code(status: str, tmp_path: Path) -> None:
    answered = f"HTTP/1.1 {status} OK\r\nContent-Length: 0\r\n\r\n".encode()
    said(http1.decide_response_grammar([one(tmp_path, answered)]), "failed", f"has the invalid status code {status}")


@pytest.mark.parametrize("version", ["2.0", "3.0", "0.9"])
def test_h3_fails_for_another_major_version(version: str, tmp_path: Path) -> None:
    said(http1.decide_response_grammar([one(tmp_path, response(version=version))]), "failed", f"is HTTP/{version}")


def test_h3_fails_for_chunks_that_http_1_0_does_not_know(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    tcp.client("PA", request("/", "1.0")).server("PA", chunks).close()
    said(
        http1.decide_response_grammar([load(wire, tmp_path)]),
        "failed",
        "has a transfer coding, which HTTP/1.0 does not have",
    )


def test_what_a_server_leaves_unanswered_when_it_closes_is_no_response(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1") + request("/a", "1.1"))
    wire.after(RTT_MS)
    tcp.server("PA", response(version="1.1")).close()
    found = [load(wire, tmp_path)]
    for decide in (http1.decide_connection_setup, http1.decide_request_grammar, http1.decide_response_grammar):
        said(decide(found), "shown")
    said(strategies.decide_pipelining(found), "failed", "gets no complete response")


# H4


def visits(tmp_path: Path, bodies: dict[str, bytes], status: bytes = b"200", targets: str = "/a /b") -> PageLoad:
    wire = Wire()
    for number, target in enumerate(targets.split()):
        tcp = Tcp(wire, port=42000 + number).open()
        tcp.client("PA", request(target))
        tcp.server("PA", response(bodies[target]).replace(b"200", status)).close()
        wire.after(1)
    return load(wire, tmp_path, files={b"/a": b"a", b"/b": b"b"})


GOOD = {"/a": b"a", "/b": b"b"}


def h4_of(orders: Sequence[PageLoad], others: Sequence[PageLoad] = ()) -> Verdict:
    first, second = orders
    return http1.decide_statelessness(first, second, others)


def test_h4_is_not_shown_by_a_memory_that_was_full_before(tmp_path: Path) -> None:
    worn = {"/a": b"no more", "/b": b"no more"}
    first, second = (visits(tmp_path, worn, targets=targets) for targets in ("/a /b", "/b /a"))
    said(
        http1.decide_statelessness(first, second),
        "failed",
        "the response for /a",
        "an earlier request may have changed the response",
    )
    refused = [visits(tmp_path, GOOD, b"404", targets) for targets in ("/a /b", "/b /a")]
    said(h4_of(refused), "failed", "its status is 404, not 200")


def test_h4_fails_for_a_memory_that_shows_in_another_load(tmp_path: Path) -> None:
    orders = [visits(tmp_path, GOOD, targets=targets) for targets in ("/a /b", "/b /a")]
    said(h4_of(orders, [visits(tmp_path, GOOD)]), "shown")
    early = visits(tmp_path, {**GOOD, "/b": b"welcome"})
    verdict = said(
        h4_of(orders, [early]),
        "failed",
        "/b gets different responses",
        "gets different responses to the same request in frames",
    )
    assert len(verdict.frames) == 2
    said(h4_of(orders, [visits(tmp_path, GOOD, b"503")]), "failed", "status 200 with 1 octets, and status 503 with 1")


def test_h4_takes_objects_that_are_requested_more_than_once(tmp_path: Path) -> None:
    wire = Wire()
    for number, (target, version) in enumerate((("/b", "1.0"), ("/a", "1.0"), ("/a", "1.1"))):
        tcp = Tcp(wire, port=42000 + number).open()
        tcp.client("PA", request(target, version)).server("PA", response(GOOD[target])).close()
    again = load(wire, tmp_path, files={b"/a": b"a", b"/b": b"b"})
    wire.packets.clear()
    for number, (target, version) in enumerate((("/a", "1.1"), ("/b", "1.0"), ("/a", "1.0"))):
        tcp = Tcp(wire, port=42000 + number).open()
        tcp.client("PA", request(target, version)).server("PA", response(GOOD[target])).close()
        wire.after(1)
    said(http1.decide_statelessness(load(wire, tmp_path, files=again.files), again), "shown")


def test_h4_does_not_compare_other_requests(tmp_path: Path) -> None:
    orders = [visits(tmp_path, GOOD, targets=targets) for targets in ("/a /b", "/b /a")]
    other = load(persistent(Wire()), tmp_path)
    said(h4_of(orders, [other, load(multiplexed(Wire()), tmp_path), PageLoad(())]), "shown")


# H7, H8, H9


def test_h7_fails_when_connections_are_opened_together_and_used_in_turn(tmp_path: Path) -> None:
    wire = serial(Wire(), TARGETS[:1])
    named = [Tcp(wire, port=41000 + number).open(1) for number in range(2)]
    for tcp, target in zip(named, TARGETS[1:], strict=True):
        tcp.client("PA", request(target))
        wire.after(RTT_MS)
        tcp.server("PA", response(body_of(target)))
        wire.after(1)
    for tcp in named:
        tcp.close()
    said(
        strategies.decide_parallel_connections([load(wire, tmp_path)]),
        "failed",
        "follows the response that ends in frame",
    )


@pytest.mark.parametrize("decide", [strategies.decide_persistent_connection, strategies.decide_pipelining])
def test_responses_of_1_0_are_not_those_of_1_1(decide: Decide, tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    for target in TARGETS:
        tcp.client("PA", request(target, "1.1"))
        wire.after(RTT_MS)
        tcp.server("PA", response(body_of(target), "1.0"))
    said(decide([load(wire, tmp_path)]), "failed", "is HTTP/1.0, not HTTP/1.1")


def test_h9_fails_when_responses_come_in_another_order(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/", "1.1"))
    wire.after(RTT_MS)
    tcp.server("PA", response(body_of("/"), "1.1"))
    tcp.client("PA", request("/a", "1.1") + request("/b", "1.1"))
    wire.after(RTT_MS)
    tcp.server("PA", response(body_of("/b"), "1.1") + response(body_of("/a"), "1.1"))
    said(
        strategies.decide_pipelining([load(wire, tmp_path)]), "failed", "the response for /a", "differs from octet 1 on"
    )


# H10 to H13


def test_h10_fails_when_the_server_sends_no_headers(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/"))
    said(
        http_http2.decide_binary_framing([load(serial(Wire()), tmp_path)], [load(wire, tmp_path)]),
        "failed",
        "the server sends no HEADERS frame",
    )


LARGE, SMALL, OTHER = b"/large", b"/s", b"/t"
SIZES = {LARGE: b"L" * 6000, SMALL: b"small", OTHER: b"tiny"}


def behind_a_large_one(wire: Wire) -> Wire:
    tcp = Tcp(wire).open(RTT_MS)
    tcp.client("PA", b"".join(request(target.decode(), "1.1") for target in SIZES))
    for body in SIZES.values():
        wire.after(RTT_MS)
        tcp.server("PA", response(body, "1.1"))
    return wire


def in_turn(wire: Wire, order: str) -> Wire:
    """DATA in this order: L half of the large object, S and T the small ones."""
    http2 = Http2(wire)
    http2.start(*(http2.ask(target.decode()) for target in SIZES))
    http2.server(*(http2.head(each) for each in (1, 3, 5)))
    for at, letter in enumerate(order):
        each, path = {"L": (1, LARGE), "S": (3, SMALL), "T": (5, OTHER)}[letter]
        body = SIZES[path][:3000] if letter == "L" else SIZES[path]
        http2.server(data(each, body, end=letter not in order[at + 1 :]))
    return wire


@pytest.mark.parametrize(("order", "word"), [("LSTL", "shown"), ("TLSL", "shown"), ("LSLT", "failed")])
def test_h11_fails_when_any_object_waits_for_the_large_one(order: str, word: str, tmp_path: Path) -> None:
    texts = load(behind_a_large_one(Wire()), tmp_path, files=SIZES)
    binary = load(in_turn(Wire(), order), tmp_path, files=SIZES)
    verdict = http_http2.decide_multiplexing([texts], [binary], LARGE, SMALL)
    said(verdict, word, *(["DATA of /t (frame ", "follows the end of the large object"] if word == "failed" else []))


@pytest.mark.parametrize("file", [b"l" * 6000, b"L" * 5999])
def test_h11_fails_for_other_octets(file: bytes, tmp_path: Path) -> None:
    files = {**SIZES, LARGE: file}
    texts = load(behind_a_large_one(Wire()), tmp_path, files=files)
    binary = load(in_turn(Wire(), "LSTL"), tmp_path, files=files)
    said(http_http2.decide_multiplexing([texts], [binary], LARGE, SMALL), "failed", "the response for /large")
    unknown = replace(texts, files=None)
    said(
        http_http2.decide_multiplexing([unknown], [binary], LARGE, SMALL),
        "undecided",
        "Not decidable: the contents of the origin are not known",
    )


FIELDS = (("content-type", "image/png"), ("server", "an origin"))


def answered_by(tmp_path: Path, block: Callable[[], bytes]) -> Verdict:
    """H12 of a load whose responses have these header blocks."""
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/")).server(headers(1, block()), data(1, b"page"))
    http2.client(http2.ask("/a")).server(headers(3, block()), data(3, b"a"))
    text = persistent(Wire(), TARGETS[:2])
    return http_http2.decide_header_compression([load(text, tmp_path)], [load(wire, tmp_path)])


def test_h12_fails_when_responses_are_not_compressed(tmp_path: Path) -> None:
    packed, plain = Packer(), Packer(compressed=False)
    said(answered_by(tmp_path, lambda: packed.response("200", FIELDS)), "shown", "without compression")
    said(answered_by(tmp_path, lambda: plain.response("200", FIELDS)), "failed", "The header block of the response")
    # RFC 7541 appendix A: :status 200 is entry 8. It alone compresses no field.
    said(
        answered_by(tmp_path, lambda: b"\x88" + plain.block(FIELDS)),
        "failed",
        "octets, not fewer than its fields without compression",
    )


def test_h12_fails_when_no_response_is_one_of_2(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/"), http2.ask("/a"))
    text = persistent(Wire(), TARGETS[:2])
    verdict = http_http2.decide_header_compression([load(text, tmp_path)], [load(wire, tmp_path)])
    said(verdict, "failed", "no HTTP/2 response has header fields")


def test_h12_does_not_depend_on_responses_of_1_1_that_cannot_be_read(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire, port=43000).open(RTT_MS)
    for target in TARGETS:
        tcp.client("PA", request(target, "1.1")).server("PA", b"nonsense\r\n")
    verdict = http_http2.decide_header_compression([load(wire, tmp_path)], [load(multiplexed(Wire()), tmp_path)])
    assert "not a status line" not in verdict.evidence


def test_h13_fails_when_only_some_objects_are_pushed(tmp_path: Path) -> None:
    said(http_http2.decide_server_push([load(pushed(Wire(), TARGETS[:2]), tmp_path)]), "failed", "/b was not requested")


def test_h13_fails_when_another_object_is_pushed(tmp_path: Path) -> None:
    found = load(pushed(Wire(), ("/", "/a", "/other")), tmp_path)
    said(
        http_http2.decide_server_push([found]),
        "failed",
        "the request in frame 6 for /other is not for an object of the page",
        "is not for an object of the page",
    )
