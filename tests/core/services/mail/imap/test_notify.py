"""NOTIFY (RFC 5465): notifications about the selected mailbox and others, while no command runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    maildir = mailbox(tmp_path, b"one")
    for name in ("Work", "Work/2026", "Play"):
        maildir.create(name)
    return Client(maildir)


def test_the_state_is_sent_at_first_if_requested(client: Client) -> None:
    client.play(
        """
        C: a NOTIFY SET STATUS (mailboxes INBOX (MessageNew MessageExpunge))
        S: * STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY {validity})
        S: a OK Notify completed.
        C: b NOTIFY SET STATUS (subtree Work (MessageNew MessageExpunge FlagChange))
        S: * STATUS Work (MESSAGES 0 UIDNEXT 1 UIDVALIDITY {work} HIGHESTMODSEQ {highest})
        S: * STATUS Work/2026 (MESSAGES 0 UIDNEXT 1 UIDVALIDITY {year} HIGHESTMODSEQ {highest_too})
        S: b OK Notify completed.
        C: c NOTIFY SET (mailboxes (Work Play) (MessageNew MessageExpunge))
        S: c OK Notify completed.
        """
    )
    assert client.poll() == b""


def test_messages_and_flags_of_other_mailboxes_are_notified(client: Client) -> None:
    client.send(b"a SELECT Work\r\nb NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))\r\n")
    assert client.session.waits
    client.maildir.deliver(b"Subject: two\r\n\r\n")
    assert client.poll().startswith(b"* STATUS INBOX (MESSAGES 2 UIDNEXT 3 HIGHESTMODSEQ ")
    assert client.poll() == b""
    other = Client(client.maildir)
    other.send(b"a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\n")
    assert client.poll().startswith(b"* STATUS INBOX (HIGHESTMODSEQ ")
    other.send(b"c EXPUNGE\r\n")
    assert client.poll().startswith(b"* STATUS INBOX (MESSAGES 1 UIDNEXT 3 HIGHESTMODSEQ ")
    # The selected mailbox is not one of them, and its own rules are those of IMAP without NOTIFY.
    other.send(b"d COPY 1 Work\r\n")
    assert client.poll() == b""
    assert client.send(b"c NOOP\r\n").startswith(b"* 1 EXISTS\r\n")
    client.send(b"d NOTIFY NONE\r\n")
    assert not client.session.waits


def test_new_messages_of_the_selected_mailbox_are_fetched(client: Client) -> None:
    client.send(b"a SELECT INBOX\r\nb NOTIFY SET (selected (MessageNew (FLAGS RFC822.SIZE) MessageExpunge))\r\n")
    client.maildir.deliver(b"\r\nxx")
    assert client.poll() == b"* 2 EXISTS\r\n* 2 RECENT\r\n* 2 FETCH (UID 2 FLAGS (\\Recent) RFC822.SIZE 4)\r\n"
    Client(client.maildir).send(b"a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\n")
    assert b"* 1 EXPUNGE\r\n" in client.poll()


def test_a_delayed_mailbox_is_expunged_by_a_command_only(client: Client) -> None:
    client.send(b"a SELECT INBOX\r\nb NOTIFY SET (selected-delayed (MessageNew MessageExpunge))\r\n")
    Client(client.maildir).send(b"a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\n")
    assert b"EXPUNGE" not in client.poll()
    assert b"* 1 EXPUNGE\r\n" in client.send(b"c NOOP\r\n")


def test_names_and_subscriptions_are_notified(client: Client) -> None:
    client.send(b"a NOTIFY SET (subtree Work (MailboxName)) (personal (SubscriptionChange))\r\n")
    other = Client(client.maildir)
    other.send(b"a CREATE Work/New\r\nb CREATE Other\r\nc SUBSCRIBE Play\r\nd SUBSCRIBE Work\r\n")
    assert client.poll() == b'* LIST (\\Subscribed) "/" Play\r\n* LIST () "/" Work/New\r\n'
    other.send(b"e RENAME Work/New Work/Old\r\nf UNSUBSCRIBE Play\r\n")
    assert client.poll() == b'* LIST () "/" Play\r\n* LIST (\\NonExistent) "/" Work/New\r\n* LIST () "/" Work/Old\r\n'


def test_a_watched_mailbox_may_be_removed_and_created_again(client: Client) -> None:
    client.send(b"a NOTIFY SET (personal (MessageNew MessageExpunge))\r\n")
    other = Client(client.maildir)
    other.send(b"a DELETE Play\r\n")
    assert client.poll() == b""
    other.send(b"b CREATE Play\r\nc SELECT INBOX\r\nd COPY 1 Play\r\n")
    assert client.poll() == b"* STATUS Play (MESSAGES 1 UIDNEXT 2)\r\n"


@pytest.mark.parametrize(
    ("arguments", "response"),
    [
        ("", b"a BAD"),
        ("SET", b"a BAD"),
        ("SET (nowhere (MessageNew MessageExpunge))", b"a BAD"),
        ("SET (personal (MessageNew))", b"a BAD"),
        ("SET (personal (FlagChange))", b"a BAD"),
        ("SET (personal (MessageNew (UID) MessageExpunge))", b"a BAD"),
        ("SET (personal (AnnotationChange))", b"a NO [BADEVENT (MessageNew "),
        ("SET (selected NONE)", b"a OK"),
    ],
)
def test_wrong_requests(client: Client, arguments: str, response: bytes) -> None:
    assert client.send(f"a NOTIFY {arguments}\r\n".replace(" \r", "\r").encode()).startswith(response)


def test_too_many_mailboxes_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab7.services.mail.imap.commands.notify.NOTIFIED_MAILBOXES_MAX", 2)
    answer = client.send(b"a NOTIFY SET (personal (MessageNew MessageExpunge))\r\n")
    assert answer.startswith(b"a NO [NOTIFICATIONOVERFLOW]")
    assert not client.session.waits
