"""Message codec: comparison with dnspython's, and malformed messages, which raise WireError only."""

from contextlib import suppress

import dns.message
import dns.rdata
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.codec.client_subnet import ClientSubnet
from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import Message, Option, Question, Record
from lab7.services.dns.codec.name import Name, Reader
from lab7.services.dns.codec.rdata import DNAME, MX, SRV, rdata_class, rdata_from_text
from tests.core.services.dns.strategies import messages

QUERY = bytes.fromhex("1234 0100 0001 0000 0000 0000")
EXAMPLE = Name.from_text("example.com.")


def question(name: bytes, rtype: int = 1) -> bytes:
    return name + rtype.to_bytes(2, "big") + b"\x00\x01"


@given(messages())
def test_messages_round_trip(message: Message) -> None:
    read = Message.from_wire(message.to_wire())
    assert read == message


@given(messages())
def test_dnspython_decodes_our_messages(message: Message) -> None:
    theirs = dns.message.from_wire(message.to_wire(), one_rr_per_rrset=True)
    assert (theirs.id, theirs.rcode(), theirs.opcode()) == (message.id, message.rcode, message.opcode)
    for ours, section in zip(
        (message.answers, message.authority, message.additional), theirs.sections[1:], strict=True
    ):
        found = [
            (rrset.name.canonicalize().to_wire(), rrset.rdtype, rrset.ttl, rrset[0].to_wire()) for rrset in section
        ]
        made = [(r.name.canonical(), r.rtype, r.ttl, r.rdata.to_wire()) for r in ours]
        assert [one[:3] for one in found] == [one[:3] for one in made]
        assert [str(one[3]).lower() for one in found] == [str(one[3]).lower() for one in made]
    assert theirs.edns == (-1 if message.edns is None else 0)
    if message.edns is not None:
        assert (theirs.payload, bool(theirs.ednsflags & 0x8000)) == (message.edns.udp_size, message.edns.do)
        assert [(o.otype, o.to_wire()) for o in theirs.options] == [(o.code, o.data) for o in message.edns.options]


@given(messages())
def test_messages_of_dnspython_decode_to_the_same(message: Message) -> None:
    theirs = dns.message.from_wire(message.to_wire(), one_rr_per_rrset=True)
    assert Message.from_wire(theirs.to_wire(max_size=65535)) == message


@given(messages(), st.data())
def test_octets_that_were_changed_are_a_message_or_an_error(message: Message, data: st.DataObject) -> None:
    octets = bytearray(message.to_wire())
    for _ in range(data.draw(st.integers(1, 6))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets = octets[: data.draw(st.integers(0, len(octets)))]
    with suppress(WireError):
        Message.from_wire(bytes(octets))


@given(st.binary(max_size=300))
def test_any_octets_are_a_message_or_an_error(octets: bytes) -> None:
    with suppress(WireError):
        Message.from_wire(octets)


@given(messages())
def test_every_beginning_of_a_message_and_trailing_octets_are_errors(message: Message) -> None:
    octets = message.to_wire()
    for size in range(len(octets)):
        with pytest.raises(WireError):
            Message.from_wire(octets[:size])
    with pytest.raises(WireError, match="trailing"):
        Message.from_wire(octets + b"\0")


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",  # a pointer to itself
        b"\xc0\x20",  # forward
        b"\x01a\xc0\x0c",  # to the name that it ends
        b"\x40",  # a label kind that is not used
        b"\x80",
        b"\xc0",
        b"\x05ab",
        b"\x3f" + b"a" * 63,
        (b"\x3f" + b"a" * 63) * 4 + b"\x00",
    ],
)
def test_names_that_are_none(name: bytes) -> None:
    with pytest.raises(WireError) as caught:
        Message.from_wire(QUERY + question(name))
    assert caught.value.message_id == 0x1234


def test_a_chain_of_pointers_is_followed_to_its_end() -> None:
    octets = b"\x03com\x00" + b"".join(b"\xc0" + bytes((offset,)) for offset in (0, 5, 7, 9))
    reader = Reader(octets, 11)
    assert reader.name() == Name((b"com",))
    assert reader.offset == 13


def test_names_are_compressed_without_regard_to_case() -> None:
    records = [Record(Name.from_text("WWW.EXAMPLE.com."), RRType.MX, 1, 1, MX(1, EXAMPLE))]
    message = Message(questions=(Question(EXAMPLE, RRType.MX),), answers=tuple(records))
    assert message.to_wire().lower().count(b"example") == 1
    assert Message.from_wire(message.to_wire()) == message


@pytest.mark.parametrize("rdata", [DNAME(EXAMPLE), SRV(1, 2, 3, EXAMPLE)])
def test_names_in_newer_types_are_sent_whole(rdata: Rdata) -> None:
    rtype = RRType.DNAME if isinstance(rdata, DNAME) else RRType.SRV
    message = Message(questions=(Question(EXAMPLE, rtype),), answers=(Record(EXAMPLE, rtype, 1, 1, rdata),))
    assert message.to_wire().count(b"example") == 2


def test_a_compressed_srv_is_read_and_a_compressed_dname_is_not() -> None:
    head = bytes.fromhex("1234 8000 0001 0001 0000 0000") + question(b"\x03com\x00") + b"\xc0\x0c"
    srv = head + bytes.fromhex("0021 0001 00000000 0008 0001 0002 0003 c00c")
    assert Message.from_wire(srv).answers[0].rdata == SRV(1, 2, 3, Name((b"com",)))
    with pytest.raises(WireError):
        Message.from_wire(head + bytes.fromhex("0027 0001 00000000 0002 c00c"))


OPT = bytes.fromhex("00 0029 04d0 00000000 0000")


@pytest.mark.parametrize(
    ("counts", "rest"),
    [
        ("0001 0000 0000 0002", OPT + OPT),
        ("0001 0001 0000 0000", OPT),
        ("0001 0000 0001 0000", OPT),
        ("0001 0000 0000 0001", b"\x01a" + OPT),
        ("0001 0000 0000 0001", OPT[:-2] + bytes.fromhex("0003 000a00")),
    ],
    ids=["twice", "in the answer", "in the authority", "not at the root", "half an option"],
)
def test_opt_stands_once_in_the_additional_section_at_the_root(counts: str, rest: bytes) -> None:
    with pytest.raises(WireError):
        Message.from_wire(bytes.fromhex("1234 0100" + counts) + question(b"\x00") + rest)


def test_a_ttl_with_its_highest_bit_set_counts_as_0() -> None:
    octets = bytes.fromhex("1234 8000 0000 0001 0000 0000 00 0001 0001 80000000 0004 01020304")
    assert Message.from_wire(octets).answers[0].ttl == 0


def test_client_subnet() -> None:
    option = Option(8, bytes.fromhex("0001 18 00 c00002"))
    subnet = ClientSubnet.from_option(option)
    assert str(subnet.network) == "192.0.2.0/24"
    assert subnet.to_option() == option


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "0001",
        "0001 18 00 c000",
        "0001 18 00 c0000200",
        "0001 21 00 c000020101",
        "0001 17 00 c00003",
        "0003 08 00 01",
        "0001 08 40 01",
    ],
)
def test_a_client_subnet_that_does_not_fit_together_is_an_error(octets: str) -> None:
    with pytest.raises(WireError):
        ClientSubnet.from_option(Option(8, bytes.fromhex(octets)))


@given(messages())
def test_presentation_forms_are_dnspythons(message: Message) -> None:
    for record in message.answers:
        text = record.rdata.to_text()
        assert rdata_from_text(record.rtype, text) == record.rdata
        theirs = dns.rdata.from_text("IN", dns.rdatatype.RdataType.make(record.rtype), text)
        assert theirs.to_wire() == record.rdata.to_wire()
        assert rdata_from_text(record.rtype, theirs.to_text()).to_wire() == record.rdata.to_wire()
        generic = f"\\# {len(record.rdata.to_wire())} {record.rdata.to_wire().hex()}"
        assert rdata_from_text(record.rtype, generic) == record.rdata


def test_an_address_of_chaosnet_is_no_internet_address() -> None:
    assert rdata_class(RRType.A, 3).__name__ == "Opaque"
