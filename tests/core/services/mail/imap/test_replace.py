"""REPLACE (RFC 8508): a message takes the place of another one, in the same mailbox or in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    made = Client(mailbox(tmp_path, b"one", b"two", b"three"))
    made.send(b"c CREATE box\r\ns SELECT INBOX\r\n")
    return made


def test_a_message_is_replaced(client: Client) -> None:
    client.play("""
        C: a REPLACE 2 INBOX (\\\\Seen kept) {3+}\\r\\nnew
        S: * OK [APPENDUID {validity} 4] ...
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: a OK Replace completed.
        C: b FETCH 3 (UID FLAGS BODY.PEEK[])
        S: * 3 FETCH (UID 4 FLAGS (\\\\Seen \\\\Recent kept) BODY[] {3}
        S: new)
        S: b OK ...
    """)


def test_by_uid_and_into_another_mailbox(client: Client) -> None:
    client.play("""
        C: a UID REPLACE 1 box (kept) CATENATE (TEXT {2+}\\r\\na: URL "/INBOX/;UID=1/;SECTION=TEXT")
        S: * OK [APPENDUID {validity} 1] ...
        S: * 1 EXPUNGE
        S: * 2 RECENT
        S: a OK ...
        C: b STATUS box (MESSAGES SIZE)
        S: * STATUS box (MESSAGES 1 SIZE 20)
        S: b OK ...
    """)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("REPLACE 9 INBOX {1+}\r\nx", "BAD"),
        ("REPLACE 1:2 INBOX {1+}\r\nx", "BAD"),
        ("REPLACE $ INBOX {1+}\r\nx", "BAD"),
        ("REPLACE 1 INBOX", "BAD"),
        ("REPLACE 1 INBOX {1+}\r\nx {1+}\r\ny", "BAD"),
        ("UID REPLACE 9 INBOX {1+}\r\nx", "NO"),
        ("REPLACE 1 nowhere {1+}\r\nx", "NO [TRYCREATE]"),
        ("REPLACE 1 INBOX {0+}\r\n", "NO"),
        ('REPLACE 1 INBOX CATENATE (URL "/INBOX/;UID=9")', "NO [BADURL"),
    ],
)
def test_what_cannot_be_done_leaves_the_message(client: Client, arguments: str, answer: str) -> None:
    assert client.send(f"a {arguments}\r\n".encode()).startswith(f"a {answer}".encode())
    client.send(b"e EXAMINE INBOX\r\n")
    assert client.send(b"b REPLACE 1 INBOX {1+}\r\nx\r\n").startswith(b"b NO [READ-ONLY]")
    assert client.send(b"c SEARCH ALL\r\n").startswith(b"* SEARCH 1 2 3\r\n")


def test_another_session_has_removed_the_message(client: Client) -> None:
    other = Client(client.maildir)
    other.send(b"s SELECT INBOX\r\nd STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\n")
    answer = client.send(b"a REPLACE 1 INBOX {1+}\r\nx\r\n")
    assert b"a NO [EXPUNGEISSUED] " in answer
    assert b"APPENDUID" not in answer


def test_a_full_mailbox_has_room_for_a_smaller_message(client: Client) -> None:
    quota = client.maildir.quota
    quota.quota_octets = quota.usage()[0]
    assert b"a OK" in client.send(b"a REPLACE 1 INBOX {3}\r\n") + client.send(b"new\r\n")
    assert client.send(b"b REPLACE 1 INBOX {300+}\r\n" + b"x" * 300 + b"\r\n").startswith(b"b NO [OVERQUOTA]")


def test_the_mailbox_is_checked_before_the_message_is_sent(client: Client) -> None:
    assert client.send(b"a REPLACE 1 nowhere {1000}\r\n").startswith(b"a NO [TRYCREATE]")
    assert client.send(b"b UID REPLACE 1 box {3}\r\n") == b"+ OK\r\n"
