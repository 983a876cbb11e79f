"""The mail servers that ours is measured beside: aiosmtpd, and Postfix where it is installed.

    python -m tests.bench.smtp_peers PORT MAILDIR

runs aiosmtpd with its own Mailbox handler, which writes a Maildir by Python's mailbox module: each message is synced to
the disk before its 250. Postfix runs from a configuration of its own in a folder of its own, and delivers to a Maildir.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab7.experiments.harness.template_engine import render

# Nobody's own: Postfix delivers for no user below 100 unless told to.
_NOBODY = 65534


def has_postfix() -> bool:
    """Whether Postfix can be run here: it needs root and its user."""
    if os.geteuid() != 0 or shutil.which("postfix") is None:
        return False
    try:
        pwd.getpwnam("postfix")
    except KeyError:
        return False
    return True


@contextmanager
def postfix(folder: Path, port: int, **more: object) -> Iterator[Path]:
    """Run Postfix on a port; yields the Maildir that it delivers to. `more`: what its template may know beside that."""
    for name in ("etc", "queue", "data", "mail", "log"):
        (folder / name).mkdir(parents=True)
    # Its processes run as users of their own and must get here.
    folder.chmod(0o755)
    shutil.chown(folder / "data", "postfix")
    os.chown(folder / "mail", _NOBODY, _NOBODY)
    values = {"folder": folder, "maildirs": folder / "mail", "uid": _NOBODY, "gid": _NOBODY, "users": ["alice"]}
    names = {"domain": "example.com", "hostname": "mx.example.com", "relay": "127.0.0.0/8", "address": "127.0.0.1"}
    ports = {"port": f"127.0.0.1:{port}", "submission_port": None, "retry": None, **more}
    for name in ("main.cf", "master.cf"):
        text = render(f"implementations/postfix-{name}.j2", **values, **names, **ports)
        (folder / "etc" / name).write_text(text)
    command = ["postfix", "-c", os.fspath(folder / "etc")]
    subprocess.run([*command, "start"], check=True, capture_output=True)
    try:
        yield folder / "mail" / "example.com" / "alice"
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True)


async def _aiosmtpd(port: int, maildir: str) -> None:
    from aiosmtpd.handlers import Mailbox
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    handler = Mailbox(maildir)
    await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", port)
    print("READY", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_aiosmtpd(int(sys.argv[1]), sys.argv[2]))
