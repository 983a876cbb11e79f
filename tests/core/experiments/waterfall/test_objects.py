"""Phases of HTTP exchanges at the client: handshake, request, waiting, receiving, and their order by connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.http.wire.http2 import Kind
from lab7.experiments.waterfall.bars import bars_of
from lab7.experiments.waterfall.objects import HttpObject, http_objects
from tests.core.experiments.harness.wire import (
    CLIENT,
    INTERFACE,
    MS,
    SERVER,
    START_NS,
    Tcp,
    Wire,
    capture_of,
    request,
    response,
)
from tests.core.experiments.http.http2_wire import Http2, body_of, data, frame, pushed, settings
from tests.core.experiments.http.pages import BODY_MS, RTT_MS, parallel, persistent, pipelined, serial

END_NS = START_NS + 10_000 * MS


def objects(wire: Wire, folder: Path, start_ns: int = START_NS, end_ns: int = END_NS) -> list[HttpObject]:
    return http_objects(wire.capture(folder), INTERFACE, start_ns, end_ns)


def phases(one: HttpObject) -> dict[str, float]:
    return {phase.name: (phase.end_ns - phase.start_ns) / MS for phase in one.phases}


def test_an_exchange_on_a_new_connection(tmp_path: Path) -> None:
    (one,) = objects(serial(Wire(), ("/",)), tmp_path)
    assert phases(one) == {"tcp_handshake": RTT_MS, "request_sent": 0, "waiting": RTT_MS, "receiving": BODY_MS}
    assert [phase.frames for phase in one.phases] == [(1, 2), (4,), (4, 5), (5, 6)]


def test_only_the_first_exchange_of_a_connection_has_a_handshake(tmp_path: Path) -> None:
    found = objects(persistent(Wire()), tmp_path)
    assert [one.phases[0].name for one in found] == [
        "tcp_handshake",
        "request_sent",
        "request_sent",
    ]
    assert {one.number for one in found} == {1}


@pytest.mark.parametrize(("make", "numbers"), [(serial, [1, 2, 3]), (parallel, [1, 2, 3]), (pipelined, [1, 1, 1])])
def test_connections_are_numbered_in_the_order_of_their_syns(
    make: Callable[[Wire], Wire], numbers: Sequence[int], tmp_path: Path
) -> None:
    assert [one.number for one in objects(make(Wire()), tmp_path)] == numbers


def test_phases_of_an_exchange_follow_one_another_without_a_gap_behind_the_request(tmp_path: Path) -> None:
    for one in objects(pipelined(Wire()), tmp_path):
        sent = [phase for phase in one.phases if phase.name != "tcp_handshake"]
        assert [before.end_ns for before, _ in pairwise(sent)] == [after.start_ns for _, after in pairwise(sent)]


def test_requests_outside_of_the_span_are_left_out_and_a_connection_from_before_it_is_read(tmp_path: Path) -> None:
    """The second request leaves at 83 ms: after the handshake (40 ms) and the first exchange (43 ms)."""
    (one,) = objects(persistent(Wire()), tmp_path, START_NS + 83 * MS, START_NS + 84 * MS)
    assert one.exchange.target == b"/a"


def test_a_lookup_belongs_to_the_connection_behind_it(tmp_path: Path) -> None:
    wire = Wire()
    query = DNS(id=7, rd=1, qd=DNSQR(qname="www.example.com"))
    ends = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
    wire.add(Ether(**ends) / IP(src=CLIENT, dst=SERVER) / UDP(sport=5353, dport=53) / query)
    wire.after(20)
    query.qr = 1
    wire.add(Ether(**ends) / IP(src=SERVER, dst=CLIENT) / UDP(sport=53, dport=5353) / query)
    first, second = objects(serial(wire, ("/", "/a")), tmp_path)
    assert phases(first)["dns"] == 20
    assert "dns" not in phases(second)
    assert first.start_ns == START_NS


def test_a_request_without_a_response_is_shown_as_sent(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire).open().client("PA", request("/"))
    (one,) = objects(wire, tmp_path)
    assert [phase.name for phase in one.phases] == ["tcp_handshake", "request_sent"]
    (bar,) = bars_of(wire.capture(tmp_path), START_NS, END_NS)
    assert (bar.octets, bar.outcome) == (None, "no response")


def test_a_response_after_the_end_of_the_sample_is_not_called_missing(tmp_path: Path) -> None:
    wire = Wire()
    ends = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
    query = DNS(id=7, rd=1, qd=DNSQR(qname="example.com", qtype="MX"))
    wire.add(Ether(**ends) / IP(src=CLIENT, dst=SERVER) / UDP(sport=5353, dport=53) / query)
    tcp = Tcp(wire).open()
    tcp.client("PA", request("/"))
    end_ns = START_NS + round(wire.now_ms * MS)
    wire.after(RTT_MS)
    query.qr = 1
    wire.add(Ether(**ends) / IP(src=SERVER, dst=CLIENT) / UDP(sport=53, dport=5353) / query)
    tcp.server("PA", response(b"x" * 10))
    bars = {bar.label: bar for bar in bars_of(wire.capture(tmp_path), START_NS, end_ns)}
    assert set(bars) == {"example.com. MX?", "GET /"}
    for bar in bars.values():
        assert (bar.outcome, bar.octets, bar.end_ns) == ("response after the end", None, end_ns)


def test_an_early_final_response_gives_no_negative_wait(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n12345")
    tcp.server("PA", b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    wire.after(5)
    tcp.client("PA", b"67890")
    (one,) = objects(wire, tmp_path)
    assert min(phases(one).values()) >= 0


def test_a_mail_dialogue_has_a_bar_per_command(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire, server_port=25).open()
    tcp.server("PA", b"220 mail.example ready\r\n")
    tcp.client("PA", b"EHLO client.example\r\n")
    wire.after(RTT_MS)
    tcp.server("PA", b"250 mail.example\r\n")
    bars = {bar.label: bar for bar in bars_of(wire.capture(tmp_path), START_NS, END_NS)}
    (ehlo,) = [bar for label, bar in bars.items() if label.startswith("EHLO")]
    assert ehlo.end_ns - ehlo.start_ns == RTT_MS * MS
    assert ehlo.lane.endswith("SMTP")


def test_the_end_of_an_http2_connection_is_no_exchange(tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire).start(settings())
    http2.client(http2.ask("/"))
    wire.after(RTT_MS)
    http2.server(http2.head(1) + data(1, body_of("/")))
    wire.after(RTT_MS)
    http2.server(frame(Kind.GOAWAY, 0, 0, bytes(8)))
    assert [bar.label for bar in bars_of(wire.capture(tmp_path), START_NS, END_NS)] == ["GET /"]


def test_pushed_objects_have_one_bar_each_where_both_ends_were_captured(tmp_path: Path) -> None:
    """The frames of a promise at the server are not those at the client, which the object has."""
    captured = pushed(Wire()).capture(tmp_path)
    there = [
        replace(one, number=one.number + len(captured.frames), interface="server:server-eth0")
        for one in captured.frames
    ]
    # The server's interface shows its own frames earlier, and the client's later.
    server = [
        replace(one, time_ns=one.time_ns - MS if one.packet[IP].src == SERVER else one.time_ns + MS) for one in there
    ]
    counts = {**captured.counts, "server:server-eth0": next(iter(captured.counts.values()))}
    both = CaptureFile((*captured.frames, *server), counts)
    labels = [bar.label for bar in bars_of(both, START_NS, END_NS)]
    assert sorted(labels) == ["GET /", "GET /a (pushed)", "GET /b (pushed)"]


def test_the_time_between_two_phases_is_the_clients_own(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open(RTT_MS)
    wire.after(7)
    tcp.client("PA", request("/"))
    (one,) = objects(wire, tmp_path)
    assert phases(one) == {"tcp_handshake": RTT_MS, "client": 7, "request_sent": 0}
    assert sum(phases(one).values()) == (one.end_ns - one.start_ns) / MS


def test_an_exchange_captured_at_both_ends_has_its_ways_and_its_server(tmp_path: Path) -> None:
    """A query takes 5 ms to arrive, the server 3 ms, the response 9 ms."""
    ends = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
    query = DNS(id=7, rd=1, qd=DNSQR(qname="www.example.com"))
    asked = bytes(Ether(**ends) / IP(src=CLIENT, dst=SERVER) / UDP(sport=5353, dport=53) / query)
    query.qr = 1
    answered = bytes(Ether(**ends) / IP(src=SERVER, dst=CLIENT) / UDP(sport=53, dport=5353) / query)
    at_client, at_server = (
        [(START_NS + at_ms * MS, data) for at_ms, data in zip(times_ms, (asked, answered), strict=True)]
        for times_ms in ((0, 17), (5, 8))
    )
    captured = capture_of({INTERFACE: at_client, "server:server-eth0": at_server}, tmp_path)
    (bar,) = bars_of(captured, START_NS, END_NS)
    spans = [(phase.name, (phase.end_ns - phase.start_ns) / MS, phase.frames) for phase in bar.phases]
    assert spans == [("request_way", 5, (1,)), ("server", 3, (2, 3)), ("response_way", 9, (3,))]
    assert bar.end_ns - bar.start_ns == 17 * MS
