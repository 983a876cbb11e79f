"""Framing of command lines: same replies for any split of the input, bounded memory, no exception for any octets."""

from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.smtp import limits
from lab7.services.mail.smtp.commands import State
from lab7.services.mail.smtp.server_session import Offer
from tests.core.services.mail.smtp.transcripts import World, check, session

OFFER = Offer("mx.example.com", size_octets=2_000, starttls=False, auth=True, auth_in_clear=True)
LINES = st.sampled_from(
    [
        b"EHLO a.example\r\n",
        b"HELO a.example\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"MAIL FROM:<> SIZE=3000\r\n",
        b"RCPT TO:<bob@example.com>\r\n",
        b"RCPT TO:<postmaster>\r\n",
        b"RCPT TO:<nobody@example.com>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n\r\n..\r\n",
        b".\r\n",
        b"RSET\r\n",
        b"VRFY bob\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
        b"YWxpY2U=\r\n",
        b"*\r\n",
        b"QUIT\r\n",
        b"A" * 600 + b"\r\n",
        b"A" * 13_000 + b"\r\n",
        b"NOOP\nNOOP\r\n",
        b"x\r",
        b"\n",
        b"\0\xff",
    ]
)


@given(st.lists(LINES, max_size=15), st.binary(max_size=30))
def test_a_session_is_the_same_whole_and_octet_by_octet(lines: list[bytes], trailing: bytes) -> None:
    octets = b"".join(lines) + trailing
    whole, single = World(), World()
    one, other = session(offer=OFFER), session(offer=OFFER)
    out = whole.talk(one, octets)
    slow = b"".join(single.talk(other, bytes([octet])) for octet in octets)
    assert slow == out
    assert single.messages == whole.messages
    assert other.state is one.state


@given(st.lists(st.binary(max_size=3000), max_size=20))
def test_any_octets_are_answered_in_bounds(pieces: list[bytes]) -> None:
    one, world = session(offer=OFFER), World()
    for piece in pieces:
        out = world.talk(one, piece)
        assert all(line[:3].isdigit() for line in out.split(b"\r\n")[:-1])
        assert one.held_octets <= limits.AUTH_LINE_OCTETS + 3000


def test_a_command_line_has_512_octets() -> None:
    verb = "NOOP "
    check("C: " + verb + "x" * (510 - len(verb)) + "\nS: 250\n")
    check("C: " + verb + "x" * (511 - len(verb)) + "\nS: 500 5.5.2\nC: NOOP\nS: 250\n")
    check("C: " + "x" * 60_000 + "\nS: 500 5.5.2\nC: NOOP\nS: 250\n")


def test_lines_end_in_crlf_and_in_nothing_else() -> None:
    one = session()
    assert one.receive(b"NOOP\n") == b""
    assert one.receive(b"QUIT\r\n").startswith(b"500 5.5.2")
    assert one.receive(b"NO\rOP\r\n").startswith(b"500 5.5.2")
    assert one.receive(b"NOOP \0\r\n").startswith(b"500 5.5.2")
    assert one.state is State.CONNECTED


def test_a_path_has_256_octets() -> None:
    local_part = "x" * 64
    domain = ".".join(["y" * 62] * 3)
    fits = f"{local_part}@{domain}"
    assert len(fits) + 2 <= 256
    check("C: EHLO x\n" + "S: 250\n" * 9 + f"C: MAIL FROM:<{fits}>\nS: 250\n")
    check("C: EHLO x\n" + "S: 250\n" * 9 + f"C: MAIL FROM:<x{fits}>\nS: 501 5.1.7\n")
    check("C: EHLO x\n" + "S: 250\n" * 9 + f"C: MAIL FROM:<a@{domain}.{domain}>\nS: 501 5.1.7\n")
