"""Drafts, files and refused recipients of webmail as a program, beside a mail server and IMAP."""

from __future__ import annotations

import hashlib
import imaplib
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from tests.loopback.mail.access import access_process
from tests.loopback.mail.support import HOST, PATIENCE_S, Server, mta, wait_until
from tests.loopback.mail.webmail import ACCOUNTS, Seen, Visitor, webmail_process

FILE = ("ring.bin", bytes(range(256)) * 40, "application/octet-stream")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("compose")
    (folder / "accounts").write_text(ACCOUNTS)
    with mta(folder, submission=True) as made:
        yield made


@pytest.fixture(scope="module")
def port(server: Server) -> Iterator[int]:
    with webmail_process(server) as made:
        yield made


def visitor_of(port: int) -> Visitor:
    visitor = Visitor(port)
    assert visitor.log_in("alice", "secret").fields["Location"] == "/"
    return visitor


@pytest.fixture
def alice(port: int) -> Visitor:
    return visitor_of(port)


@pytest.fixture
def imap(server: Server, tmp_path: Path) -> Iterator[imaplib.IMAP4]:
    (tmp_path / "mail").symlink_to(server.maildirs)
    with access_process("imap", tmp_path) as imap_port:
        client = imaplib.IMAP4(HOST, imap_port, timeout=PATIENCE_S)
        client.login("alice", "secret")
        yield client
        client.logout()


def submit(visitor: Visitor, page: Seen, *files: tuple[str, bytes, str], **values: object) -> Seen:
    """Submit the compose form of a page, and follow the redirect."""
    answer = visitor.post_files("/compose", {**page.form("/compose"), **values}, files)
    assert answer.status == 303
    return visitor.get(answer.fields["Location"])


def delivered(server: Server, user: str, subject: str) -> Message:
    """Wait until a user has a message with this subject, and return it."""
    wait_until(lambda: any(one["Subject"] == subject for one in server.messages(user)))
    return next(one for one in server.messages(user) if one["Subject"] == subject)


def recipients(page: Seen) -> str:
    return page.form("/compose")["to"]


def attached(message: Message) -> list[tuple[str | None, str]]:
    parts = [part for part in message.walk() if part.get_filename()]
    return [(part.get_filename(), hashlib.sha256(part.get_payload(decode=True)).hexdigest()) for part in parts]  # type: ignore[arg-type]


def test_recipients_that_the_server_refuses_are_named_and_kept(server: Server, alice: Visitor) -> None:
    before = len(server.messages("bob"))
    to = "Bob <bob@example.com>, Nobody <nosuch@example.com>"
    page = submit(alice, alice.get("/compose"), FILE, to=to, cc="", subject="Partly", text="Hello")
    assert "The message was sent to 1 of 2 recipients." in page.page.text
    assert "nosuch@example.com: 550 5.1.1" in page.page.text
    assert "The message has been sent." not in page.page.text
    assert recipients(page) == "Nobody <nosuch@example.com>"
    server.wait_for("bob", before + 1)
    # The rest goes to a corrected address alone, with its file.
    submit(alice, page, to="alice@example.com")
    assert attached(delivered(server, "alice", "Partly")) == [(FILE[0], hashlib.sha256(FILE[1]).hexdigest())]
    assert len(server.messages("bob")) == before + 1


def test_files_outlive_a_refusal_and_a_restart_of_the_server(server: Server) -> None:
    with webmail_process(server) as first:
        alice = visitor_of(first)
        answer = alice.post_files("/compose", {**alice.get("/compose").form("/compose"), "to": "bob"}, [FILE])
        assert "is not a mailbox" in alice.get(answer.fields["Location"]).html
    with webmail_process(server) as second:
        alice = visitor_of(second)
        page = alice.get(answer.fields["Location"])
        assert "ring.bin" in page.page.text
        submit(alice, page, to="bob@example.com", subject="After a restart")
    assert attached(delivered(server, "bob", "After a restart")) == [(FILE[0], hashlib.sha256(FILE[1]).hexdigest())]


def test_a_draft_is_the_same_by_webmail_and_by_imap(server: Server, alice: Visitor, imap: imaplib.IMAP4) -> None:
    submit(alice, alice.get("/compose"), FILE, action="save", to="bob@example.com", subject="From webmail")
    assert b"\\Drafts" in b" ".join(line for line in imap.list()[1] if isinstance(line, bytes))
    imap.select("Drafts")
    (number,) = imap.search(None, "SUBJECT", '"From webmail"')[1][0].split()
    flags = imap.fetch(number.decode(), "(FLAGS)")[1][0]
    assert isinstance(flags, bytes)
    assert b"\\Draft" in flags
    letter = b"From: alice@example.com\r\nTo: bob@example.com\r\nSubject: From IMAP\r\n\r\nWritten there.\r\n"
    imap.append("Drafts", "\\Draft", "", letter)
    drafts = alice.get("/folder?name=Drafts")
    assert "From IMAP" in drafts.page.text
    links = [link for link in drafts.page.links if link.startswith("/compose?") and "uid=" in link]
    page = alice.get(links[0])
    assert "Written there." in page.form("/compose")["text"]
    submit(alice, page, text="Finished here.")
    assert "Finished here." in delivered(server, "bob", "From IMAP").as_string()
    imap.noop()
    assert imap.search(None, "SUBJECT", '"From IMAP"')[1] == [b""]


def test_a_server_that_is_down_leaves_the_message_in_drafts(server: Server, alice: Visitor) -> None:
    with webmail_process(server, "--submission", f"{HOST}:9") as port:
        visitor = visitor_of(port)
        page = submit(visitor, visitor.get("/compose"), FILE, to="bob@example.com", subject="Later", text="x")
        assert "The message was not sent." in page.page.text
    assert "Later" in alice.get("/folder?name=Drafts").page.text


def test_pages_have_the_dates_of_their_messages(server: Server, alice: Visitor) -> None:
    submit(alice, alice.get("/compose"), to="alice@example.com", subject="Today", text="x")
    server.wait_for("alice", 1)
    assert "<time datetime=" in alice.get("/folder?name=INBOX").html
