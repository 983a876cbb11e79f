"""Mail client program on Python's smtplib, poplib and imaplib, for comparison with lab7's user agent.

    stdlib_client.py send HOST PORT USER|- PASSWORD SENDER RECIPIENT FILE...
    stdlib_client.py pop3|imap HOST PORT USER PASSWORD FOLDER

`send` authenticates if the server offers AUTH, unless the user is `-`; pop3 and imap store every message in FOLDER, and
leave the messages on the server. The program imports the standard library only, since any python3 may run it.
"""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import sys
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 30.0


def send(host: str, port: str, user: str, password: str, sender: str, recipient: str, *files: str) -> None:
    """Send message files over one SMTP connection; smtplib's errors end the program with a traceback."""
    with smtplib.SMTP(host, int(port), timeout=TIMEOUT_S) as client:
        client.ehlo_or_helo_if_needed()
        if user != "-" and client.has_extn("auth"):
            client.login(user, password)
        for file in files:
            client.sendmail(sender, [recipient], Path(file).read_bytes())


def pop3(host: str, port: str, user: str, password: str, folder: str) -> None:
    """Store every message of a maildrop as a file in `folder`. Raises poplib's errors."""
    client = poplib.POP3(host, int(port), timeout=TIMEOUT_S)
    client.user(user)
    client.pass_(password)
    for number in range(1, client.stat()[0] + 1):
        Path(folder, str(number)).write_bytes(b"\r\n".join(client.retr(number)[1]) + b"\r\n")
    client.quit()


def imap(host: str, port: str, user: str, password: str, folder: str) -> None:
    """Store every message of the INBOX as a file in `folder`. Raises imaplib's errors."""
    client = imaplib.IMAP4(host, int(port), timeout=TIMEOUT_S)
    client.login(user, password)
    client.select(readonly=True)
    _, found = client.fetch("1:*", "(BODY.PEEK[])")
    contents = [part[1] for part in found if isinstance(part, tuple)]
    for number, content in enumerate(contents, start=1):
        Path(folder, str(number)).write_bytes(content)
    client.logout()


DEEDS: dict[str, Callable[..., None]] = {"send": send, "pop3": pop3, "imap": imap}

if __name__ == "__main__":
    DEEDS[sys.argv[1]](*sys.argv[2:])
