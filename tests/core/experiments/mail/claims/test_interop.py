"""The cells of the mail matrix: a message sent, or not; all messages fetched, or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.harness.implementations.registry import AGENT_ROLE, MTA_ROLE, implementations, of_role
from lab7.experiments.mail.claims.interop import fetched_by_imap, fetched_by_pop3, relayed, sent
from lab7.experiments.mail.clients import OPERATIONS, Task, supports
from lab7.experiments.mail.matrix import RELAY, columns
from lab7.experiments.mail.servers import MailHost
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.mail.mailbox_wire import LETTERS, ImapWire, Pop3Wire
from tests.core.experiments.mail.smtp_wire import BODY, HEADER, PLAIN, SmtpWire, whole

WHOM = "bob@example.com"


def test_a_message_that_is_taken_over_is_sent(tmp_path: Path) -> None:
    said(sent("cell", whole().traffic(tmp_path / "1"), PLAIN, WHOM), "shown", "The message is accepted (MAIL in frame")
    # curl and swaks put an empty line behind it.
    more = whole(HEADER + b"\r\n" + BODY + b"\r\n").traffic(tmp_path / "2")
    said(sent("cell", more, PLAIN, WHOM), "shown")


@pytest.mark.parametrize(
    ("wire", "part"),
    [
        (SmtpWire().begin().hello().message(code=451).quit(), "refused with 451"),
        (whole(HEADER + b"\r\nOther.\r\n"), "another message than the submitted one"),
        (
            SmtpWire().begin().hello().say("MAIL FROM:<a@example.org>", 550).quit(),
            "No message is sent; at the end of the last session 'QUIT'",
        ),
        (SmtpWire().begin("220 x").say("EHLO a_b", 250), "No message is sent"),
    ],
)
def test_a_message_that_is_not_taken_over_is_not(tmp_path: Path, wire: SmtpWire, part: str) -> None:
    said(sent("cell", wire.traffic(tmp_path), PLAIN, WHOM), "failed", part)


def test_a_message_for_somebody_else_is_not_sent(tmp_path: Path) -> None:
    said(sent("cell", whole().traffic(tmp_path), PLAIN, "carol@example.com"), "failed")


def test_a_message_with_another_header_is_not_sent(tmp_path: Path) -> None:
    other = whole(PLAIN.replace(b"Subject: hello", b"Subject: other")).traffic(tmp_path / "1")
    said(sent("cell", other, PLAIN, WHOM), "failed", "has the Subject 'other', not 'hello'")
    # A client may write it anew, and say the same.
    anew = PLAIN.replace(b"Subject: hello", b"SUBJECT:  hello").replace(b"From: alice", b"User-Agent: x\r\nFrom: alice")
    said(sent("cell", whole(anew).traffic(tmp_path / "2"), PLAIN, WHOM), "shown")
    named = PLAIN.replace(b"From: alice@example.org", b"From: Alice <alice@example.org>")
    said(sent("cell", whole(named).traffic(tmp_path / "3"), PLAIN, WHOM), "shown")
    eve = PLAIN.replace(b"From: alice@example.org", b"From: Alice <eve@example.net>")
    said(sent("cell", whole(eve).traffic(tmp_path / "4"), PLAIN, WHOM), "failed", "has the From")


def test_a_relayed_message_is_unaltered_and_delivered(tmp_path: Path) -> None:
    traffic = whole(b"Received: from x\r\n" + PLAIN).traffic(tmp_path / "1")
    stored = b"Return-Path: <>\n" + PLAIN.replace(b"\r\n", b"\n")
    said(relayed("cell", traffic, PLAIN, WHOM, [stored]), "shown", "and delivered")
    said(relayed("cell", traffic, PLAIN, WHOM, []), "failed", "is not in the mailbox: the mailbox is empty")
    changed = stored.replace(b"hidden", b"other")
    said(relayed("cell", traffic, PLAIN, WHOM, [changed]), "failed", "is not in the mailbox: the body has")
    said(relayed("cell", traffic, PLAIN, "carol@example.com", [stored]), "failed", "its recipient is bob@example.com")
    other = whole(PLAIN.replace(b"hello", b"other")).traffic(tmp_path / "2")
    said(
        relayed("cell", other, PLAIN, WHOM, [stored]),
        "failed",
        "was altered: the field 'Subject: hello' is missing or moved",
    )
    refused = SmtpWire().begin().hello().message(code=451).quit().traffic(tmp_path / "3")
    said(relayed("cell", refused, PLAIN, WHOM, [stored]), "failed", "No message is relayed")


def test_all_messages_are_fetched_whole(tmp_path: Path) -> None:
    pop3 = Pop3Wire().log_in().retrieve(*LETTERS).quit().traffic(tmp_path / "pop3")
    said(fetched_by_pop3("cell", pop3, LETTERS), "shown", "3 messages are retrieved completely (RETR in frames 9")
    imap = ImapWire().log_in().fetch("BODY[]", *LETTERS).quit().traffic(tmp_path / "imap")
    said(fetched_by_imap("cell", imap, LETTERS), "shown", "3 messages are retrieved completely (FETCH in frame 9)")


def test_a_message_that_is_missing_or_another_one_is_found(tmp_path: Path) -> None:
    some = Pop3Wire().log_in().retrieve(*LETTERS[:2]).quit().traffic(tmp_path / "some")
    said(
        fetched_by_pop3("cell", some, LETTERS),
        "failed",
        "The session of frame 1 does not retrieve 1 of 3 messages completely",
    )
    other = ImapWire().log_in().fetch("BODY[]", *LETTERS, b"Subject: x\r\n\r\n").quit().traffic(tmp_path / "other")
    said(fetched_by_imap("cell", other, LETTERS), "failed", "that are not a message of the mailbox")
    cut = [letter.partition(b"\r\n\r\n")[0] for letter in LETTERS]
    heads = ImapWire().log_in().fetch("BODY[HEADER]", *cut).quit().traffic(tmp_path / "heads")
    said(fetched_by_imap("cell", heads, LETTERS), "failed", "3 of 3 messages")


def test_every_client_is_a_column_with_all_that_it_does_and_every_mail_server_passes_on() -> None:
    found = columns()
    assert len(set(found)) == len(found)
    assert {each.operation for each in found} == {*OPERATIONS, RELAY}
    for client in (None, *of_role(AGENT_ROLE)):
        for operation in OPERATIONS:
            assert any(each.client is client and each.operation == operation for each in found) == supports(
                client, operation
            )
    assert [each.name for each in found if each.operation == RELAY] == [
        "lab7",
        *(one.name for one in of_role(MTA_ROLE)),
    ]


def test_who_sends_logs_in_where_the_server_wants_it() -> None:
    for name, auth in (("postfix", False), ("exim", True)):
        host = MailHost([], "example.org", "mail.example.org", {}, "10.0.0.0/24", implementations()[MTA_ROLE, name])
        assert Task("send", host, "alice").auth == auth
    assert Task("send", MailHost([], "example.org", "mail.example.org", {}, "10.0.0.0/24"), "alice").auth
