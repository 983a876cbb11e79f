"""Every HTTP claim has a capture that shows it, one that contradicts it and one that cannot decide it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import Verdict, timed
from lab7.experiments.http.claims import http1, strategies
from lab7.experiments.http.wire.page_load import Files, PageLoad
from tests.core.experiments.harness.wire import Tcp, Wire, request, response
from tests.core.experiments.http.pages import files_of, load, parallel, persistent, pipelined, serial

Decide = Callable[[list[PageLoad]], Verdict]

SHOWN: list[tuple[Decide, Callable[[Wire], Wire]]] = [
    (http1.decide_connection_setup, serial),
    (http1.decide_connection_setup, persistent),
    (http1.decide_request_grammar, parallel),
    (http1.decide_request_grammar, pipelined),
    (http1.decide_response_grammar, serial),
    (http1.decide_response_grammar, pipelined),
    (http1.decide_connection_per_object, serial),
    (http1.decide_connection_per_object, parallel),
    (strategies.decide_serial_connections, serial),
    (strategies.decide_parallel_connections, parallel),
    (strategies.decide_persistent_connection, persistent),
    (strategies.decide_pipelining, pipelined),
]


@pytest.mark.parametrize(("decide", "traffic"), SHOWN)
def test_good_traffic_shows_the_claim(decide: Decide, traffic: Callable[[Wire], Wire], tmp_path: Path) -> None:
    verdict = decide([load(traffic(Wire()), tmp_path)])
    assert verdict.verdict == "shown", verdict.evidence
    assert verdict.frames


@pytest.mark.parametrize(("decide", "traffic"), SHOWN)
def test_a_capture_that_dropped_decides_nothing(
    decide: Decide, traffic: Callable[[Wire], Wire], tmp_path: Path
) -> None:
    verdict = decide([load(traffic(Wire()), tmp_path, dropped=3)])
    assert verdict.verdict == "undecided"
    assert "dropped 3" in verdict.evidence


@pytest.mark.parametrize("decide", dict.fromkeys(decide for decide, _ in SHOWN))
def test_a_capture_without_http_decides_nothing(decide: Decide, tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire, server_port=25).open().server("PA", b"220 ready\r\n")
    assert decide([load(wire, tmp_path)]).verdict == "undecided"
    assert decide([]).verdict == "undecided"


@pytest.mark.parametrize(
    ("decide", "traffic"),
    [
        (http1.decide_connection_per_object, persistent),
        (strategies.decide_serial_connections, parallel),
        (strategies.decide_serial_connections, persistent),
        (strategies.decide_parallel_connections, serial),
        (strategies.decide_parallel_connections, pipelined),
        (strategies.decide_persistent_connection, serial),
        (strategies.decide_persistent_connection, pipelined),
        (strategies.decide_pipelining, persistent),
        (strategies.decide_pipelining, parallel),
    ],
)
def test_another_strategy_contradicts_the_claim(
    decide: Decide, traffic: Callable[[Wire], Wire], tmp_path: Path
) -> None:
    verdict = decide([load(traffic(Wire()), tmp_path)])
    assert verdict.verdict == "failed", verdict.evidence
    assert verdict.frames


def test_one_bad_page_load_among_good_ones_contradicts_the_claim(tmp_path: Path) -> None:
    good, bad = load(serial(Wire()), tmp_path), load(parallel(Wire()), tmp_path)
    assert strategies.decide_serial_connections([good, bad]).verdict == "failed"


@pytest.mark.parametrize("decide", [strategies.decide_parallel_connections, strategies.decide_pipelining])
def test_two_objects_do_not_tell_parallel_or_pipelined_from_serial(decide: Decide, tmp_path: Path) -> None:
    traffic = parallel if decide is strategies.decide_parallel_connections else pipelined
    targets = ("/", "/a")
    assert decide([load(traffic(Wire(), targets), tmp_path, files=files_of(targets))]).verdict == "undecided"


def exchange(tmp_path: Path, asked: bytes, answered: bytes, server_port: int = 80) -> PageLoad:
    wire = Wire()
    tcp = Tcp(wire, server_port=server_port).open()
    if asked:
        tcp.client("PA", asked)
    wire.after(40)
    if answered:
        tcp.server("PA", answered)
    tcp.close()
    return load(wire, tmp_path)


def test_h1_fails_on_another_port(tmp_path: Path) -> None:
    assert (
        http1.decide_connection_setup([exchange(tmp_path, request("/"), response(), server_port=8080)]).verdict
        == "failed"
    )


def test_h1_fails_when_the_server_speaks_first(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.server("PA", response())
    wire.after(1)
    tcp.client("PA", request("/"))
    assert http1.decide_connection_setup([load(wire, tmp_path)]).verdict == "failed"


def test_h1_fails_without_a_handshake(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire).client("S")
    verdict = http1.decide_connection_setup([load(wire, tmp_path)])
    assert verdict.verdict == "failed"
    assert "not followed by SYN-ACK" in verdict.evidence


@pytest.mark.parametrize(("asked", "answered"), [(b"", response()), (b"", b""), (request("/"), b"")])
def test_h1_fails_without_request_or_response(asked: bytes, answered: bytes, tmp_path: Path) -> None:
    assert http1.decide_connection_setup([exchange(tmp_path, asked, answered)]).verdict == "failed"


@pytest.mark.parametrize(
    "asked",
    [
        b"GET  / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\n\n",
        b"GET /\r\n\r\n",
        b"GET / http/1.0\r\n\r\n",
        b"G(T / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\n folded\r\n\r\n",
        b"GET /a b HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_h2_fails_on_a_request_outside_the_grammar(asked: bytes, tmp_path: Path) -> None:
    verdict = http1.decide_request_grammar([exchange(tmp_path, asked, response())])
    assert verdict.verdict == "failed"


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.0 20 OK\r\n\r\n",
        b"HTTP/1.0  200 OK\r\n\r\n",
        b"<html>hello</html>\r\n",
        b"HTTP/1.0 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.0 200 OK\nContent-Length: 0\n\n",
        response() + response(),
        response() + b"trailing",
    ],
)
def test_h3_fails_on_a_response_outside_the_grammar(answered: bytes, tmp_path: Path) -> None:
    assert http1.decide_response_grammar([exchange(tmp_path, request("/"), answered)]).verdict == "failed"


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.1 200 \r\n\r\nuntil the connection closes",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n",
    ],
)
def test_h3_knows_every_framing(answered: bytes, tmp_path: Path) -> None:
    verdict = http1.decide_response_grammar([exchange(tmp_path, request("/", "1.1"), answered)])
    assert verdict.verdict == "shown", verdict.evidence


def test_h5_fails_when_the_client_closes_first(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/"))
    tcp.server("PA", response()).client("FA")
    wire.after(1)
    tcp.server("FA")
    verdict = http1.decide_connection_per_object([load(wire, tmp_path)])
    assert verdict.verdict == "failed"
    assert "The client closes the connection first, in frame" in verdict.evidence


def test_h5_fails_when_nobody_closes(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/")).server("PA", response())
    assert http1.decide_connection_per_object([load(wire, tmp_path)]).verdict == "failed"


def test_h5_fails_for_http_1_1(tmp_path: Path) -> None:
    assert http1.decide_connection_per_object([load(serial(Wire(), version="1.1"), tmp_path)]).verdict == "failed"


ORDERED: Files = {b"/a": b"a", b"/b": b"b"}


def ordered(tmp_path: Path, answers: dict[str, bytes], files: Files = ORDERED) -> PageLoad:
    wire = Wire()
    for number, (target, octets) in enumerate(answers.items()):
        tcp = Tcp(wire, port=42000 + number).open()
        tcp.client("PA", request(target))
        wire.after(40)
        tcp.server("PA", octets).close()
    return load(wire, tmp_path, files=files)


def test_h4_shown_when_order_changes_nothing_but_the_date(tmp_path: Path) -> None:
    first = ordered(tmp_path, {"/a": response(b"a"), "/b": response(b"b")})
    later = "Thu, 01 Jan 2030 00:00:09 GMT"
    second = ordered(tmp_path, {"/b": response(b"b", date=later), "/a": response(b"a", date=later)})
    verdict = http1.decide_statelessness(first, second)
    assert verdict.verdict == "shown", verdict.evidence


def test_h4_fails_when_a_response_depends_on_what_came_before(tmp_path: Path) -> None:
    first = ordered(tmp_path, {"/a": response(b"visit 1"), "/b": response(b"visit 2")})
    second = ordered(tmp_path, {"/b": response(b"visit 1"), "/a": response(b"visit 2")})
    verdict = http1.decide_statelessness(first, second)
    assert verdict.verdict == "failed"
    assert len(verdict.frames) == 2


def test_h4_undecided_in_the_same_order_or_for_other_requests(tmp_path: Path) -> None:
    first = ordered(tmp_path, {"/a": response(b"a"), "/b": response(b"b")})
    assert http1.decide_statelessness(first, first).verdict == "undecided"
    assert (
        http1.decide_statelessness(first, ordered(tmp_path, {"/c": response(b"c"), "/a": response(b"a")})).verdict
        == "undecided"
    )


def test_a_hole_in_the_capture_decides_nothing(tmp_path: Path) -> None:
    wire = serial(Wire())
    wire.packets = [each for each in wire.packets if b"200 OK" not in each[1]]
    verdict = http1.decide_response_grammar([load(wire, tmp_path)])
    assert verdict.verdict == "undecided"
    assert "incomplete" in verdict.evidence


def test_only_connections_within_the_window_count(tmp_path: Path) -> None:
    wire = serial(Wire())
    wire.after(1000)
    middle = load(wire, tmp_path).conversations[-1].connection.syn.time_ns + 1
    both = load(persistent(wire), tmp_path)
    assert len(both.conversations) == 4
    assert strategies.decide_serial_connections([both.between(0, middle)]).verdict == "shown"
    assert strategies.decide_persistent_connection([both.between(middle, 2**63)]).verdict == "shown"


@pytest.mark.parametrize(("measured_s", "expected"), [(0.25, "shown"), (0.30, "failed"), (0.20, "failed")])
def test_a_time_outside_the_tolerance_contradicts_the_claim(measured_s: float, expected: str, tmp_path: Path) -> None:
    packets = strategies.decide_serial_connections([load(serial(Wire()), tmp_path)])
    verdict = timed(packets, measured_s, theory_s=0.249, tolerance=0.1)
    assert verdict.verdict == expected
    assert "theory 249.0 ms" in verdict.evidence


def test_a_good_time_does_not_mend_bad_packets(tmp_path: Path) -> None:
    packets = strategies.decide_serial_connections([load(parallel(Wire()), tmp_path)])
    assert timed(packets, 0.25, 0.25, 0.1).verdict == "failed"


@pytest.mark.parametrize(("tolerance", "text"), [(0.003, "0.3%"), (0.07, "7%"), (0.06, "6%")])
def test_a_tolerance_is_told_as_it_is(tolerance: float, text: str) -> None:
    packets = Verdict("H8", "shown", "Packets.")
    assert f"within the tolerance of {text}." in timed(packets, 0.25, 0.25, tolerance).evidence
    assert f"outside the tolerance of {text}." in timed(packets, 0.35, 0.25, tolerance).evidence
