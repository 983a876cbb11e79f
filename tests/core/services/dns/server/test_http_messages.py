"""DNS over HTTPS messages: the examples of RFC 8484, each status code, and the freshness lifetime."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import Message, Question, rrsets_of
from lab7.services.dns.codec.name import Name
from lab7.services.dns.server.http_messages import error_response, freshness_lifetime, query_in, response_with
from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request
from tests.core.services.dns.security.records import rrset

QUERY = Message(id=0, rd=True, questions=(Question(Name.from_text("www.example.com."), RRType.A),))
# RFC 8484 section 4.1.1: the query for www.example.com A, in base64url.
EXAMPLE = b"AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB"
A = rrset("www.example.com. 120 A 192.0.2.1\nwww.example.com. 120 A 192.0.2.2")
SOA = rrset("example.com. 900 SOA ns.example.com. host.example.com. 1 2 3 4 60")


def get(target: bytes, method: bytes = b"GET", content_type: bytes = b"") -> Request:
    return Request(method, target, Fields(((b"Content-Type", content_type),)) if content_type else Fields())


def test_the_example_of_the_rfc() -> None:
    assert query_in(get(b"/dns-query?dns=" + EXAMPLE)) == QUERY.to_wire()
    assert query_in(get(b"/dns-query", b"POST", b"application/dns-message")) is None
    assert query_in(get(b"/dns-query?x=1&dns=" + EXAMPLE, b"HEAD")) == QUERY.to_wire()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get(b"/?dns=" + EXAMPLE), 404),
        (get(b"/dns-query"), 400),
        (get(b"/dns-query?dns="), 400),
        (get(b"/dns-query?dns=" + EXAMPLE + b"&dns=" + EXAMPLE), 400),
        (get(b"/dns-query?dns=A"), 400),
        (get(b"/dns-query?dns=%41%41"), 400),
        (get(b"/dns-query?dns=" + base64.urlsafe_b64encode(bytes(65_538)).rstrip(b"=")), 413),
        (get(b"/dns-query?dns=" + EXAMPLE, b"PUT"), 405),
        (get(b"/dns-query", b"POST"), 415),
        (get(b"/dns-query", b"POST", b"text/plain"), 415),
    ],
)
def test_an_invalid_request_gets_the_status_of_its_error(request_: Request, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        query_in(request_)
    response = error_response(caught.value)
    assert response.status == status
    assert (b"allow" in response.fields) == (status == 405)


@given(st.binary(min_size=1, max_size=600))
def test_any_octets_pass_through_the_parameter(octets: bytes) -> None:
    assert query_in(get(b"/dns-query?dns=" + base64.urlsafe_b64encode(octets).rstrip(b"="))) == octets


def test_the_lowest_ttl_is_the_freshness_lifetime() -> None:
    answers = (*A.records(), *rrset("x.example.com. 30 A 192.0.2.3").records())
    assert freshness_lifetime(replace(QUERY.reply(), answers=answers).to_wire()) == 30
    # RFC 2308 section 5: a negative answer lives as long as the MINIMUM of its SOA at most.
    negative = replace(QUERY.reply(Rcode.NXDOMAIN), authority=tuple(SOA.records()))
    assert freshness_lifetime(negative.to_wire()) == 60
    assert freshness_lifetime(QUERY.reply(Rcode.SERVFAIL).to_wire()) == 0
    assert freshness_lifetime(b"\0") == 0


def test_an_error_of_dns_is_a_200_and_a_dropped_message_a_400() -> None:
    response = response_with(QUERY.reply(Rcode.SERVFAIL).to_wire())
    assert (response.status, response.fields.get(b"content-type")) == (200, b"application/dns-message")
    assert response.fields.get(b"cache-control") == b"max-age=0"
    assert response_with(None).status == 400
    assert rrsets_of(A.records()) == [A]
