"""Set-up of the mail experiments: network with three configurable paths, mail servers, and user agents.

    alice ── sender's path ── mail-a ── between ── mail-b ── receiver's path ── bob

The RTT of each path and the rate between the mail servers are parameters.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab7.experiments.harness.driver import Driver, DriverError, window_of
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.fidelity.certificate import EmulatedPath
from lab7.experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    DEFAULT_PORT,
    IMAP_PORT,
    MTA_ROLE,
    SMTP_PORT,
)
from lab7.experiments.harness.measurement import Window, first_interface, make_testbed
from lab7.experiments.mail.servers import MTA_MODULE, mail_host
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.process.program import LISTEN, Program
from lab7.topologies.emulation.testbed import Starter, Testbed
from lab7.topologies.mail import (
    ADDRESSES,
    ALICE,
    BOB,
    MAIL_A,
    MAIL_B,
    PASSWORDS,
    POP3_PORT,
    SUBMISSION_PORT,
    WEB,
    MailTopo,
)

__all__ = ["ALICE", "BOB", "IMAP_PORT", "PASSWORDS", "POP3_PORT", "SMTP_PORT", "SUBMISSION_PORT"]

USER, VISITOR = "lab7.experiments.mail.drivers.smtp", "lab7.experiments.http.drivers.visitor"
TIMEOUT_S = 60.0
# Number of the state TIME_WAIT in /proc/net/tcp (TCP_TIME_WAIT in include/net/tcp_states.h).
TIME_WAIT = "06"
# Interval in s between readings of a mailbox; delivery times do not depend on it, since file times are used.
POLL_S = 0.005
# Pause in seconds between two looks at a queue.
LOOK_S = 1.0
# Hosts with packet capture: the end of each path that opens connections, and the receiver's server.
LEG_HOSTS = ("alice", "mail-a", "mail-b", "bob")
LEGS = AT_ALICE, AT_SENDER, AT_RECEIVER, AT_BOB = tuple(map(first_interface, LEG_HOSTS))
SENDER_NAME, RECEIVER_NAME = MAIL_A.rstrip("."), MAIL_B.rstrip(".")
SENDER_ADDRESS, RECEIVER_ADDRESS = ADDRESSES[MAIL_A], ADDRESSES[MAIL_B]


@dataclass(frozen=True)
class Legs:
    """Parameters of the three network paths: Alice to her server, between the servers, Bob's server to Bob.

    These are the round-trip times in s, and the rate between the servers in Mbit/s.
    """

    sender_s: float
    between_s: float
    receiver_s: float
    bw_mbit: float

    def topology(self, **more: Any) -> MailTopo:
        """Return the topology `mail` with these path parameters; `more`: further parameters of MailTopo."""
        delays = {"sender": self.sender_s, "between": self.between_s, "receiver": self.receiver_s}
        given = {name: f"{rtt_s / 2 * 1e6:.0f}us" for name, rtt_s in delays.items()}
        return MailTopo(**given, bw=self.bw_mbit, **more)

    def paths(self) -> list[EmulatedPath]:
        """Return the paths whose delay and rate are measured before a run and compared with the configured values."""
        return [
            EmulatedPath("alice", "mail-a", SENDER_ADDRESS, self.sender_s, None),
            EmulatedPath("mail-a", "mail-b", RECEIVER_ADDRESS, self.between_s, self.bw_mbit * 1e6),
            EmulatedPath("bob", "mail-b", RECEIVER_ADDRESS, self.receiver_s, None),
        ]


def mail_testbed(context: Run, topo: MailTopo, before: Callable[[Host], object] | None = None) -> Testbed:
    """Return the mail network with its servers, not yet started.

    The option --replace for the roles mta and mailbox replaces the servers on mail-b. `before`: function that is called
    with the host mail-b before its servers start.
    """
    server = mail_host(topo, "mail-b", context.replacements)

    def start(host: Host) -> Service | Program:
        if before is not None:
            before(host)
        return server.start(host)

    is_replaced = any(role in context.replacements for role in (MTA_ROLE, ACCESS_ROLE))
    starters: dict[str, Starter] = {"mail-b": start} if is_replaced or before is not None else {}
    return make_testbed(context, topo, starters)


class UserAgent:
    """Mail user agent on a host, controlled through the client program lab7.experiments.mail.drivers.smtp."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._driver = Driver(host, [USER])

    def compose(self, into: Path, subject: str, text: str, files: Sequence[Path] = (), to: str = BOB) -> Window:
        """Compose a message from Alice, by default to Bob, and write it to the file `into`; return the time span.

        Raises EmulationError.
        """
        draft = {"from": ALICE, "to": to, "subject": subject, "text": text, "files": [str(one) for one in files]}
        return self._request({"compose": draft, "into": str(into)})

    def send(self, paths: Sequence[Path]) -> Window:
        """Submit messages to Alice's server over one connection; return the time span. Raises EmulationError."""
        login = {"user": "alice", "password": PASSWORDS["alice"]}
        names = [str(path) for path in paths]
        return self._request({"send": names, "server": SENDER_NAME, "port": SUBMISSION_PORT, **login})

    def fetch(self, number: int = 1, user: str = "bob", password: str = PASSWORDS["bob"]) -> Window:
        """Fetch and delete a message on the receiver's server by POP3; return the time span. Raises EmulationError."""
        login = {"user": user, "password": password}
        return self._request({"fetch": number, "server": RECEIVER_NAME, **login})

    def dialogue(
        self,
        steps: Sequence[Sequence[Any]],
        address: str = RECEIVER_ADDRESS,
        port: int = SMTP_PORT,
        at: Callable[[str], None] | None = None,
    ) -> Window:
        """Run a scripted SMTP session. Raises EmulationError.

        steps: commands and mail data in order (see drivers.smtp). At a step (`tell`, WORD) the session waits while the
        function `at` is called with WORD.
        """
        return self._request({"dialogue": steps, "server": address, "port": port}, at)

    def _request(self, request: Mapping[str, Any], at: Callable[[str], None] | None = None) -> Window:
        broken: EmulationError | None = None
        try:
            response = self._driver.call(request, TIMEOUT_S)
            while "reached" in response:
                if at is not None and broken is None:
                    try:
                        at(response["reached"])
                    except EmulationError as error:
                        # Read all remaining lines of the client program, which are no response to the next request.
                        broken = error
                response = self._driver.call("on", TIMEOUT_S)
        except DriverError:
            if broken is None:
                raise
        if broken is not None:
            raise broken
        return window_of(response)


class WebClient:
    """Web client on Bob's host (Python's http.client); each call of `visit` uses one persistent connection."""

    def __init__(self, host: Host) -> None:
        name = WEB.rstrip(".")
        self._driver = Driver(host, [VISITOR, ADDRESSES[WEB], str(DEFAULT_PORT), name])

    def visit(self, paths: Sequence[str]) -> Window:
        """Request paths of www.example.org in turn on one connection; return the time span. Raises EmulationError."""
        return self._driver.request({"visit": list(paths)}, TIMEOUT_S)


def running_mta(host: Host) -> Service:
    """Return the process of lab7's MTA on a host. Raises EmulationError if it is not running."""
    for one in host.services:
        if isinstance(one, Service) and one.command.startswith(MTA_MODULE):
            return one
    raise EmulationError(f"{host.name} does not run {MTA_MODULE}")


def restart_mta(bed: Testbed, name: str, flags: str = "") -> None:
    """Restart lab7's MTA on the host `name` with further command-line options. Raises EmulationError."""
    host = bed.host(name)
    line = host.params["serves"][0]
    running = running_mta(host)
    running.stop()
    host.services.remove(running)
    host.start(f"{line} {flags}", serves=True)


def mailbox(host: Host, domain: str = "example.com", user: str = "bob") -> Path:
    """Return the path of a user's Maildir folder new/ on a mail server's host."""
    return host.workdir / "maildirs" / domain / user / "new"


def wait_for_messages(
    folder: Path, count: int, timeout_s: float = TIMEOUT_S, failed: Callable[[], bool] | None = None, grace_s: float = 0
) -> list[Path]:
    """Wait until a Maildir folder has `count` messages; return their files by time of arrival. Raises EmulationError.

    failed: function that returns True once a delivery attempt has failed, called every LOOK_S seconds. After that, the
    wait ends at the latest after `grace_s` seconds.
    """
    deadline_s, look_s = time.monotonic() + timeout_s, time.monotonic() + LOOK_S
    while len(found := list(folder.glob("*")) if folder.is_dir() else []) < count:
        if time.monotonic() > deadline_s:
            raise EmulationError(f"{len(found)} of {count} messages were delivered to {folder} within {timeout_s:g} s")
        if failed is not None and time.monotonic() > look_s:
            look_s = time.monotonic() + LOOK_S
            if failed():
                failed, deadline_s = None, min(deadline_s, time.monotonic() + grace_s)
        time.sleep(POLL_S)
    return sorted(found, key=lambda path: path.stat().st_ctime_ns)


def has_failed_attempt(host: Host) -> bool:
    """Return True if the queue of lab7's MTA on a host has a message whose delivery has failed at least once."""
    words = module_command("lab7.services.mail.queue", str(host.workdir / "queue"))
    listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return any(json.loads(line)["tries"] > 0 for line in listed.splitlines())


def wait_until_quiet(host: Host, port: int = SMTP_PORT, timeout_s: float = TIMEOUT_S) -> int:
    """Wait until a host has no TCP connection to a given remote port; return the time in ns. Raises EmulationError."""
    table = Path(f"/proc/{host.namespace_pid}/net/tcp")
    deadline_s = time.monotonic() + timeout_s
    while any(_goes_to(line, port) for line in table.read_text().splitlines()[1:]):
        if time.monotonic() > deadline_s:
            raise EmulationError(f"{host.name} still has a connection to port {port} after {timeout_s:g} s")
        time.sleep(POLL_S)
    return time.time_ns()


def was_connected(host: Host, port: int = SMTP_PORT) -> bool:
    """Return True if a host has a TCP connection on a local port, or had one within the last minute (TIME_WAIT)."""
    lines = Path(f"/proc/{host.namespace_pid}/net/tcp").read_text().splitlines()[1:]
    return any(
        int(local.rpartition(":")[2], 16) == port and state != LISTEN
        for _, local, _, state, *_ in map(str.split, lines)
    )


def _goes_to(line: str, port: int) -> bool:
    """Return True if a line of /proc/net/tcp is a connection to a remote port that is not in the state TIME_WAIT."""
    _, _, remote, state, *_ = line.split()
    return int(remote.rpartition(":")[2], 16) == port and state != TIME_WAIT
