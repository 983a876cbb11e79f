"""Scripts of POP3, IMAP and webmail sessions on Bob's mailbox, for the programs drivers.mailbox and drivers.webmail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from lab7.experiments.mail.theory.access import list_pages
from lab7.topologies.mail import PASSWORDS

USER, PASSWORD = "bob", PASSWORDS["bob"]
FOLDER, PART_OCTETS = "Kept", 200
DELETED = 5
Steps = list[Sequence[Any]]
_POP3: Steps = [("user", USER), ("pass_", PASSWORD)]
_IMAP: Steps = [("login", USER, PASSWORD)]
_READ_ONLY: Steps = [*_IMAP, ("select", "INBOX", True)]


def reading_steps(protocol: str, task: str, count: int, subject: str) -> Steps:
    """Return the poplib or imaplib calls, each (method, arguments ...), of a reading task on `count` messages.

    `task`: headers, attachment or everything; `subject`: Subject of the message with the attachment.
    """
    every = range(1, count + 1)
    return {
        ("POP3", "headers"): [*_POP3, ("stat",), *(("top", number, 0) for number in every), ("quit",)],
        ("POP3", "attachment"): [*_POP3, ("list",), ("retr", "$largest"), ("quit",)],
        ("POP3", "everything"): [*_POP3, ("stat",), *(("retr", number) for number in every), ("quit",)],
        ("IMAP", "headers"): [*_READ_ONLY, ("fetch", "1:*", "(BODY.PEEK[HEADER])"), ("logout",)],
        ("IMAP", "attachment"): [
            *_READ_ONLY,
            _search(subject),
            ("fetch", "$found", "(BODYSTRUCTURE)"),
            ("fetch", "$found", "(BODY.PEEK[2])"),
            ("logout",),
        ],
        ("IMAP", "everything"): [*_READ_ONLY, ("fetch", "1:*", "(BODY.PEEK[])"), ("logout",)],
    }[protocol, task]


def _search(subject: str) -> Sequence[Any]:
    return "search", None, "SUBJECT", f'"{subject}"'


def working_steps(subject: str) -> Steps:
    """Return imaplib calls that create a folder, search, set flags, copy, and fetch a part of a message.

    Each call is (method, argument, ...). `subject`: Subject of the message that is copied.
    """
    return [
        *_IMAP,
        ("select", "INBOX"),
        ("create", FOLDER),
        _search(subject),
        ("store", "$found", "+FLAGS", "(\\Flagged)"),
        ("copy", "$found", FOLDER),
        ("fetch", "$found", f"(BODY.PEEK[]<0.{PART_OCTETS}>)"),
        ("fetch", "$found", f"(BODY.PEEK[]<{PART_OCTETS // 2}.{PART_OCTETS}>)"),
        ("store", "1", "+FLAGS", "(\\Answered)"),
        ("store", "1", "-FLAGS", "(\\Answered)"),
        ("search", None, "NOT", "SUBJECT", f'"{subject}"'),
        ("logout",),
    ]


def looking_steps() -> Steps:
    """Return imaplib calls that read the flags and folders that working_steps() has changed.

    Each call is (method, argument, ...).
    """
    return [
        *_READ_ONLY,
        ("search", None, "FLAGGED"),
        ("status", FOLDER, "(MESSAGES)"),
        ("list",),
        ("fetch", "1:*", "(FLAGS)"),
        ("logout",),
    ]


def folder_steps() -> Steps:
    """Return imaplib calls that fetch all messages in the folder that working_steps() has created.

    Each call is (method, argument, ...).
    """
    return [*_IMAP, ("select", FOLDER, True), ("fetch", "1:*", "(BODY.PEEK[])"), ("logout",)]


# REFUSED is a POP3 session that sends a wrong password and then commands that need authorization.
REFUSED: Steps = [("user", USER), ("pass_", f"{PASSWORD}s"), ("stat",), ("retr", 1), ("quit",)]
COUNT: Steps = [*_POP3, ("stat",), ("quit",)]
# DROP is a POP3 session that marks a message by DELE and closes without QUIT.
DROP: Steps = [*_POP3, ("dele", 1), ("close",)]
DELETE: Steps = [
    *_POP3,
    ("stat",),
    *(step for number in range(1, DELETED + 1) for step in (("retr", number), ("dele", number))),
    ("quit",),
]


def rest_steps(count: int) -> Steps:
    """Return poplib calls, each (method, arguments ...), that retrieve the messages left by an earlier DELE session.

    `count`: number of messages before that session.
    """
    every = range(1, count - DELETED + 1)
    return [*_POP3, ("stat",), ("list",), *(("retr", number) for number in every), ("quit",)]


def log_in_steps(user: str) -> Steps:
    """Return the actions of the scripted browser that log a user in to webmail, up to the message list."""
    return [("open", "/login"), ("submit", "/login", {"user": user, "password": PASSWORDS[user]})]


def webmail_steps(task: str, count: int, subject: str) -> Steps:
    """Return the actions of the scripted browser for a reading task on `count` messages by webmail.

    `task`: headers, attachment or everything.
    """
    later: Steps = [("open", f"/folder?name=INBOX&page={page}") for page in range(2, list_pages(count) + 1)]
    if task == "headers":
        return [*log_in_steps(USER), *later]
    if task == "everything":
        each: Steps = [("each", "/message?")]
        return [*log_in_steps(USER), *each, *(step for page in later for step in (page, *each)), *_picture(subject)]
    return [*log_in_steps(USER), *_picture(subject)]


def _picture(subject: str) -> Steps:
    return [
        ("open", "/folder?" + urlencode({"name": "INBOX", "q": subject})),
        ("follow", subject),
        ("follow", "/part?"),
    ]


def writing_steps(user: str, to: str, subject: str, text: str) -> Steps:
    """Return the actions of the scripted browser that log a user in to webmail, and write and send a message."""
    form = {"to": to, "subject": subject, "text": text}
    return [*log_in_steps(user), ("open", "/compose"), ("submit", "/compose", form)]
