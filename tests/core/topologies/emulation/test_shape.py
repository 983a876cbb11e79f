"""TCLink's parameters are parsed into one unit each; an invalid value is one clear sentence."""

from __future__ import annotations

from typing import Any

import pytest

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.shape import Shape, parse_shape, parse_time_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5ms", 0.005),
        ("5 ms", 0.005),
        (" 5msec ", 0.005),
        ("5msecs", 0.005),
        ("300us", 0.0003),
        ("300usec", 0.0003),
        ("300usecs", 0.0003),
        ("1s", 1.0),
        ("2sec", 2.0),
        ("2secs", 2.0),
        ("0.5ms", 0.0005),
        ("1.25s", 1.25),
        (".5ms", 0.0005),
        ("5.ms", 0.005),
        ("5MS", 0.005),
        ("2SECS", 2.0),
        ("1e3ms", 1.0),  # strtod(3)
        ("500ns", 5e-7),
        ("250", 0.00025),  # tc-netem(8): a bare number is microseconds
        (250, 0.00025),
        (0, 0.0),
    ],
)
def test_a_time_is_read_with_the_units_of_tc(text: str | float, seconds: float) -> None:
    assert parse_time_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "fast", "-5ms", "5 minutes", "5m", "ms", ".ms", "e3ms", "5ms 6ms", "nan", None])
def test_what_is_no_time_is_said_with_an_example(text: Any) -> None:
    with pytest.raises(TopologyError, match=r"^delay=.* is not a time: write it as 5ms, 300us or 1s$"):
        parse_time_s(text)


def test_all_parameters_together() -> None:
    asked = {"bw": 10, "delay": "5ms", "jitter": "1ms", "loss": 2, "reorder": 25, "max_queue_size": 50}
    assert parse_shape(asked) == Shape(10e6, 0.005, 0.001, 0.02, 0.25, 50)


def test_numbers_may_be_text_as_a_command_line_has_them() -> None:
    asked = {"bw": "1.5", "loss": "0.5", "max_queue_size": "20"}
    assert parse_shape(asked) == Shape(rate_bps=1.5e6, loss=0.005, queue_frames=20)


@pytest.mark.parametrize("asked", [{}, {"bw": None, "delay": None}, {"ip": "10.0.0.1/8", "addr1": "02:00:00:00:00:01"}])
def test_a_link_that_asks_for_nothing_has_no_shape(asked: dict[str, Any]) -> None:
    assert parse_shape(asked) is None


def test_no_rate_asked_is_no_limit() -> None:
    shape = parse_shape({"delay": "1ms"})
    assert shape is not None
    assert shape.rate_bps is None


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"bw": 0}, "bw=0 is outside of 0 to 10000 Mbit/s"),
        ({"bw": -1}, "bw=-1 is outside of 0 to 10000 Mbit/s"),
        ({"bw": 10_001}, "bw=10001 is outside of 0 to 10000 Mbit/s"),
        ({"bw": float("nan")}, "bw=nan is outside of 0 to 10000 Mbit/s"),
        ({"bw": float("inf")}, "bw=inf is outside of 0 to 10000 Mbit/s"),
        ({"bw": "fast"}, "bw='fast' is not a number of Mbit/s"),
        ({"bw": [1]}, "bw=[1] is not a number of Mbit/s"),
        ({"delay": "soon"}, "delay='soon' is not a time: write it as 5ms, 300us or 1s"),
        ({"delay": "61s"}, "delay=61s exceeds 60 s"),
        ({"delay": "9ms", "jitter": "x"}, "jitter='x' is not a time: write it as 5ms, 300us or 1s"),
        ({"delay": "9ms", "jitter": "10ms"}, "jitter=10ms is larger than delay=9ms"),
        ({"jitter": "10ms"}, "jitter=10ms is larger than delay=0"),
        ({"loss": -0.1}, "loss=-0.1 is not a percentage from 0 to 100"),
        ({"loss": 100.5}, "loss=100.5 is not a percentage from 0 to 100"),
        ({"loss": float("nan")}, "loss=nan is not a percentage from 0 to 100"),
        ({"loss": "some"}, "loss='some' is not a number of percent"),
        ({"delay": "1ms", "reorder": 101}, "reorder=101 is not a percentage from 0 to 100"),
        ({"reorder": 25}, "reorder=25 needs a delay"),
        ({"max_queue_size": 0}, "max_queue_size=0 is not a whole number of frames, 1 or more"),
        ({"max_queue_size": 1.5}, "max_queue_size=1.5 is not a whole number of frames, 1 or more"),
        ({"max_queue_size": float("nan")}, "max_queue_size=nan is not a whole number of frames, 1 or more"),
        ({"max_queue_size": float("inf")}, "max_queue_size=inf is not a whole number of frames, 1 or more"),
        ({"max_queue_size": "long"}, "max_queue_size='long' is not a number of frames"),
    ],
)
def test_each_bad_value_is_one_sentence_that_names_it(asked: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TopologyError) as raised:
        parse_shape(asked)
    assert str(raised.value) == complaint
