"""No line above 998 octets leaves, and every part decodes to what it was; the standard library's parser as judge."""

import email
import email.policy
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.client_session import ClientSession, Envelope, SessionOptions
from lab7.services.mail.smtp.short_lines import shorten_lines

LONG = b"x" * 1500 + b" y" * 800
PLAIN = b"From: a@b.example\r\nSubject: s\r\n\r\n"
MULTIPART = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'


def longest(octets: bytes) -> int:
    return max(map(len, octets.split(b"\r\n")))


def leaves(octets: bytes) -> list[tuple[str, bytes]]:
    message: Message = email.message_from_bytes(octets, policy=email.policy.compat32)
    return [
        (part.get_content_type(), bytes(part.get_payload(decode=True) or b""))
        for part in message.walk()
        if not part.is_multipart()
    ]


@pytest.mark.parametrize(
    "message",
    [
        PLAIN + LONG + b"\r\nshort\r\n\r\n .=20 \r\n",
        PLAIN + LONG,
        b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + "ä=é".encode() * 900 + b"\r\n",
        PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + b"QUJD" * 600 + b"\r\n",
        b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\n" + b"=41b" * 600 + b"=\r\nc\r\n",
        MULTIPART + b"one\r\n--b\r\n\r\n" + LONG + b"\r\n--b\r\nContent-Type: text/html\r\n\r\nshort =41\r\n--b\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + LONG + b"\r\n--b--\r\n",
        MULTIPART + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + PLAIN + LONG + b"\r\n--b--\r\nend\r\n",
        b"\r\n" + LONG + b"\r\n",
    ],
)  # fmt: skip
def test_long_bodies_are_encoded_and_decode_to_what_they_were(message: bytes) -> None:
    sent = shorten_lines(message)
    assert longest(message) > 998 >= longest(sent)
    assert [(kind, text.replace(b"\r\n", b"\n")) for kind, text in leaves(sent)] == [
        (kind, text.replace(b"\r\n", b"\n")) for kind, text in leaves(message)
    ]
    assert shorten_lines(sent) == sent


def test_a_body_that_is_encoded_is_declared_once_and_as_mime() -> None:
    sent = email.message_from_bytes(shorten_lines(PLAIN + LONG))
    assert sent.get_all("MIME-Version") == ["1.0"]
    assert sent.get_all("Content-Transfer-Encoding") == ["quoted-printable"]
    assert sent["Subject"] == "s"


def test_header_lines_are_folded_at_blanks_and_long_words_are_broken() -> None:
    words = b"References: " + b" ".join(b"<%d@example.com>" % n for n in range(200))
    sent = shorten_lines(words + b"\r\nX-Word: " + b"w" * 3000 + b"\r\nSubject: s\r\n\r\nb\r\n")
    assert longest(sent) <= 998
    assert sent.startswith(words[:900])
    assert sent.replace(b"\r\n", b"").startswith(words)
    message = email.message_from_bytes(sent)
    assert message["Subject"] == "s"
    assert message["X-Word"].replace("\r\n ", "").replace("\n ", "") == "w" * 3000
    assert message.get_payload() == "b\r\n"


def test_messages_with_short_lines_and_lines_of_998_octets_are_not_changed() -> None:
    message = PLAIN + b"x" * 998 + b"\r\n"
    assert shorten_lines(message) is message


@given(
    st.lists(
        st.sampled_from([b"a" * 700, b" " * 700, b"=", b".", b"\t", b"\r\n", b"--b", b"X: ", b"\xe9"]), max_size=25
    )
)
def test_nothing_above_998_octets_is_left_of_any_message(pieces: list[bytes]) -> None:
    for head in (b"", PLAIN, MULTIPART):
        assert longest(shorten_lines(head + b"".join(pieces))) <= 998


def test_the_client_sends_short_lines_and_declares_their_size() -> None:
    session = ClientSession(SessionOptions("c.example"))
    session.receive(b"220 mx\r\n")
    session.receive(b"250-mx\r\n250-SIZE 0\r\n250 PIPELINING\r\n")
    box = Mailbox("a", "b.example")
    commands = session.send(Envelope(box, (box,), PLAIN + LONG + b"\r\n"))
    data = session.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert longest(data) <= 998
    assert b" SIZE=%d\r\n" % (len(data) - len(b".\r\n")) in commands
