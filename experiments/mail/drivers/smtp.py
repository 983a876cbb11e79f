"""A person's user agent that stays up in a host and does what it is told.

Run in a host: READY, then for each JSON line on the standard input one on the standard output, with began_ns and
ended_ns (CLOCK_REALTIME, the capture's clock), or {"error": ...}:

    {"compose": {"from", "to", "subject", "text", "files": [PATH, ...]}, "into": PATH}       writes a message
    {"send": [PATH, ...], "server", "port", "user", "password"}       hands messages in over one connection
    {"fetch": N, "server", "user", "password"}                        fetches message N by POP3, and removes it
    {"dialogue": [STEP, ...], "server", "port"}                       one SMTP session, step by step, see below

compose, send and fetch are services.mail.agent. A dialogue is had by Python's smtplib, so that lab7's client is no
judge of lab7's server; what the server says decides nothing here, it is in the capture:

    ["say", "VRFY bob"]      a command, and its reply
    ["data", TEXT]           mail data behind a 354, dots doubled and the final one added, and the reply
    ["listen"]               a reply that nobody asked for
    ["pause", SECONDS]       nothing, for so long
    ["tell", WORD]           {"reached": WORD} on the standard output, and on after a line on the standard input
"""

from __future__ import annotations

import gc
import json
import smtplib
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.mail.agent import mailbox_client, submission
from services.mail.agent.composition import compose_message
from services.mail.agent.drafts import Attachment, ComposeError, Draft, parse_mailbox_list, parse_single_mailbox
from services.mail.agent.errors import AgentError

TIMEOUT_S = 20.0
# How long a server may take to close behind its last reply.
FAREWELL_S = 2.0
READ_OCTETS = 4096
POP3_PORT = 110


def _compose(order: dict[str, Any]) -> None:
    asked = order["compose"]
    files = [Path(name) for name in asked["files"]]
    draft = Draft(
        parse_single_mailbox(asked["from"], "sender"),
        parse_mailbox_list(asked["to"]),
        asked["subject"],
        asked["text"],
        attachments=[Attachment(path.name, path.read_bytes()) for path in files],
    )
    domain = draft.sender.mailbox.domain
    Path(order["into"]).write_bytes(compose_message(draft, time.time(), f"{time.time_ns():x}@{domain}"))


def _send(order: dict[str, Any]) -> None:
    server = submission.Server(order["server"], order["port"], order["user"], order["password"], timeout_s=TIMEOUT_S)
    refused = submission.send(server, [submission.prepare(Path(name).read_bytes()) for name in order["send"]])
    if refused:
        raise AgentError(f"refused: {refused}")


def _fetch(order: dict[str, Any]) -> None:
    access = mailbox_client.Access(
        "pop3", order["server"], POP3_PORT, order["user"], order["password"], timeout_s=TIMEOUT_S
    )
    with mailbox_client.open_mailbox(access) as mailbox:
        mailbox.message(order["fetch"])
        mailbox.delete(order["fetch"])


def _dialogue(order: dict[str, Any]) -> None:
    client = smtplib.SMTP(timeout=TIMEOUT_S)
    try:
        client.connect(order["server"], order["port"])
        for step, *rest in order["dialogue"]:
            _STEPS[step](client, *rest)
        _see_it_end(client)
    except smtplib.SMTPServerDisconnected:
        # The server may end a session; that it did is in the capture.
        pass
    finally:
        client.close()


def _see_it_end(client: smtplib.SMTP) -> None:
    """Wait for the server to close: a client that closed at once might be seen to be the first."""
    if client.sock is not None:
        client.sock.settimeout(FAREWELL_S)
        with suppress(OSError):
            while client.sock.recv(READ_OCTETS):
                pass


def _data(client: smtplib.SMTP, text: str) -> None:
    client.send(smtplib._quote_periods(text.encode("ascii")) + b".\r\n")  # type: ignore[attr-defined]
    client.getreply()


def _tell(_: smtplib.SMTP, word: str) -> None:
    print(json.dumps({"reached": word}), flush=True)
    sys.stdin.readline()


_STEPS: dict[str, Callable[..., Any]] = {
    "say": lambda client, command: client.docmd(command),
    "data": _data,
    "listen": lambda client: client.getreply(),
    "pause": lambda _, seconds: time.sleep(seconds),
    "tell": _tell,
}
_ORDERS = {"compose": _compose, "send": _send, "fetch": _fetch, "dialogue": _dialogue}


def _obey(order: dict[str, Any]) -> dict[str, Any]:
    began_ns = time.time_ns()
    try:
        next(act for name, act in _ORDERS.items() if name in order)(order)
    except (AgentError, ComposeError, OSError, smtplib.SMTPException) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"began_ns": began_ns, "ended_ns": time.time_ns()}


def main(_: list[str]) -> int:
    """Obey until the standard input ends."""
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(_obey(json.loads(line))), flush=True)
    return 0
