"""H11: behind a large object a small one waits by HTTP/1.1 and passes by HTTP/2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.http.claims.http2 import decide_multiplexing
from tests.core.experiments.harness.verdicts import holds, lose_one, said
from tests.core.experiments.harness.wire import Tcp, Wire, request, response
from tests.core.experiments.http.http2_wire import RTT_MS, Http2, data, multiplexed
from tests.core.experiments.http.pages import load

LARGE, SMALL = b"/large", b"/s"
BIG, LITTLE = b"L" * 3000, b"small"


def queued(wire: Wire, targets: Sequence[bytes] = (LARGE, SMALL), answers: Sequence[bytes] = (BIG, LITTLE)) -> Wire:
    """Large, then small, asked for in one packet by HTTP/1.1 and answered one after the other, 30 ms apart."""
    tcp = Tcp(wire).open(RTT_MS)
    tcp.client("PA", b"".join(request(target.decode(), "1.1") for target in targets))
    wire.after(RTT_MS)
    for body in answers:
        octets = response(body, "1.1")
        for part in (octets[:1000], octets[1000:]):
            if part:
                tcp.server("PA", part)
                wire.after(15)
    return wire


def mixed(
    wire: Wire, order: str = "LSL", targets: Sequence[bytes] = (LARGE, SMALL), step_ms: float = 5, bodies: int = 1
) -> Wire:
    """Both asked for by HTTP/2; DATA frames come in this order, the last of each ends its stream."""
    http2 = Http2(wire)
    http2.start(*(http2.ask(target.decode()) for target in targets))
    http2.server(http2.head(1), http2.head(3))
    ids = {"L": 2 * list(targets).index(LARGE) + 1, "S": 2 * list(targets).index(SMALL) + 1}
    for at, letter in enumerate(order):
        wire.after(step_ms)
        body = BIG if letter == "L" else LITTLE * bodies
        http2.server(data(ids[letter], body, end=letter not in order[at + 1 :]))
    return wire


def decide_h11(tmp_path: Path, text: Wire, binary: Wire) -> Verdict:
    return decide_multiplexing([load(text, tmp_path)], [load(binary, tmp_path)], LARGE, SMALL)


@pytest.mark.parametrize("order", ["LSL", "LLSLL", "SLSL"])
def test_h11_a_small_object_that_passes_the_large_one_shows_it(order: str, tmp_path: Path) -> None:
    files = {LARGE: BIG * order.count("L"), SMALL: LITTLE * order.count("S")}
    texts = queued(Wire(), answers=(files[LARGE], files[SMALL]))
    text, binary = load(texts, tmp_path, files=files), load(mixed(Wire(), order), tmp_path, files=files)
    verdict = said(
        decide_multiplexing([text], [binary], LARGE, SMALL),
        "shown",
        "begins after the end of the large one",
    )
    ended, began, before, between, after = verdict.frames
    assert ended < began
    assert holds(text, began, response(files[SMALL], "1.1"))
    assert before < between < after
    last = next(each for each in binary.exchanges if each.target == SMALL).response
    assert last is not None
    assert between == last.frames[-1]


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("LLLS", "is not between DATA of the large one"),
        ("SLL", "is not between DATA of the large one"),
        ("LLSLS", "is not between DATA of the large one"),
    ],
)
def test_h11_fails_without_interleaving(order: str, says: str, tmp_path: Path) -> None:
    binary = load(mixed(Wire(), order), tmp_path)
    verdict = said(decide_multiplexing([load(queued(Wire()), tmp_path)], [binary], LARGE, SMALL), "failed", says)
    small = next(each for each in binary.exchanges if each.target == SMALL).response
    assert small is not None
    assert verdict.frames == (small.frames[-1],)


def test_h11_fails_when_the_small_object_is_slower_by_2(tmp_path: Path) -> None:
    verdict = decide_h11(tmp_path, queued(Wire()), mixed(Wire(), step_ms=100))
    said(
        verdict,
        "failed",
        "The small object took 240.4 ",
        "The small object took 240.4 ms by HTTP/2, not less than the 70.0 ms by HTTP/1.1",
    )


def test_h11_fails_when_1_1_answers_out_of_order(tmp_path: Path) -> None:
    verdict = decide_h11(tmp_path, queued(Wire(), answers=(LITTLE, BIG)), mixed(Wire()))
    said(verdict, "failed", "The large object has 5 octets", "the small one 3000")


def test_h11_fails_when_the_objects_are_of_one_size(tmp_path: Path) -> None:
    said(decide_h11(tmp_path, queued(Wire()), mixed(Wire(), bodies=2000)), "failed", "the small one 10000")


def test_h11_fails_when_the_small_object_was_asked_for_first(tmp_path: Path) -> None:
    text = Wire()
    tcp = Tcp(text).open()
    for target, body in ((SMALL, LITTLE), (LARGE, BIG)):
        tcp.client("PA", request(target.decode(), "1.1")).server("PA", response(body, "1.1"))
        text.after(1)
    verdict = said(
        decide_h11(tmp_path, text, mixed(Wire())), "failed", "The small object was requested first, in frame"
    )
    assert holds(load(text, tmp_path), verdict.frames[0], request("/s", "1.1"))


def test_h11_fails_when_1_1_used_two_connections(tmp_path: Path) -> None:
    wire = Wire()
    for port, target, body in ((40001, LARGE, BIG), (40002, SMALL, LITTLE)):
        tcp = Tcp(wire, port=port).open()
        tcp.client("PA", request(target.decode(), "1.1")).server("PA", response(body, "1.1"))
    verdict = said(decide_h11(tmp_path, wire, mixed(Wire())), "failed", "2 connections")
    assert len(verdict.frames) == 2


def test_h11_fails_when_2_used_two_connections(tmp_path: Path) -> None:
    binary = multiplexed(multiplexed(Wire(), (LARGE.decode(),)), (SMALL.decode(),), port=45100)
    said(decide_h11(tmp_path, queued(Wire()), binary), "failed", "2 connections")


def test_h11_fails_when_the_versions_are_not_what_they_were_said_to_be(tmp_path: Path) -> None:
    said(decide_h11(tmp_path, mixed(Wire()), mixed(Wire())), "failed", "is HTTP/2, not HTTP/1.1")
    said(decide_h11(tmp_path, queued(Wire()), queued(Wire())), "failed", "does not use HTTP/2")


@pytest.mark.parametrize("answers", [(BIG,), ()])
def test_h11_fails_without_a_whole_response(answers: Sequence[bytes], tmp_path: Path) -> None:
    said(decide_h11(tmp_path, queued(Wire(), answers=answers), mixed(Wire())), "failed", "gets no complete response")


def test_h11_fails_when_the_stream_of_the_large_object_does_not_end(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/large"), http2.ask("/s")).server(http2.head(1), http2.head(3))
    http2.server(data(1, BIG, end=False)).server(data(3, LITTLE)).server(data(1, BIG, end=False))
    said(decide_h11(tmp_path, queued(Wire()), wire), "failed", "gets no complete response")


def test_h11_fails_when_an_object_was_not_asked_for(tmp_path: Path) -> None:
    said(
        decide_h11(tmp_path, queued(Wire(), (LARGE,), (BIG,)), mixed(Wire())),
        "failed",
        "The capture has no request for /s",
    )


def test_h11_needs_both_versions(tmp_path: Path) -> None:
    assert decide_multiplexing([], [load(mixed(Wire()), tmp_path)], LARGE, SMALL).verdict == "undecided"
    assert decide_multiplexing([load(queued(Wire()), tmp_path)], [], LARGE, SMALL).verdict == "undecided"


def test_h11_is_undecided_where_the_capture_dropped_or_has_a_hole(tmp_path: Path) -> None:
    text = load(queued(Wire()), tmp_path)
    dropped = load(mixed(Wire()), tmp_path, dropped=2)
    said(decide_multiplexing([text], [dropped], LARGE, SMALL), "undecided", "dropped 2 packets")
    said(
        decide_multiplexing([text], [load(lose_one(mixed(Wire())), tmp_path)], LARGE, SMALL),
        "undecided",
        "is incomplete",
    )
