"""A router between two networks, and a mirror port on which a third host sees what passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from mininet.topo import Topo

from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.experiments.harness.judge.frames import read_capture
from lab7.topologies.emulation.testbed import Testbed


class RoutedTopo(Topo):  # type: ignore[misc]
    """client and eve ── s1 (with a mirror port) ── router ── s2 ── server."""

    def build(self, mirrors: bool = True) -> None:
        near, far = self.addSwitch("s1", mirrors=mirrors), self.addSwitch("s2")
        self.addLink(self.addHost("client", ip="10.9.1.1/24", defaultRoute="via 10.9.1.254"), near)
        self.addLink(self.addHost("eve", ip="10.9.1.66/24"), near)
        self.addLink(self.addHost("server", ip="10.9.2.1/24", defaultRoute="via 10.9.2.254"), far)
        router = self.addHost("router", ip="10.9.1.254/24", forwards=True)
        self.addLink(router, near)
        self.addLink(router, far, params1={"ip": "10.9.2.254/24"}, delay="5ms")


def _seen_by_eve(bed: Testbed, path: Path) -> list[tuple[str, str]]:
    eve = bed.host("eve")
    with Capture(path, [CaptureInterface("eve", eve.namespace_pid, "eve-eth0")]):
        done = bed.host("client").run(["ping", "-c", "2", "-i", "0.2", "server"])
        assert done.returncode == 0, done.stdout + done.stderr
    return [(each.packet["IP"].src, each.packet["IP"].dst) for each in read_capture(path).frames if "IP" in each.packet]


@pytest.mark.lab7(topology=RoutedTopo, links="wire", capture=False)
def test_a_third_host_at_a_mirror_port_sees_both_directions(testbed: Testbed, tmp_path: Path) -> None:
    seen = _seen_by_eve(testbed, tmp_path / "capture.pcapng")
    assert seen == [("10.9.1.1", "10.9.2.1"), ("10.9.2.1", "10.9.1.1")] * 2


@pytest.mark.lab7(topology=RoutedTopo, mirrors=False, links="wire", capture=False)
def test_without_a_mirror_port_it_sees_nothing(testbed: Testbed, tmp_path: Path) -> None:
    assert _seen_by_eve(testbed, tmp_path / "capture.pcapng") == []
