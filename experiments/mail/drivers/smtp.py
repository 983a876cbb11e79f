"""Mail user agent program: composes, submits and fetches messages, and runs scripted SMTP dialogues.

The program reads one JSON request a line from standard input (see lab7.experiments.harness.driver_process). Texts
and numbers are left out here: "server" stands for "server": TEXT.

    {"compose": {"from", "to", "subject", "text", "files": [PATH, ...]}, "into": PATH}     write a message into a file
    {"send": [PATH, ...], "server", "port", "user", "password"}     submit messages on one connection
    {"fetch": N, "server", "user", "password"}                      fetch message N by POP3, and delete it
    {"dialogue": [STEP, ...], "server", "port"}                     one SMTP session, see below

compose, send and fetch use lab7.services.mail.agent. A dialogue uses Python's smtplib, so that lab7's server is tested
by an independent client. Replies are judged from the capture, not here. The steps of a dialogue:

    ["say", "VRFY bob"]      send a command, and wait for its reply
    ["data", TEXT]           send mail data after a 354, dot-stuffed and with the final dot, and wait for the reply
    ["listen"]               wait for a reply without a command
    ["pause", SECONDS]       send nothing for some seconds
    ["tell", WORD]           write {"reached": WORD} to standard output, and wait for a line on standard input
"""

from __future__ import annotations

import smtplib
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab7.experiments.harness.driver_process import send as respond
from lab7.experiments.harness.driver_process import serve
from lab7.services.mail.agent import mailbox_client, submission
from lab7.services.mail.agent.composition import compose_message
from lab7.services.mail.agent.drafts import Attachment, ComposeError, Draft, parse_mailbox_list, parse_single_mailbox
from lab7.services.mail.agent.errors import AgentError

TIMEOUT_S = 20.0
# Time in s after the last reply in which the client program waits for the server to close the connection.
FAREWELL_S = 2.0
READ_OCTETS = 4096
POP3_PORT = 110


def _compose(request: dict[str, Any]) -> None:
    asked = request["compose"]
    files = [Path(name) for name in asked["files"]]
    draft = Draft(
        parse_single_mailbox(asked["from"], "sender"),
        parse_mailbox_list(asked["to"]),
        asked["subject"],
        asked["text"],
        attachments=[Attachment(path.name, path.read_bytes()) for path in files],
    )
    domain = draft.sender.mailbox.domain
    Path(request["into"]).write_bytes(compose_message(draft, time.time(), f"{time.time_ns():x}@{domain}"))


def _send(request: dict[str, Any]) -> None:
    server = submission.Server(
        request["server"], request["port"], request["user"], request["password"], timeout_s=TIMEOUT_S
    )
    refused = submission.send(server, [submission.prepare(Path(name).read_bytes()) for name in request["send"]])
    if refused:
        raise AgentError(f"refused: {refused}")


def _fetch(request: dict[str, Any]) -> None:
    access = mailbox_client.Access(
        "pop3", request["server"], POP3_PORT, request["user"], request["password"], timeout_s=TIMEOUT_S
    )
    with mailbox_client.open_mailbox(access) as mailbox:
        mailbox.message(request["fetch"])
        mailbox.delete(request["fetch"])


def _dialogue(request: dict[str, Any]) -> None:
    client = smtplib.SMTP(timeout=TIMEOUT_S)
    try:
        client.connect(request["server"], request["port"])
        for step, *rest in request["dialogue"]:
            _STEPS[step](client, *rest)
        _wait_for_close(client)
    except smtplib.SMTPServerDisconnected:
        # Ignore a session that the server closes early, since the capture shows the close.
        pass
    finally:
        client.close()


def _wait_for_close(client: smtplib.SMTP) -> None:
    """Wait until the server closes the connection, so that the capture shows which side sends the first FIN."""
    if client.sock is not None:
        client.sock.settimeout(FAREWELL_S)
        with suppress(OSError):
            while client.sock.recv(READ_OCTETS):
                pass


def _data(client: smtplib.SMTP, text: str) -> None:
    client.send(smtplib._quote_periods(text.encode("ascii")) + b".\r\n")  # type: ignore[attr-defined]
    client.getreply()


def _tell(_: smtplib.SMTP, word: str) -> None:
    respond({"reached": word})
    sys.stdin.readline()


_STEPS: dict[str, Callable[..., Any]] = {
    "say": lambda client, command: client.docmd(command),
    "data": _data,
    "listen": lambda client: client.getreply(),
    "pause": lambda _, seconds: time.sleep(seconds),
    "tell": _tell,
}
_HANDLERS = {"compose": _compose, "send": _send, "fetch": _fetch, "dialogue": _dialogue}


def _handle(request: dict[str, Any]) -> None:
    next(handler for name, handler in _HANDLERS.items() if name in request)(request)


def main(_: list[str]) -> int:
    """Process the JSON requests (compose, send, fetch, dialogue) on standard input; return 0 at the end."""
    return serve(_handle, errors=(AgentError, ComposeError, OSError, smtplib.SMTPException))
