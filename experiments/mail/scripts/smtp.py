"""Scripts of SMTP dialogues that cause each of 21 reply codes, for the client program drivers.smtp.

The server is mail.example.com; the client, on Alice's host, is outside of the server's network. The server's users are
bob; carol, with a quota of 4 000 octets; dave, whose mail is forwarded to alice@example.org; erin, moved to
example.org. At a step `tell` the dialogue waits while the experiment causes an event on the server's host, such as a
full disk or a signal (see lab7.experiments.mail.replies).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab7.topologies.mail import ACCOUNTS_A, ACCOUNTS_B, ALICE

Steps = Sequence[Sequence[Any]]
CAROL_PASSWORD, CAROL_QUOTA = "small-box", 4_000
AT_RECEIVER_DOMAIN = f"""\
{ACCOUNTS_B}carol:{CAROL_PASSWORD}:{CAROL_QUOTA}
dave => {ALICE}
erin -> erin@example.org
"""
AT_SENDER_DOMAIN = f"{ACCOUNTS_A}erin:red-queen\n"
# GREYLIST_S is the server's greylisting delay; the client waits GREYLIST_PATIENCE_S, which is longer.
GREYLIST_S, GREYLIST_PATIENCE_S = 2.0, 2.3
STOP, FILL, EMPTY, FREEZE, THAW, READ = "stop", "fill", "empty", "freeze", "thaw", "read"

HELLO, QUIT = ("say", "EHLO alice.example.org"), ("say", "QUIT")
MAIL, RSET, DATA = ("say", f"MAIL FROM:<{ALICE}>"), ("say", "RSET"), ("say", "DATA")


def rcpt(user: str, domain: str = "example.com") -> tuple[str, str]:
    """Return the step (`say`, command) by which a scripted SMTP session sends RCPT for a user."""
    return "say", f"RCPT TO:<{user}@{domain}>"


def letter(text: str, octets: int = 0) -> tuple[str, str]:
    """Return the step (`data`, message) by which a scripted SMTP session sends a message as mail data.

    The message has about `octets` octets, and `text` as its Subject.
    """
    head = f"From: {ALICE}\r\nSubject: {text}\r\n\r\n"
    lines = "".join(f"line {number:05} of what Alice has to say\r\n" for number in range(max(octets // 40, 1)))
    return "data", head + lines


def whole(user: str, text: str, octets: int = 0) -> Steps:
    """Return the steps of a scripted SMTP session for a mail transaction to one user: MAIL, RCPT, DATA, mail data."""
    return MAIL, rcpt(user), DATA, letter(text, octets)


BIG = letter("this fills most of your box", 2_500)
# DIALOGUES has the client's dialogue for each reply code.
DIALOGUES: Mapping[int, Steps] = {
    211: (HELLO, ("say", "HELP"), QUIT),
    214: (HELLO, ("say", "HELP MAIL"), ("say", "HELP RCPT"), QUIT),
    220: (HELLO, QUIT),
    221: (HELLO, QUIT),
    250: (HELLO, *whole("bob", "hello"), QUIT),
    251: (HELLO, *whole("dave", "to be passed on"), QUIT),
    354: (HELLO, MAIL, DATA, rcpt("bob"), DATA, letter("in order"), QUIT),
    500: (HELLO, ("say", "FROB the nozzle"), ("say", "NOOP"), QUIT),
    # 501 is caused by MAIL FROM without a colon, since servers accept other deviations from the syntax.
    501: (HELLO, ("say", f"MAIL FROM <{ALICE}>"), MAIL, QUIT),
    502: (HELLO, ("say", "TURN"), QUIT),
    503: (HELLO, rcpt("bob"), MAIL, rcpt("bob"), QUIT),
    504: (HELLO, ("say", f"MAIL FROM:<{ALICE}> BODY=BINARYMIME"), ("say", f"MAIL FROM:<{ALICE}> BODY=8BITMIME"), QUIT),
    550: (HELLO, MAIL, rcpt("nobody"), rcpt("bob"), QUIT),
    551: (HELLO, MAIL, rcpt("erin"), QUIT),
    552: (
        HELLO,
        *(MAIL, rcpt("carol"), DATA, BIG),
        ("tell", FILL),
        *(MAIL, rcpt("carol"), DATA, BIG),
        ("tell", READ),
        *(MAIL, rcpt("carol"), DATA, BIG),
        QUIT,
    ),
    553: (HELLO, MAIL, rcpt("no one"), rcpt("bob"), QUIT),
    554: (HELLO, MAIL, rcpt("nobody"), DATA, rcpt("bob"), DATA, letter("somebody at last"), QUIT),
    # 452 is caused by a full disk of the queue.
    452: (HELLO, MAIL, RSET, ("tell", FILL), MAIL, ("tell", EMPTY), *whole("bob", "there is room"), QUIT),
    # 450 is caused by greylisting.
    450: (HELLO, MAIL, rcpt("bob"), rcpt("bob"), ("pause", GREYLIST_PATIENCE_S), rcpt("bob"), QUIT),
    # 451 is caused by a disk of the queue that is temporarily read-only.
    451: (HELLO, ("tell", FREEZE), *whole("bob", "keep this"), ("tell", THAW), *whole("bob", "keep this"), QUIT),
    421: (HELLO, ("tell", STOP), ("listen",)),
}
# Dialogue with the server named in a 551 reply, which shows that this server accepts the mailbox.
AT_NEW_PLACE: Steps = (HELLO, MAIL, rcpt("erin", "example.org"), QUIT)
