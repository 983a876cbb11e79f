"""Zone transfer: access, and the messages."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Question, Record, encode
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import SOA
from lab7.services.dns.server.responder import Client, ServerCodec
from lab7.services.dns.zones.handler import AuthoritativeResponder, Authority
from lab7.services.dns.zones.transfer import Transfers
from lab7.services.dns.zones.zone import Zone, Zones
from tests.core.services.dns.transcripts import zone

ZONE = zone("".join(f"host{n} TXT {'x' * 100}\n" for n in range(1000)))
TRANSFERS = Transfers(Zones([ZONE]), [ip_network("192.0.2.0/24"), ip_network("2001:db8::1")])


def transfer(host: str, name: str = "example.", rtype: int = RRType.AXFR) -> list[Message] | None:
    serial = Record(Name.from_text(name), RRType.SOA, 1, 0, SOA(Name(), Name(), 0, 0, 0, 0, 0))
    authority = (serial,) if rtype == RRType.IXFR else ()
    query = Message(id=3, questions=(Question(Name.from_text(name), rtype),), authority=authority)
    messages = TRANSFERS(query, Client(host, 1, True))
    return None if messages is None else list(messages)


@pytest.mark.parametrize("rtype", [RRType.AXFR, RRType.IXFR])
@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1"])
def test_an_allowed_peer_gets_every_record_between_two_soas(host: str, rtype: int) -> None:
    messages = transfer(host, rtype=rtype)
    assert messages is not None
    assert len(messages) > 1
    assert all(message.aa and message.id == 3 and len(encode(message)) <= 16_384 for message in messages)
    records = [record for message in messages for record in message.answers]
    assert records[0] == records[-1] == next(ZONE.soa.records())
    expected: list[Record] = [record for rrset in ZONE.rrsets() for record in rrset.records()]
    assert records[:-1] == expected


@pytest.mark.parametrize(
    ("host", "name", "rcode"),
    [
        ("192.0.3.7", "example.", Rcode.REFUSED),
        ("2001:db8::2", "example.", Rcode.REFUSED),
        ("192.0.2.7", "www.example.", Rcode.NOTAUTH),
    ],
)
def test_others_get_none(host: str, name: str, rcode: Rcode) -> None:
    messages = transfer(host, name)
    assert messages is not None
    assert [(message.rcode, message.answers) for message in messages] == [(rcode, ())]


def test_other_questions_are_no_transfers() -> None:
    assert transfer("192.0.2.7", rtype=RRType.SOA) is None


def ixfr(zone: Zone, serial: int | None, edns: EDNS | None = None) -> Message:
    """A query for IXFR with an SOA of this serial number in the authority section."""
    soa = next(zone.soa.records())
    assert isinstance(soa.rdata, SOA)
    authority = () if serial is None else (replace(soa, rdata=replace(soa.rdata, serial=serial)),)
    question = Question(zone.origin, RRType.IXFR)
    return Message(id=3, rd=True, questions=(question,), authority=authority, edns=edns)


SMALL = zone("a A 192.0.2.1\n")
SMALL_TRANSFERS = Transfers(Zones([SMALL]), [ip_network("192.0.2.0/24")])


# The zone's serial number is 1; RFC 1982 section 3.2 compares.
@pytest.mark.parametrize(
    ("serial", "current"), [(1, True), (2, True), (2**31, True), (0, False), (2**31 + 2, False), (2**32 - 1, False)]
)
def test_a_current_serial_number_gets_the_soa_alone(serial: int, current: bool) -> None:
    soa = tuple(SMALL.soa.records())
    everything = (*(record for rrset in SMALL.rrsets() for record in rrset.records()), *soa)
    stream = SMALL_TRANSFERS(ixfr(SMALL, serial), Client("192.0.2.7", 1, over_tcp=True))
    assert stream is not None
    (message,) = stream
    assert (message.answers, message.aa, message.rd) == (soa if current else everything, True, True)
    datagram = SMALL_TRANSFERS.by_datagram(ixfr(SMALL, serial), Client("192.0.2.7", 1), 1232)
    assert (datagram.answers, datagram.aa) == (soa if current else everything, True)


def test_over_udp_a_zone_that_does_not_fit_is_its_soa() -> None:
    large = zone("".join(f"a{number} TXT {'x' * 100}\n" for number in range(8)))
    transfers = Transfers(Zones([large]), [ip_network("192.0.2.0/24")])
    for edns, size_max, count in ((None, 4096, 1), (EDNS(udp_size=4096), 4096, 12), (EDNS(udp_size=4096), 600, 1)):
        message = transfers.by_datagram(ixfr(large, 0, edns=edns), Client("192.0.2.7", 1), size_max)
        assert len(message.answers) == count
        query = ixfr(large, 0, edns=edns)
        octets = AuthoritativeResponder(Authority(Zones([large])), ServerCodec(size_max), transfers=transfers)(
            query.to_wire(), Client("192.0.2.7", 1)
        )
        assert octets is not None
        response = Message.from_wire(octets)
        assert (len(response.answers), response.tc, response.edns is None) == (count, False, edns is None)


def test_ixfr_over_udp_is_for_allowed_peers_whatever_was_cached() -> None:
    responder = AuthoritativeResponder(Authority(Zones([SMALL])), transfers=SMALL_TRANSFERS)
    query = ixfr(SMALL, 1).to_wire()
    for host, rcode in (("192.0.2.7", 0), ("198.51.100.1", Rcode.REFUSED), ("192.0.2.7", 0)):
        octets = responder(query, Client(host, 1))
        assert octets is not None
        assert Message.from_wire(octets).rcode == rcode
        assert responder.cached(query) is None


def test_ixfr_without_an_soa_is_a_formerr() -> None:
    client = Client("192.0.2.7", 1, over_tcp=True)
    assert [message.rcode for message in SMALL_TRANSFERS(ixfr(SMALL, None), client) or ()] == [Rcode.FORMERR]
    assert SMALL_TRANSFERS.by_datagram(ixfr(SMALL, None), client, 1232).rcode == Rcode.FORMERR


@pytest.mark.parametrize("serial", [None, 0, 1])
def test_the_first_message_has_opt_if_the_query_has_it(serial: int | None) -> None:
    for edns in (None, EDNS(do=True)):
        messages = list(TRANSFERS(ixfr(ZONE, serial, edns=edns), Client("192.0.2.7", 1, over_tcp=True)) or ())
        assert [message.edns and message.edns.do for message in messages] == [edns and True] + [None] * (
            len(messages) - 1
        )
