"""Switches by Open vSwitch: in a testbed, and as a course without lab7 starts them."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import ARP

from lab7.experiments.harness.judge.frames import CaptureFile
from tests.kernel.kernel import Lane
from tests.kernel.measure import near
from tests.kernel.switches import DELAY_MS, LOADS

SYN, SYN_ACK = "S", "SA"


@pytest.fixture(scope="module")
def found(lane: Lane) -> dict[str, Any]:
    done = lane.job("switches")
    assert (done.code, done.stderr) == (0, "")
    said: dict[str, Any] = done.json()
    return said


@pytest.fixture(scope="module")
def capture(lane: Lane, found: dict[str, Any]) -> CaptureFile:
    assert found["bridges"] == ["s1", "s2"]
    return lane.job("switches").capture("switches.pcapng")


def test_the_kernels_data_path_has_the_switches_with_all_their_ports(found: dict[str, Any]) -> None:
    lines = [line.split() for line in found["datapath"].splitlines()]
    assert lines[0][0] == "system@ovs-system:"
    ports = [words[0] for words in lines if words[-1] == "(system)"]
    assert sorted(ports) == ["s1-eth1", "s1-eth2", "s1-eth3", "s2-eth1", "s2-eth2"]


def test_pages_come_through_them_over_a_link_by_the_kernel(found: dict[str, Any], capture: CaptureFile) -> None:
    assert found["http_codes"] == ["200"] * LOADS
    at_client = [frame for frame in capture.at("client") if TCP in frame.packet]
    opened, accepted = (
        [frame.time_ns for frame in at_client if str(frame.packet[TCP].flags) == flags] for flags in (SYN, SYN_ACK)
    )
    rtts_ms = [(there - here) / 1e6 for here, there in zip(opened, accepted, strict=True)]
    assert len(rtts_ms) == LOADS
    assert near(min(rtts_ms), 2 * DELAY_MS, tolerance=0.1)


def test_who_has_no_part_in_it_sees_nothing(capture: CaptureFile) -> None:
    """The switches know from the start behind which port everybody is: nothing is flooded, and nobody asks."""
    assert [frame.packet.summary() for frame in capture.at("client2")] == []
    assert not [frame for frame in capture.frames if ARP in frame.packet]


def test_stock_mininet_runs_a_topology_with_them(lane: Lane) -> None:
    done = lane.job("stock-mininet")
    assert done.code == 0, done.stderr
    assert "0% dropped (2/2 received)" in done.stdout + done.stderr
