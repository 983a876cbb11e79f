"""ENABLE IMAP4rev2 (RFC 9051): what changes, and what does not before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.services.mail.imap.transcripts import Client, mailbox


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = Client(mailbox(tmp_path, b"one", b"two"))
    client.play(
        """
        C: e ENABLE IMAP4rev2 CONDSTORE
        S: * ENABLED IMAP4rev2 CONDSTORE
        S: e OK Enable completed.
        """
    )
    return client


def test_select_has_a_list_response_and_nothing_recent(client: Client) -> None:
    client.play(
        r"""
        C: a SELECT inbox
        S: * FLAGS (...)
        S: * OK [PERMANENTFLAGS (...)] ...
        S: * 2 EXISTS
        S: * LIST () "/" INBOX
        S: * OK [UIDVALIDITY {validity}] ...
        S: * OK [UIDNEXT 3] ...
        S: * OK [MAILBOXID (...)] ...
        S: * OK [HIGHESTMODSEQ {highest}] ...
        S: a OK [READ-WRITE] Selected.
        C: b FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: b OK Fetch completed.
        """
    )
    client.maildir.deliver(b"Subject: three\r\n\r\n")
    assert client.send(b"c NOOP\r\n") == b"* 3 EXISTS\r\nc OK NOOP completed.\r\n"


def test_search_results_are_extended(client: Client) -> None:
    client.send(b"a SELECT INBOX\r\n")
    assert client.send(b"b SEARCH ALL\r\n") == b'* ESEARCH (TAG "b") ALL 1:2\r\nb OK Search completed.\r\n'
    assert client.send(b"c UID SEARCH 9\r\n") == b'* ESEARCH (TAG "c") UID\r\nc OK Search completed.\r\n'


def test_mailbox_names_are_utf8(client: Client) -> None:
    other = Client(client.maildir)
    assert b"a OK" in client.send('a CREATE "Entwürfe/R&D"\r\n'.encode())
    assert b'LIST (\\HasNoChildren) "/" Entw&APw-rfe/R&-D\r\n' in other.send(b'b LIST "" *\r\n')
    assert 'LIST (\\HasNoChildren) "/" "Entwürfe/R&D"\r\n'.encode() in client.send('b LIST "" "Entwü*"\r\n'.encode())
    assert '* STATUS "Entwürfe/R&D" (MESSAGES 0)'.encode() in client.send(
        'c STATUS "Entwürfe/R&D" (MESSAGES)\r\n'.encode()
    )
    literal = "Entwürfe/R&D".encode()
    assert b"d OK [APPENDUID" in client.send(b"d APPEND {%d+}\r\n" % len(literal) + literal + b" {3+}\r\n\r\nx\r\n")
    assert b'* LIST () "/" "Entw\xc3\xbcrfe/R&D"' in client.send('e SELECT "Entwürfe/R&D"\r\n'.encode())
    assert b"f BAD" in client.send(b'f SELECT "\xff"\r\n')
    assert other.send('g SELECT "Entwürfe/R&D"\r\n'.encode()).startswith(b"g BAD")
    assert b"h OK" in client.send('h SUBSCRIBE "Entwürfe/R&D"\r\n'.encode())
    assert '* LSUB () "/" "Entwürfe/R&D"'.encode() in client.send(b'i LSUB "" *\r\n')
