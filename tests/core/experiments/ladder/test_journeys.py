"""Journeys: the same packet is found at two interfaces by its octets, and a lost one at one only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.ladder.journeys import Journeys, identity
from tests.core.experiments.harness.wire import CLIENT, MS, SERVER, Tcp, Wire
from tests.core.experiments.ladder.wire import CLIENT_AT, DELAY_MS, Path2, datagram, routed


def sent_at(captured: CaptureFile, interface: str) -> list[int]:
    """Return the numbers of the frames of client's packets at an interface."""
    return [frame.number for frame in captured.at(interface) if identity(frame.data)[1] == (CLIENT, SERVER)]


def test_a_packet_is_sent_at_one_interface_and_received_at_the_other(tmp_path: Path) -> None:
    path = Path2()
    path.add(datagram(b"hello"))
    journeys = Journeys(path.capture(tmp_path))
    for number in (1, 2):
        journey = journeys.of(number)
        assert journey.received is not None
        assert (journey.sent.number, journey.received.number, journey.lost) == (1, 2, False)
        assert journey.received.time_ns - journey.sent.time_ns == DELAY_MS * MS


def test_the_host_of_an_address_is_that_of_the_interface_of_its_packets(tmp_path: Path) -> None:
    path = Path2()
    Tcp(path).open(2 * DELAY_MS)
    journeys = Journeys(path.capture(tmp_path))
    assert (journeys.host(CLIENT), journeys.host(SERVER)) == ("client", "server")
    assert journeys.host("192.0.2.1") == "192.0.2.1"


def test_a_packet_that_does_not_arrive_at_a_captured_receiver_is_lost(tmp_path: Path) -> None:
    path = Path2()
    path.add(datagram(b"one"))
    path.lose = True
    path.after(5).add(datagram(b"two"))
    path.after(5).add(datagram(b"three"))
    captured = path.capture(tmp_path)
    journeys = Journeys(captured)
    assert [journeys.of(number).lost for number in sent_at(captured, CLIENT_AT)] == [False, True, False]


def test_of_equal_packets_the_first_is_received_first(tmp_path: Path) -> None:
    path = Path2()
    for _ in range(3):
        path.add(datagram(b"again"))
        path.after(2)
    captured = path.capture(tmp_path)
    journeys = Journeys(captured)
    delays = []
    for number in sent_at(captured, CLIENT_AT):
        journey = journeys.of(number)
        assert journey.received is not None
        delays.append((journey.received.time_ns - journey.sent.time_ns) / MS)
    assert delays == [DELAY_MS] * 3


def test_of_equal_packets_the_lost_one_is_the_one_without_an_arrival_before_the_next_departs(tmp_path: Path) -> None:
    path = Path2()
    path.lose = True
    path.add(datagram(b"again"))
    path.after(50).add(datagram(b"again"))
    captured = path.capture(tmp_path)
    journeys = Journeys(captured)
    assert [journeys.of(number).lost for number in sent_at(captured, CLIENT_AT)] == [True, False]


def test_with_one_interface_a_packet_is_sent_and_received_in_the_same_frame(tmp_path: Path) -> None:
    wire = Wire()
    wire.add(datagram(b"hello"))
    journey = Journeys(wire.capture(tmp_path)).of(1)
    assert journey.sent is journey.received
    assert not journey.lost


def test_a_receiver_that_was_not_captured_has_lost_nothing(tmp_path: Path) -> None:
    path = Path2()
    path.add(datagram(b"hello", target="192.0.2.9"))
    path.seen.pop()
    path.add(datagram(b"known"))
    journey = Journeys(path.capture(tmp_path)).of(1)
    assert journey.received is None
    assert not journey.lost


def test_an_unknown_frame_number_is_a_key_error(tmp_path: Path) -> None:
    path = Path2()
    path.add(datagram(b"hello"))
    with pytest.raises(KeyError):
        Journeys(path.capture(tmp_path)).of(3)


V6 = Ether() / IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=9) / TCP(sport=40000, dport=80, seq=7) / b"GET"


@pytest.mark.parametrize(
    ("frame", "ends"),
    [
        pytest.param(datagram(b"x" * 50), (CLIENT, SERVER), id="ipv4"),
        pytest.param(datagram(b"x"), (CLIENT, SERVER), id="padded to the minimum"),
        pytest.param(bytes(V6), ("2001:db8::1", "2001:db8::2"), id="ipv6"),
        pytest.param(bytes(Ether() / Dot1Q(vlan=5) / V6[IPv6]), ("2001:db8::1", "2001:db8::2"), id="ipv6 in a VLAN"),
    ],
)
def test_time_to_live_checksums_and_mac_addresses_do_not_identify(frame: bytes, ends: tuple[str, str]) -> None:
    assert identity(frame) == identity(routed(frame))
    assert identity(frame)[1] == ends
    changed = frame[:-1] + bytes([frame[-1] ^ 1]) if len(frame) > 60 else frame.replace(b"x", b"y")
    assert identity(changed) != identity(frame)


@pytest.mark.parametrize(
    "frame", [b"", b"\1" * 13, b"\0" * 12 + b"\x08\x00\x45", b"\0" * 12 + b"\x86\xdd\x60", b"\0" * 60]
)
def test_a_frame_without_an_ip_header_has_no_ends(frame: bytes) -> None:
    assert identity(frame)[1] is None


def test_a_host_that_was_not_captured_has_the_name_that_the_run_gives_its_address(tmp_path: Path) -> None:
    path = Path2()
    Tcp(path).open(2 * DELAY_MS)
    names = {"192.0.2.1": "resolver"}
    journeys = Journeys(replace(path.capture(tmp_path), host_names=names))
    assert [journeys.host(address) for address in ("192.0.2.1", CLIENT, "192.0.2.2")] == [
        "resolver",
        "client",
        "192.0.2.2",
    ]


def test_a_packet_on_its_way_at_the_end_of_the_capture_is_not_lost(tmp_path: Path) -> None:
    path = Path2()
    path.add(datagram(b"one"))
    path.lose = True
    path.after(DELAY_MS / 2).add(datagram(b"two"))
    captured = path.capture(tmp_path)
    assert [Journeys(captured).of(number).lost for number in sent_at(captured, CLIENT_AT)] == [False, False]


def test_on_a_link_without_delay_the_addresses_of_the_topology_name_the_hosts(tmp_path: Path) -> None:
    path = Path2(delay_ms=0)
    tcp = Tcp(path).open(0)
    tcp.client("PA", b"GET / HTTP/1.1\r\n\r\n")
    # All frames have one time, and most are in the file at the receiver first.
    path.seen = [*path.seen[:2], *(one for pair in zip(path.seen[3::2], path.seen[2::2], strict=True) for one in pair)]
    captured = replace(path.capture(tmp_path), host_names={CLIENT: "client", SERVER: "server"})
    assert Journeys(replace(captured, host_names={})).host(CLIENT) == "server"
    journeys = Journeys(captured)
    assert (journeys.host(CLIENT), journeys.host(SERVER)) == ("client", "server")
    for frame in captured.frames:
        (source, _), journey = journeys.ends(frame.number) or ("", ""), journeys.of(frame.number)
        assert journey.received is not None
        ends = [one.interface.partition(":")[0] for one in (journey.sent, journey.received)]
        assert ends == (["client", "server"] if source == CLIENT else ["server", "client"])


def test_a_host_of_the_topology_that_was_not_captured_has_lost_nothing(tmp_path: Path) -> None:
    path = Path2()
    path.add(datagram(b"passes"))
    journeys = Journeys(replace(path.capture(tmp_path), host_names={SERVER: "behind"}))
    assert journeys.host(SERVER) == "behind"
    assert not journeys.of(1).lost
