"""A link by the kernel does what was asked of it: delay, jitter, order, rate, queue, loss, each way."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from scapy.layers.inet import ICMP, UDP

from lab7.topologies.emulation.shape import parse_time_s
from tests.kernel.kernel import Lane
from tests.kernel.links import LINKS, PINGED, TRAINS
from tests.kernel.measure import LATE_S, LINK_TOLERANCE, drift, near

ECHO_REQUEST, ECHO_REPLY = 8, 0  # RFC 792
LOSS_ERRORS = 4


@pytest.fixture(scope="module")
def found(lane: Lane) -> dict[str, Any]:
    done = lane.job("links")
    assert (done.code, done.stderr) == (0, "")
    measured: dict[str, Any] = done.json()
    return measured


def asked_s(name: str, word: str = "delay") -> float:
    return parse_time_s(LINKS[name][word])


def one_way_s(lane: Lane, name: str, kind: int) -> list[float]:
    """How long each echo request, or each reply, was on its way: the same frame in the captures of both ends."""
    capture = lane.job("links").capture("links-netem.pcapng")
    times = {}
    for end in (f"client-{name}", name):
        frames = [frame for frame in capture.at(end) if ICMP in frame.packet and frame.packet[ICMP].type == kind]
        times[end] = {frame.packet[ICMP].seq: frame.time_ns for frame in frames}
    first, last = times.values() if kind == ECHO_REQUEST else reversed(times.values())
    return [(last[sequence] - first[sequence]) / 1e9 for sequence in sorted(first)]


def test_the_links_are_the_kernels(found: dict[str, Any]) -> None:
    assert found["backend"] == "netem"


def test_a_round_trip_takes_twice_the_delay(found: dict[str, Any]) -> None:
    rtts_s = [ms / 1e3 for ms in found["ping_ms"]["delayed"]]
    assert len(rtts_s) == PINGED["delayed"]
    assert near(min(rtts_s), 2 * asked_s("delayed"))


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_delay_that_was_not_asked_for_is_found_out(found: dict[str, Any], factor: float) -> None:
    measured_s = min(found["ping_ms"]["delayed"]) / 1e3
    assert not near(measured_s, factor * 2 * asked_s("delayed"))


def test_a_running_link_takes_another_delay(found: dict[str, Any]) -> None:
    rtts_s = [ms / 1e3 for ms in found["ping_ms"]["reshaped"]]
    assert len(rtts_s) == PINGED["delayed"]
    assert near(min(rtts_s), 0.1 + asked_s("delayed"))


@pytest.mark.parametrize(("kind", "direction"), [(ECHO_REQUEST, "params1"), (ECHO_REPLY, "params2")])
def test_each_direction_has_its_own_delay_and_captures_show_it(lane: Lane, kind: int, direction: str) -> None:
    assert lane.job("links").code == 0
    delay_s = parse_time_s(LINKS["uneven"][direction]["delay"])
    ways_s = one_way_s(lane, "uneven", kind)
    assert len(ways_s) == PINGED["uneven"]
    assert near(min(ways_s), delay_s)


def test_jitter_spreads_the_delay_evenly(found: dict[str, Any]) -> None:
    rtts_s = [ms / 1e3 for ms in found["ping_ms"]["jittery"]]
    delay_s, jitter_s = asked_s("jittery"), asked_s("jittery", "jitter")
    assert len(rtts_s) == PINGED["jittery"]
    assert min(rtts_s) >= 0.99 * 2 * (delay_s - jitter_s)
    assert max(rtts_s) - min(rtts_s) > jitter_s
    # The mean of sums of two even distributions is off by four standard errors at most, unless the machine is late.
    error_s = jitter_s * math.sqrt(2 / 3 / len(rtts_s))
    assert -4 * error_s <= statistics.mean(rtts_s) - 2 * delay_s <= 4 * error_s + LATE_S


def test_reordered_frames_overtake_and_none_is_lost(lane: Lane, found: dict[str, Any]) -> None:
    assert len(found["ping_ms"]["reordered"]) == PINGED["reordered"]
    at_server = lane.job("links").capture("links-netem.pcapng").at("reordered")
    requests = [frame.packet[ICMP] for frame in at_server if ICMP in frame.packet]
    order = [packet.seq for packet in requests if packet.type == ECHO_REQUEST]
    assert sorted(order) != order
    assert sorted(order) == list(range(1, PINGED["reordered"] + 1))


@pytest.fixture(scope="module")
def arrivals_s(lane: Lane, found: dict[str, Any]) -> list[float]:
    """When the frames of the train over the link with a rate arrived; all did."""
    assert found["trains"]["rated"]["received"] == TRAINS["rated"][0]
    frames = lane.job("links").capture("links-netem.pcapng").at("rated")
    return [frame.time_ns / 1e9 for frame in frames if UDP in frame.packet]


def asked_gap_s() -> float:
    return TRAINS["rated"][1] * 8 / (float(LINKS["rated"]["bw"]) * 1e6)


def test_a_rate_is_kept(arrivals_s: list[float]) -> None:
    assert len(arrivals_s) == TRAINS["rated"][0]
    assert abs(drift(arrivals_s, asked_gap_s())) <= LINK_TOLERANCE


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_rate_that_was_not_asked_for_is_found_out(arrivals_s: list[float], factor: float) -> None:
    assert abs(drift(arrivals_s, factor * asked_gap_s())) > LINK_TOLERANCE


def test_the_queue_takes_as_many_frames_as_asked_for_while_others_fly(found: dict[str, Any]) -> None:
    # With 50 ms of delay four more frames fly at this rate; they are not in the queue. What is sent while the train
    # comes in makes room.
    queue, frames = LINKS["queued"]["max_queue_size"], TRAINS["queued"][0]
    assert queue <= found["trains"]["queued"]["received"] < frames - queue


def test_loss_is_what_was_asked_for(found: dict[str, Any]) -> None:
    frames, loss = TRAINS["lossy"][0], LINKS["lossy"]["loss"] / 100
    lost = 1 - found["trains"]["lossy"]["received"] / frames
    assert abs(lost - loss) <= LOSS_ERRORS * math.sqrt(loss * (1 - loss) / frames)


def test_a_link_of_the_kernel_carries_arp_and_neighbour_discovery(lane: Lane) -> None:
    done = lane.job("dual-stack")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.count("1 packets transmitted, 1 received") == 2
    for address in ("10.7.1.1", "2001:db8:a07::101"):
        (entry,) = (line for line in done.stdout.splitlines() if line.startswith(f"{address} dev client-eth0 lladdr "))
        assert "PERMANENT" not in entry
