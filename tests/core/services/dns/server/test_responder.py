"""Responder: dropped queries, error responses, and responses truncated to the client's limit."""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Option, Question, Record, encode
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import NS, TXT, A
from lab7.services.dns.server.responder import Client, Responder, accept
from tests.core.services.dns.strategies import messages

NAME = Name.from_text("www.example.")
QUERY = Message(id=7, rd=True, questions=(Question(NAME, RRType.TXT),))
UDP, TCP = Client("192.0.2.1", 5353), Client("192.0.2.1", 5353, over_tcp=True)


def text(size: int, count: int = 1) -> tuple[Record, ...]:
    return tuple(Record(NAME, RRType.TXT, 1, 60, TXT((b"%02d" % n, b"x" * size))) for n in range(count))


def answered(data: bytes, client: Client = UDP) -> Message | None:
    response = Responder(lambda query, _: replace(query.reply(), answers=text(200, 3)))(data, client)
    assert response is None or isinstance(response, bytes)
    return None if response is None else Message.from_wire(response)


def changed(place: int, octets: bytes) -> bytes:
    wire = QUERY.to_wire()
    return wire[:place] + octets + wire[place + len(octets) :]


@pytest.mark.parametrize("data", [b"", b"\x00", QUERY.to_wire()[:11], changed(2, b"\x81")], ids=["0", "1", "11", "QR"])
def test_silence(data: bytes) -> None:
    assert answered(data) is None


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (changed(2, b"\x29"), Rcode.NOTIMP),  # UPDATE
        (changed(2, b"\x21"), Rcode.NOTIMP),  # NOTIFY
        (changed(4, b"\x00\x00"), Rcode.FORMERR),
        (changed(4, b"\x00\x02"), Rcode.FORMERR),
        (QUERY.to_wire()[:-1], Rcode.FORMERR),
        (QUERY.to_wire()[:12], Rcode.FORMERR),
    ],
)
def test_errors_have_the_id_and_no_more_octets_than_the_query(data: bytes, rcode: Rcode) -> None:
    response = accept(data)
    assert isinstance(response, bytes)
    assert len(response) <= len(data)
    response_message = Message.from_wire(response)
    assert (
        response_message.id,
        response_message.qr,
        response_message.rd,
        response_message.rcode,
        response_message.questions,
    ) == (7, True, True, rcode, ())


@pytest.mark.parametrize("flags", [0, 0x0100, 0x0010, 0x0110])
@pytest.mark.parametrize("opcode", [1, 2, 4, 5, 6, 15])
def test_other_opcodes_are_notimp_with_the_flags_rd_and_cd_of_the_query(opcode: int, flags: int) -> None:
    response = accept(changed(2, (opcode << 11 | flags).to_bytes(2, "big")))
    assert response == b"\x00\x07" + (0x8000 | opcode << 11 | flags | Rcode.NOTIMP).to_bytes(2, "big") + bytes(8)


def with_opt(opt: str, opcode: int = 0, count: int = 1) -> bytes:
    """Encode a query with OPT records in hexadecimal, which may be malformed."""
    header = b"\0\7" + bytes((opcode << 3 | 1, 0)) + bytes((0, 1, 0, 0, 0, 0, 0, count))
    return header + QUERY.to_wire()[12:] + bytes.fromhex(opt)


OPT = "00 0029 0400 00008000 0000"


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (with_opt("00 0029 0400 00008000 0006 000a 0064 0000"), Rcode.FORMERR),
        (with_opt("00 0029 0400 00008000 0003 000a 00"), Rcode.FORMERR),
        (with_opt("00 0029 0400 00008000 00ff 000a"), Rcode.FORMERR),
        (with_opt(OPT + OPT, count=2), Rcode.FORMERR),
        (with_opt("0161" + OPT), Rcode.FORMERR),
        (with_opt("00 0029 0400 00018000 0006 000a 0064 0000"), Rcode.BADVERS),
        (with_opt("00 0029 0400 00018000 0000"), Rcode.BADVERS),
        (with_opt("00 0029 0400 00018000 0000", opcode=4), Rcode.BADVERS),
        (with_opt(OPT, opcode=4), Rcode.NOTIMP),
        (with_opt("0161" + OPT, opcode=5), Rcode.NOTIMP),
        (with_opt("00 0001 00ff 00000000 0000" + OPT, opcode=5, count=2), Rcode.NOTIMP),
    ],
    ids=[
        "option longer than RDATA",
        "half an option",
        "RDATA longer than the message",
        "two OPT",
        "owner of OPT",
        "version 1, options of another format",
        "version 1",
        "version 1 of another opcode",
        "another opcode",
        "another opcode, owner of OPT",
        "UPDATE with an empty A record",
    ],
)
def test_an_error_response_to_a_query_with_opt_has_question_and_opt(data: bytes, rcode: Rcode) -> None:
    response = accept(data)
    assert isinstance(response, bytes)
    message = Message.from_wire(response)
    assert (message.rcode, message.opcode, message.questions) == (rcode, data[2] >> 3, QUERY.questions)
    # RFC 6891 section 7 and RFC 3225 section 3.
    assert message.edns == EDNS(do=True)


def test_octets_behind_a_query_are_ignored() -> None:
    assert accept(QUERY.to_wire() + b"\x00") == QUERY


@pytest.mark.parametrize("questions", [(), QUERY.questions * 2])
def test_a_query_without_one_question_is_a_formerr_with_opt_if_it_has_opt(questions: tuple[Question, ...]) -> None:
    for edns in (None, EDNS()):
        response = accept(replace(QUERY, questions=questions, edns=edns).to_wire())
        assert isinstance(response, bytes)
        message = Message.from_wire(response)
        assert (message.rcode, message.questions, message.edns is None) == (Rcode.FORMERR, (), edns is None)


def test_a_later_version_of_edns_is_badvers() -> None:
    response_message = answered(replace(QUERY, edns=EDNS(version=1)).to_wire())
    assert response_message is not None
    assert (
        response_message.rcode,
        response_message.edns and response_message.edns.version,
        response_message.answers,
    ) == (Rcode.BADVERS, 0, ())


def test_edns_is_answered_with_edns_and_only_then() -> None:
    plain, extended = answered(QUERY.to_wire()), answered(replace(QUERY, edns=EDNS(do=True)).to_wire())
    assert plain is not None
    assert plain.edns is None
    assert extended is not None
    assert extended.edns == EDNS(1232, do=True)


@pytest.mark.parametrize(
    ("edns", "client", "tc", "count"),
    [
        (None, UDP, True, 0),
        (EDNS(udp_size=0), UDP, True, 0),
        (EDNS(udp_size=700), UDP, False, 3),
        (EDNS(udp_size=65_535), UDP, False, 3),
        (None, TCP, False, 3),
    ],
)
def test_datagrams_are_truncated_to_the_clients_limit(edns: EDNS | None, client: Client, tc: bool, count: int) -> None:
    response_message = answered(replace(QUERY, edns=edns).to_wire(), client)
    assert response_message is not None
    assert (response_message.tc, len(response_message.answers)) == (tc, count)


def test_a_failing_handler_is_servfail_and_is_reported() -> None:
    errors: list[Exception] = []

    def failing(_query: Message, _client: Client) -> Message:
        raise RuntimeError("no")

    response = Responder(failing, on_error=errors.append)(QUERY.to_wire(), UDP)
    assert isinstance(response, bytes)
    assert Message.from_wire(response).rcode == Rcode.SERVFAIL
    assert [str(error) for error in errors] == ["no"]


def test_a_handler_may_be_awaited_and_may_be_silent() -> None:
    async def slow(query: Message, _: Client) -> Message | None:
        return None if query.id == 8 else query.reply(Rcode.REFUSED)

    async def both() -> tuple[bytes | None, bytes | None]:
        respond = Responder(slow)
        first, second = respond(QUERY.to_wire(), UDP), respond(replace(QUERY, id=8).to_wire(), UDP)
        assert first is not None
        assert second is not None
        assert not isinstance(first, bytes)
        assert not isinstance(second, bytes)
        return await first, await second

    first, second = asyncio.run(both())
    assert first is not None
    assert Message.from_wire(first).rcode == Rcode.REFUSED
    assert second is None


@given(messages(), st.integers(512, 4096))
def test_truncation_drops_whole_rrsets_and_sets_tc(message: Message, limit: int) -> None:
    message = replace(message, tc=False)
    octets = encode(message, limit)
    read = Message.from_wire(octets)
    # A question of 255 octets with options may exceed the minimum limit.
    assert len(octets) <= limit or not (read.answers or read.authority or read.additional)
    assert read.edns == message.edns
    for ours, whole in ((read.answers, message.answers), (read.authority, message.authority)):
        assert ours == whole[: len(ours)]
    if (read.answers, read.authority) != (message.answers, message.authority):
        assert read.tc
    if encode(message) == octets:
        assert not read.tc


def test_missing_glue_sets_tc_and_other_missing_addresses_do_not() -> None:
    cut = Name.from_text("child.example.")
    servers = [Name.from_text(f"ns{n}.child.example.") for n in range(20)]
    others = [Name.from_text(f"ns{n}.other.") for n in range(20)]
    for hosts, tc in ((servers, True), (others, False)):
        authority = tuple(Record(cut, RRType.NS, 1, 60, NS(host)) for host in hosts)
        additional = tuple(Record(host, RRType.A, 1, 60, A(IPv4Address(n))) for n, host in enumerate(hosts))
        referral = Message(qr=True, questions=(Question(cut, 1),), authority=authority, additional=additional)
        assert Message.from_wire(encode(referral, 512)).tc == tc


def test_an_option_does_not_make_a_query_wrong() -> None:
    response_message = answered(replace(QUERY, edns=EDNS(options=(Option(10, b"12345678"),))).to_wire())
    assert response_message is not None
    assert response_message.rcode == Rcode.NOERROR
