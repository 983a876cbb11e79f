"""SMTP server session without I/O, fed line by line: transcript of a mail transaction (RFC 5321 section 3.3).

    python docs/examples/smtp_session.py

The session cannot store the message itself: it sets a request, and the caller completes it with the reply.
"""

from __future__ import annotations

from lab7.services.mail.accounts import Accounts
from lab7.services.mail.smtp.commands import Accept
from lab7.services.mail.smtp.policy import Client, Policy
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from lab7.services.mail.smtp.syntax import Reply

LINES = """\
EHLO client.example.org
MAIL FROM:<alice@example.org>
RCPT TO:<dave@example.com>
RCPT TO:<bob@example.com>
RCPT TO:<carol@example.net>
DATA
Subject: lunch

..at noon?
.
QUIT"""


def main() -> None:
    """Feed a client's lines to a session, and complete its request to store the message."""
    policy = Policy(Accounts("bob:secret", ["example.com"]))
    session = ServerSession(policy, Offer("mx.example.com"), Client("192.0.2.9"))
    show("S", session.greeting())
    for line in LINES.splitlines():
        octets = line.encode() + b"\r\n"
        show("C", octets)
        show("S", session.receive(octets))
        if isinstance(session.request, Accept):
            print(f"-- to {', '.join(map(str, session.request.recipients))}: {session.request.content!r}")
            show("S", session.accepted(Reply(250, "Queued", "2.0.0")))


def show(side: str, octets: bytes) -> None:
    """Print the lines of one side."""
    for line in octets.decode("ascii").splitlines():
        print(f"{side}: {line}")


if __name__ == "__main__":
    main()
