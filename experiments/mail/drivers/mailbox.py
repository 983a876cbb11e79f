"""A user agent that follows a script on a mailbox, by POP3 or by IMAP.

Run in a host with ADDRESS: READY, then for each JSON line on the standard input one session and one JSON line on the
standard output: began_ns and ended_ns (CLOCK_REALTIME, the capture's clock), or {"error": ...} where it broke off.

    {"pop3": [["user", "bob"], ["pass_", "secret"], ["stat"], ["retr", 1], ["quit"]]}
    {"imap": [["login", "bob", "secret"], ["select"], ["fetch", "1:*", "(FLAGS)"], ["logout"]]}

Each step is a method of Python's poplib.POP3 or imaplib.IMAP4 with its arguments, so that nothing of lab7's is a judge
of lab7's servers. What the server refuses is refused; the script goes on, and what was said is in the capture. "$found"
stands for the first message that the last `search` found, "$largest" for the largest of the last `list`.
"""

from __future__ import annotations

import gc
import imaplib
import json
import poplib
import sys
import time
from collections.abc import Sequence
from typing import Any

TIMEOUT_S = 30.0
REFUSED = (poplib.error_proto, imaplib.IMAP4.error)


def follow(client: Any, steps: Sequence[Sequence[Any]]) -> None:
    """Do what the steps say. Raises OSError, EOFError and imaplib's abort."""
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


def _session(address: str, order: dict[str, Any]) -> dict[str, Any]:
    began_ns = time.time_ns()
    try:
        if "pop3" in order:
            follow(poplib.POP3(address, timeout=TIMEOUT_S), order["pop3"])
        else:
            follow(imaplib.IMAP4(address, timeout=TIMEOUT_S), order["imap"])
    except (OSError, EOFError, AttributeError, *REFUSED) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"began_ns": began_ns, "ended_ns": time.time_ns()}


def main(argv: list[str]) -> int:
    """Follow scripts until the standard input ends."""
    (address,) = argv
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(_session(address, json.loads(line))), flush=True)
    return 0
