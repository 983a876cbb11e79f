"""A Dovecot of the test's own: a plain process on free ports, with a directory that goes with it."""

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

HOST = "127.0.0.1"
PATIENCE_S = 20.0
PASSWORD = "secret"
# Mailboxes belong to a user whom every Debian has; Dovecot serves none for root.
OWNER = "mail"

CONFIG = """
protocols = imap pop3
listen = {host}
base_dir = {run}
state_dir = {run}
log_path = {root}/log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:~/Maildir
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 1000
auth_failure_delay = 1 secs
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """Where it can be reached."""

    imap: int
    pop3: int


def program() -> str | None:
    """Where Dovecot is, None where it is not installed or may not be started."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin") if os.geteuid() == 0 else None


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def dovecot(root: Path) -> Iterator[Dovecot]:
    """Run it with its files in `root`; whoever logs in gets a mailbox there."""
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
    # The path of a socket has 107 octets at most, so that it lies where names are short.
    run = Path(f"/run/lab7-dovecot-{os.getpid()}-{made.imap}")
    values = {"imap": made.imap, "pop3": made.pop3, "uid": owner.pw_uid, "gid": owner.pw_gid}
    config.write_text(CONFIG.format(host=HOST, run=run, root=root, password=PASSWORD, **values))
    process = subprocess.Popen([found, "-F", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, made.imap)
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
        shutil.rmtree(run, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    """It tells nobody when it listens, so that it is asked."""
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
