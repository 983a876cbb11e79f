"""Set-up of the FTP experiments: emulated network, user account and small disk on the server, FTP and SFTP programs."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lab7.experiments.ftp.peers import PEERS
from lab7.experiments.harness.driver import Driver, run_command
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.fidelity.certificate import EmulatedPath
from lab7.experiments.harness.implementations.registry import (
    DEFAULT_PORT,
    FTP_CLIENT,
    FTP_PORT,
    FTP_SERVER,
    SFTP_SERVER,
    SSH_PORT,
    Implementation,
    client_words,
    implementations,
    server_starter,
)
from lab7.experiments.harness.measurement import Window, first_interface, make_testbed
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.launcher import Service
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.emulation.testbed import Starter, Testbed
from lab7.topologies.emulation.topology_checks import commands
from lab7.topologies.ftp import PASSWORDS, SERVER_ADDRESS, SERVER_NAME, FtpTopo

USER, PASSWORD = "ann", PASSWORDS["ann"]
# User id of the FTP user, from a reserved range (Debian policy section 9.2.2: 60000 to 64999).
UID = 61021
AT_CLIENT, AT_EVE = first_interface("client"), first_interface("eve")
OUR_CLIENT, OUR_SERVER = "lab7.services.ftp.client", "lab7.services.ftp.server"
SCRIPTED, VISITOR = "lab7.experiments.ftp.driver", "lab7.experiments.http.drivers.visitor"
ANY, OPENSSH, ASYNCSSH = "any", "openssh", "asyncssh"
ASYNCSSH_SCRIPT = PEERS / "asyncssh_sftp.py"
TIMEOUT_S = 120.0
# Folder below a client's work directory, for the files to upload and the downloaded files.
TRANSFERS = "transfers"
# Free space in octets on the FTP user's disk, in addition to the size of the server's initial files.
SPARE_OCTETS = 512 * 1024


class Home:
    """Home directory of the FTP user on the server: a tmpfs of limited size that contains the files `files`."""

    def __init__(self, host: Host, files: Mapping[str, bytes], size_bytes: int) -> None:
        self.path = host.workdir / "files" / USER
        mounted = host.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "tmpfs", str(self.path)])
        if mounted.returncode != 0:
            raise EmulationError(f"cannot mount the user's disk: {mounted.stderr.decode(errors='replace').strip()}")
        self._seen = disk_of(host)
        for name, octets in files.items():
            path = self._seen / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)
        host.run(["chown", "-R", f"{UID}:{UID}", str(self.path)])


def disk_of(host: Host) -> Path:
    """Return the path of the user's files on a host, through /proc: mounts of a host are visible only in the host."""
    return Path(f"/proc/{host.namespace_pid}/root{host.workdir}/files/{USER}")


def add_account(host: Host, home: Path) -> None:
    """Create the FTP user's account on one host, by bind mounts over /etc/passwd, /etc/group and /etc/shadow."""
    script = "print crypt($ARGV[0], $ARGV[1])"
    # Hash with the minimum number of SHA-512 rounds (crypt(5)), since the login is part of the measured time.
    words = ["perl", "-e", script, PASSWORD, "$6$rounds=1000$lab7lab7$"]
    hashed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    lines = {
        "passwd": f"{USER}:x:{UID}:{UID}::{home}:/bin/sh",
        "group": f"{USER}:x:{UID}:",
        "shadow": f"{USER}:{hashed}:19000:0:99999:7:::",
    }
    for name, line in lines.items():
        # Start from an empty /etc/shadow, so that no password hash of the machine reaches a host.
        there = "" if name == "shadow" else Path("/etc", name).read_text()
        known = [each for each in there.splitlines() if not each.startswith(f"{USER}:")]
        file = host.workdir / name
        file.write_text("\n".join([*known, line]) + "\n")
        file.chmod(0o640 if name == "shadow" else 0o644)
        bound = host.run(["mount", "--bind", str(file), f"/etc/{name}"])
        if bound.returncode != 0:
            raise EmulationError(f"cannot set up accounts at {host.name}: {bound.stderr.decode().strip()}")


def ftp_testbed(
    context: Run, rtt_s: float, bw_mbit: float, files: Mapping[str, bytes], beside: Sequence[str] = ()
) -> Testbed:
    """Return the emulated FTP network; the user's folder on the server has these files (name -> content).

    `beside` are command lines of further servers on the same host; {home} in them stands for the user's home directory.
    """
    topo = FtpTopo(bw=bw_mbit, delay=f"{rtt_s / 2 * 1e6:.0f}us")
    starter = serving(context.replacements.get(FTP_SERVER), files, beside)
    return make_testbed(context, topo, {"server": starter})


def serving(server: Implementation | None, files: Mapping[str, bytes], beside: Sequence[str] = ()) -> Starter:
    """Return a function that starts an FTP server and the user's disk on a host; `server` None means lab7's own."""

    def start(host: Host) -> Service | Program:
        home = Home(host, files, sum(len(octets) for octets in files.values()) + SPARE_OCTETS)
        for line in beside:
            host.start(line.format(home=shlex.quote(str(home.path))), serves=True)
        if server is None:
            (line,) = commands(host.params["serves"])
            return host.start(line, wait=False)
        add_account(host, home.path)
        values = {"root": str(home.path), "user": USER, "password": PASSWORD}
        return server_starter(server, lambda _host: values)(host)

    return start


def ftp_path(rtt_s: float, bw_mbit: float) -> EmulatedPath:
    """Return the network path to be measured before a run and compared with the configured delay and rate."""
    return EmulatedPath("client", "server", SERVER_ADDRESS, rtt_s, bw_mbit * 1e6)


def server_name(context: Run) -> str:
    """Return name and version of the FTP server in use, for the report."""
    server = context.replacements.get(FTP_SERVER)
    return server.describe() if server else OUR_SERVER


def client_name(context: Run) -> str:
    """Return name and version of the FTP client in use, for the report."""
    client = context.replacements.get(FTP_CLIENT)
    return client.describe() if client else OUR_CLIENT


def supports(client: Implementation | None, what: str, mode: str) -> bool:
    """Return True if a client supports an operation (list, get, put) in this mode.

    lab7's own client and a program given by the user are assumed to support all.
    """
    return client is None or client.own or f"{what}-{mode}" in client.commands


def run_client(host: Host, client: Implementation | None, what: str, mode: str, names: Sequence[str]) -> Window:
    """Run one FTP session of a client program; return its start and end.

    `what` is list, get or put, `mode` is active or passive; None as `client` means lab7's own. The client's files are
    in the folder TRANSFERS of `host`. Raises LoadFailedError, EmulationError.
    """
    folder = host.workdir / TRANSFERS
    folder.mkdir(exist_ok=True)
    for name in names if what == "get" else ():
        # Remove files of an earlier session, since some clients do not fetch a file that exists.
        (folder / name).unlink(missing_ok=True)
    if client is not None:
        values = _values(folder, what, mode, names)
        return run_command(host, client_words(client, _template(client, what, mode), values, folder))
    words = [OUR_CLIENT, SERVER_NAME, "--user", USER, "--password", PASSWORD, "--json"]
    words += ["--active"] if mode == "active" else []
    words += ["ls"] if what == "list" else [f"{what} {_ours(folder, what, name)}" for name in names]
    began_ns = time.time_ns()
    host.start(words, wait=False).finish(TIMEOUT_S)
    return Window(began_ns, time.time_ns())


def choose_ssh(asked: str) -> str:
    """Return the SFTP program for the parameter `ssh`; ANY means OpenSSH if it is installed, otherwise asyncssh."""
    if asked != ANY:
        return asked
    openssh = implementations()[SFTP_SERVER, OPENSSH]
    return OPENSSH if openssh.installed() and tools.which("sftp") else ASYNCSSH


def ssh_name(ssh: str) -> str:
    """Return name and version of an SFTP program, for the report."""
    if ssh == OPENSSH:
        return implementations()[SFTP_SERVER, OPENSSH].describe()
    try:
        return f"{ASYNCSSH} {version(ASYNCSSH)}"
    except PackageNotFoundError:
        return ASYNCSSH


def add_sftp_server(host: Host, ssh: str) -> Program:
    """Start an SFTP server with the user, password and files of the FTP server. Raises MachineError, EmulationError."""
    home = host.workdir / "files" / USER
    if ssh == ASYNCSSH:
        words = [sys.executable, str(ASYNCSSH_SCRIPT), "serve", host.IP(), str(SSH_PORT), USER, PASSWORD, str(home)]
        return host.start_program(words, SSH_PORT)
    add_account(host, home)
    openssh = implementations()[SFTP_SERVER, OPENSSH]
    values = {"root": str(home), "user": USER, "password": PASSWORD}
    started = server_starter(openssh, lambda _host: values)(host)
    assert isinstance(started, Program)
    return started


def run_sftp(host: Host, name: str, ssh: str) -> Window:
    """Fetch one file by SFTP into the folder TRANSFERS; return start and end of the program. Raises LoadFailedError."""
    folder = host.workdir / TRANSFERS
    folder.mkdir(exist_ok=True)
    if ssh == ASYNCSSH:
        words = [sys.executable, str(ASYNCSSH_SCRIPT), "get", SERVER_NAME, str(SSH_PORT), USER, PASSWORD]
        return run_command(host, [*words, name, str(folder / name)])
    asked = host.workdir / "askpass"
    # Without a terminal, ssh reads the password from the output of the program in SSH_ASKPASS (ssh(1)).
    asked.write_text(f"#!/bin/sh\necho {shlex.quote(PASSWORD)}\n")
    asked.chmod(0o700)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "PreferredAuthentications=password"]
    words = ["env", f"SSH_ASKPASS={asked}", "SSH_ASKPASS_REQUIRE=force", "sftp", "-q", "-F", "/dev/null"]
    words += [word for option in options for word in ("-o", option)]
    return run_command(host, [*words, f"{USER}@{SERVER_NAME}:{name}", str(folder / name)])


def _ours(folder: Path, what: str, name: str) -> str:
    there, here = shlex.quote(name), shlex.quote(str(folder / name))
    return f"{there} {here}" if what == "get" else f"{here} {there}"


def _template(client: Implementation, what: str, mode: str) -> str:
    return client.command if client.command is not None else client.commands[f"{what}-{mode}"]


def _values(folder: Path, what: str, mode: str, names: Sequence[str]) -> dict[str, Any]:
    return {
        "host": SERVER_NAME,
        "user": USER,
        "password": PASSWORD,
        "names": list(names),
        "folder": str(folder),
        "what": what,
        "mode": mode,
        "port": FTP_PORT,
        "scripts": str(PEERS),
    }


class ScriptedClient(Driver):
    """FTP client program on a host that executes scripted sessions (see lab7.experiments.ftp.driver)."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, [SCRIPTED, SERVER_ADDRESS])

    def session(self, steps: Sequence[Sequence[str]]) -> Window:
        """Execute these commands and transfers in one FTP session; return its start and end. Raises EmulationError."""
        return self.request([list(step) for step in steps])


class WebClient(Driver):
    """HTTP client program on a host, for the web server that runs beside the FTP server."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, [VISITOR, SERVER_ADDRESS, str(DEFAULT_PORT), SERVER_NAME])

    def session(self, paths: Sequence[str]) -> Window:
        """Request these paths in turn on one connection; return start and end. Raises EmulationError."""
        return self.request({"visit": list(paths)})


# Steps with which every scripted session begins: log in, and select binary transfers.
LOG_IN = (("say", f"USER {USER}"), ("say", f"PASS {PASSWORD}"), ("say", "TYPE I"))
