"""lab7's IMAP and POP3 servers as processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab7.services.mail.maildir.store import Maildir

HOST = "127.0.0.1"
PATIENCE_S = 30.0
DOMAIN = "example.com"
USERS = "".join(f"{user}:secret\n" for user in ("alice", "bob", "carol", *(f"user{n}" for n in range(20))))


@contextmanager
def access_process(protocol: str, root: Path, *flags: str) -> Iterator[int]:
    """Run `lab7.services.mail.imap` or `lab7.services.mail.pop3` on mailboxes below `root`; yields the port."""
    root.mkdir(parents=True, exist_ok=True)
    accounts = root / "accounts"
    accounts.write_text(USERS)
    command = [sys.executable, "-m", f"lab7.services.mail.{protocol}", "--maildirs", str(root / "mail"), *flags]
    command += ["--accounts", str(accounts), "--domain", DOMAIN, "--listen", HOST, "--port", "0"]
    repository = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=repository)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"READY {protocol} "), line
        yield int(line.rpartition(":")[2])
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def maildir_of(root: Path, user: str) -> Maildir:
    """Return a user's mailbox below `root`."""
    return Maildir(root / "mail" / DOMAIN / user)


def run(*command: str, expected: int = 0) -> bytes:
    """Run a program and return its output."""
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == expected, done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    return done.stdout
