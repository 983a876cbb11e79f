"""Names of mailboxes: refused ones, and UIDVALIDITY of a name (RFC 9051 sections 2.3.1.1 and 5.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(mailbox(tmp_path))


@pytest.mark.parametrize("name", [".", "..", "a/../b", "a/.", "./a"])
def test_names_of_directories_are_refused(client: Client, name: str) -> None:
    client.play(f"""
        C: a CREATE {name}
        S: a NO [CANNOT] ...
        C: b RENAME INBOX {name}
        S: b NO [CANNOT] ...
        C: c LIST "" *
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: c OK ...
    """)


def test_a_mailbox_with_the_name_of_a_directory_is_not_listed_but_can_be_renamed(
    client: Client, tmp_path: Path
) -> None:
    for place in ("tmp", "new", "cur"):
        (tmp_path / "maildir" / ".&AC4-&AC4-" / place).mkdir(parents=True)
    client.maildir.subscriptions.add("..")
    client.play("""
        C: a LIST "" *
        S: * LIST (\\\\HasNoChildren) "/" INBOX
        S: a OK ...
        C: b LIST (SUBSCRIBED) "" *
        S: b OK ...
        C: c LSUB "" *
        S: c OK ...
        C: d NOTIFY SET STATUS (personal (MessageNew MessageExpunge))
        S: * STATUS INBOX ...
        S: d OK ...
        C: e STATUS .. (MESSAGES)
        S: * STATUS .. (MESSAGES 0)
        S: e OK ...
        C: f RENAME .. dots
        S: f OK ...
        C: g DELETE dots
        S: g OK ...
    """)


def test_the_uidvalidity_of_a_name_never_decreases(client: Client) -> None:
    """RFC 9051 section 2.3.1.1; RFC 8474 section 4: RENAME keeps the MAILBOXID."""
    client.play(
        """
        C: a CREATE one/sub
        S: a OK [MAILBOXID (F{first})] ...
        C: b RENAME one two
        S: b OK ...
        C: c CREATE one/sub
        S: c OK ...
        C: d STATUS one/sub (UIDVALIDITY)
        S: * STATUS one/sub (UIDVALIDITY {second})
        S: d OK ...
        C: e DELETE one/sub
        S: e OK ...
        C: f APPEND two/sub (word) {1+}
        C: x
        S: f OK [APPENDUID {first} 1] ...
        C: g RENAME two one
        S: g OK ...
        C: h STATUS one/sub (UIDVALIDITY UIDNEXT MAILBOXID MESSAGES)
        S: * STATUS one/sub (UIDVALIDITY {third} UIDNEXT 2 MAILBOXID (F{first}) MESSAGES 1)
        S: h OK ...
    """.replace("F{first}", "F{id}")
    )
    assert client.found["first"] == client.found["id"] < client.found["second"] < client.found["third"]


def test_a_mailbox_that_gets_its_old_name_back_keeps_its_uidvalidity(client: Client) -> None:
    client.play("""
        C: a CREATE one
        S: a OK [MAILBOXID (F{first})] ...
        C: b RENAME one two
        S: b OK ...
        C: c RENAME two one
        S: c OK ...
        C: d STATUS one (UIDVALIDITY)
        S: * STATUS one (UIDVALIDITY {second})
        S: d OK ...
    """)
    assert client.found["first"] == client.found["second"]


def test_a_selected_mailbox_may_get_another_uidvalidity(client: Client) -> None:
    other = Client(client.maildir)
    client.send(b"a CREATE one\r\nb RENAME one two\r\nc CREATE one\r\nd DELETE one\r\n")
    client.send(b"e APPEND two {1+}\r\nx\r\n")
    other.send(b"e ENABLE QRESYNC\r\ns SELECT two\r\n")
    client.send(b"f RENAME two one\r\n")
    other.play("""
        C: a STORE 1 +FLAGS (\\\\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\\\\Seen \\\\Recent) MODSEQ ({changed}))
        S: a OK ...
    """)
