"""Messages of the control protocol: pieces, validation, settings of links, names of links."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.topologies.emulation.control.protocol import (
    OPERATIONS,
    PIECE_BYTES,
    VERSION,
    Assembler,
    ProtocolError,
    changed_shape,
    check_request,
    find_link,
    parameters_of,
    parse_settings,
    pieces,
)
from lab7.topologies.emulation.errors import EmulationError, TopologyError
from lab7.topologies.emulation.shape import Shape

EXEC = {"version": VERSION, "op": "exec", "host": "a", "words": ["true"], "terminal": None, "environment": {}}
LINKS = [
    (("c-dns", "s4"), ("c-dns-eth0", "s4-eth1")),
    (("s1", "s2"), ("s1-eth1", "s2-eth1")),
    (("s1", "s2"), ("s1-eth2", "s2-eth2")),
]


@given(st.text(max_size=200), st.integers(0, 3))
def test_a_message_survives_its_pieces(text: str, times: int) -> None:
    message = {"text": text, "filler": "x" * (PIECE_BYTES * times)}
    assembler = Assembler(PIECE_BYTES * 5)
    *some, last = [assembler.add(piece) for piece in pieces(message)]
    assert some == [None] * len(some)
    assert last == message


@pytest.mark.parametrize("octets", [b"", b".", b".[]", b".{", b"x{}", b"." + b"[" * 20_000, b".\xff", b".1"])
def test_what_is_no_message_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        Assembler(PIECE_BYTES * 5).add(octets)


def test_a_message_without_end_is_refused_before_it_fills_the_memory() -> None:
    assembler = Assembler(3 * PIECE_BYTES)
    for _ in range(3):
        assert assembler.add(b"+" + bytes(PIECE_BYTES)) is None
    with pytest.raises(ProtocolError, match="longer than"):
        assembler.add(b"+" + bytes(PIECE_BYTES))


def test_a_request_names_its_operation() -> None:
    assert check_request(EXEC) == "exec"


@pytest.mark.parametrize(
    "change",
    [
        {"version": VERSION + 1},
        {"op": "shut"},
        {"op": ["exec"]},
        {"host": 1},
        {"words": []},
        {"words": "true"},
        {"words": ["a\0b"]},
        {"words": [1]},
        {"terminal": [1]},
        {"terminal": [1, 1 << 20]},
        {"terminal": "80x24"},
        {"environment": {"A": 1}},
        {"environment": {"A=B": "1"}},
        {"environment": ["A"]},
    ],
    ids=str,
)
def test_a_request_with_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        check_request({**EXEC, **change})


@given(st.sampled_from(sorted(OPERATIONS)), st.dictionaries(st.sampled_from(sorted(EXEC)), st.integers() | st.text()))
def test_any_request_is_accepted_or_refused_by_a_sentence(operation: str, fields: dict[str, Any]) -> None:
    message = json.loads(json.dumps({**fields, "version": VERSION, "op": operation}))
    with contextlib.suppress(ProtocolError):
        assert check_request(message) == operation


def test_settings_are_those_of_mininet_with_units() -> None:
    given_words = parse_settings(["delay=50ms", "loss=1%", "bw=10Mbit/s", "queue=20"])
    assert given_words == {"delay": "50ms", "loss": "1", "bw": "10", "max_queue_size": "20"}


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("delay=50", "delay=50 lacks its unit: write delay=50ms"),
        ("jitter=1e3", "lacks its unit"),
        ("dealy=50ms", "is not a setting of a link: write one of bw, delay, jitter, loss, reorder, queue"),
        ("delay", "is not a setting"),
        ("delay=", "is not a setting"),
    ],
)
def test_a_wrong_setting_is_told_with_the_right_one(word: str, sentence: str) -> None:
    with pytest.raises(TopologyError, match=sentence):
        parse_settings([word])


def test_settings_that_are_not_given_stay() -> None:
    old = Shape(rate_bps=1e7, delay_s=0.015, loss=0.02, queue_frames=50)
    assert changed_shape(old, parse_settings(["loss=0"])) == Shape(rate_bps=1e7, delay_s=0.015, queue_frames=50)
    assert changed_shape(old, parse_settings(["bw=unlimited"])) == Shape(delay_s=0.015, loss=0.02, queue_frames=50)
    assert changed_shape(None, parse_settings(["delay=5ms"])) == Shape(delay_s=0.005)


def test_a_trace_stays_until_a_rate_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trace = tmp_path / "cell.trace"
    trace.write_text("1\n")
    traced = changed_shape(Shape(rate_bps=1e7), parse_settings(["trace=cell.trace"]))
    assert traced == Shape(trace=str(trace))
    assert changed_shape(traced, parse_settings(["delay=5ms"])) == Shape(delay_s=0.005, trace=str(trace))
    assert changed_shape(traced, parse_settings(["bw=10"])) == Shape(rate_bps=1e7)
    assert changed_shape(traced, parse_settings(["bw=unlimited"])) == Shape()
    with pytest.raises(TopologyError, match="is not a file"):
        changed_shape(None, parse_settings(["trace=none.trace"]))


@given(st.none() | st.floats(1e3, 1e9), st.integers(0, 60_000_000), st.floats(0, 1), st.integers(1, 10_000))
def test_the_parameters_of_a_shape_describe_it(rate: float | None, delay_us: int, loss: float, queue: int) -> None:
    shape = Shape(rate_bps=rate, delay_s=delay_us * 1e-6, loss=loss, queue_frames=queue)
    again = changed_shape(shape, {})
    assert again.delay_s == shape.delay_s
    assert parameters_of(again) == parameters_of(shape)
    assert again.loss == pytest.approx(loss)
    assert again.queue_frames == queue
    assert (again.rate_bps is None) == (rate is None)


def test_a_link_is_found_by_its_nodes_in_either_order_and_by_an_interface() -> None:
    assert find_link("c-dns-s4", LINKS) == find_link("s4-c-dns", LINKS) == 0
    assert find_link("s2-eth2", LINKS) == 2


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("a-b", "its links are c-dns-s4, s1-s2"), ("s1-s2", "name the link by its interface, one of s1-eth1, s1-eth2")],
)
def test_a_link_that_is_unknown_or_one_of_several_is_told(name: str, sentence: str) -> None:
    with pytest.raises(EmulationError, match=sentence):
        find_link(name, LINKS)
