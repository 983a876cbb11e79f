"""Default of --listen in every service: loopback, and no address that another machine reaches."""

from __future__ import annotations

import ast
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loopback.clients import MAILBOXES, MAP, ZONE

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0
# What a service cannot do without; all else has a default.
NEEDED = {
    "lab7.services.dns.authoritative": "--zone example.com=own.zone",
    "lab7.services.dns.cdn": "--zone example.com=own.zone --map regions",
    "lab7.services.dns.recursive": "--zone example.com=own.zone",
    "lab7.services.dns.resolver": "--root ns=127.0.0.1",
    "lab7.services.ftp.server": "--root www",
    "lab7.services.http.origin": "--root www",
    "lab7.services.http.proxy": "",
    "lab7.services.mail.imap": MAILBOXES,
    "lab7.services.mail.mta": f"{MAILBOXES} --queue queue --submission-port 0",
    "lab7.services.mail.pop3": MAILBOXES,
    "lab7.services.mail.webmail": f"{MAILBOXES} --submission 127.0.0.1:9",
    "docs/examples/time/time_server.py": "",
}

# All of them in one process: it is the imports that take the time.
HELP = """
import os, runpy, sys
for name in sys.argv[1:]:
    sys.path[0] = os.path.dirname(name)
    sys.argv = [name, "--help"]
    try:
        (runpy.run_path if name.endswith(".py") else runpy.run_module)(name, run_name="__main__")
    except SystemExit as end:
        assert not end.code
"""


def services() -> list[str]:
    """Return all programs of the repository that listen: those whose main() hands a start function to the shell."""
    found = set()
    for folder in ("services", "docs/examples", "experiments", "topologies"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            mains = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
            called = {name.id for main in mains for name in ast.walk(main) if isinstance(name, ast.Name)}
            if called & {"run_service", "run_access"}:
                found.add(_program(path.relative_to(REPOSITORY)))
    return sorted(found)


def _program(path: Path) -> str:
    if path.parts[0] == "docs":
        return str(path)
    package = path.parent / "__main__.py"
    return ".".join(("lab7", *(path.parent if (REPOSITORY / package).exists() else path.with_suffix("")).parts))


@contextmanager
def started(folder: Path, program: str, *flags: str) -> Iterator[list[tuple[str, int]]]:
    """Run a service and yield the addresses that its line READY names."""
    (folder / "accounts").write_text("alice:secret\n")
    (folder / "own.zone").write_text(ZONE)
    (folder / "regions").write_text(MAP)
    (folder / "www").mkdir(exist_ok=True)
    name = [str(REPOSITORY / program)] if program.endswith(".py") else ["-m", program]
    command = [sys.executable, *name, *NEEDED[program].split(), "--port", "0", *flags]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("READY "), ready
            places = (word.rpartition(":") for word in ready.split()[2:])
            yield [(host.strip("[]"), int(port)) for host, _, port in places]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


def loopback() -> set[str]:
    """Return the loopback addresses of this machine."""
    found = {"127.0.0.1"}
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            found.add("::1")
    except OSError:
        pass
    return found


def listening(port: int) -> set[str]:
    """Return the addresses on which the kernel has a socket that listens on a TCP port."""
    done = subprocess.run(["ss", "-Htln", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return {line.split()[3].rpartition(":")[0].strip("[]") for line in done.stdout.splitlines()}


def test_no_service_is_left_out() -> None:
    assert services() == sorted(NEEDED)


@pytest.mark.parametrize("program", NEEDED)
def test_a_service_listens_on_loopback_alone(tmp_path: Path, program: str) -> None:
    with started(tmp_path, program) as places:
        assert {host for host, _ in places} == loopback()
        for _, port in places:
            assert listening(port) == loopback()


def test_each_says_so_in_its_help() -> None:
    names = [str(REPOSITORY / name) if name.endswith(".py") else name for name in NEEDED]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    command = [sys.executable, "-c", HELP, *names]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=PATIENCE_S)
    assert done.stdout.count("usage: ") == len(NEEDED)
    assert done.stdout.count("(default: 127.0.0.1 and ::1)") == len(NEEDED)


def test_it_listens_elsewhere_where_it_is_told(tmp_path: Path) -> None:
    with started(tmp_path, "lab7.services.http.origin", "--listen", "0.0.0.0") as places:
        assert [host for host, _ in places] == ["0.0.0.0"]
