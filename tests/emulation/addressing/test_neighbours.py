"""Neighbours of a host: permanent entries, or ARP (RFC 826) and neighbour discovery (RFC 4861) as the frames show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mininet.topo import Topo
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS
from scapy.layers.l2 import ARP

from lab7.experiments.harness.capture.capture import Capture
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.addressing.support import CLIENT6, SERVER6, LearningTopo, output
from tests.emulation.support import CLIENT, SERVER, both_ends, lab7, one_sentence

REQUEST, REPLY = 1, 2
BROADCAST = "ff:ff:ff:ff:ff:ff"


@pytest.fixture(scope="module", params=["", "1ms"], ids=["veth", "wire"])
def bed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    shape = {"delay": request.param} if request.param else {}
    with Testbed(LearningTopo(**shape), links="wire") as running:
        yield running


def pinged(bed: Testbed, address: str, path: Path) -> CaptureFile:
    """Capture one echo request to a neighbour that the client does not know yet."""
    output(bed, "client", "ip", "neigh", "flush", "all")
    output(bed, "server", "ip", "neigh", "flush", "all")
    with Capture(path, both_ends(bed)):
        output(bed, "client", "ping", "-c", "1", "-W", "5", address)
    return read_capture(path)


def test_arp_is_a_broadcast_request_and_a_unicast_reply(bed: Testbed, tmp_path: Path) -> None:
    capture = pinged(bed, SERVER, tmp_path / "capture.pcapng")
    for end in ("client", "server"):
        packets = [frame.packet for frame in capture.at(end) if ARP in frame.packet]
        first = [(each[ARP].op, each[ARP].psrc, each[ARP].pdst, each.dst == BROADCAST) for each in packets][:2]
        assert first == [(REQUEST, CLIENT, SERVER, True), (REPLY, SERVER, CLIENT, False)]
    assert f"{SERVER} dev client-eth0 lladdr {bed.host('server').MAC()}" in output(bed, "client", "ip", "neigh")
    assert SERVER in output(bed, "client", "arp", "-n")


def test_neighbour_discovery_is_a_multicast_solicitation_and_an_advertisement(bed: Testbed, tmp_path: Path) -> None:
    capture = pinged(bed, SERVER6, tmp_path / "capture.pcapng")
    packets = [frame.packet for frame in capture.at("server")]
    solicitations = [each for each in packets if ICMPv6ND_NS in each and each["IPv6"].src == CLIENT6]
    assert solicitations[0][ICMPv6ND_NS].tgt == SERVER6
    # RFC 4291 section 2.7.1: the solicited-node multicast address of ...:2.
    assert solicitations[0]["IPv6"].dst == "ff02::1:ff00:2"
    advertised = [each[ICMPv6ND_NA].tgt for each in packets if ICMPv6ND_NA in each and each["IPv6"].dst == CLIENT6]
    assert SERVER6 in advertised


def test_switches_learn_where_arp_is_dynamic(bed: Testbed) -> None:
    output(bed, "client", "ping", "-c", "1", "-W", "5", SERVER)
    entries = bed.net.get("s1").cmd("bridge fdb show br s1")
    learned = [line for line in entries.splitlines() if line.startswith(bed.host("client").MAC())]
    assert learned
    assert not any("static" in line for line in learned)


def test_hosts_have_both_families(bed: Testbed) -> None:
    addresses = output(bed, "client", "ip", "-o", "address", "show", "dev", "client-eth0")
    assert f"inet {CLIENT}/24" in addresses
    assert f"inet6 {CLIENT6}/64 scope global" in addresses
    assert "inet6 fe80::" in addresses
    assert output(bed, "client", "getent", "ahostsv6", "www.example.com").startswith(SERVER6)
    assert output(bed, "client", "getent", "ahostsv4", "www.example.com").startswith(SERVER)


def test_a_wrong_value_is_one_sentence(tmp_path: Path) -> None:
    assert "'--arp': 'on' is not static or dynamic" in one_sentence(
        lab7("exec", "--arp", "on", "web", "client", "id", cwd=tmp_path)
    )

    class Wrong(Topo):  # type: ignore[misc]
        arp = "on"

    with pytest.raises(TopologyError, match=r"^arp='on' is neither 'static' nor 'dynamic'$"):
        Testbed(Wrong())
    with pytest.raises(TopologyError, match=r"^ipv6='yes' is neither True nor False$"):
        Testbed(Topo(), ipv6="yes")  # type: ignore[arg-type]
