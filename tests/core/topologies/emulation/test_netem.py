"""Lines for tc(8) describe a shape in the syntax of tc-netem(8)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.topologies.emulation.links.netem import FLYING_FRAMES, commands, passing_on
from lab7.topologies.emulation.shape import Shape

# tc-netem(8), SYNOPSIS, as far as shapes go: loss random PERCENT, rate RATE, delay TIME [JITTER], reorder PERCENT,
# limit PACKETS.
NETEM = re.compile(
    r"qdisc add dev \S+ (?P<place>root handle 1:|parent 1:1 handle 2:) netem"
    r"(?: loss random (?P<loss>\d+\.\d+)%)?"
    r"(?: rate (?P<rate>\d+)bit)?"
    r"(?: delay (?P<delay>\d+)us(?: (?P<jitter>\d+)us)?)?"
    r"(?: reorder (?P<reorder>\d+\.\d+)%)?"
    r" limit (?P<limit>\d+)"
)
shapes = st.builds(
    lambda rate, delay, jitter_share, loss, reorder, queue: Shape(
        rate, delay, delay * jitter_share, loss, reorder if delay else 0.0, queue
    ),
    st.none() | st.floats(1e3, 1e10),
    st.just(0.0) | st.floats(1e-6, 60),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 100_000),
)


def test_a_delay_is_one_netem_whose_limit_is_not_the_queue() -> None:
    assert commands("cable1b", Shape(delay_s=0.005, queue_frames=50)) == [
        f"qdisc add dev cable1b root handle 1: netem delay 5000us limit {FLYING_FRAMES}"
    ]


def test_what_sends_has_the_queue_and_what_flies_comes_behind_it() -> None:
    assert commands("cable1b", Shape(rate_bps=10e6, delay_s=0.005, loss=0.01, queue_frames=50)) == [
        "qdisc add dev cable1b root handle 1: netem loss random 1.00000% rate 10000000bit limit 50",
        f"qdisc add dev cable1b parent 1:1 handle 2: netem delay 5000us limit {FLYING_FRAMES}",
    ]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Shape(delay_s=0.01, jitter_s=0.002), "delay 10000us 2000us"),
        (Shape(loss=0.02), "loss random 2.00000%"),
        (Shape(delay_s=0.01, reorder=0.25), "delay 10000us reorder 25.00000%"),
    ],
)
def test_each_effect_has_its_words(shape: Shape, words: str) -> None:
    assert [line.partition(" netem ")[2] for line in commands("h", shape)] == [f"{words} limit {FLYING_FRAMES}"]


def test_a_shape_that_does_nothing_takes_no_line() -> None:
    assert commands("cable1a", Shape()) == []


@given(shapes)
def test_every_shape_gives_lines_within_the_grammar(shape: Shape) -> None:
    matches = [NETEM.fullmatch(line) for line in commands("h-eth0", shape)]
    found = [match.groupdict() for match in matches if match is not None]
    stages = (shape.rate_bps is not None) + (shape.delay_s > 0)
    assert len(found) == len(matches) == (stages or (shape.loss > 0))
    if shape.rate_bps is not None:
        assert int(found[0]["limit"]) == shape.queue_frames
    assert float((found or [{}])[0].get("loss") or 0) == pytest.approx(shape.loss * 100, abs=1e-5)
    assert sum(int(one["delay"] or 0) for one in found) == pytest.approx(shape.delay_s * 1e6, abs=1)


def test_what_comes_in_goes_out_by_the_other_interface() -> None:
    assert passing_on("cable1a", "cable1b") == [
        "qdisc add dev cable1a ingress",
        "filter add dev cable1a ingress matchall action mirred egress redirect dev cable1b",
    ]
