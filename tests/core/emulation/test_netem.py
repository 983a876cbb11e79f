"""The lines for tc(8) say what a shape asks for, in the words of tc-netem(8) and tc-htb(8)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.emulation.netem import commands
from topologies.emulation.shape import Shape

# tc-netem(8), SYNOPSIS, as far as shapes go: delay TIME [JITTER], loss random PERCENT, reorder PERCENT, limit PACKETS.
NETEM = re.compile(
    r"qdisc add dev \S+ (?:root|parent 5:1) handle 10: netem"
    r"(?:\s+delay (?P<delay>\d+)us(?: (?P<jitter>\d+)us)?)?"
    r"(?:\s+loss random (?P<loss>\d+\.\d+)%)?"
    r"(?:\s+reorder (?P<reorder>\d+\.\d+)%)?"
    r"\s+limit (?P<limit>\d+)"
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


def test_a_delay_is_one_netem_at_the_root() -> None:
    assert [" ".join(line.split()) for line in commands("s1-eth1", Shape(delay_s=0.005))] == [
        "qdisc add dev s1-eth1 root handle 10: netem delay 5000us limit 1000"
    ]


def test_a_rate_is_an_htb_class_with_netem_below_it() -> None:
    assert commands("s1-eth1", Shape(rate_bps=10e6, delay_s=0.005, queue_frames=50)) == [
        "qdisc add dev s1-eth1 root handle 5: htb default 1",
        "class add dev s1-eth1 parent 5: classid 5:1 htb rate 10000000bit burst 1514 cburst 1514",
        "qdisc add dev s1-eth1 parent 5:1 handle 10: netem delay 5000us limit 50",
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
    assert f" netem {words} limit 1000" in commands("h-eth0", shape)[-1]


@given(shapes)
def test_every_shape_gives_lines_within_the_grammar(shape: Shape) -> None:
    *above, last = commands("h-eth0", shape)
    match = NETEM.fullmatch(last)
    assert match is not None
    assert len(above) == (2 if shape.rate_bps is not None else 0)
    assert int(match["limit"]) == shape.queue_frames
    assert float(match["loss"] or 0) == pytest.approx(shape.loss * 100, abs=1e-5)
    assert int(match["delay"] or 0) == pytest.approx(shape.delay_s * 1e6, abs=1)
