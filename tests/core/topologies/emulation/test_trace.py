"""Trace-driven rates: the format of mahimahi, and the exit times beside a simulation of each opportunity in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.shape import Shape, parse_shape
from lab7.topologies.emulation.wire.effects import build
from lab7.topologies.emulation.wire.trace import MS_NS, OPPORTUNITY_BYTES, TraceRate, parse_trace, read_trace

FULL = OPPORTUNITY_BYTES


def exits_ms(times: Sequence[int], arrivals: Sequence[tuple[int, int]], queue_frames: int = 1000) -> list[float | None]:
    """Return the exit times in ms of frames given as (size, arrival time in ms)."""
    rate = TraceRate(times, queue_frames)
    found = [rate.exit_ns(size, now_ms * MS_NS) for size, now_ms in arrivals]
    return [None if end is None else end / MS_NS for end in found]


def opportunities(times: Sequence[int]) -> Iterator[int]:
    """Yield the time of each opportunity in ms, over all rounds."""
    start = 0
    while True:
        yield from (start + time for time in times)
        start += times[-1]


def simulated(times: Sequence[int], arrivals: Sequence[tuple[int, int]]) -> list[float | None]:
    """Return the exit times by serving a queue at each opportunity, octet counts as in mahimahi's link_queue."""
    waiting: deque[list[int]] = deque()
    found: dict[int, float] = {}
    coming = deque((number, size, time) for number, (size, time) in enumerate(arrivals))
    for now in opportunities(times):
        while coming and coming[0][2] <= now:
            number, size, _ = coming.popleft()
            waiting.append([number, size])
        left = FULL
        while left and waiting:
            taken = min(left, waiting[0][1])
            left, waiting[0][1] = left - taken, waiting[0][1] - taken
            if not waiting[0][1]:
                found[waiting.popleft()[0]] = float(now)
        if not coming and not waiting:
            return [found[number] for number in range(len(arrivals))]
    raise AssertionError("the opportunities never end")


def test_full_frames_leave_at_one_opportunity_each() -> None:
    assert exits_ms([0, 3, 3, 10], [(FULL, 0)] * 4) == [0, 3, 3, 10]


def test_the_trace_starts_with_the_first_frame_and_starts_over() -> None:
    assert exits_ms([5, 8], [(FULL, 100)] * 5) == [105, 108, 113, 116, 121]


def test_small_frames_share_an_opportunity_and_a_large_one_takes_several() -> None:
    third = FULL // 3
    assert exits_ms([1, 2, 3, 4], [(third, 0), (third, 0), (third, 0), (third, 0), (FULL, 0)]) == [1, 1, 1, 2, 3]


def test_what_remains_of_an_opportunity_is_lost_when_no_frame_waits() -> None:
    assert exits_ms([1, 50], [(100, 0), (100, 2)]) == [1, 50]


def test_opportunities_while_nothing_waits_are_lost() -> None:
    assert exits_ms([1, 2, 3, 10], [(FULL, 0), (FULL, 7), (FULL, 45)]) == [1, 10, 50]


def test_the_queue_drops_the_newest_frame() -> None:
    assert exits_ms([10, 20], [(FULL, 0)] * 3 + [(FULL, 11)], 2) == [10, 20, None, 30]


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=8).map(sorted).filter(lambda times: times[-1] > 0),
    st.lists(st.tuples(st.integers(1, 4000), st.integers(0, 40)), min_size=1, max_size=30),
)
def test_exit_times_are_those_of_the_simulation(times: list[int], steps: list[tuple[int, int]]) -> None:
    arrivals, now = [], 0
    for number, (size, wait) in enumerate(steps):
        # The first frame starts the trace.
        now += wait if number else 0
        arrivals.append((size, now))
    assert exits_ms(times, arrivals) == simulated(times, arrivals)


def test_a_trace_is_a_number_a_line() -> None:
    assert parse_trace("0\n3\n 3 \n\n10\n") == (0, 3, 3, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it must have a line above 0"),
        ("0\n0\n", "it must have a line above 0"),
        ("5\n4\n", "line 2 is 4, before the 5 of the line above: sort the lines"),
        ("1\n2.5\n", "line 2, '2.5', is not a whole number of milliseconds"),
        ("-1\n", "line 1, '-1', is not a whole number"),
    ],
)
def test_an_invalid_trace_is_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_text(text)
    with pytest.raises(TopologyError, match=message) as caught:
        read_trace(str(path))
    assert str(caught.value).startswith(f"trace={path}: ")


def test_a_trace_is_a_parameter_of_a_link(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_text("2\n4\n")
    shape = parse_shape({"trace": str(path), "delay": "10ms"})
    assert shape == Shape(delay_s=0.01, trace=str(path))
    chain = build(shape, Random(1))
    assert [chain.exit_ns(FULL, 0) for _ in range(2)] == [12 * MS_NS, 14 * MS_NS]
    with pytest.raises(TopologyError, match="a link has either bw or trace"):
        parse_shape({"trace": str(path), "bw": 10})
    with pytest.raises(TopologyError, match=r"trace=none\.trace is not a file"):
        parse_shape({"trace": "none.trace"})
