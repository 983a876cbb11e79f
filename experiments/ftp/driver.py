"""FTP client program that executes scripted sessions, for command sequences that ordinary clients do not send.

The program is started on a host with the arguments ADDRESS [PORT]. Each line of its input is a JSON list of steps,
which are executed in one FTP session:

    ["say", "PWD"]                   a command, and its replies up to the final one
    ["passive", "RETR a"]            PASV, opening of the data connection, the command, the data
    ["passive", "STOR b", PATH]      the same, with the data from the file PATH
    ["active", "STOR b", PATH]       PORT, the command, the data from the file PATH
    ["early", "RETR a"]              as passive, with a NOOP before RETR: meanwhile the server accepts the connection
    ["nobody", "RETR a"]             PORT with a port that refuses connections, and the command

Replies are not judged here, but in the packet capture. The control connection uses Python's ftplib, which is
independent of lab7's FTP client and server.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from ftplib import FTP, error_perm, error_reply, error_temp
from functools import partial
from pathlib import Path

from lab7.experiments.harness.driver_process import serve

TIMEOUT_S = 20.0
PIECE_OCTETS = 64 * 1024
REFUSED = (error_perm, error_temp, error_reply)


def _say(ftp: FTP, command: str) -> str:
    """Send a command; return the text of the reply, including an error reply (4yz, 5yz). Raises OSError, EOFError."""
    try:
        return ftp.sendcmd(command)
    except REFUSED as refused:
        return str(refused)


def _finish(ftp: FTP) -> None:
    with suppress(*REFUSED):
        ftp.getresp()


def _move(data: socket.socket, command: str, path: str | None) -> None:
    """Send (STOR) or receive a file over a data connection, then close it; received octets are discarded."""
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
        # Wait for one more round trip, so that the server accepts the data connection before the command arrives.
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
    # Stop if PORT is refused, since a server may try to connect immediately after PORT.
    if not _say(ftp, f"PORT {host.replace('.', ',')},{port // 256},{port % 256}").startswith("2"):
        return
    if _say(ftp, command).startswith("1"):
        _finish(ftp)


def run_steps(ftp: FTP, steps: list[list[str]]) -> None:
    """Execute the steps of one scripted FTP session: commands and transfers, in order.

    Raises OSError, EOFError, and ValueError for an unknown step.
    """
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


def _session(address: str, port: int, steps: list[list[str]]) -> None:
    with FTP(timeout=TIMEOUT_S) as ftp:
        ftp.connect(address, port)
        run_steps(ftp, steps)


def main(argv: list[str]) -> int:
    """Execute one scripted FTP session for each line of the standard input, until its end; return the exit code."""
    address, *port = argv
    session = partial(_session, address, int(port[0]) if port else 21)
    return serve(session, errors=(OSError, EOFError, ValueError, *REFUSED))
