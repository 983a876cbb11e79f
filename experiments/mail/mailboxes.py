"""Mailboxes for experiments: generated messages stored in Maildirs, scripted POP3 and IMAP access, delivery polling."""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from random import Random
from typing import Any

from lab7.experiments.harness.driver import Driver, run_command
from lab7.experiments.harness.implementations.registry import SUBMISSION_PORT
from lab7.experiments.harness.measurement import Window
from lab7.experiments.mail.peers import PEERS
from lab7.experiments.mail.servers import MailHost
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host

READER = "lab7.experiments.mail.drivers.mailbox"
SCRIPT = PEERS / "stdlib_client.py"
TIMEOUT_S = 60.0
POLL_S = 0.02
WORDS = (
    "mail",
    "is",
    "kept",
    "where",
    "it",
    "came",
    "until",
    "somebody",
    "asks",
    "for",
    "it",
    "and",
    "then",
    "goes",
    "home",
)
# Arrival time in s since 1970 of the first message; each further message arrives one second later.
FIRST_ARRIVAL = 1_760_000_000
Steps = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Messages:
    """Generated messages for a mailbox, with CRLF line ends.

    `picture`: index of the message that has an attachment; `subject`: its Subject; `attachment`: the decoded
    attachment.
    """

    contents: tuple[bytes, ...]
    subject: bytes
    attachment: bytes
    picture: int

    @property
    def headers(self) -> list[int]:
        """Return the size in octets of each message's header, the empty line included."""
        return [len(each.partition(b"\r\n\r\n")[0]) + 4 for each in self.contents]

    @property
    def sizes(self) -> list[int]:
        """Return the size in octets of each message."""
        return [len(each) for each in self.contents]

    @property
    def attached(self) -> int:
        """Return the size in octets of the attachment as encoded in the message (base64)."""
        return len(base64.encodebytes(self.attachment).replace(b"\n", b"\r\n"))


def generate_messages(count: int, attachment_bytes: int, seed: int) -> Messages:
    """Generate messages to Bob, one of them with an attachment, by Python's email package."""
    random, subject = Random(seed), "a picture of the ring"
    attachment, picture = random.randbytes(attachment_bytes), random.randrange(count)
    made = []
    for number in range(count):
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = "alice@example.org", "bob@example.com"
        message["Subject"] = subject if number == picture else f"letter {number}"
        message["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(FIRST_ARRIVAL + number))
        message["Message-ID"] = f"<{number}.{random.getrandbits(64):x}@example.org>"
        message.set_content(text(random, random.randrange(10, 40)))
        if number == picture:
            message.add_attachment(attachment, maintype="image", subtype="png", filename="ring.png")
            message.set_boundary(f"=_{random.getrandbits(64):016x}")
        made.append(message.as_bytes())
    return Messages(tuple(made), subject.encode(), attachment, picture)


def text(random: Random, lines: int) -> str:
    """Return `lines` lines of random text, some of which need dot-stuffing (RFC 5321 section 4.5.2)."""
    found = [" ".join(random.choices(WORDS, k=random.randrange(3, 12))) for _ in range(lines)]
    return "".join(f"{'.' if random.random() < 0.1 else ''}{line}\n" for line in found)


def fill(host: MailHost, user: str, contents: Sequence[bytes]) -> None:
    """Write messages into a user's Maildir, as local delivery does (https://cr.yp.to/proto/maildir.html)."""
    folder = host.mailbox(user)
    for place in ("new", "cur", "tmp"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(contents):
        arrived = FIRST_ARRIVAL + number
        path = folder / "new" / f"{arrived}.M{number:06}P1.lab"
        path.write_bytes(content.replace(b"\r\n", b"\n"))
        os.utime(path, (arrived, arrived))
    host.own(user)


class Reader(Driver):
    """Scripted POP3 and IMAP client on a host, run as the program lab7.experiments.mail.drivers.mailbox."""

    def __init__(self, host: Host, address: str) -> None:
        super().__init__(host, [READER, address])

    def session(self, protocol: str, steps: Steps) -> Window:
        """Run a scripted POP3 or IMAP session; return the time span. Raises EmulationError."""
        return self.request({protocol.lower(): steps})


def send(host: Host, server: MailHost, user: str, recipient: str, *messages: Path) -> Window:
    """Submit messages to a mail server with Python's smtplib; return the time span. Raises LoadFailedError."""
    sender, password = f"{user}@{server.domain}", server.passwords[user]
    words = [sys.executable, str(SCRIPT), "send", server.hostname, str(SUBMISSION_PORT)]
    return run_command(host, [*words, user, password, sender, recipient, *map(str, messages)])


def wait_for_count(server: MailHost, user: str, count: int, timeout_s: float = TIMEOUT_S) -> Window:
    """Wait for `count` messages with distinct bodies in a user's INBOX; return the time span. Raises EmulationError."""
    start_ns, deadline_s = time.time_ns(), time.monotonic() + timeout_s
    while (found := held(server, user)) < count:
        if time.monotonic() > deadline_s:
            raise EmulationError(f"{found} of {count} messages were delivered to {user} within {timeout_s:g} s")
        time.sleep(POLL_S)
    return Window(start_ns, time.time_ns())


def held(server: MailHost, user: str) -> int:
    """Return the number of messages with distinct bodies in a user's INBOX."""
    return len({content.partition(b"\n\n")[2] for content in contents_of(server, user)})


def contents_of(server: MailHost, user: str) -> list[bytes]:
    """Return the octets of the messages in a user's INBOX as stored, with LF or CRLF line ends."""
    found = []
    for path in (path for place in ("new", "cur") for path in (server.mailbox(user) / place).glob("*")):
        # Ignore a file that a server renames between listing and reading.
        with suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return found
