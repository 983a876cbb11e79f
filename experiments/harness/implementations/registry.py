"""Registry of third-party programs for `lab7 run --replace ROLE=NAME`: servers and clients by role (registry.toml).

A role is a server or client in an experiment, such as origin or proxy, whose place another program can take.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab7.experiments.harness.catalogue import entry_points
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.template_engine import environment, render
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.confinement import CONFINED_ID, confined
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.emulation.testbed import Starter

REGISTRY = Path(__file__).resolve().with_name("registry.toml")
OURS = "lab7"
DEFAULT_PORT = 80
DNS_PORT = 53
FTP_PORT, SSH_PORT = 21, 22
# Roles in the topology dns: all authoritative servers together, and the local (recursive) server.
DNS_ROLES = ("authoritative", "local")
# Stub resolvers, which `lab7 matrix dns` runs.
DNS_CLIENT_ROLE = "dns-client"
# Role of the name server in the topology cdn that directs clients to a replica of their region.
CDN_DNS_ROLE = "cdn-dns"
# Role -> other role with the same implementations: a replica of a CDN is a proxy in reverse mode.
SAME: Mapping[str, tuple[str, str]] = {"replica": ("proxy", "reverse")}
FTP_SERVER, FTP_CLIENT, SFTP_SERVER = "ftp-server", "ftp-client", "sftp-server"
# Roles in the topology mail: MTAs (SMTP), access servers (POP3 and IMAP on the same Maildirs), user agents.
MTA_ROLE, ACCESS_ROLE, AGENT_ROLE = "mta", "mailbox", "mail-client"
SMTP_PORT, SUBMISSION_PORT, POP3_PORT, IMAP_PORT = 25, 587, 110, 143
# Port of a proxy by mode: squid's default port for a forward proxy, the origin's port for a reverse proxy.
PROXY_PORTS: Mapping[str, int] = {"forward": 3128, "reverse": DEFAULT_PORT}
VERSION_TIMEOUT_S = 10.0
# Role -> example arguments of a user's program, for error messages; roles not listed need {port} only.
HINTS: Mapping[str, str] = {
    "origin": "--port {port} --root {root}",
    "client": "{url} {objects}",
    DNS_ROLES[0]: "--port {port} {zone_files}",
    DNS_ROLES[1]: "--port {port} --root {root_address}",
    FTP_CLIENT: "{what} {host} {names}",
    AGENT_ROLE: "{what} {host} {user} {message}",
}
# Folder into which set-up unpacks programs whose Debian packages conflict with installed ones.
UNPACKED_ROOT = f"{sys.prefix}/peers"
UNPACKED = f"{UNPACKED_ROOT}/usr/sbin"
LISTS = ("speaks", "modes")


class ReplacementError(ValueError):
    """Invalid value of the option --replace; the message lists the valid roles or names."""


@dataclass(frozen=True, eq=False)
class Implementation:
    """Third-party or user's program that can take the place of one of lab7's servers or clients, such as nginx.

    `command`: command line of a server. `commands`: command lines of a client, keyed by strategy, a way to load a page
    such as `1.1-pipelined`. `files`: further configuration files in the host's folder, name -> template. `modes`:
    forward or reverse, for a proxy. `least_interval_s`: shortest interval of health checks that a CDN name server
    supports. `module`: Python module that must be importable, if the program is a Python interpreter. `get`:
    installation instructions, if there is no package. `own`: True for a user's program.
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
        """Return True if the program supports a strategy of page loads (HTTP version and use of connections).

        Always True for a user's own program. A strategy is named as `1.1-pipelined`, for example.
        """
        return self.own or strategy in self.speaks or strategy in self.commands

    @property
    def service_port(self) -> int:
        """Return the TCP or UDP port on which a server of this role listens, such as 80."""
        known = {FTP_SERVER: FTP_PORT, SFTP_SERVER: SSH_PORT, MTA_ROLE: SMTP_PORT, ACCESS_ROLE: IMAP_PORT}
        known |= dict.fromkeys((*DNS_ROLES, CDN_DNS_ROLE), DNS_PORT)
        return known.get(self.role, DEFAULT_PORT)

    def port(self, strategy: str) -> int:
        """Return the server's port for page loads by a strategy such as `1.1-pipelined` (default: 80)."""
        return self.ports.get(strategy, DEFAULT_PORT)

    def path(self) -> str | None:
        """Return the path of the program; None if the program is not installed."""
        return tools.which(self.program, UNPACKED)

    def installed(self) -> bool:
        """Return True if the program, and the Python module that it needs, are installed."""
        return self.path() is not None and (not self.module or _imports(self.program, self.module))

    def how_to_get(self) -> str:
        """Return the installation instructions as text; empty for a user's program."""
        return self.get or (f"`sudo apt-get install {self.package}`" if self.package else "")

    def require(self) -> None:
        """Raise MachineError with the installation instructions unless the program is installed."""
        if not self.installed():
            how = f": {self.how_to_get()}" if self.how_to_get() else ""
            raise MachineError(f"{self.program if self.own else self.name} is not installed{how}")

    def describe(self) -> str:
        """Return the program's name and version for reports, or only the name if the version is unknown."""
        if not self.version:
            return self.name
        words = expand(self.version, {"program": self.path() or self.program})
        try:
            completed = subprocess.run(
                [(self.path() or words[0]) if words[0] == self.program else words[0], *words[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=VERSION_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return self.name
        # Use the first version number of the output, since curl and wget print the versions of libraries as well.
        number = re.search(r"\d+\.\d+[\w.]*", completed.stdout or completed.stderr)
        return f"{self.name} {number[0]}" if number else self.name


@cache
def _imports(program: str, module: str) -> bool:
    """Return True if a Python interpreter finds a module; False if the interpreter cannot be run."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    try:
        completed = subprocess.run([program, "-I", "-c", look, module], timeout=VERSION_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return completed.returncode == 0


@cache
def implementations() -> dict[tuple[str, str], Implementation]:
    """Return all programs of the registry that can replace lab7's own services or clients, keyed by (role, name)."""
    entries = tomllib.loads(REGISTRY.read_text())["implementation"]
    registered = [
        Implementation(**{**entry, **{name: tuple(entry.get(name, ())) for name in LISTS}}) for entry in entries
    ]
    registered += [
        one
        for point, item in entry_points.loaded(entry_points.IMPLEMENTATIONS)
        for one in _foreign(point, item, {(entry["role"], entry["name"]) for entry in entries})
    ]
    registered += [
        replace(implementation, role=role, modes=(mode,))
        for role, (same, mode) in SAME.items()
        for implementation in registered
        if implementation.role == same and mode in implementation.modes
    ]
    return {(implementation.role, implementation.name): implementation for implementation in registered}


def _foreign(point: EntryPoint, item: Any, taken: Collection[tuple[str, str]]) -> list[Implementation]:
    """Return the valid programs (Implementation) that a plug-in package's entry point declares.

    An object of another type, and a name that is already in use, are reported and left out.
    """
    found = []
    for one in item if isinstance(item, list | tuple) else [item]:
        if not isinstance(one, Implementation):
            entry_points.report(point, f"it is of type {type(one).__name__}, not Implementation")
        elif (one.role, one.name) in taken:
            entry_points.report(point, f"there is another {one.role} of the name {one.name}")
        else:
            found.append(one)
    return found


def of_role(role: str) -> list[Implementation]:
    """Return the programs that can take a role (such as origin or proxy), in the order of the registry."""
    return [
        implementation for (registered_role, _), implementation in implementations().items() if registered_role == role
    ]


def parse_replacement(text: str, roles: tuple[str, ...]) -> tuple[str, Implementation | None]:
    """Parse ROLE=NAME or ROLE=COMMAND LINE; return (role, program), with None for lab7's own service.

    Raises ReplacementError.
    """
    role, equals, what = text.partition("=")
    names = [OURS, *(implementation.name for implementation in of_role(role))] if role in roles else []
    if names and not what.strip():
        raise ReplacementError(
            f"--replace {text!r} names no program: write {role}=NAME, with one of {', '.join(names)}, or "
            f"'{role}=COMMAND LINE'"
        )
    if not equals or role not in roles:
        known = f"the roles are {', '.join(roles)}, as in {roles[0]}=NAME" if roles else "there is no role to replace"
        raise ReplacementError(f"--replace {text!r}{did_you_mean(role, roles)}: {known}")
    what = what.strip()
    if what == OURS:
        return role, None
    if (role, what) in implementations():
        return role, implementations()[role, what]
    words = _words(what)
    if len(words) < 2 and "/" in what:
        path = Path(words[0]).expanduser()
        problem = "is no program" if path.is_dir() else "is no file"
        if path.is_file():
            problem = "is a file alone"
        raise ReplacementError(
            f"--replace {text!r}: {what} {problem}: give a command line, such as "
            f"'{role}=python3 my_{role}.py {HINTS.get(role, '--port {port}')}'"
        )
    if len(words) < 2:
        raise ReplacementError(
            f"--replace {text!r}{did_you_mean(what, names)}: there is no {role} of that name; use one of "
            f"{', '.join(names)}, or a command line such "
            f"as '{role}=python3 my_{role}.py {HINTS.get(role, '--port {port}')}'"
        )
    # Name a user's program by its command line in results, since `python3` alone would not identify the program.
    return role, Implementation(what, role, words[0], command=_as_template(what), own=True)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ReplacementError(f"cannot parse the command line {text!r}: {error}") from None


def _as_template(text: str) -> str:
    """Convert {port} in a user's command line to the template syntax of the registry, {{ port }}.

    A value that is a list becomes several words.
    """
    return re.sub(r"\{(\w+)\}", r"{{ \1 | words }}", text)


def as_files(known: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Write the zones and users of a service to files for a user's program; return the path of each file.

    The keys of the result are `zones` (one line `origin<TAB>master file` per zone) and `users` (one line
    `name:password` per user).
    """
    tables = {
        "zones": [f"{origin}\t{folder / file}" for origin, file in known.get("zones", [])],
        "users": [f"{name}:{password}" for name, password in dict(known.get("users", {})).items()],
    }
    paths = {}
    for name in known.keys() & tables.keys():
        path = folder / f"{name}.txt"
        path.write_text("".join(f"{line}\n" for line in tables[name]))
        paths[name] = str(path)
    return paths


def expand(template: str, values: Mapping[str, Any]) -> list[str]:
    """Expand a command template to its words (argv). Raises EmulationError for an unknown variable."""
    try:
        return shlex.split(environment().from_string(template).render(**values))
    except Exception as error:
        known = ", ".join(f"{{{name}}}" for name in values)
        # Convert {{ name }} back to the user's notation {name} for the message.
        typed = re.sub(r"\{\{ (\w+)(?: \| [^}]*)? \}\}", r"{\1}", template)
        raise EmulationError(
            f"the placeholders of the command {typed!r} are invalid ({error}): it may use {known}"
        ) from error


def of_proxy(implementation: Implementation, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a proxy's template variables: its port, and host and port of the origin server.

    Raises EmulationError if the program does not support the mode (forward or reverse).
    """
    mode, origin = known["mode"], urlsplit(known["origin"])
    if not implementation.own and mode not in implementation.modes:
        raise EmulationError(
            f"{implementation.name} does not support {mode} mode: use {' or '.join(implementation.modes)}"
        )
    return {
        "port": PROXY_PORTS[mode],
        "origin_host": origin.hostname,
        "origin_port": origin.port or DEFAULT_PORT,
    }


def _confinement(writable: Sequence[Path], user_id: int | None = None) -> Callable[[Sequence[str]], list[str]]:
    """Return a function that converts a user's command line to one that runs confined, in a copy of the current folder.

    The program can write only to the paths in `writable`.
    """
    return partial(confined, folder=Path.cwd(), writable=writable, user_id=user_id or CONFINED_ID)


def client_words(implementation: Implementation, template: str, values: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the command line of a client program; a user's program runs confined, and may write only into `folder`."""
    words = expand(template, values)
    return _confinement([folder])(words) if implementation.own else words


def server_starter(implementation: Implementation, values: Callable[[Host], Mapping[str, Any]]) -> Starter:
    """Return a function that starts this server on a host and returns the process.

    `values`: function that returns further template variables for a host, in addition to port, ports, role, folder,
    address and program. For a proxy or a replica, the further variables must include `mode` (forward or reverse) and
    `origin` (the URL of the origin).
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
        if implementation.own:
            known |= as_files(known, host.workdir)
        else:
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
        # A user's program runs confined in a copy of the current directory, so that relative paths to the program work.
        confine = _confinement([host.workdir], known.get("uid")) if implementation.own else None
        # Await a user's name server on UDP only, so that the experiment can show that TCP is missing.
        by_udp = implementation.own and implementation.service_port == DNS_PORT
        return host.start_program(words, known["port"], None, by_udp, confine, keep=implementation.own)

    return start
