"""Common interface to mail clients: lab7's user agent, third-party clients known to lab7, or a user's program."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab7.experiments.harness.driver import run_command
from lab7.experiments.harness.implementations.registry import (
    AGENT_ROLE,
    IMAP_PORT,
    POP3_PORT,
    SUBMISSION_PORT,
    Implementation,
    client_words,
    of_role,
)
from lab7.experiments.harness.measurement import Window
from lab7.experiments.harness.template_engine import render
from lab7.experiments.mail.peers import PEERS
from lab7.experiments.mail.servers import MailHost
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host

OURS, OUR_AGENT = "lab7", "lab7.services.mail.agent"
OPERATIONS = ("send", "pop3", "imap")
PORTS: Mapping[str, int] = {"send": SUBMISSION_PORT, "pop3": POP3_PORT, "imap": IMAP_PORT}
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Task:
    """Task for a mail client: send `message` to `recipient`, or fetch `count` messages, as `user` of a mail server.

    operation: send, pop3 or imap.
    """

    operation: str
    server: MailHost
    user: str
    count: int = 0
    recipient: str = ""
    message: Path = Path()

    @property
    def auth(self) -> bool:
        """Return True if the mail server requires SMTP AUTH for submission."""
        mta = self.server.mta
        return mta is None or mta.own or "auth" in mta.speaks


def supports(client: Implementation | None, operation: str) -> bool:
    """Return True if a client supports an operation (send, pop3 or imap); True for a user's own program."""
    return client is None or client.own or operation in client.commands


def check_supported(client: Implementation | None, operation: str) -> None:
    """Raise EmulationError if a client lacks an operation, MachineError if the client is not installed."""
    if not supports(client, operation):
        there = ", ".join(one.name for one in of_role(AGENT_ROLE) if supports(one, operation))
        raise EmulationError(
            f"{client.name if client else OURS} does not support this operation ({operation}); clients that do: {there}"
        )
    if client is not None:
        client.require()


def client_name(replacements: Mapping[str, Implementation]) -> str:
    """Return the name of the mail client that submits messages, for the report."""
    client = replacements.get(AGENT_ROLE)
    return client.describe() if client is not None else "Python's smtplib"


def run_client(host: Host, client: Implementation | None, task: Task) -> Window:
    """Run a task with a client (None: lab7's own); return its time span. Raises LoadFailedError, EmulationError."""
    if client is None:
        return _run_ours(host, task)
    folder = host.workdir / f"{client.name.partition(' ')[0]}-{task.operation}-{time.monotonic_ns()}"
    folder.mkdir()
    values = _values(folder, task)
    if client.config is not None:
        values["config"] = str(folder / client.config.removesuffix(".j2"))
        Path(values["config"]).write_text(render(f"implementations/{client.config}", **values))
        # Some clients refuse a configuration file with a password unless only the owner can read the file.
        Path(values["config"]).chmod(0o600)
    template = client.command or client.commands[task.operation]
    return run_command(host, client_words(client, template, values, folder))


def _values(folder: Path, task: Task) -> dict[str, Any]:
    server = task.server
    return {
        "what": task.operation,
        "host": server.hostname,
        "port": PORTS[task.operation],
        "domain": server.domain,
        "user": task.user,
        "password": server.passwords[task.user],
        "auth": task.auth,
        "sender": f"{task.user}@{server.domain}",
        "recipient": task.recipient,
        "message": str(task.message),
        "count": task.count,
        "folder": str(folder),
        "scripts": str(PEERS),
    }


def _run_ours(host: Host, task: Task) -> Window:
    server, password = task.server, task.server.passwords[task.user]
    login = ["--user", task.user, "--password", password]
    began_ns = time.time_ns()
    if task.operation == "send":
        to = ["--server", server.hostname, "--port", str(SUBMISSION_PORT), "--to", task.recipient]
        commands = [["send", *to, *(login if task.auth else []), str(task.message)]]
    else:
        read = ["read", f"--{task.operation}", server.hostname, *login, "show", "--source"]
        commands = [[*read, str(number)] for number in range(1, task.count + 1)]
    for words in commands:
        host.start([OUR_AGENT, *words], wait=False).finish(TIMEOUT_S)
    return Window(began_ns, time.time_ns())
