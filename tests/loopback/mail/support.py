"""Mail server processes for tests, and a server that sends scripted replies."""

import contextlib
import mailbox
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
# Upper bound of a wait, not a measurement.
PATIENCE_S = 30.0
ACCOUNTS = "alice:secret\nbob:hunter2:100000\ncarol:x::hold\nstaff: alice, bob\ndave => dave@example.net\n"


@dataclass
class Server:
    """One MTA process that can be stopped, killed and restarted on the same files and ports."""

    folder: Path
    domain: str = "example.com"
    flags: Sequence[str] = ()
    submission: bool = False
    port: int = 0
    submission_port: int = 0
    process: "subprocess.Popen[str] | None" = None

    def start(self, preexec: Callable[[], None] | None = None) -> "Server":
        """Start the process and wait for READY."""
        accounts = self.folder / "accounts"
        if not accounts.exists():
            accounts.write_text(ACCOUNTS)
        command = [
            sys.executable,
            "-m",
            "lab7.services.mail.mta",
            "--domain",
            self.domain,
            "--accounts",
            os.fspath(accounts),
        ]
        command += ["--maildirs", os.fspath(self.maildirs), "--queue", os.fspath(self.queue), "--listen", HOST]
        command += ["--port", str(self.port), *self.flags]
        if self.submission:
            command += ["--submission-port", str(self.submission_port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=preexec)
        ready = self.process.stdout.readline() if self.process.stdout else ""
        assert ready.startswith("READY mta 127.0.0.1:"), ready
        ports = [int(word.rpartition(":")[2]) for word in ready.split()[2:] if "=" not in word]
        self.port = ports[0]
        self.submission_port = ports[-1]
        return self

    @property
    def maildirs(self) -> Path:
        """The root of the mailboxes."""
        return self.folder / "maildirs"

    @property
    def queue(self) -> Path:
        """The directory of the queue."""
        return self.folder / "queue"

    def stop(self) -> None:
        """Terminate it by SIGTERM; it must exit with status 0."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0
        self._forget()

    def kill(self) -> None:
        """Kill it by SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._forget()

    def _forget(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def client(self, port: int | None = None) -> smtplib.SMTP:
        """Return a connected smtplib client."""
        return smtplib.SMTP(HOST, port or self.port, "client.example.net", timeout=PATIENCE_S)

    def messages(self, user: str, domain: str | None = None) -> list[mailbox.MaildirMessage]:
        """Return the messages in a user's mailbox, read by Python's mailbox package."""
        path = self.maildirs / (domain or self.domain) / user
        # The subdirectories of a Maildir are created one after the other.
        is_whole = all((path / part).is_dir() for part in ("tmp", "new", "cur"))
        return list(mailbox.Maildir(path, create=False)) if is_whole else []

    def wait_for(self, user: str, count: int) -> list[mailbox.MaildirMessage]:
        """Wait until a user's mailbox has this number of messages."""
        wait_until(lambda: len(self.messages(user)) >= count)
        return self.messages(user)

    def queued(self) -> str:
        """Return the output of `python -m lab7.services.mail.queue`."""
        command = [sys.executable, "-m", "lab7.services.mail.queue", os.fspath(self.queue)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout


def wait_until(is_true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Poll until a condition is true."""
    end = time.monotonic() + patience_s
    while not is_true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


@contextlib.contextmanager
def mta(folder: Path, *flags: str, domain: str = "example.com", submission: bool = False) -> Iterator[Server]:
    """Run an MTA for the duration of the block."""
    folder.mkdir(exist_ok=True)
    server = Server(folder, domain, flags, submission).start()
    try:
        yield server
    finally:
        if server.process is not None:
            server.stop()


@dataclass
class ScriptedServer:
    """A server in a thread that sends one of `replies` per line received; a reply that ends in `!` also closes."""

    replies: Sequence[str]
    port: int = 0
    heard: list[list[str]] = field(default_factory=list)

    def __enter__(self) -> "ScriptedServer":
        self._listener = socket.create_server((HOST, self.port))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, contextlib.suppress(OSError):
                    self._serve(peer)

    def _serve(self, peer: socket.socket) -> None:
        lines: list[str] = []
        self.heard.append(lines)
        stream = peer.makefile("rb")
        in_data = False
        for reply in self.replies:
            peer.sendall(reply.rstrip("!").encode() + b"\r\n")
            if reply.endswith("!"):
                return
            in_data = reply.startswith("354")
            while True:
                line = stream.readline().decode("latin-1").rstrip("\r\n")
                lines.append(line)
                if not in_data or line in (".", ""):
                    if in_data and line == "":
                        continue
                    break
