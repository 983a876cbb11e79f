"""Extended errors that servers give with their own error responses (RFC 8914), and queries for NXNAME (RFC 9824)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.handler import AccessList, RecursionHandler
from lab7.services.dns.security.extended_error import ErrorCode, extended_errors
from lab7.services.dns.server.responder import Client, Responder, Response
from lab7.services.dns.zones.handler import AuthoritativeResponder, Authority
from lab7.services.dns.zones.zone import Zones
from tests.core.services.dns.recursion.simulated_internet import World
from tests.core.services.dns.transcripts import zone

HOME, AWAY = Client("192.0.2.9", 53), Client("8.8.8.8", 53)
EDNS_DO = EDNS(1400, do=True)


def query(name: str, rtype: int = RRType.A, edns: EDNS | None = EDNS_DO) -> Message:
    return Message(id=7, rd=True, questions=(Question(Name.from_text(name), rtype),), edns=edns)


def codes(octets: Response) -> tuple[int, list[int]]:
    """Return the rcode and the extended errors of a response; its OPT is that of every response."""
    assert isinstance(octets, bytes)
    message = Message.from_wire(octets)
    if message.edns is not None:
        assert (message.edns.do, message.edns.udp_size) == (True, 1232)
    return message.rcode, [error.code for error in extended_errors(message)]


def authority() -> AuthoritativeResponder:
    zones = Zones([zone("www A 192.0.2.1\n")])
    zones.add_unloaded(Name.from_text("broken."))
    return AuthoritativeResponder(Authority(zones))


@pytest.mark.parametrize(
    ("name", "rtype", "rcode", "code"),
    [
        ("www.other.", RRType.A, Rcode.REFUSED, ErrorCode.NOT_AUTHORITATIVE),
        ("www.broken.", RRType.A, Rcode.SERVFAIL, ErrorCode.INVALID_DATA),
        ("www.example.", RRType.NXNAME, Rcode.FORMERR, ErrorCode.INVALID_QUERY_TYPE),
        ("www.example.", RRType.OPT, Rcode.FORMERR, ErrorCode.INVALID_QUERY_TYPE),
        ("none.example.", RRType.A, Rcode.NXDOMAIN, None),
    ],
)
def test_reasons_of_an_authoritative_server(name: str, rtype: int, rcode: Rcode, code: int | None) -> None:
    # The second response comes from the cache.
    respond = authority()
    for _ in range(2):
        assert codes(respond(query(name, rtype).to_wire(), HOME)) == (rcode, [] if code is None else [code])
    assert codes(respond(query(name, rtype, None).to_wire(), HOME)) == (rcode, [])


@pytest.mark.parametrize(
    ("client", "rtype", "rcode", "code"),
    [
        (AWAY, RRType.A, Rcode.REFUSED, ErrorCode.PROHIBITED),
        (HOME, RRType.NXNAME, Rcode.FORMERR, ErrorCode.INVALID_QUERY_TYPE),
        (HOME, RRType.OPT, Rcode.FORMERR, ErrorCode.INVALID_QUERY_TYPE),
        (HOME, RRType.MAILB, Rcode.NOTIMP, None),
        (HOME, RRType.TKEY, Rcode.NOTIMP, None),
        (HOME, RRType.AXFR, Rcode.REFUSED, None),
    ],
)
def test_reasons_of_a_resolver(client: Client, rtype: int, rcode: Rcode, code: int | None) -> None:
    def resolve(*_: object, **__: object) -> Message:
        raise AssertionError

    handler = RecursionHandler(World({}).context, resolve, AccessList(), lambda: 0.0)  # type: ignore[arg-type]
    respond = Responder(handler)
    sent = query("www.example.", rtype)
    assert codes(respond(sent.to_wire(), client)) == (rcode, [] if code is None else [code])
    assert codes(respond(replace(sent, edns=None).to_wire(), client)) == (rcode, [])
