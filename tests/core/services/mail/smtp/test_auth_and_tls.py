"""Submission: AUTH, and the reset of a session by STARTTLS (RFC 3207, RFC 4954, RFC 6409)."""

import base64

import pytest

from lab7.services.mail.smtp.commands import StartTLS, State
from lab7.services.mail.smtp.server_session import Offer
from tests.core.services.mail.smtp.transcripts import HELLO, World, check, session

CLEAR = Offer("mx.example.com", auth=True, auth_in_clear=True, auth_required=True)
SECURE = Offer("mx.example.com", starttls=True, auth=True, auth_required=True)
EHLO = HELLO.replace("S: 250 HELP", "S: 250-HELP\nS: 250 AUTH PLAIN LOGIN")
EHLO_TLS = HELLO.replace("S: 250 HELP", "S: 250-HELP\nS: 250 STARTTLS")


def plain(user: str, password: str, identity: str = "") -> str:
    return base64.b64encode(f"{identity}\0{user}\0{password}".encode()).decode()


def word(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


RELAYED = "C: MAIL FROM:<alice@example.com> AUTH=<>\nS: 250\nC: RCPT TO:<x@example.net>\nS: 250\n"


def test_nothing_without_a_password_on_the_submission_port() -> None:
    check(EHLO + "C: MAIL FROM:<alice@example.com>\nS: 530 5.7.0\n", session(offer=CLEAR))


@pytest.mark.parametrize("user", ["alice", "ALICE", "alice@example.com"])
def test_plain_opens_the_relay(user: str) -> None:
    check(EHLO + f"C: AUTH PLAIN {plain(user, 'secret')}\nS: 235 2.7.0\n" + RELAYED, session(offer=CLEAR))


def test_plain_with_a_response_of_its_own() -> None:
    script = f"C: auth plain\nS: 334 \nC: {plain('alice', 'secret')}\nS: 235\nC: AUTH PLAIN\nS: 503\n"
    check(EHLO + script + RELAYED, session(offer=CLEAR))


def test_login_asks_twice() -> None:
    asks = f"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {word('bob')}\nS: 334 UGFzc3dvcmQ6\nC: {word('hunter2')}\nS: 235\n"
    check(EHLO + asks + RELAYED, session(offer=CLEAR))
    check(EHLO + f"C: AUTH LOGIN {word('bob')}\nS: 334\nC: {word('hunter2')}\nS: 235\n", session(offer=CLEAR))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (f"C: AUTH PLAIN {plain('alice', 'wrong')}\n", "535 5.7.8"),
        (f"C: AUTH PLAIN {plain('nobody', 'secret')}\n", "535 5.7.8"),
        (f"C: AUTH PLAIN {plain('alice', '')}\n", "535 5.7.8"),
        ("C: AUTH PLAIN\nS: 334\nC: *\n", "501 5.7.0"),
        ("C: AUTH PLAIN not*base64\n", "501 5.5.2"),
        ("C: AUTH PLAIN =\n", "501 5.5.2"),
        (f"C: AUTH PLAIN {plain('alice', 'secret', 'bob')}\n", "535 5.7.8"),
        ("C: AUTH CRAM-MD5\n", "504 5.5.4"),
        ("C: AUTH\n", "501 5.5.4"),
        ("C: MAIL FROM:<>\nS: 530\nC: AUTH PLAIN " + "A" * 12_300 + "\n", "500 5.5.2"),
        ("C: AUTH PLAIN\nS: 334\nC: " + "A" * 12_300 + "\n", "500 5.5.6"),
    ],
)
def test_what_does_not_open_it(said: str, code: str) -> None:
    check(EHLO + said + f"S: {code}\nC: MAIL FROM:<>\nS: 530\n", session(offer=CLEAR))


def test_three_wrong_passwords_end_the_connection() -> None:
    wrong = f"C: AUTH PLAIN {plain('alice', 'wrong')}\nS: 535\n"
    one = session(offer=CLEAR)
    check(EHLO + wrong * 3 + "S: 421 4.7.0\n", one)
    assert one.state is State.CLOSED


def test_no_password_in_the_clear_where_tls_is_to_be_had() -> None:
    check(EHLO_TLS + f"C: AUTH PLAIN {plain('alice', 'secret')}\nS: 538 5.7.11\n", session(offer=SECURE))


def test_inside_tls_the_session_begins_anew() -> None:
    script = "C: STARTTLS\nS: 220 2.0.0\nC: MAIL FROM:<>\nS: 503\n" + EHLO
    script += "C: STARTTLS\nS: 503\n" + f"C: AUTH PLAIN {plain('alice', 'secret')}\nS: 235\n" + RELAYED
    check(EHLO_TLS + script, session(offer=SECURE))


def test_what_was_sent_ahead_of_the_handshake_is_forgotten() -> None:
    one = session(offer=SECURE)
    one.receive(b"EHLO x\r\n")
    out = one.receive(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
    assert out.count(b"\r\n") == 1
    assert isinstance(one.request, StartTLS)
    assert one.receive(b"RCPT TO:<bob@example.com>\r\n") == b""
    assert one.tls_started("TLSv1.3") == b""
    assert one.held_octets == 0
    assert World().talk(one, b"NOOP\r\n").startswith(b"250")


def test_the_protocol_is_told_as_rfc_3848_names_it() -> None:
    one = session(offer=SECURE)
    assert one.client.protocol == "SMTP"
    World().talk(one, b"EHLO x\r\n")
    assert one.client.protocol == "ESMTP"
    World().talk(one, b"STARTTLS\r\n")
    World().talk(one, b"EHLO x\r\nAUTH PLAIN " + plain("alice", "secret").encode() + b"\r\n")
    assert one.client.protocol == "ESMTPSA"
