"""Mail data: end detection and content checks; input in one read, in two reads split anywhere, octet by octet."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.smtp.commands import State
from lab7.services.mail.smtp.content import ContentReader, header_section, stuffed, with_header_end
from lab7.services.mail.smtp.server_session import Offer
from lab7.services.mail.smtp.syntax import Reply
from tests.core.services.mail.smtp.transcripts import World, in_data

STRICT = Offer("mx", strict_syntax=True)
HEAD = b"Subject: x\r\n\r\n"
# The octets after the sequence are the smuggled second message.
HIDDEN = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
SHAPES = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r\n.\n",
    b"\r.\r\n",
    b"\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_smuggling_shape_ends_the_data_or_is_accepted(shape: bytes) -> None:
    one, world = in_data(), World()
    out = world.talk(one, HEAD + b"a" + shape + HIDDEN)
    # No reply: the data has not ended.
    assert out == b""
    assert world.talk(one, b"\r\n.\r\n").startswith(b"550 5.6.0")
    assert world.messages == []
    assert one.state is State.DISTRUSTED


def test_behind_a_message_that_another_server_ends_elsewhere_nothing_is_taken() -> None:
    """A real end after a bare CR: the following commands may be part of the message."""
    one, world = in_data(), World()
    out = world.talk(one, HEAD + b"a\r\r\n.\r\n" + HIDDEN + b"\r\n.\r\n")
    assert [line[:4] for line in out.splitlines()] == [b"550 ", b"421 "]
    assert world.messages == []
    assert one.state is State.CLOSED


def test_who_sent_a_bare_cr_unawares_may_take_leave() -> None:
    one, world = in_data(), World()
    assert world.talk(one, HEAD + b"a\rb\r\n.\r\n").startswith(b"550 5.6.0")
    assert world.talk(one, b"QUIT\r\n").startswith(b"221 ")


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\0"]), max_size=12))
def test_what_is_accepted_has_no_line_end_but_crlf(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    one, world = in_data(), World()
    world.talk(one, HEAD + body + b"\r\n.\r\n")
    for message in world.messages:
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", message.content)
    # A lone dot between two CRLF ends the data; between other line ends it never does.
    if b"\r\n.\r\n" not in HEAD + body + b"\r\n":
        assert one.state in (State.GREETED, State.DISTRUSTED)


def test_bare_lf_without_a_lone_dot_becomes_crlf() -> None:
    one, world = in_data(), World()
    assert world.talk(one, b"Subject: x\n\nfrom a Unix file\n.hidden\n\r\n.\r\n").startswith(b"250")
    assert world.messages[0].content == b"Subject: x\r\n\r\nfrom a Unix file\r\n.hidden\r\n\r\n"


@pytest.mark.parametrize("at", range(20))
def test_dots_at_the_edge_of_a_read(at: int) -> None:
    data = b"..a\r\n.\r.\r\n..\r\n...\r\n.\r\n".replace(b".\r.\r\n", b"..b\r\n")
    one, world = in_data(), World()
    world.talk(one, data[:at])
    world.talk(one, data[at:])
    assert [message.content for message in world.messages] == [b".a\r\n.b\r\n.\r\n..\r\n"]


def test_an_empty_message_is_one() -> None:
    one, world = in_data(), World()
    assert world.talk(one, b".\r\n").startswith(b"250")
    assert world.messages[0].content == b""


@given(st.lists(st.binary(max_size=20).map(lambda line: re.sub(rb"[\r\n\0]", b"?", line)), max_size=20), st.data())
def test_stuffing_is_undone_wherever_the_reads_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    wire = stuffed(content) + b"NOOP\r\n"
    reader, rest = ContentReader(10_000), None
    while rest is None:
        count = data.draw(st.integers(1, len(wire)))
        rest, wire = reader.feed(wire[:count]), wire[count:]
    assert rest + wire == b"NOOP\r\n"
    assert reader.finish() == content


@pytest.mark.parametrize(("octets", "code"), [(998, b"250"), (999, b"500 5.6.0"), (100_000, b"500 5.6.0")])
def test_a_line_of_text_has_1000_octets_with_its_crlf_where_syntax_is_strict(octets: int, code: bytes) -> None:
    assert World().talk(in_data(offer=STRICT), HEAD + b"x" * octets + b"\r\n.\r\n").startswith(code)


def test_the_dot_that_stuffs_a_line_is_not_counted() -> None:
    assert World().talk(in_data(offer=STRICT), HEAD + b".." + b"x" * 997 + b"\r\n.\r\n").startswith(b"250")
    assert World().talk(in_data(offer=STRICT), HEAD + b".." + b"x" * 998 + b"\r\n.\r\n").startswith(b"500")


def test_lines_up_to_the_size_of_a_message_are_accepted_unchanged() -> None:
    world, long = World(), b"x" * 1_000_000 + b"\r\n"
    assert world.talk(in_data(), HEAD + long + b".\r\n").startswith(b"250")
    assert world.messages[0].content == HEAD + long


@pytest.mark.parametrize(("hops", "code"), [(100, b"250"), (101, b"554 5.4.6")])
def test_a_message_in_a_circle_is_found_by_its_received_fields(hops: int, code: bytes) -> None:
    fields = b"RECEIVED: from a\r\n\tby b; now\r\nX-Received: no\r\n" * hops
    assert World().talk(in_data(), fields + HEAD + b"Received: in the body\r\n.\r\n").startswith(code)


def test_a_header_section_without_end_is_bounded() -> None:
    field = b"X-Filler: " + b"x" * 900 + b"\r\n"
    out = World().talk(in_data(), field * 500 + b"\r\nbody\r\n.\r\n")
    assert out.startswith(b"552 5.3.4")


@pytest.mark.parametrize(
    ("octets", "header", "whole"),
    [
        (HEAD + b"x\r\n", b"Subject: x\r\n", HEAD + b"x\r\n"),
        (b"Subject : x\r\n", b"Subject : x\r\n", b"Subject : x\r\n"),
        (b"\r\nx: y\r\n", b"", b"\r\nx: y\r\n"),
        (b"Hello Carol, how are you\r\nx: y\r\n", b"", b"\r\nHello Carol, how are you\r\nx: y\r\n"),
        (b" x: y\r\n", b"", b"\r\n x: y\r\n"),
        (b": x\r\n", b"", b"\r\n: x\r\n"),
        (b"", b"", b"\r\n"),
    ],
)
def test_a_message_without_a_header_gets_the_empty_line_that_ends_it(
    octets: bytes, header: bytes, whole: bytes
) -> None:
    assert header_section(octets) == header
    assert with_header_end(octets) == whole


def test_text_of_a_message_without_a_header_is_no_header() -> None:
    text = b"Hello!\r\n" + b"Received: from a\r\n" * 101 + b"X: " + b"x" * 300_000 + b"\r\n"
    world = World()
    assert world.talk(in_data(), text + b".\r\n").startswith(b"250")
    assert world.messages[0].content == text


def test_a_message_beyond_the_size_is_counted_and_not_kept() -> None:
    one, world = in_data(offer=Offer("mx", size_octets=10_000)), World()
    for _ in range(1000):
        assert world.talk(one, b"x" * 98 + b"\r\n") == b""
        assert one.held_octets < 30_000
    assert world.talk(one, b".\r\n").startswith(b"552 5.3.4")
    assert world.talk(one, b"NOOP\r\n").startswith(b"250")


@given(st.integers(0, 400), st.booleans())
def test_size_is_judged_alike_however_the_octets_come(lines: int, dots: bool) -> None:
    data = (b"..\r\n" if dots else b"xx\r\n") * lines + b".\r\n"
    whole, single = ContentReader(300), ContentReader(300)
    assert whole.feed(data) == b""
    for octet in data:
        single.feed(bytes([octet]))
    one, other = whole.finish(), single.finish()
    assert one == other
    stored = lines * (3 if dots else 4)
    assert isinstance(one, Reply) == (stored > 300)
