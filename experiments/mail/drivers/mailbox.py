"""Client program for scripted POP3 and IMAP sessions, on Python's poplib and imaplib.

The program is started on a host with the argument ADDRESS of the server, and reads one JSON request a line from
standard input (see lab7.experiments.harness.driver_process). A request is one session:

    {"pop3": [["user", "bob"], ["pass_", "secret"], ["stat"], ["retr", 1], ["quit"]]}
    {"imap": [["login", "bob", "secret"], ["select"], ["fetch", "1:*", "(FLAGS)"], ["logout"]]}

Each step is a method of poplib.POP3 or imaplib.IMAP4 with its arguments, so that lab7's servers are tested by
independent clients. After a refused command the script continues, since replies are judged from the capture. As an
argument, "$found" stands for the first message of the latest `search`, and "$largest" for the largest of the latest
`list`.
"""

from __future__ import annotations

import imaplib
import poplib
from collections.abc import Sequence
from functools import partial
from typing import Any

from lab7.experiments.harness.driver_process import serve

TIMEOUT_S = 30.0
REFUSED = (poplib.error_proto, imaplib.IMAP4.error)


def run_steps(client: Any, steps: Sequence[Sequence[Any]]) -> None:
    """Run one session: call methods of a poplib or imaplib client; each step is (method name, argument, ...).

    A refused command does not end the session. Raises OSError, EOFError and imaplib's abort.
    """
    known: dict[str, str] = {}
    for method, *arguments in steps:
        try:
            said = getattr(client, method)(*(_filled(one, known) for one in arguments))
        except imaplib.IMAP4.abort:
            raise
        except REFUSED:
            continue
        if method == "search":
            known["$found"] = (said[1][0] or b"0").split()[0].decode()
        elif method == "list" and isinstance(client, poplib.POP3):
            known["$largest"] = max(said[1], key=lambda line: int(line.split()[1])).split()[0].decode()


def _filled(argument: Any, known: dict[str, str]) -> Any:
    return known.get(argument, argument) if isinstance(argument, str) else argument


def _session(address: str, request: dict[str, Any]) -> None:
    if "pop3" in request:
        run_steps(poplib.POP3(address, timeout=TIMEOUT_S), request["pop3"])
    else:
        run_steps(imaplib.IMAP4(address, timeout=TIMEOUT_S), request["imap"])


def main(argv: list[str]) -> int:
    """Run a POP3 or IMAP session for each JSON request on standard input; return 0 at the end."""
    (address,) = argv
    return serve(partial(_session, address), errors=(OSError, EOFError, AttributeError, *REFUSED))
