"""scapy and tcpdump parse the files of the pcapng writer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgReader, RawPcapNgReader

from lab7.experiments.harness.capture.pcapng import PcapngWriter

FRAME = bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=53) / b"four")
TIME_NS = 1_700_000_000_123_456_789


def write(path: Path, names: list[str], packets: list[tuple[int, int, bytes]]) -> None:
    with path.open("wb") as stream:
        writer = PcapngWriter(stream, names)
        for interface, time_ns, data in packets:
            writer.packet(interface, time_ns, data)
        for index in range(len(names)):
            writer.statistics(index, received=9, dropped=index)


def test_scapy_reads_names_times_and_octets(tmp_path: Path) -> None:
    path = tmp_path / "two.pcapng"
    write(path, ["client:eth0", "server:eth0"], [(1, TIME_NS, FRAME), (0, TIME_NS + 1, FRAME + b"!")])
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    assert [packet.sniffed_on for packet in packets] == ["server:eth0", "client:eth0"]
    assert [int(packet.time * 10**9) for packet in packets] == [TIME_NS, TIME_NS + 1]
    assert bytes(packets[0]) == FRAME
    assert packets[0][IP].dst == "10.0.0.2"


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_tcpdump_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "two.pcapng"
    write(path, ["client:eth0", "server:eth0"], [(1, TIME_NS, FRAME), (0, TIME_NS + 1, FRAME)])
    run = subprocess.run(["tcpdump", "-n", "-tt", "--nano", "-r", path], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("1700000000.123456789")
    assert "10.0.0.1.1 > 10.0.0.2.53" in lines[0]


@given(
    names=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4, unique=True),
    data=st.data(),
)
def test_every_packet_comes_back(
    names: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packet = st.tuples(st.integers(0, len(names) - 1), st.integers(0, 2**63), st.binary(max_size=80))
    packets = data.draw(st.lists(packet, max_size=8))
    path = tmp_path_factory.mktemp("capture") / "any.pcapng"
    write(path, names, packets)
    if not packets:
        return  # scapy refuses a file without packets
    with RawPcapNgReader(str(path)) as reader:
        back = [(meta.ifname, (meta.tshigh << 32) | meta.tslow, octets) for octets, meta in reader]
    assert back == [(names[index].encode(), time_ns, octets) for index, time_ns, octets in packets]
