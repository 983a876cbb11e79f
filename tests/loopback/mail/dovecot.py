"""Dovecot as an ordinary process on free ports, with a temporary directory."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.harness.template_engine import render

HOST = "127.0.0.1"
PATIENCE_S = 20.0
PASSWORD = "secret"
# Mailboxes belong to a user that every Debian has; Dovecot refuses to serve root's.
OWNER = "mail"


@dataclass(frozen=True)
class Dovecot:
    """Addresses of a running Dovecot."""

    imap: int
    pop3: int


def program() -> str | None:
    """Return the path of Dovecot, None if it is not installed or may not be started."""
    return shutil.which("dovecot") if os.geteuid() == 0 else None


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def dovecot(root: Path) -> Iterator[Dovecot]:
    """Run Dovecot with its files in `root`; each user gets a mailbox there at login."""
    found = program()
    if found is None:
        raise RuntimeError("there is no Dovecot")
    owner = pwd.getpwnam(OWNER)
    (root / "home").mkdir(parents=True)
    os.chown(root / "home", owner.pw_uid, owner.pw_gid)
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    made = Dovecot(free_port(), free_port())
    config = root / "dovecot.conf"
    # A socket path is limited to 107 octets, so the directory has a short name.
    run = Path(f"/run/lab7-dovecot-{os.getpid()}-{made.imap}")
    values = {"port": made.imap, "pop3_port": made.pop3, "uid": owner.pw_uid, "gid": owner.pw_gid, "address": HOST}
    places = {"run": run, "folder": root, "home": f"{root}/home/%u", "location": "~/Maildir"}
    config.write_text(render("implementations/dovecot.conf.j2", users={}, password=PASSWORD, **values, **places))
    process = subprocess.Popen([found, "-F", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, made.imap)
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
        shutil.rmtree(run, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    """Poll until it listens, as it prints no message then."""
    for _ in range(int(PATIENCE_S / 0.05)):
        if process.poll() is not None:
            raise RuntimeError("Dovecot did not start")
        try:
            with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
                if peer.recv(1):
                    return
        except ConnectionRefusedError:
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    raise RuntimeError("Dovecot does not listen")
