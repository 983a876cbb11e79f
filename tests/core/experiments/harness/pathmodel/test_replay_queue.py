"""Replay: a sample finds the frames on the link that the capture has sent before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mininet.topo import Topo
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.pathmodel.replay import Sample, omitted_terms
from tests.core.experiments.harness.wire import MS, START_NS

ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2"}
AT = {host: f"{host}:{host}-eth0" for host in ADDRESSES}
RATE_BPS, DELAY_MS = 10e6, 10
LARGE, SMALL = 1200, 100
HEADS = 14 + 20 + 8


class Line(Topo):  # type: ignore[misc]
    def build(self) -> None:
        hosts = [self.addHost(name, ip=f"{address}/24") for name, address in ADDRESSES.items()]
        self.addLink(*hosts, bw=RATE_BPS / 1e6, delay=f"{DELAY_MS}ms")


def sending_ns(size: int) -> int:
    return round((size + HEADS) * 8 / RATE_BPS * 1e9)


def captured(folder: Path, pause_ns: int) -> tuple[CaptureFile, Sample]:
    """Return a capture: b requests; a sends a large datagram at once, and after a pause a small one that b answers (the
    sample).
    """
    delay_ns = DELAY_MS * MS
    asked_ns = sending_ns(SMALL) + delay_ns
    began_ns = asked_ns + pause_ns
    large_ns = asked_ns + sending_ns(LARGE)
    small_ns = max(began_ns, large_ns) + sending_ns(SMALL)
    answered_ns = small_ns + delay_ns
    ended_ns = answered_ns + sending_ns(SMALL) + delay_ns
    sent = [
        ("b", "a", SMALL, 0, asked_ns),
        ("a", "b", LARGE, asked_ns, large_ns + delay_ns),
        ("a", "b", SMALL, began_ns, answered_ns),
        ("b", "a", SMALL, answered_ns, ended_ns),
    ]
    packets = []
    for number, (source, target, size, sent_ns, received_ns) in enumerate(sent):
        network = IP(src=ADDRESSES[source], dst=ADDRESSES[target])
        frame = bytes(Ether() / network / UDP(sport=5000, dport=6000 + number) / bytes(size))
        packets += [(sent_ns, 2 * number, source, frame), (received_ns, 2 * number + 1, target, frame)]
    path = folder / "capture.pcapng"
    with path.open("wb") as stream:
        writer = PcapngWriter(stream, list(AT.values()))
        for time_ns, _, host, frame in sorted(packets):
            writer.packet(list(AT).index(host), START_NS + time_ns, frame)
        for number, _ in enumerate(AT):
            writer.statistics(number, received=len(sent), dropped=0)
    return read_capture(path), Sample(AT["a"], START_NS + began_ns, START_NS + ended_ns)


@pytest.mark.parametrize("pause_ns", [0, 200_000, 2 * MS])
def test_a_sample_waits_for_what_is_still_on_the_link_when_it_begins(tmp_path: Path, pause_ns: int) -> None:
    capture, sample = captured(tmp_path, pause_ns)
    (found,) = omitted_terms(capture, Line(), [sample])
    assert found.ideal_s == pytest.approx((sample.last_ns - sample.first_ns) / 1e9, abs=1e-9)
