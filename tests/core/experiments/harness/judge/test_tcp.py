"""Connections and their octets are reassembled correctly for any order of segments."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness.judge.frames import connections
from lab7.experiments.harness.judge.reassembly import Segment, reassemble, unwrap
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[bytes, int, list[Segment]]:
    """A stream, its first sequence number, and segments that cover it: cut anywhere, repeated, in any order."""
    data = draw(st.binary(min_size=1, max_size=60))
    first = draw(st.sampled_from([0, 1, 2**31 - 5, 2**32 - 7, 2**32 - 1]))
    cuts = sorted(draw(st.sets(st.integers(1, len(data)), max_size=8)) | {0, len(data)})
    spans = list(pairwise(cuts))
    extra = draw(st.lists(st.tuples(st.integers(0, len(data)), st.integers(0, len(data))), max_size=6))
    spans += [(min(span), max(span)) for span in extra]
    order = draw(st.permutations(spans))
    segments = [
        Segment((first + low) % 2**32, data[low:high], frame, frame * 10)
        for frame, (low, high) in enumerate(order, start=1)
    ]
    return data, first, segments


@given(deliveries())
def test_any_segmentation_order_and_repetition_gives_the_same_octets(
    delivery: tuple[bytes, int, list[Segment]],
) -> None:
    data, first, segments = delivery
    stream = reassemble(first, segments, end=len(data))
    assert stream.data == data
    assert stream.whole
    arrived = {segment.frame: segment for segment in segments}
    for piece in stream.pieces:
        segment = arrived[piece.frame]
        start = unwrap(segment.sequence - first, 0)
        assert segment.payload[piece.start - start : piece.end - start] == data[piece.start : piece.end]
        # No earlier frame brought any of these octets.
        for other in segments[: piece.frame - 1]:
            low = unwrap(other.sequence - first, 0)
            high = low + len(other.payload)
            assert low == high or high <= piece.start or low >= piece.end


@given(deliveries(), st.integers(0, 59))
def test_a_missing_octet_ends_the_stream(delivery: tuple[bytes, int, list[Segment]], missing: int) -> None:
    data, first, segments = delivery
    kept = []
    for segment in segments:
        low = unwrap(segment.sequence - first, 0)
        if not low <= missing < low + len(segment.payload):
            kept.append(segment)
    stream = reassemble(first, kept, end=len(data))
    assert data.startswith(stream.data)
    assert stream.whole == (missing >= len(data))


def test_a_span_names_the_frames_of_its_octets() -> None:
    stream = reassemble(0, [Segment(3, b"def", 7, 70), Segment(0, b"abcd", 9, 90)])
    assert stream.data == b"abcdef"
    assert [(piece.start, piece.end, piece.frame) for piece in stream.span(0, 4)] == [(0, 3, 9), (3, 6, 7)]
    assert [piece.frame for piece in stream.span(4, 5)] == [7]


def test_a_port_used_again_is_another_connection(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire, isn=100).open().client("PA", b"first").close()
    Tcp(wire, isn=9000).open().client("PA", b"second").close()
    found = connections(wire.capture(tmp_path).at(INTERFACE))
    assert [one.from_client.stream.data for one in found] == [b"first", b"second"]


def test_a_repeated_syn_is_the_same_connection(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).client("S")
    wire.after(1000)
    tcp.open().client("PA", b"hello")
    (only,) = connections(wire.capture(tmp_path).at(INTERFACE))
    assert only.from_client.syn_count == 2
    assert only.syn.frame == 1
    assert only.established
    assert only.from_client.stream.data == b"hello"


def test_padding_is_not_payload(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire).open().client("PA", b"x").close()
    (only,) = connections(wire.capture(tmp_path).at(INTERFACE))
    assert only.from_client.stream.data == b"x"
    assert only.from_server.stream.data == b""
    assert only.whole


def test_a_connection_without_its_syn_is_left_out(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire).client("PA", b"in the middle")
    assert connections(wire.capture(tmp_path).at(INTERFACE)) == []


def test_octets_before_a_fin_that_were_not_captured_are_a_hole(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open().client("PA", b"seen")
    tcp.sent += 4
    tcp.client("FA")
    (only,) = connections(wire.capture(tmp_path).at(INTERFACE))
    assert not only.whole
