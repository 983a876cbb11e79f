"""Internationalized mail (RFC 6531): addresses beyond ASCII in the envelope, received by a server, sent by a client."""

from __future__ import annotations

import pytest

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.client_session import ClientSession, Envelope, SessionOptions, Step
from tests.core.services.mail.smtp.transcripts import World, session

JOSE = Mailbox("jos\u00e9", "b\u00fccher.example".encode("idna").decode())
BOB = Mailbox("bob", "example.com")
UTF8 = "jos\u00e9@b\u00fccher.example".encode()
TEXT = "Subject: gr\u00fcn\r\n\r\nx\r\n".encode()


def reply_to(*lines: bytes) -> bytes:
    """Return the reply to the last line."""
    one, world = session(), World()
    out = b""
    for line in (b"EHLO c.example.net", *lines):
        out = world.talk(one, line + b"\r\n")
    return out


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([b"MAIL FROM:<%b> SMTPUTF8" % UTF8], b"250 2.1.0"),
        ([b"MAIL FROM:<%b> body=8bitmime smtputf8" % UTF8], b"250 2.1.0"),
        ([b'MAIL FROM:<"a %b> SMTPUTF8' % UTF8.replace(b"@", b'"@')], b"250 2.1.0"),
        ([b"MAIL FROM:<%b>" % UTF8], b"553 5.6.7"),
        ([b"MAIL FROM:<> SMTPUTF8=yes"], b"501 5.5.4"),
        ([b"MAIL FROM:<jos\xe9@example.com> SMTPUTF8"], b"553 5.1.7"),
        ([b"MAIL FROM:<jos\xc2\x85@example.com> SMTPUTF8"], b"553 5.1.7"),
        ([b"MAIL FROM:<%b@example.com> SMTPUTF8" % ("\u00e9" * 33).encode()], b"501 5.1.7"),
        ([b"MAIL FROM:<>", b"RCPT TO:<%b>" % UTF8], b"553 5.6.7"),
        ([b"MAIL FROM:<> SMTPUTF8", b"RCPT TO:<%b>" % UTF8], b"550 5.7.1"),
        ([b"MAIL FROM:<> SMTPUTF8", b"RCPT TO:<\xc3\xa9@example.com>"], b"550 5.1.1"),
        ([b"VRFY bob SMTPUTF8"], b"250 2.1.5 <bob@example.com>"),
        ([b"EXPN staff smtputf8"], b"250-2.1.5"),
    ],
)
def test_paths(lines: list[bytes], reply: bytes) -> None:
    assert reply_to(*lines).startswith(reply)


def test_a_message_is_marked() -> None:
    one, world = session(), World()
    octets = b"EHLO c\r\nMAIL FROM:<%b> SMTPUTF8\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n" % UTF8
    world.talk(one, octets + TEXT + b".\r\n")
    (message,) = world.messages
    assert (message.reverse_path, message.is_smtputf8) == (JOSE, True)


def greeted(*extensions: str) -> ClientSession:
    client = ClientSession(SessionOptions("c.example.net"))
    client.receive(b"220 mx\r\n")
    client.receive("".join(f"250-{word}\r\n" for word in ("mx", "PIPELINING", *extensions)).encode() + b"250 HELP\r\n")
    assert client.step is Step.READY
    return client


@pytest.mark.parametrize(
    ("envelope", "mail"),
    [
        (Envelope(JOSE, (BOB,), b"a: b\r\n"), b"MAIL FROM:<jos\xc3\xa9@xn--bcher-kva.example> SMTPUTF8"),
        (Envelope(BOB, (JOSE,), b"a: b\r\n"), b"MAIL FROM:<bob@example.com> SMTPUTF8"),
        (
            Envelope(BOB, (BOB,), TEXT, is_smtputf8=True),
            b"MAIL FROM:<bob@example.com> BODY=8BITMIME SMTPUTF8",
        ),
        (Envelope(BOB, (BOB,), TEXT), b"MAIL FROM:<bob@example.com> BODY=8BITMIME"),
        (
            Envelope(BOB, (BOB,), b"a: b\r\n\r\nx\xff\r\n", is_smtputf8=True),
            b"MAIL FROM:<bob@example.com> BODY=8BITMIME",
        ),
        (Envelope(BOB, (BOB,), b"a: b\r\n", is_smtputf8=True), b"MAIL FROM:<bob@example.com>"),
    ],
)
def test_a_client_asks_for_it_where_it_is_needed(envelope: Envelope, mail: bytes) -> None:
    assert greeted("8BITMIME", "SMTPUTF8").send(envelope).split(b"\r\n")[0] == mail
    client = greeted("8BITMIME")
    sent = client.send(envelope)
    if b"SMTPUTF8" in mail:
        assert sent == b""
        assert client.outcome is not None
        assert [(reply.code, reply.enhanced) for reply in client.outcome.replies] == [(550, "5.6.7")]
    else:
        assert sent.split(b"\r\n")[0] == mail
