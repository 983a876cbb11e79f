"""Keywords of messages (RFC 9051 sections 2.3.2, 6.3.12 and 6.4.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    made = Client(mailbox(tmp_path, b"one", b"two"))
    made.send(b"s SELECT INBOX\r\n")
    return made


def many_keywords(letter: str, count: int) -> str:
    return " ".join(f"{letter}{number}" for number in range(count))


def test_a_refused_command_adds_no_keyword(client: Client) -> None:
    """RFC 9051 sections 6.3.12 and 6.4.7: the mailbox is as it was before a command that failed."""
    client.play(f"""
        C: a STORE 1 +FLAGS ({many_keywords("k", 30)})
        S: a NO [LIMIT] ...
        C: b STORE 1 +FLAGS (short {"x" * 200})
        S: b NO [LIMIT] ...
        C: c CREATE box
        S: c OK ...
    """)
    appended = f"d APPEND INBOX ({many_keywords('m', 20)}) {{1+}}\r\nx ({many_keywords('n', 20)}) {{1+}}\r\ny\r\n"
    assert client.send(appended.encode()).startswith(b"d NO [LIMIT] ")
    assert client.maildir.folder("INBOX").keywords.names == []
    for number, letter in ((1, "o"), (2, "p")):
        client.send(f"e STORE {number} +FLAGS.SILENT ({many_keywords(letter, 13)})\r\n".encode())
    client.send(b"f APPEND box (one) {1+}\r\nx\r\n")
    client.play("""
        C: g COPY 1:2 box
        S: g NO [LIMIT] ...
        C: h MOVE 1:2 box
        S: h NO [LIMIT] ...
        C: i COPY 1 box
        S: i OK ...
    """)
    assert client.maildir.folder("box").keywords.names == ["one", *sorted(many_keywords("o", 13).split())]
