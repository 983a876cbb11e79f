"""Pure parts of the live view: loads of links, the ring of events, the picture, the text of terminals."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.view.diagram import draw
from lab7.experiments.view.load import Load
from lab7.experiments.view.ring import Ring
from lab7.experiments.view.terminals import plain
from lab7.topologies.emulation.wire.effects import Rate

MS = 1_000_000


def test_the_queue_is_that_of_a_transmitter() -> None:
    """Ten frames of 1250 octets at once take 10 ms each at 1 Mbit/s: nine wait."""
    load = Load(1e6, 1000)
    for _ in range(10):
        load.add(0, 1250)
    assert load.take(0) == (100_000, 10, 9)
    assert load.take(55 * MS) == (0, 0, 9)
    assert load.take(200 * MS)[2] == 4
    assert load.take(200 * MS) == (0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 20 * MS), st.integers(60, 1514)), max_size=60), st.integers(1, 8))
def test_the_queue_drops_what_the_wire_drops(frames: list[tuple[int, int]], queue: int) -> None:
    wire, load, now, waiting = Rate(1e6, queue), Load(1e6, queue), 0, 0
    ends: list[int] = []
    for pause, size in frames:
        now += pause
        end = wire.exit_ns(size, now)
        load.add(now, size)
        ends += [] if end is None else [end]
        waiting = max(waiting, sum(one > now for one in ends) - 1)
    assert load.take(now)[2] == max(0, waiting)


def test_a_link_without_rate_has_no_queue() -> None:
    load = Load(None, 1)
    for _ in range(10):
        load.add(0, 100)
    assert load.take(0) == (8000, 10, 0)


def test_a_slow_reader_of_the_ring_loses_the_oldest_events_and_knows_how_many() -> None:
    ring = Ring(3)
    for number in range(5):
        ring.add({"number": number})
    assert ring.after(1, 0) == (5, [{"number": 2}, {"number": 3}, {"number": 4}], 1)
    assert ring.after(5, 0) == (5, [], 0)


def test_a_closed_ring_keeps_no_reader_waiting() -> None:
    ring = Ring(3)
    ring.close()
    assert ring.after(0, 60) == (0, [], 0)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("a\r\nb", "a\nb"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07a", "a"),
        ("10 %\r 20 %\rdone\n", "done\n"),
        ("ab\bc", "ac"),
        ("\b\bx", "x"),
        ("bell\x07", "bell"),
    ],
)
def test_output_of_a_terminal_is_text(output: str, text: str) -> None:
    assert plain(output) == text


@given(st.text(max_size=100))
def test_no_output_keeps_an_escape(output: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", plain(output))


def described(switches: list[str], hosts: list[str], links: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "switches": [{"name": name} for name in switches],
        "hosts": [{"name": name, "services": []} for name in hosts],
        "links": [{"nodes": list(ends)} for ends in links],
    }


def test_the_picture_has_each_node_and_each_link_once_and_is_well_formed() -> None:
    picture = draw(described(["s1", "s2"], ["a&b", "c"], [("a&b", "s1"), ("s1", "s2"), ("c", "s2"), ("c", "s1")]))
    root = ElementTree.fromstring(picture)
    assert sorted(one.get("data-node", "") for one in root.iter() if one.get("data-node")) == ["a&b", "c", "s1", "s2"]
    assert sorted(one.get("data-link", "") for one in root.iter() if one.get("data-link")) == ["0", "1", "2", "3"]
    # Of three nodes in a ring, one link is not of the tree.
    assert picture.count('class="cable loop"') == 1
