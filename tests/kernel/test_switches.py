"""Switches by Open vSwitch: in a testbed, and as a course without lab7 starts them."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import ARP

from experiments.harness.judge.frames import CaptureFile
from tests.kernel.kernel import Lane
from tests.kernel.measure import near
from tests.kernel.switches import DELAY_MS

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


def test_a_page_comes_through_them_over_a_link_by_the_kernel(found: dict[str, Any], capture: CaptureFile) -> None:
    assert found["http_code"] == "200"
    times = {str(frame.packet[TCP].flags): frame.time_ns for frame in capture.at("client")[:2]}
    assert list(times) == [SYN, SYN_ACK]
    assert near((times[SYN_ACK] - times[SYN]) / 1e6, 2 * DELAY_MS, tolerance=0.2)


def test_who_has_no_part_in_it_sees_nothing(capture: CaptureFile) -> None:
    """The switches know from the start behind which port everybody is: nothing is flooded, and nobody asks."""
    assert [frame.packet.summary() for frame in capture.at("client2")] == []
    assert not [frame for frame in capture.frames if ARP in frame.packet]


def test_stock_mininet_runs_a_drawing_with_them(lane: Lane) -> None:
    done = lane.job("stock-mininet")
    assert done.code == 0, done.stderr
    assert "0% dropped (2/2 received)" in done.stdout + done.stderr
