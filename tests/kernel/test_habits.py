"""Statements "as in stock Mininet" with Open vSwitch and netem: one script, run by Mininet and lab7 in one kernel."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from lab7.topologies.emulation.shape import parse_time_s
from tests.emulation.mininet.habits import OPEN_VSWITCH, STATEMENTS
from tests.emulation.mininet.links import LINKS, TRAINS
from tests.emulation.mininet.traffic_control import CASES
from tests.kernel.kernel import Lane
from tests.kernel.measure import near

# Of the least delay of a train: wake-ups are late, and the jitter of 60 frames leaves this much above the least.
FLOOR_S, JITTER_FLOOR_S = 2e-3, 5e-3
DELAYS = ("delay", "delay_there", "delay_back", "another_delay")
# htb of stock Mininet sends 15 kB at once, ten frames, which are not in its queue.
BURST_FRAMES = 10
LOSS_ERRORS = 5


Both = tuple[dict[str, Any], dict[str, Any]]


def both(lane: Lane, script: str) -> Both:
    """Return the JSON that a script prints when Mininet runs it, and when lab7 does."""
    jobs = [lane.job(f"{script}-{runner}") for runner in ("stock", "lab7")]
    assert [done.code for done in jobs] == [0, 0], [done.stderr for done in jobs]
    stock, ours = (json.loads(done.stdout.splitlines()[-1]) for done in jobs)
    return stock, ours


@pytest.fixture(scope="module")
def found(lane: Lane) -> Both:
    return both(lane, "habits")


@pytest.mark.parametrize("statement", [*STATEMENTS, *OPEN_VSWITCH])
def test_a_script_sees_the_same(statement: str, found: Both) -> None:
    stock, ours = (each[statement] for each in found)
    assert ours == stock
    # Equal for another reason than that both fail in the same way.
    assert "Error: " not in str(stock)[:40]


@pytest.fixture(scope="module")
def links(lane: Lane) -> Both:
    return both(lane, "links")


def test_a_spanning_tree_leaves_the_same_ports(links: Both) -> None:
    stock, ours = (each["spanning_tree"] for each in links)
    assert ours == stock
    assert stock == [0.0, ["STP_BLOCK", *["STP_FORWARD"] * 7]]


@pytest.fixture(scope="module")
def trains(links: Both) -> Both:
    """Return the counts and delays of the datagrams over the links of the script."""
    stock, ours = (each["trains"] for each in links)
    return stock, ours


@pytest.mark.parametrize("name", DELAYS)
def test_delays_are_the_same_in_each_direction_and_after_a_change(name: str, trains: Both) -> None:
    stock, ours = (each[name] for each in trains)
    assert (ours["received"], stock["received"]) == (10, 10)
    assert near(ours["least_s"], stock["least_s"], floor=FLOOR_S)


def test_jitter_is_the_same(trains: Both) -> None:
    stock, ours = (each["jitter"] for each in trains)
    assert ours["received"] == stock["received"] == TRAINS["jitter"][2]
    assert near(ours["least_s"], stock["least_s"], floor=JITTER_FLOOR_S)
    assert min(each["most_s"] - each["least_s"] for each in (stock, ours)) > parse_time_s(LINKS["jittery"]["jitter"])


def test_loss_is_the_same(trains: Both) -> None:
    frames, loss = TRAINS["loss"][2], LINKS["lossy"]["loss"] / 100
    lost = [frames - each["loss"]["received"] for each in trains]
    assert min(lost) > 0
    assert abs(lost[0] - lost[1]) <= LOSS_ERRORS * math.sqrt(2 * frames * loss * (1 - loss))


def test_rates_are_the_same(trains: Both) -> None:
    stock, ours = (each["rate"] for each in trains)
    assert ours["received"] == stock["received"] == TRAINS["rate"][2]
    assert near(ours["lasted_s"], stock["lasted_s"])


@pytest.fixture(scope="module")
def traffic_control(lane: Lane) -> Both:
    return both(lane, "traffic_control")


@pytest.mark.parametrize(
    ("case", "place"), [(case, place) for case, (_, commands) in CASES.items() for place in range(len(commands) + 1)]
)
def test_tc_says_and_does_the_same(case: str, place: int, traffic_control: Both) -> None:
    stock, ours = (each[case][place] for each in traffic_control)
    assert ours[:4] == stock[:4]
    assert near(ours[4], stock[4], floor=FLOOR_S * 1e3)
    asked_ms = CASES[case][1][place - 1][1] if place else 0.0
    assert min(ours[4], stock[4]) >= asked_ms


def test_queues_take_as_many_frames_but_for_the_burst(trains: Both) -> None:
    stock, ours = (each["queue"]["received"] for each in trains)
    assert LINKS["queued"]["max_queue_size"] <= ours <= stock + 1 < TRAINS["queue"][2]
    assert stock - ours <= BURST_FRAMES
