"""Permanent neighbour entries, the default: no exchange precedes the first packet."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet6 import ICMPv6ND_NS
from scapy.layers.l2 import ARP

from lab7.experiments.harness.capture.capture import Capture
from lab7.experiments.harness.judge.frames import read_capture
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.addressing.support import SERVER6, LearningTopo, output
from tests.emulation.support import SERVER, PairTopo, both_ends, lab7


@pytest.mark.lab7(topology=PairTopo, links="wire", capture=False)
def test_by_default_entries_are_permanent_and_there_is_no_ipv6(testbed: Testbed, tmp_path: Path) -> None:
    capture = tmp_path / "capture.pcapng"
    with Capture(capture, both_ends(testbed)):
        output(testbed, "client", "ping", "-c", "1", SERVER)
    assert [frame.packet["IP"].proto for frame in read_capture(capture).at("server")] == [1, 1]
    assert "PERMANENT" in output(testbed, "client", "ip", "neigh")
    assert "inet6" not in output(testbed, "client", "ip", "address")


@pytest.mark.lab7(topology=LearningTopo, links="wire", arp="static", capture=False)
def test_permanent_entries_are_of_both_families(testbed: Testbed, tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    with Capture(path, both_ends(testbed)):
        output(testbed, "client", "ping", "-c", "1", SERVER6)
    packets = [frame.packet for frame in read_capture(path).frames]
    assert not [each for each in packets if ARP in each]
    assert not [each for each in packets if ICMPv6ND_NS in each and each[ICMPv6ND_NS].tgt == SERVER6]
    entries = output(testbed, "client", "ip", "neigh").splitlines()
    assert {line.split()[0] for line in entries if "PERMANENT" in line} == {SERVER, SERVER6}


def test_the_command_line_has_both_options(tmp_path: Path) -> None:
    words = ["sh", "-c", "curl -s -o /dev/null -w '%{remote_ip}\n' http://www.example.com/; ip neigh"]
    done = lab7("exec", "--arp", "dynamic", "--ipv6", "web", "client", "--", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    address, *entries = done.stdout.splitlines()
    assert address == "2001:db8:a07::101"
    assert entries
    assert "PERMANENT" not in done.stdout
    lines = "client ip neigh\norigin ss -Htln\nexit\n"
    shown = lab7("shell", "web", "--no-ipv6", "--arp", "static", cwd=tmp_path, stdin=lines).stdout
    assert "ARP: static; addresses: IPv4\n" in shown
    assert "ARP: dynamic" not in shown
