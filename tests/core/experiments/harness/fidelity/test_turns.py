"""Turns of hosts: from an arrival for a host's programs to their next transmission."""

from __future__ import annotations

import pytest
from mininet.topo import Topo
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.fidelity.turns import TIMER_NS, TURN_MAX_NS, Turn, turns_of
from lab7.experiments.harness.judge.frames import CaptureFile, Frame

MS = 1_000_000
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
LABEL = "client:client-eth0"


def two_hosts() -> Topo:
    topo = Topo()
    for name, address in (("client", CLIENT), ("server", SERVER)):
        topo.addHost(name, ip=f"{address}/24")
    topo.addLink("client", "server")
    return topo


def turns(*packets: tuple[int, str, object], by_ipv6: bool = False) -> list[Turn]:
    """Return the client's turns in ms, for packets at its interface given as (time, source, kind)."""
    frames = []
    ends = {CLIENT: "2001:db8:a00::1", SERVER: "2001:db8:a00::2"}
    for number, (at_ms, source, layer) in enumerate(packets, start=1):
        target = SERVER if source == CLIENT else CLIENT
        network = IPv6(src=ends[source], dst=ends[target]) if by_ipv6 else IP(src=source, dst=target)
        data = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / network / layer)
        frames.append(Frame(number, LABEL, at_ms * MS, data, len(data)))
    captured = CaptureFile(tuple(frames), {LABEL: InterfaceCounts(len(frames), 0)})
    return [(start // MS, end // MS) for start, end in turns_of(captured, two_hosts())["client"]]


@pytest.mark.parametrize("by_ipv6", [False, True])
def test_a_handshake_and_an_exchange(by_ipv6: bool) -> None:
    assert turns(
        (0, CLIENT, TCP(flags="S")),
        (100, SERVER, TCP(flags="SA")),
        (100, CLIENT, TCP(flags="A")),
        (103, CLIENT, TCP(flags="PA") / b"request"),
        (200, SERVER, TCP(flags="A")),
        (203, SERVER, TCP(flags="PA") / b"response"),
        (203, CLIENT, TCP(flags="A")),
        (205, CLIENT, TCP(flags="FA")),
        by_ipv6=by_ipv6,
    ) == [(100, 103), (203, 205)]


@pytest.mark.parametrize("flags", ["A", "SA"])
def test_what_tcp_sends_by_itself_ends_no_turn(flags: str) -> None:
    arrived = (0, SERVER, TCP(flags="PA") / b"octets")
    assert turns(arrived, (1, CLIENT, TCP(flags=flags)), (4, CLIENT, TCP(flags="PA") / b"answer")) == [(0, 4)]


def test_what_is_sent_before_anything_else_arrives_takes_a_turn_of_its_own() -> None:
    assert turns(
        (0, SERVER, TCP(flags="PA") / b"settings and response"),
        (2, CLIENT, TCP(flags="PA") / b"settings acknowledged"),
        (50, SERVER, TCP(flags="A")),
        (51, CLIENT, TCP(flags="PA") / b"request"),
        (99, SERVER, TCP(flags="PA") / b"response"),
    ) == [(0, 2), (2, 51)]


def test_a_turn_begins_with_the_latest_arrival() -> None:
    assert turns(
        (0, SERVER, TCP(flags="A") / b"first"),
        (9, SERVER, TCP(flags="PA") / b"last"),
        (10, CLIENT, TCP(flags="PA") / b"answer"),
    ) == [(9, 10)]


def test_datagrams_take_turns() -> None:
    assert turns((0, SERVER, UDP() / b"query"), (3, CLIENT, UDP() / b"answer")) == [(0, 3)]


def test_a_timer_has_a_turn_when_it_is_set_and_one_when_it_fires() -> None:
    late_ms, timer_ms = TURN_MAX_NS // MS + 1, TIMER_NS // MS
    assert turns((0, SERVER, UDP() / b"query"), (late_ms, CLIENT, UDP() / b"other")) == [
        (0, timer_ms),
        (late_ms - timer_ms, late_ms),
    ]


def test_what_is_sent_within_the_limit_is_no_timers_doing() -> None:
    limit_ms = TURN_MAX_NS // MS
    assert turns((0, SERVER, UDP() / b"query"), (limit_ms, CLIENT, UDP() / b"other")) == [(0, limit_ms)]


def test_a_refused_connection_begins_a_turn() -> None:
    assert turns(
        (0, CLIENT, TCP(flags="S")),
        (100, SERVER, TCP(flags="RA")),
        (103, CLIENT, TCP(flags="S")),
    ) == [(100, 103)]


def test_a_reset_of_its_own_ends_no_turn() -> None:
    arrived = (0, SERVER, TCP(flags="PA") / b"octets")
    assert turns(arrived, (1, CLIENT, TCP(flags="R")), (4, CLIENT, TCP(flags="PA") / b"answer")) == [(0, 4)]
