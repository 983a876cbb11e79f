"""Zone transfer: access, and the messages."""

from ipaddress import ip_network

import pytest

from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.message import Message, Question, Record, encode
from services.dns.codec.name import Name
from services.dns.server.responder import Client
from services.dns.zones.transfer import Transfers
from services.dns.zones.zone import Zones
from tests.core.services.dns.transcripts import zone

ZONE = zone("".join(f"host{n} TXT {'x' * 100}\n" for n in range(1000)))
TRANSFERS = Transfers(Zones([ZONE]), [ip_network("192.0.2.0/24"), ip_network("2001:db8::1")])


def transfer(host: str, name: str = "example.", rtype: int = RRType.AXFR) -> list[Message] | None:
    messages = TRANSFERS(Message(id=3, questions=(Question(Name.from_text(name), rtype),)), Client(host, 1, True))
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
