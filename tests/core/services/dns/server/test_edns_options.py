"""EDNS options of responses: cookies against the vectors of RFC 9018, NSID, TCP keepalive, padding."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Option, Question, Record
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import TXT
from lab7.services.dns.server.edns_options import (
    OPTION_COOKIE,
    OPTION_KEEPALIVE,
    OPTION_NSID,
    OPTION_PADDING,
    EDNSOptions,
    Transport,
    server_cookie,
    siphash24,
)
from lab7.services.dns.server.responder import Client, Responder, ServerCodec

NAME = Name.from_text("www.example.")
QUESTION = Question(NAME, RRType.TXT)
UDP, TCP = Client("198.51.100.100", 5353), Client("198.51.100.100", 5353, over_tcp=True, idle_s=30.0)
TLS = replace(TCP, encrypted=True)
COOKIE = bytes.fromhex("2464c4abcf10c957")
SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")


def test_the_hash_is_siphash_2_4() -> None:
    # The vector of the paper's appendix A.
    assert siphash24(bytes(range(15)), bytes(range(16)))[::-1].hex() == "a129ca6149be45e5"


@pytest.mark.parametrize(
    ("client", "made", "address", "secret", "expected"),
    [
        ("2464c4abcf10c957", 1559731985, "198.51.100.100", SECRET.hex(), "010000005cf79f111f8130c3eee29480"),
        ("2464c4abcf10c957", 1559734385, "198.51.100.100", SECRET.hex(), "010000005cf7a871d4a564a1442aca77"),
        ("fc93fc62807ddb86", 1559734700, "203.0.113.203", SECRET.hex(), "010000005cf7a9acf73a7810aca2381e"),
        (
            "22681ab97d52c298",
            1559741817,
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "dd3bdf9344b678b185a6f5cb60fca715",
            "010000005cf7c57926556bd0934c72f8",
        ),
    ],
)
def test_server_cookies_are_those_of_rfc_9018(client: str, made: int, address: str, secret: str, expected: str) -> None:
    assert server_cookie(bytes.fromhex(client), made, address, bytes.fromhex(secret)).hex() == expected


def test_a_cookie_with_reserved_octets_is_valid_and_renewed() -> None:
    """RFC 9018 appendix A.3."""
    cookie = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    options = EDNSOptions(lambda: 1559734700, SECRET)
    sent = (Option(OPTION_COOKIE, cookie),)
    assert EDNSOptions(lambda: 1559728000, SECRET).has_valid_cookie(sent, Transport("203.0.113.203"))
    (option,) = options.in_response(sent, Transport("203.0.113.203"))
    assert option.data.hex() == "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"


@pytest.mark.parametrize(
    ("age_s", "valid", "renewed"),
    [
        (-301, False, True),
        (-300, True, False),
        (0, True, False),
        (1800, True, False),
        (1801, True, True),
        (3601, False, True),
    ],
)
def test_a_server_cookie_has_a_lifetime(age_s: int, valid: bool, renewed: bool) -> None:
    now = 1559731985
    options = EDNSOptions(lambda: now, SECRET)
    cookie = COOKIE + server_cookie(COOKIE, now - age_s, UDP.host, SECRET)
    sent = (Option(OPTION_COOKIE, cookie),)
    assert options.has_valid_cookie(sent, UDP.transport) == valid
    (option,) = options.in_response(sent, UDP.transport)
    assert (option.data != cookie) == renewed
    assert option.data[:8] == COOKIE


def test_the_time_of_a_cookie_may_overflow() -> None:
    options = EDNSOptions(lambda: 2**32 + 10, SECRET)
    cookie = COOKIE + server_cookie(COOKIE, 2**32 - 10, UDP.host, SECRET)
    assert options.has_valid_cookie((Option(OPTION_COOKIE, cookie),), UDP.transport)


@pytest.mark.parametrize("change", ["address", "client", "secret", "hash", "version", "length"])
def test_a_changed_cookie_is_invalid(change: str) -> None:
    cookie = COOKIE + server_cookie(COOKIE, 1559731985, UDP.host, SECRET)
    address, secret = UDP.host, SECRET
    match change:
        case "address":
            address = "198.51.100.101"
        case "client":
            cookie = b"\0" + cookie[1:]
        case "secret":
            secret = bytes(16)
        case "hash":
            cookie = cookie[:-1] + bytes((cookie[-1] ^ 1,))
        case "version":
            cookie = cookie[:8] + b"\x02" + cookie[9:]
        case _:
            cookie = cookie[:-1]
    options = EDNSOptions(lambda: 1559731985, secret)
    assert not options.has_valid_cookie((Option(OPTION_COOKIE, cookie),), Transport(address))


def query(*options: Option, edns: bool = True, questions: tuple[Question, ...] = (QUESTION,)) -> Message:
    return Message(id=7, rd=True, questions=questions, edns=EDNS(options=options) if edns else None)


def answer(message: Message, client: Client, *, size: int = 100, **settings: object) -> tuple[Message, int]:
    """Return a server's response to a query, and the number of its octets."""
    options = EDNSOptions(lambda: 1559731985, SECRET, **settings)  # type: ignore[arg-type]
    record = Record(NAME, RRType.TXT, 1, 60, TXT((b"x" * size,)))
    responder = Responder(lambda asked, _: replace(asked.reply(), answers=(record,)), ServerCodec(options=options))
    octets = responder(message.to_wire(), client)
    assert isinstance(octets, bytes)
    return Message.from_wire(octets), len(octets)


def codes(message: Message) -> list[int]:
    assert message.edns is not None
    return [option.code for option in message.edns.options]


@pytest.mark.parametrize("size", [0, 7, 9, 15, 41])
def test_a_cookie_of_an_invalid_length_is_a_format_error(size: int) -> None:
    response, _ = answer(query(Option(OPTION_COOKIE, bytes(size))), UDP)
    assert (response.rcode, response.answers) == (Rcode.FORMERR, ())


def test_a_query_without_a_question_requests_a_cookie() -> None:
    response, _ = answer(query(Option(OPTION_COOKIE, COOKIE), questions=()), UDP)
    assert (response.rcode, response.questions, codes(response)) == (Rcode.NOERROR, (), [OPTION_COOKIE])
    # Without a cookie it stays a format error.
    assert answer(query(questions=()), UDP)[0].rcode == Rcode.FORMERR


def test_a_query_of_another_opcode_gets_its_cookie() -> None:
    for questions in ((), (Question(NAME, RRType.TXT),)):
        asked = replace(query(Option(OPTION_COOKIE, COOKIE), questions=questions), opcode=4)
        response, _ = answer(asked, UDP)
        assert (response.rcode, codes(response)) == (Rcode.NOTIMP, [OPTION_COOKIE])


def test_without_options_in_the_query_there_are_none_in_the_response() -> None:
    assert codes(answer(query(), TLS, nsid=b"ns1")[0]) == []
    assert answer(query(edns=False), UDP, nsid=b"ns1")[0].edns is None


def test_an_unknown_option_is_ignored() -> None:
    response, _ = answer(query(Option(65001, b"x")), UDP, nsid=b"ns1")
    assert (response.rcode, codes(response)) == (Rcode.NOERROR, [])


def test_the_server_identifier_is_returned_if_there_is_one() -> None:
    asked = query(Option(OPTION_NSID, b""))
    response, _ = answer(asked, UDP, nsid=b"ns1.example")
    assert response.edns is not None
    assert response.edns.options == (Option(OPTION_NSID, b"ns1.example"),)
    assert codes(answer(asked, UDP)[0]) == []


def test_the_idle_timeout_is_returned_over_tcp_only() -> None:
    asked = query(Option(OPTION_KEEPALIVE, b""))
    response, _ = answer(asked, TCP)
    assert response.edns is not None
    assert response.edns.options == (Option(OPTION_KEEPALIVE, (300).to_bytes(2, "big")),)
    assert codes(answer(asked, UDP)[0]) == []
    # DNS over HTTPS has no idle timeout of its own (RFC 8484 section 5.1).
    assert codes(answer(asked, replace(TLS, idle_s=None))[0]) == []
    assert answer(query(Option(OPTION_KEEPALIVE, b"\0\1")), TCP)[0].rcode == Rcode.FORMERR
    assert answer(query(Option(OPTION_KEEPALIVE, b"\0\1")), UDP)[0].rcode == Rcode.NOERROR


@pytest.mark.parametrize("size", [1, 100, 255])
def test_padded_queries_get_padded_responses_over_encrypted_transports(size: int) -> None:
    asked = query(Option(OPTION_PADDING, bytes(10)), Option(OPTION_COOKIE, COOKIE))
    response, octets = answer(asked, TLS, size=size)
    assert octets % 468 == 0
    assert codes(response) == [OPTION_COOKIE, OPTION_PADDING]
    assert response.edns is not None
    assert not any(response.edns.options[-1].data)
    assert OPTION_PADDING not in codes(answer(asked, TCP)[0])
    assert answer(query(Option(OPTION_COOKIE, COOKIE)), TLS)[1] % 468 != 0


def test_a_server_that_requires_cookies_answers_over_udp_only_with_a_valid_one() -> None:
    cookie = COOKIE + server_cookie(COOKIE, 1559731985, UDP.host, SECRET)
    with_cookie, first = query(Option(OPTION_COOKIE, cookie)), query(Option(OPTION_COOKIE, COOKIE))
    response, _ = answer(with_cookie, UDP, require_cookie=True)
    assert (response.rcode, len(response.answers)) == (Rcode.NOERROR, 1)
    response, _ = answer(first, UDP, require_cookie=True)
    assert (response.rcode, response.answers, codes(response)) == (Rcode.BADCOOKIE, (), [OPTION_COOKIE])
    for plain in (query(), query(edns=False)):
        response, _ = answer(plain, UDP, require_cookie=True)
        assert (response.rcode, response.tc, response.answers) == (Rcode.NOERROR, True, ())
        assert len(answer(plain, TCP, require_cookie=True)[0].answers) == 1
    assert len(answer(first, TCP, require_cookie=True)[0].answers) == 1
