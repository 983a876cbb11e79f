"""Mail servers on an emulated host: MTA, POP3 and IMAP server, each either lab7's or a third-party one.

A third-party MTA has its own queue. All servers share the mailboxes: a Maildir per user, in MAILDIRS/DOMAIN/USER of the
host's folder. Since third-party servers refuse mailboxes of root, the mailboxes belong to the user `mail` if any server
is third-party, and lab7's MTA then runs as that user.
"""

from __future__ import annotations

import pwd
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from lab7.experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    IMAP_PORT,
    MTA_ROLE,
    POP3_PORT,
    SMTP_PORT,
    SUBMISSION_PORT,
    Implementation,
    server_starter,
)
from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.process.launcher import Service, split_command
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.mail import MailTopo

MTA_MODULE, ACCESS_MODULES = "lab7.services.mail.mta", ("lab7.services.mail.pop3", "lab7.services.mail.imap")
# User that owns the mailboxes, from Debian's base-passwd, since some mail servers refuse mailboxes of root.
OWNER = "mail"
MAILDIRS = "maildirs"
# lab7's MTA, run as OWNER, needs capabilities to bind ports below 1024 and to read files of other users.
_CAPABILITIES = "+net_bind_service,+dac_read_search"


@dataclass(frozen=True)
class Schedule:
    """Retry schedule of an MTA, in whole seconds: retry interval, expiry time of messages, and connection time-out."""

    retry_s: int = 1
    expire_s: int = 432_000
    connect_timeout_s: int = 30

    @property
    def flags(self) -> str:
        """Return the command-line options of lab7's MTA for this schedule."""
        return f"--retry {self.retry_s} --expire {self.expire_s} --connect-timeout {self.connect_timeout_s}"


@dataclass
class MailHost:
    """Mail servers of one host; its method `start` can be passed to make_testbed() to start the servers.

    serves: command lines of lab7's servers in the topology; passwords: keyed by user name; network: addresses of the
    domain's own clients; mta, access: third-party MTA, and third-party POP3 and IMAP server, None for lab7's own.
    """

    serves: list[str]
    domain: str
    hostname: str
    passwords: Mapping[str, str]
    network: str
    mta: Implementation | None = None
    access: Implementation | None = None
    schedule: Schedule = Schedule()
    _running: Service | Program | None = field(default=None, init=False)
    _host: Host | None = field(default=None, init=False)

    def start(self, host: Host) -> Service | Program:
        """Start all mail servers of the host; return the MTA, for which the start of the network then waits."""
        self._host = host
        # Start the MTA first, since the MTA creates the directory of the mailboxes.
        self._running = self._start_mta(host, wait=False)
        if self.access is not None:
            server_starter(self.access, self._values)(host)
        else:
            for line in self._lines(*ACCESS_MODULES):
                host.start(line, serves=True)
        return self._running

    def kill_mta(self) -> None:
        """Kill all processes of the MTA (SIGKILL)."""
        assert self._running is not None
        self._running.kill()

    def start_mta(self) -> None:
        """Start the MTA again with the existing queue, and wait until the MTA listens."""
        assert self._host is not None
        self._running = self._start_mta(self._host, wait=True)

    def mailbox(self, user: str) -> Path:
        """Return the path of a user's Maildir on this host."""
        assert self._host is not None
        return self._host.workdir / MAILDIRS / self.domain / user

    def own(self, user: str) -> None:
        """Make the user OWNER the owner of a user's Maildir, if one of the host's servers is third-party."""
        if not self._is_owned:
            return
        for path in (self.mailbox(user), *self.mailbox(user).rglob("*")):
            shutil.chown(path, OWNER, OWNER)

    @property
    def _is_owned(self) -> bool:
        """Return True if the mailboxes must belong to OWNER, because one of the host's servers is third-party."""
        return self.mta is not None or self.access is not None

    def _start_mta(self, host: Host, wait: bool) -> Service | Program:
        if self.mta is not None:
            return server_starter(self.mta, self._values)(host)
        (line,) = self._lines(MTA_MODULE)
        if self.access is None:
            return host.start(line, wait=wait, serves=True)
        owner = _owner()
        for name in (MAILDIRS, "queue"):
            (host.workdir / name).mkdir(exist_ok=True)
            shutil.chown(host.workdir / name, OWNER, OWNER)
        ids = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        rights = [f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}"]
        words = ["setpriv", *ids, *rights, *module_command(*split_command(line))]
        return host.start_program(words, SMTP_PORT)

    def _lines(self, *modules: str) -> list[str]:
        return [line for line in self.serves if shlex.split(line)[0] in modules]

    def _values(self, host: Host) -> dict[str, Any]:
        """Return the values of the variables in the configuration files of third-party mail servers."""
        owner, maildirs = _owner(), host.workdir / MAILDIRS
        return {
            "domain": self.domain,
            "hostname": self.hostname,
            "users": dict(self.passwords),
            "relay": self.network,
            "maildirs": str(maildirs),
            "location": f"{maildirs}/{self.domain}/%n",
            "home": f"{maildirs}/{self.domain}/%n",
            "run": str(host.workdir / "run"),
            "submission_port": SUBMISSION_PORT,
            "pop3_port": POP3_PORT,
            "imap_port": IMAP_PORT,
            "uid": owner.pw_uid,
            "gid": owner.pw_gid,
            "retry": self.schedule.retry_s,
            "expire": self.schedule.expire_s,
            "connect_timeout": self.schedule.connect_timeout_s,
        }


def mail_host(
    topo: MailTopo, name: str, replacements: Mapping[str, Implementation], schedule: Schedule | None = None
) -> MailHost:
    """Return the mail servers of a host in the topology; `replacements`: third-party servers keyed by role."""
    info = topo.nodeInfo(name)
    # Use the topology's list itself, since a run with faults appends to the list (harness.faults).
    serves = info["serves"]
    words = shlex.split(serves[0])
    return MailHost(
        serves,
        words[words.index("--domain") + 1],
        info["names"][0],
        dict(_users(info["files"]["accounts"])),
        # The clients' network is the host's /24, since the topology assigns a /24 to each site.
        str(IPv4Network(f"{info['ip'].partition('/')[0]}/24", strict=False)),
        replacements.get(MTA_ROLE),
        replacements.get(ACCESS_ROLE),
        schedule or Schedule(),
    )


def _users(accounts: str) -> Iterable[tuple[str, str]]:
    """Yield (user, password) for each user in the text of an accounts file."""
    for line in accounts.splitlines():
        name, colon, rest = line.partition(":")
        # Skip mailing lists, which have a space after the colon, and forwards, which have no colon.
        if colon and not rest.startswith(" "):
            yield name, rest.partition(":")[0]


def _owner() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(OWNER)
    except KeyError:
        raise MachineError(
            f"this machine has no user {OWNER!r}, which must own the mailboxes of real servers"
        ) from None


def names_of(replacements: Mapping[str, Implementation]) -> dict[str, str]:
    """Return the names of a host's mail servers, keyed by role, for the report."""
    ours = {MTA_ROLE: MTA_MODULE, ACCESS_ROLE: " and ".join(ACCESS_MODULES)}
    return {role: replacements[role].describe() if role in replacements else name for role, name in ours.items()}
