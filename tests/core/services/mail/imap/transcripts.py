r"""Sessions as transcripts: what the client says (C:) and what the server says (S:), line by line.

    play(session, '''
        C: a NOOP
        S: a OK ...
    ''')

In a line of the server `...` stands for any octets, and `{name}` for a number that is kept in `found`. `\r`, `\n`
and the like are written with a backslash within a line; a line that begins with `C+` is sent without a line end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from services.mail.access.requests import LogIn, Opened, Output, Outputs, StartTls
from services.mail.imap.capabilities import Capabilities
from services.mail.imap.session import Session
from services.mail.maildir.store import Maildir

MESSAGE = b"From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: %b\r\n\r\nThe text of %b.\r\n"
PASSWORD = "secret"


class Client:
    """One client of a session; several may have one mailbox."""

    def __init__(self, maildir: Maildir, offer: Capabilities | None = None, logged_in: bool = True) -> None:
        self.maildir = maildir
        self.session = Session(offer or Capabilities())
        self.found: dict[str, int] = {}
        self.tls_begun = 0
        if logged_in:
            self.send(b"login LOGIN alice secret\r\n")

    def send(self, octets: bytes) -> bytes:
        """Let the session receive octets and return all that it answers."""
        return b"".join(self._answered(self.session.receive(octets)))

    def poll(self) -> bytes:
        """Return what is new."""
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
        """Say what the client says, and compare what the server says."""
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
    """A Maildir with a message of each subject."""
    maildir = Maildir(path / "maildir")
    for subject in subjects:
        maildir.deliver(MESSAGE % (subject, subject))
    return maildir
