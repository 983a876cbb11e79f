"""A user agent that follows a script, for dialogues that no client would have of itself.

Run in a host with ADDRESS [PORT]: READY, then for each JSON list of steps on the standard input one session and one
JSON line: began_ns and ended_ns (CLOCK_REALTIME, the capture's clock), or {"error": ...} where it broke off. What the
server says decides nothing here; it is in the capture.

    ["say", "PWD"]                   a command, and its replies up to the final one
    ["passive", "RETR a", ...]       PASV, connect, the command, the data
    ["active", "STOR b", PATH]       PORT, the command, the data from that file
    ["early", "RETR a"]              as passive, but nothing is asked until the server must have seen the connection
    ["nobody", "RETR a"]             PORT to a port on which nobody listens, and the command

The control connection is Python's ftplib, so that lab7's client is no judge of lab7's server.
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import time
from contextlib import suppress
from ftplib import FTP, error_perm, error_reply, error_temp
from pathlib import Path
from typing import Any

TIMEOUT_S = 20.0
PIECE_OCTETS = 64 * 1024
REFUSED = (error_perm, error_temp, error_reply)


def _say(ftp: FTP, command: str) -> str:
    """Send a command; returns the reply, whatever it is. Raises OSError, EOFError."""
    try:
        return ftp.sendcmd(command)
    except REFUSED as refused:
        return str(refused)


def _finish(ftp: FTP) -> None:
    with suppress(*REFUSED):
        ftp.getresp()


def _move(data: socket.socket, command: str, path: str | None) -> None:
    """The octets of a transfer; whoever sends them ends the connection."""
    data.settimeout(TIMEOUT_S)
    with data, suppress(ConnectionError):
        if command.startswith("STOR"):
            data.sendall(Path(path or "").read_bytes())
            return
        while data.recv(PIECE_OCTETS):
            pass


def _passive(ftp: FTP, command: str, path: str | None, early: bool) -> None:
    address, port = ftp.makepasv()
    data = socket.create_connection((address, port), TIMEOUT_S)
    if early:
        # One exchange more: when its reply is here, the server's end of the data connection is long established.
        _say(ftp, "NOOP")
    if _say(ftp, command).startswith("1"):
        _move(data, command, path)
        _finish(ftp)
    data.close()


def _active(ftp: FTP, command: str, path: str | None) -> None:
    with ftp.makeport() as listener:
        listener.settimeout(TIMEOUT_S)
        if _say(ftp, command).startswith("1"):
            _move(listener.accept()[0], command, path)
            _finish(ftp)


def _nobody(ftp: FTP, command: str) -> None:
    with socket.socket() as unused:
        unused.bind(("0.0.0.0", 0))
        port = unused.getsockname()[1]
    assert ftp.sock is not None
    host = ftp.sock.getsockname()[0]
    # A server may try at once, and refuse PORT itself.
    if not _say(ftp, f"PORT {host.replace('.', ',')},{port // 256},{port % 256}").startswith("2"):
        return
    if _say(ftp, command).startswith("1"):
        _finish(ftp)


def follow(ftp: FTP, steps: list[list[str]]) -> None:
    """Do what the steps say. Raises OSError, EOFError and, for a step that there is not, ValueError."""
    for kind, command, *rest in steps:
        path = rest[0] if rest else None
        if kind == "say":
            _say(ftp, command)
        elif kind in ("passive", "early"):
            _passive(ftp, command, path, early=kind == "early")
        elif kind == "active":
            _active(ftp, command, path)
        elif kind == "nobody":
            _nobody(ftp, command)
        else:
            raise ValueError(f"there is no step {kind!r}")


def _session(address: str, port: int, steps: list[list[str]]) -> dict[str, Any]:
    began_ns = time.time_ns()
    try:
        with FTP(timeout=TIMEOUT_S) as ftp:
            ftp.connect(address, port)
            follow(ftp, steps)
    except (OSError, EOFError, ValueError, *REFUSED) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"began_ns": began_ns, "ended_ns": time.time_ns()}


def main(argv: list[str]) -> int:
    """Follow scripts until the standard input ends."""
    address, *port = argv
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(_session(address, int(port[0]) if port else 21, json.loads(line))), flush=True)
    return 0
