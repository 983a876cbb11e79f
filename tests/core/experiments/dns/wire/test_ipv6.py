"""DNS over IPv6 and about it: AAAA records, names below ip6.arpa (RFC 3596), by UDP and by TCP."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab7.experiments.dns.claims.records import decide_reverse_lookup
from lab7.experiments.dns.wire.messages import Question
from lab7.experiments.dns.wire.traffic import DnsTraffic, dns_exchanges
from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.judge.frames import CaptureFile, Endpoint, Frame, connections

INTERFACE = "client:client-eth0"
CLIENT, SERVER = "2001:db8:a00::1", "2001:db8:a00::35"
NAME, ADDRESS = "www.example.com", "2001:db8:a00::50"
REVERSE = IPv6Address(ADDRESS).reverse_pointer


def captured(*packets: Any) -> CaptureFile:
    octets = [
        bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x86DD) / packet) for packet in packets
    ]
    found = tuple(
        Frame(number, INTERFACE, number * 1000, data, len(data)) for number, data in enumerate(octets, start=1)
    )
    return CaptureFile(found, {INTERFACE: InterfaceCounts(len(octets), 0)})


def messages(name: str, rrtype: str, rdata: str) -> tuple[DNS, DNS]:
    question = DNSQR(qname=name, qtype=rrtype)
    record = DNSRR(rrname=name, type=rrtype, ttl=300, rdata=rdata)
    return DNS(id=7, rd=1, qd=question), DNS(id=7, qr=1, aa=1, qd=question, an=[record])


def by_udp(name: str, rrtype: str, rdata: str) -> DnsTraffic:
    query, response = messages(name, rrtype, rdata)
    there, back = IPv6(src=CLIENT, dst=SERVER), IPv6(src=SERVER, dst=CLIENT)
    capture = captured(there / UDP(sport=5000, dport=53) / query, back / UDP(sport=53, dport=5000) / response)
    return dns_exchanges(capture, INTERFACE)


def test_an_aaaa_record_is_read_from_a_datagram_of_ipv6() -> None:
    traffic = by_udp(NAME, "AAAA", ADDRESS)
    (exchange,) = traffic.exchanges
    assert (exchange.query.source, exchange.query.target) == (CLIENT, SERVER)
    assert exchange.query.question == Question(f"{NAME}.", "AAAA")
    assert exchange.response is not None
    assert [(record.type, record.rdata) for record in exchange.response.answer] == [("AAAA", ADDRESS)]
    assert not traffic.problems


def test_a_reverse_lookup_below_ip6_arpa_is_judged() -> None:
    shown = decide_reverse_lookup(by_udp(REVERSE, "PTR", NAME), ADDRESS, NAME)
    assert (shown.verdict, shown.frames) == ("shown", (1, 2))
    wrong = decide_reverse_lookup(by_udp(REVERSE, "PTR", "mail.example.com"), ADDRESS, NAME)
    assert wrong.verdict == "failed"


def test_a_datagram_cut_short_is_a_problem() -> None:
    query, _ = messages(NAME, "AAAA", ADDRESS)
    cut = bytes(IPv6(src=CLIENT, dst=SERVER) / UDP(sport=5000, dport=53) / query)[:-4]
    traffic = dns_exchanges(captured(cut), INTERFACE)
    assert not traffic.exchanges
    assert len(traffic.problems) == 1


def test_a_connection_by_ipv6_is_put_together() -> None:
    query, response = (bytes(message) for message in messages(NAME, "AAAA", ADDRESS))
    there, back = IPv6(src=CLIENT, dst=SERVER), IPv6(src=SERVER, dst=CLIENT)

    def sent(network: Any, flags: str, seq: int, ack: int, payload: bytes = b"") -> Any:
        ports = (5000, 53) if network is there else (53, 5000)
        return network / TCP(sport=ports[0], dport=ports[1], flags=flags, seq=seq, ack=ack) / payload

    asked, answered = (len(data).to_bytes(2, "big") + data for data in (query, response))
    capture = captured(
        sent(there, "S", 100, 0),
        sent(back, "SA", 500, 101),
        sent(there, "A", 101, 501),
        sent(there, "PA", 101, 501, asked),
        sent(back, "PA", 501, 101 + len(asked), answered),
    )
    (connection,) = connections(capture.at(INTERFACE))
    assert (connection.client, connection.established) == (Endpoint(CLIENT, 5000), True)
    assert str(connection.server) == f"[{SERVER}]:53"
    (exchange,) = dns_exchanges(capture, INTERFACE).exchanges
    assert (exchange.query.transport, exchange.response and exchange.response.answer[0].rdata) == ("tcp", ADDRESS)
