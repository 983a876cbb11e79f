"""Which implementations there are, and what `--replace ROLE=...` means."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from experiments.harness.templating import environment, render
from topologies.emulation.errors import EmulationError, MachineError
from topologies.emulation.node import Host
from topologies.emulation.process.program import Program
from topologies.emulation.testbed import Starter

REGISTRY = Path(__file__).resolve().with_name("registry.toml")
OURS = "lab7"
DEFAULT_PORT = 80
DNS_PORT = 53
FTP_PORT, SSH_PORT = 21, 22
# Every authoritative server of the topology dns; the campus's local server.
DNS_ROLES = ("authoritative", "local")
# Answers by region, in the topology cdn.
CDN_DNS_ROLE = "cdn-dns"
# Roles that others fill as well: a replica of a CDN is a proxy in reverse.
SAME: Mapping[str, tuple[str, str]] = {"replica": ("proxy", "reverse")}
FTP_SERVER, FTP_CLIENT, SFTP_SERVER = "ftp-server", "ftp-client", "sftp-server"
# In the topology mail: its mail servers (SMTP in, Maildirs out), what lets their users read (POP3 and IMAP on the same
# Maildirs), and the users' programs.
MTA_ROLE, ACCESS_ROLE, AGENT_ROLE = "mta", "mailbox", "mail-client"
SMTP_PORT, SUBMISSION_PORT, POP3_PORT, IMAP_PORT = 25, 587, 110, 143
# Where a cache listens, by its mode: squid's port as a forward proxy; the origin's own in its place.
PROXY_PORTS: Mapping[str, int] = {"forward": 3128, "reverse": DEFAULT_PORT}
VERSION_TIMEOUT_S = 10.0
# What a person's own program may be told, where it is not the port alone: the words of an example.
HINTS: Mapping[str, str] = {
    "origin": "--port {port} --root {root}",
    "client": "{url} {objects}",
    DNS_ROLES[0]: "--port {port} {zone_files}",
    DNS_ROLES[1]: "--port {port} --root {root_address}",
    FTP_CLIENT: "{what} {host} {names}",
    AGENT_ROLE: "{what} {host} {user} {message}",
}
# Where `make peers` puts programs whose packages cannot be installed beside others.
UNPACKED = f"{sys.prefix}/peers/usr/sbin"
LISTS = ("speaks", "modes")


class ReplacementError(ValueError):
    """A --replace that cannot be; the message says what there is."""


@dataclass(frozen=True, eq=False)
class Implementation:
    """A program that can take a role. Servers have `command`, clients `commands` by strategy.

    `files`: further configuration files in its folder, by name, and the templates they come from. `modes`: what a
    proxy can be, forward or reverse. `least_interval_s`: how often a CDN's name server can check its replicas at most.
    `module`: what its program, a Python, must be able to import. `get`: how to get it, where its package is not all.
    """

    name: str
    role: str
    program: str
    package: str = ""
    version: str = ""
    config: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    modes: tuple[str, ...] = ()
    command: str | None = None
    commands: Mapping[str, str] = field(default_factory=dict)
    fetches: Mapping[str, str] = field(default_factory=dict)
    speaks: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    least_interval_s: float = 0.0
    module: str = ""
    get: str = ""
    own: bool = False

    def supports(self, strategy: str) -> bool:
        """Whether it can take part in a page load by this strategy; a person's own program is put to the test."""
        return self.own or strategy in self.speaks or strategy in self.commands

    @property
    def service_port(self) -> int:
        """The port by which a server of this role shows that it is ready."""
        known = {FTP_SERVER: FTP_PORT, SFTP_SERVER: SSH_PORT, MTA_ROLE: SMTP_PORT, ACCESS_ROLE: IMAP_PORT}
        known |= dict.fromkeys((*DNS_ROLES, CDN_DNS_ROLE), DNS_PORT)
        return known.get(self.role, DEFAULT_PORT)

    def port(self, strategy: str) -> int:
        """Where a server is asked by this strategy."""
        return self.ports.get(strategy, DEFAULT_PORT)

    def path(self) -> str | None:
        """Where its program is; None if it is not on this machine."""
        return shutil.which(self.program) or shutil.which(self.program, path=UNPACKED)

    def installed(self) -> bool:
        """Whether its program is on this machine."""
        return self.path() is not None and (not self.module or _imports(self.program, self.module))

    def how_to_get(self) -> str:
        """What to do to have it; empty for a person's own."""
        return self.get or (f"`sudo apt-get install {self.package}`" if self.package else "")

    def require(self) -> None:
        """Raise MachineError, which says how to get it, unless it is installed."""
        if not self.installed():
            how = f": {self.how_to_get()}" if self.how_to_get() else ""
            raise MachineError(f"{self.program if self.own else self.name} is not installed{how}")

    def describe(self) -> str:
        """Its name and version in words, for reports."""
        if not self.version:
            return self.name
        words = expand(self.version, {"program": self.path() or self.program})
        try:
            done = subprocess.run(
                [(self.path() or words[0]) if words[0] == self.program else words[0], *words[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=VERSION_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return self.name
        # Version lines begin with a name and a number; curl's and wget's go on for lines.
        number = re.search(r"\d+\.\d+[\w.]*", done.stdout or done.stderr)
        return f"{self.name} {number[0]}" if number else self.name


@cache
def _imports(program: str, module: str) -> bool:
    """Whether a Python finds a module."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    try:
        done = subprocess.run([program, "-I", "-c", look, module], timeout=VERSION_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@cache
def implementations() -> dict[tuple[str, str], Implementation]:
    """All of the registry by (role, name)."""
    entries = tomllib.loads(REGISTRY.read_text())["implementation"]
    made = [Implementation(**{**entry, **{name: tuple(entry.get(name, ())) for name in LISTS}}) for entry in entries]
    made += [
        replace(one, role=role, modes=(mode,))
        for role, (same, mode) in SAME.items()
        for one in made
        if one.role == same and mode in one.modes
    ]
    return {(one.role, one.name): one for one in made}


def of_role(role: str) -> list[Implementation]:
    """Every implementation of the registry for a role."""
    return [one for (its_role, _), one in implementations().items() if its_role == role]


def parse_replacement(text: str, roles: tuple[str, ...]) -> tuple[str, Implementation | None]:
    """Read ROLE=IMPLEMENTATION or ROLE=COMMAND LINE; None stands for lab7's own service. Raises ReplacementError."""
    role, equals, what = text.partition("=")
    if not equals or role not in roles:
        known = f"the roles are {', '.join(roles)}, as in {roles[0]}=NAME" if roles else "there is no role to replace"
        raise ReplacementError(f"--replace {text!r}: {known}")
    what = what.strip()
    if what == OURS:
        return role, None
    if (role, what) in implementations():
        return role, implementations()[role, what]
    words = _words(what)
    if len(words) < 2:
        known = ", ".join([OURS, *(one.name for one in of_role(role))])
        raise ReplacementError(
            f"--replace {text!r}: there is no {role} of that name; there are {known}, or give a command line such as "
            f"'{role}=python3 my_{role}.py {HINTS.get(role, '--port {port}')}'"
        )
    # In results it is called as the person calls it: python3 alone would say nothing.
    return role, Implementation(what, role, words[0], command=_as_template(what), own=True)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ReplacementError(f"the command line {text!r} cannot be read: {error}") from None


def _as_template(text: str) -> str:
    """A person writes {port}; the registry's templates say {{ port }}, and {{ objects | join(' ') }} of a list."""
    return re.sub(r"\{(\w+)\}", r"{{ \1 }}", text.replace("{objects}", "{{ objects | join(' ') }}"))


def expand(template: str, values: Mapping[str, Any]) -> list[str]:
    """The words of a command template. Raises EmulationError when it names something that is not known."""
    try:
        return shlex.split(environment().from_string(template).render(**values))
    except Exception as error:
        known = ", ".join(f"{{{name}}}" for name in values)
        # As a person has typed it.
        typed = re.sub(r"\{\{ (\w+)(?: \| [^}]*)? \}\}", r"{\1}", template)
        raise EmulationError(f"the command {typed!r} cannot be filled in ({error}): it may use {known}") from error


def of_proxy(implementation: Implementation, known: Mapping[str, Any]) -> dict[str, Any]:
    """What a proxy's templates know beside its mode and the URL of the origin. Raises EmulationError."""
    mode, origin = known["mode"], urlsplit(known["origin"])
    if not implementation.own and mode not in implementation.modes:
        raise EmulationError(
            f"{implementation.name} cannot be a {mode} proxy: it can be a {' or a '.join(implementation.modes)} one"
        )
    return {
        "port": PROXY_PORTS[mode],
        "origin_host": origin.hostname,
        "origin_port": origin.port or DEFAULT_PORT,
    }


def server_starter(implementation: Implementation, values: Callable[[Host], Mapping[str, Any]]) -> Starter:
    """What starts this server in a host; `values` are what its templates may use, beside port, ports, role and folder.

    A proxy's, and a replica's, must have `mode` (forward or reverse) and `origin` (the URL of the origin), and give it
    its port.
    """

    def start(host: Host) -> Program:
        implementation.require()
        known: dict[str, Any] = {
            "port": implementation.service_port,
            "ports": dict(implementation.ports),
            "role": implementation.role,
            "folder": str(host.workdir),
            "address": host.IP(),
            "program": implementation.path(),
            **values(host),
        }
        if not implementation.own:
            known["program"] = implementation.path()
        if implementation.role in ("proxy", *SAME):
            known |= of_proxy(implementation, known)
        if implementation.config is not None:
            config = host.workdir / implementation.config.removesuffix(".j2")
            config.write_text(render(f"implementations/{implementation.config}", **known))
            known["config"] = str(config)
        for name, template in implementation.files.items():
            (host.workdir / name).parent.mkdir(parents=True, exist_ok=True)
            (host.workdir / name).write_text(render(f"implementations/{template}", **known))
        assert implementation.command is not None
        words = expand(implementation.command, known)
        # A person's own program is found from where the person stands.
        cwd = str(Path.cwd()) if implementation.own else None
        # A person's own name server may have no TCP, which is for the experiment to find out.
        by_udp = implementation.own and implementation.service_port == DNS_PORT
        return host.start_program(words, known["port"], cwd, by_udp)

    return start
