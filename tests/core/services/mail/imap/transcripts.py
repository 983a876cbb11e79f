"""IMAP session transcripts: client lines (C:) and server lines (S:)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lab7.services.mail.access.requests import LogIn, Opened, Output, Outputs, StartTls
from lab7.services.mail.imap.session import Session
from lab7.services.mail.imap.session_state import Capabilities
from lab7.services.mail.maildir.store import Maildir

MESSAGE = b"From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: %b\r\n\r\nThe text of %b.\r\n"
PASSWORD = "secret"


class Client:
    """A client of one session; several clients may share a mailbox."""

    def __init__(self, maildir: Maildir, offer: Capabilities | None = None, logged_in: bool = True) -> None:
        self.maildir = maildir
        self.session = Session(offer or Capabilities())
        self.found: dict[str, int] = {}
        self.tls_begun = 0
        if logged_in:
            self.send(b"login LOGIN alice secret\r\n")

    def send(self, octets: bytes) -> bytes:
        """Feed octets to the session and return its output."""
        return b"".join(self._answered(self.session.receive(octets)))

    def poll(self) -> bytes:
        """Return mailbox updates."""
        return b"".join(self.session.poll())

    def _answered(self, outputs: Outputs) -> Iterator[bytes]:
        answer: object = None
        while True:
            try:
                output: Output = outputs.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(output, bytes):
                yield output
            elif isinstance(output, StartTls):
                self.tls_begun += 1
            elif isinstance(output, LogIn) and (output.user, output.password) == ("alice", PASSWORD):
                answer = Opened("alice@example.com", self.maildir)

    def play(self, transcript: str) -> None:
        """Send the client lines and compare the server lines."""
        pending: list[bytes] = []
        for line in filter(None, (one.strip() for one in transcript.splitlines())):
            who, _, text = line.partition(" ")
            octets = text.encode("utf-8").decode("unicode_escape").encode("latin-1") if "\\" in text else text.encode()
            if who == "S:":
                assert pending, f"silence, and not {text!r}"
                self._compare(octets, pending.pop(0))
                continue
            assert who in ("C:", "C+"), line
            assert pending == [], f"more than the transcript has before {text!r}"
            pending = self.send(octets + (b"\r\n" if who == "C:" else b"")).splitlines(keepends=True)
        assert pending == [], "more than the transcript has"

    def _compare(self, wanted: bytes, line: bytes) -> None:
        assert line.endswith(b"\r\n")
        pattern = re.escape(wanted).replace(rb"\.\.\.", rb".*")
        pattern = re.sub(rb"\\\{([a-z_]+)\\\}", rb"(?P<\1>\\d+)", pattern)
        match = re.fullmatch(pattern, line[:-2], re.DOTALL)
        assert match, f"{line!r} is not {wanted!r}"
        self.found |= {name: int(value) for name, value in match.groupdict().items()}


def mailbox(path: Path, *subjects: bytes) -> Maildir:
    """Return a Maildir with a message for each subject."""
    maildir = Maildir(path / "maildir")
    for subject in subjects:
        maildir.deliver(MESSAGE % (subject, subject))
    return maildir
