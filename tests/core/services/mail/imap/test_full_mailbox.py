"""Commands on a mailbox whose quota is used up: a move needs no room, a copy does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import MESSAGE, Client


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Return a client whose two messages fill the quota to the last octet."""
    maildir = Maildir(tmp_path / "maildir", quota_octets=1000)
    for subject in (b"one", b"two"):
        maildir.deliver(MESSAGE % (subject, subject))
    maildir.quota.quota_octets = maildir.quota.usage()[0]
    made = Client(maildir)
    made.send(b"c CREATE box\r\ns SELECT INBOX\r\n")
    return made


def test_messages_move_and_are_not_copied(client: Client) -> None:
    """RFC 6851: MOVE leaves as much in the user's folders as there was."""
    client.play("""
        C: a COPY 1 box
        S: a NO [OVERQUOTA] ...
        C: b MOVE 1 box
        S: * OK [COPYUID {validity} 1 1] ...
        S: * 1 EXPUNGE
        S: * 1 RECENT
        S: b OK ...
        C: c APPEND INBOX {1+}\\r\\nx
        S: c NO [OVERQUOTA] ...
    """)
    used = client.maildir.quota.usage()
    assert used == (client.maildir.quota.quota_octets, 2)


def test_inbox_is_renamed(client: Client) -> None:
    client.play("""
        C: a RENAME INBOX old
        S: * 2 EXPUNGE
        S: * 1 EXPUNGE
        S: * 0 RECENT
        S: a OK ...
        C: b STATUS old (MESSAGES)
        S: * STATUS old (MESSAGES 2)
        S: b OK ...
    """)


def test_move_tells_the_highest_mod_sequence(client: Client) -> None:
    """RFC 7162 section 3.2.7, as for EXPUNGE: the client need not ask for the mod-sequence of the removal."""
    client.send(b"u UNSELECT\r\ne ENABLE QRESYNC\r\ns SELECT INBOX\r\n")
    client.play("""
        C: a MOVE 1 box
        S: * OK [COPYUID {validity} 1 1] ...
        S: * VANISHED 1
        S: a OK [HIGHESTMODSEQ {highest}] Move completed.
        C: b STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ {status})
        S: b OK ...
    """)
    assert client.found["highest"] == client.found["status"]
