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

_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/maillog
maillog_file_prefixes = {folder}/log
myhostname = mx.example.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ alice@example.com=alice/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
"""
_DISTRIBUTED = Path("/usr/share/postfix/master.cf.dist")


def has_postfix() -> bool:
    """Whether Postfix can be run here: it needs root and its user."""
    if os.geteuid() != 0 or shutil.which("postfix") is None or not _DISTRIBUTED.exists():
        return False
    try:
        pwd.getpwnam("postfix")
    except KeyError:
        return False
    return True


@contextmanager
def postfix(folder: Path, port: int) -> Iterator[Path]:
    """Run Postfix on a port; yields the Maildir that it delivers to."""
    for name in ("etc", "queue", "data", "mail", "log"):
        (folder / name).mkdir(parents=True)
    # Its processes run as users of their own and must get here.
    folder.chmod(0o755)
    shutil.chown(folder / "data", "postfix")
    os.chown(folder / "mail", 65534, 65534)
    (folder / "etc" / "main.cf").write_text(_MAIN_CF.format(folder=folder))
    (folder / "etc" / "master.cf").write_text("\n".join(_services(port)) + "\n")
    command = ["postfix", "-c", os.fspath(folder / "etc")]
    subprocess.run([*command, "start"], check=True, capture_output=True)
    try:
        yield folder / "mail" / "alice"
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True)


def _services(port: int) -> Iterator[str]:
    """The distribution's services, none in a chroot, SMTP on our port."""
    for line in _DISTRIBUTED.read_text().splitlines():
        words = line.split()
        if len(words) < 8 or line[0] in "# ":
            continue
        words[4] = "n"
        if words[:2] == ["smtp", "inet"]:
            words[0] = f"127.0.0.1:{port}"
        yield " ".join(words)


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
