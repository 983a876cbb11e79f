"""Commands on many messages yield after a bounded number of them, so that other sessions run in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.services.mail.access.requests import LogIn, Opened
from lab7.services.mail.imap import session_state
from lab7.services.mail.imap.session import Session
from lab7.services.mail.imap.session_state import Capabilities
from lab7.services.mail.maildir import folder, limits
from lab7.services.mail.maildir.store import Maildir
from tests.core.services.mail.imap.transcripts import Client

COUNT = 300
STEP = 20


class Counter:
    """Counts work since the last yield: files touched, messages read from a listing."""

    def __init__(self) -> None:
        self.since_yield = 0
        self.most = 0

    def add(self) -> None:
        self.since_yield += 1
        self.most = max(self.most, self.since_yield)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    for name in ("rename", "link", "unlink"):
        real = getattr(os, name)

        def counted(*arguments: str, call: object = real) -> None:
            counter.add()
            call(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(os, name, counted)
    real_message = folder.Message

    def message(*arguments: object) -> folder.Message:
        counter.add()
        return real_message(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(folder, "Message", message)
    monkeypatch.setattr(folder, "STEP_MESSAGES", STEP)
    monkeypatch.setattr(session_state, "STEP_MESSAGES", STEP)
    return counter


def filled(path: Path) -> Maildir:
    maildir = Maildir(path)
    maildir.create("Other")
    for number in range(COUNT):
        (path / ("new" if number % 2 else "cur") / f"{number}.M1P1Q{number}.x").write_bytes(b"Subject: x\n\n")
    return maildir


def steps(session: Session, counter: Counter, line: bytes, maildir: Maildir) -> Iterator[bytes]:
    outputs = session.receive(line)
    answer: object = None
    while True:
        try:
            output = outputs.send(answer)
        except StopIteration:
            return
        counter.since_yield = 0
        answer = Opened("alice", maildir) if isinstance(output, LogIn) else None
        yield output if isinstance(output, bytes) else b""


def test_no_command_handles_many_messages_without_a_yield(tmp_path: Path, counter: Counter) -> None:
    maildir = filled(tmp_path / "maildir")
    session = Session(Capabilities())
    for command in (
        "LOGIN alice secret",
        "SELECT INBOX",
        "STORE 1:* +FLAGS.SILENT (\\Flagged)",
        "STORE 1:* FLAGS (\\Deleted word)",
        "COPY 1:* Other",
        "STATUS Other (MESSAGES HIGHESTMODSEQ)",
        "UID MOVE 1:150 Other",
        "EXPUNGE",
        "SELECT Other",
        "STORE 1:* +FLAGS (\\Deleted)",
        "CLOSE",
    ):
        assert (
            b"".join(steps(session, counter, f"a {command}\r\n".encode(), maildir)).splitlines()[-1].startswith(b"a OK")
        )
        counter.since_yield = 0
    assert maildir.folder("INBOX").uids == maildir.folder("Other").uids == []
    # A few renames are of the folder's own files: index, keywords, mod-sequences.
    assert 0 < counter.most <= limits.TURN_FILES + 5


def test_a_session_runs_between_the_steps_of_another(tmp_path: Path, counter: Counter) -> None:
    """Whatever another session does meanwhile: a refresh in steps ends with the state on disk."""
    maildir = filled(tmp_path / "maildir")
    other = Client(maildir)
    first, numbers = Session(Capabilities()), iter(range(1, COUNT))
    list(steps(first, counter, b"a LOGIN alice secret\r\n", maildir))
    for place, _ in enumerate(steps(first, counter, b"b SELECT INBOX\r\n", maildir)):
        if place % 7 == 0:
            other.send(b"o%d SELECT INBOX\r\n" % place)
        elif place % 7 == 3:
            other.send(b"o%d STORE %d +FLAGS (\\Seen)\r\n" % (place, next(numbers)))
        elif place % 7 == 5:
            maildir.deliver(b"Subject: new\r\n\r\n")
    list(steps(first, counter, b"c NOOP\r\n", maildir))
    inbox = maildir.folder("INBOX")
    fresh = Maildir(tmp_path / "maildir").folder("INBOX")
    fresh.refresh()
    assert inbox.uids == fresh.uids == sorted(inbox.uids)
    assert {uid: message.name for uid, message in inbox.messages.items()} == {
        uid: message.name for uid, message in fresh.messages.items()
    }
    assert len(inbox.uids) > COUNT


def test_messages_that_go_while_they_are_copied_are_not_copied(tmp_path: Path, counter: Counter) -> None:
    maildir = filled(tmp_path / "maildir")
    other = Client(maildir)
    other.send(b"a SELECT INBOX\r\n")
    session = Session(Capabilities())
    list(steps(session, counter, b"a LOGIN alice secret\r\nb SELECT INBOX\r\n", maildir))
    answer = b""
    for place, output in enumerate(steps(session, counter, b"c COPY 1:* Other\r\n", maildir)):
        if place == 4:
            other.send(b"b STORE %d +FLAGS (\\Deleted)\r\nc EXPUNGE\r\n" % COUNT)
        answer += output
    assert b"c NO [EXPUNGEISSUED] " in answer
    assert b"* %d EXPUNGE\r\n" % COUNT in answer
    maildir.folder("Other").refresh()
    assert maildir.folder("Other").uids == []
