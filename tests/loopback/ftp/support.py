"""The FTP server as a process, and raw control connections to it."""

from __future__ import annotations

import ftplib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
# Every address of 127/8 is local; to the server it is another host.
OTHER_HOST = "127.0.0.2"
# Timeout of each wait; not a measurement.
PATIENCE_S = 20.0
USER, PASSWORD = "ann", "secret"


@dataclass
class Server:
    """A server process, its files and its log."""

    port: int
    root: Path
    log: Path
    process: subprocess.Popen[str]

    def events(self, name: str) -> list[dict[str, object]]:
        """Return the logged events of a name."""
        found = (json.loads(line) for line in self.log.read_text().splitlines())
        return [event for event in found if event["event"] == name]

    def ftplib(self, user: str = USER, password: str = PASSWORD) -> ftplib.FTP:
        """Return a logged-in ftplib client."""
        client = ftplib.FTP(timeout=PATIENCE_S, encoding="utf-8")
        client.connect(HOST, self.port)
        client.login(user, password)
        return client


def free_pair() -> int:
    """Return a free port whose predecessor is free as well, outside the ephemeral range."""
    while True:
        port = random.randrange(20_001, 32_000)
        try:
            with socket.create_server((HOST, port)), socket.create_server((HOST, port - 1)):
                return port
        except OSError:
            continue


@contextmanager
def server_process(root: Path, log: Path, *flags: str, prefix: Sequence[str] = ()) -> Iterator[Server]:
    """Run the server's command line with a user that may write, and anonymous readers."""
    command = [*prefix, sys.executable, "-m", "lab7.services.ftp.server", "--root", os.fspath(root), "--anonymous"]
    given = [
        "--port",
        str(free_pair()),
        "--user",
        f"{USER}:{PASSWORD}",
        "--listen",
        HOST,
        "--log",
        os.fspath(log),
        "--password-delay",
        "0.05",
    ]
    with subprocess.Popen([*command, *given, *flags], stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("READY ftp 127.0.0.1:"), ready
            yield Server(int(ready.rpartition(":")[2]), root, log, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_S) == 0


class Raw:
    """A raw control connection."""

    def __init__(self, port: int, host: str = HOST) -> None:
        self.socket = socket.create_connection((HOST, port), PATIENCE_S, source_address=(host, 0))
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def reply(self) -> str:
        """Return the last line of the next reply, empty at the end of the connection."""
        while (line := self.file.readline().decode("utf-8", "replace")) and line[3:4] != " ":
            continue
        return line.rstrip()

    def say(self, *commands: str) -> list[int]:
        """Send commands and return the codes of their replies."""
        self.socket.sendall("".join(command + "\r\n" for command in commands).encode())
        return [int(self.reply()[:3]) for _ in commands]

    def log_in(self) -> None:
        assert int(self.reply()[:3]) == 220
        assert self.say(f"USER {USER}", f"PASS {PASSWORD}", "TYPE I") == [331, 230, 200]

    def passive(self) -> tuple[str, int]:
        """Send EPSV and return host and port."""
        self.socket.sendall(b"EPSV\r\n")
        return HOST, int(self.reply().split("|||")[1].split("|")[0])


def wait_until(true: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def run(*command: str, cwd: Path | None = None, stdin: IO[bytes] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a program until it exits."""
    return subprocess.run(command, check=False, capture_output=True, timeout=120, cwd=cwd, stdin=stdin)
