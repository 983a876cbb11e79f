"""BDAT: mail data in counted chunks (RFC 3030 section 2)."""

from __future__ import annotations

import pytest

from lab7.services.mail.smtp.commands import State
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from tests.core.services.mail.smtp.transcripts import World, session

TO_BOB = b"EHLO c.example.net\r\nMAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.com>\r\n"


def opened(offer: Offer | None = None) -> tuple[ServerSession, World]:
    one = session(offer=offer)
    one.receive(TO_BOB)
    return one, World()


def codes(octets: bytes) -> list[bytes]:
    return [line[:3] for line in octets.splitlines()]


def test_a_message_of_chunks_is_taken_as_it_is() -> None:
    one, world = opened()
    content = b"Subject: x\r\n\r\n.\r\n..dot\r\nQUIT\r\n"
    assert world.talk(one, b"BDAT 5\r\nSubje") == b"250 2.0.0 5 octets received\r\n"
    assert one.state is State.CHUNKS
    rest = content[5:]
    assert codes(world.talk(one, b"BDAT %d LAST\r\n%b" % (len(rest), rest))) == [b"250"]
    (message,) = world.messages
    assert message.content == content


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_commands_are_pipelined_with_chunks(step: int) -> None:
    one, world = session(), World()
    octets = TO_BOB + b"BDAT 12\r\nSubject: x\r\nBDAT 5 last\r\n\r\na\nb" + b"BDAT 0 LAST\r\nNOOP\r\n"
    out = b"".join(world.talk(one, octets[at : at + step]) for at in range(0, len(octets), step))
    assert codes(out)[-5:] == [b"250", b"250", b"250", b"503", b"250"]
    assert [message.content for message in world.messages] == [b"Subject: x\r\n\r\na\r\nb"]


def test_an_empty_last_chunk_ends_the_message() -> None:
    one, world = opened()
    assert codes(world.talk(one, b"BDAT 6\r\na: b\r\nBDAT 0 LAST\r\n")) == [b"250", b"250"]
    assert world.messages[0].content == b"a: b\r\n"


@pytest.mark.parametrize(
    ("before", "code"),
    [
        (b"", b"503"),
        (b"EHLO c.example.net\r\n", b"503"),
        (b"EHLO c.example.net\r\nMAIL FROM:<>\r\n", b"503"),
        (b"EHLO c.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.com>\r\n", b"554"),
    ],
)
def test_the_octets_of_a_refused_chunk_are_no_commands(before: bytes, code: bytes) -> None:
    one, world = session(), World()
    world.talk(one, before)
    assert codes(world.talk(one, b"BDAT 12 LAST\r\nMAIL FROM:<>NOOP\r\n")) == [code, b"250"]
    assert world.messages == []


def test_nothing_but_chunks_follows_a_chunk() -> None:
    one, world = opened()
    assert codes(world.talk(one, b"BDAT 1\r\nx")) == [b"250"]
    octets = b"DATA\r\nRCPT TO:<bob@example.com>\r\nMAIL FROM:<>\r\nNOOP\r\nRSET\r\nBDAT 1 LAST\r\nx"
    assert codes(world.talk(one, octets)) == [b"503", b"503", b"503", b"250", b"250", b"503"]


def test_a_message_above_the_limit_is_refused_and_not_held() -> None:
    one, world = opened(Offer("mx.example.com", size_octets=100))
    assert codes(world.talk(one, b"BDAT 60\r\n" + b"x" * 60)) == [b"250"]
    out = world.talk(one, b"BDAT 1000\r\n" + b"x" * 900)
    assert out == b""
    assert one.held_octets == 0
    assert codes(world.talk(one, b"x" * 100 + b"BDAT 1 LAST\r\nx")) == [b"552", b"503"]
    assert world.messages == []


@pytest.mark.parametrize(("content", "code"), [(b"a: b\r\n\r\n\0\r\n", b"550"), (b"a: b\r\n\r\nx\ry\r\n", b"550")])
def test_what_no_message_contains_is_refused(content: bytes, code: bytes) -> None:
    one, world = opened()
    octets = b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(content), content)
    assert codes(world.talk(one, octets)) == [code, b"250"]


@pytest.mark.parametrize("argument", [b"", b"x", b"-1", b"1 FIRST", b"1 LAST x", b"1" * 21])
def test_bad_syntax(argument: bytes) -> None:
    one, world = opened()
    assert codes(world.talk(one, b"BDAT %b\r\n" % argument)) == [b"501"]
