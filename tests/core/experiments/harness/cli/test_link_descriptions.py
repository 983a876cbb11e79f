"""Descriptions of links by `lab7 link` and `lab7 ps`."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from lab7.experiments.harness.cli.running.commands import describe_shape
from lab7.topologies.emulation.shape import Shape


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Shape(), "no delay, no loss, no limit of rate"),
        (Shape(rate_bps=1e7, delay_s=0.05, loss=0.01), "10 Mbit/s, delay 50 ms, loss 1 %"),
        (Shape(delay_s=0.02, trace="/tmp/cell.trace"), "rate of /tmp/cell.trace, delay 20 ms"),
    ],
)
def test_the_shape_of_a_link_is_described_in_words(shape: Shape, words: str) -> None:
    assert describe_shape(asdict(shape)) == words
