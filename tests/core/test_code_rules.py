"""Code rules that can be read off the files: imports, the world that cores may not touch, lengths, texts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("services", "topologies", "experiments")
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
# Longer files that were reviewed: each is one concept.
REVIEWED = {
    "services.connections": "admission, deadlines and shutdown decide about the same connections",
    "services.dns.recursion.iterator": "the algorithm of RFC 1034 section 5.3.3, which is read as a whole",
    "services.http.http2.server_connection": "each frame may change the streams, windows and limits of a connection",
    "services.http.storage.store": "the store, and the writers and readers of its responses",
}

# What services may use beside the standard library: each carries a hard part that is not the lesson.
SERVICE_LIBRARIES = {"cryptography", "h2", "hpack", "jinja2", "nh3", "uvloop"}
# Where the world comes in. A core imports none of them, nor any shell.
WORLD = {"asyncio", "multiprocessing", "select", "selectors", "signal", "socket", "socketserver", "threading", "time"}
WORLD |= {"imaplib", "poplib", "smtplib"}
# Conversions between a number and a calendar: functions of their argument, no clock.
PURE_TIME = {"gmtime", "struct_time"}
# Modules of services that touch the world, and why. All others are cores.
SHELLS = {
    "services.shell": "the asyncio shell that all services share: sockets, signals, the wall clock",
    "services.datagrams": "UDP sockets, from which datagrams are received in batches",
    "services.workers": "worker processes of a program on one port",
    "services.connections": "listening sockets, connections, their deadlines and their shutdown",
    "services.dns.authoritative": "the program that serves zones",
    "services.dns.cdn": "the program that answers by region",
    "services.dns.steering.health_checker": "connections for health checks, and their schedule",
    "services.dns.resolver": "the program that resolves names for clients",
    "services.dns.recursion.scheduler": "tasks of resolutions, shared among clients",
    "services.dns.server.encrypted": "encrypted transports of that server",
    "services.dns.sign": "the program that signs zones",
    "services.dns.server.server": "datagrams, connections and their limits",
    "services.dns.recursive": "the program that serves zones and resolves below their cuts",
    "services.dns.stub": "the program that sends one query",
    "services.dns.recursion.transport": "sockets of upstream queries",
    "services.ftp.faults": "the control connection with faults",
    "services.http.faults": "the proxy with faults",
    "services.mail.faults": "the delay of the fault early-250",
    "services.ftp.client": "the program that gets and puts files",
    "services.ftp.server_dtp.data_connection": "the server's data connection",
    "services.ftp.server_dtp.transfer": "octets between a data connection and a file",
    "services.ftp.server_dtp.open_transfer": "what a transfer moves",
    "services.ftp.server": "the program that serves files by FTP",
    "services.ftp.server_pi.connection": "one control connection of the server",
    "services.ftp.server_pi.context": "the event loop and worker threads of all control connections",
    "services.ftp.server_dtp.sendfile_loop": "what a transfer sends on the event loop",
    "services.ftp.user.user_dtp": "the client's connections",
    "services.http.client": "program: page-load client",
    "services.http.page_load.http1_connection": "HTTP/1 client connection",
    "services.http.server.context": "event loop and clock of all connections of the server",
    "services.http.server.takeover": "takeover of a connection",
    "services.http.server.request_body": "awaiting of request content",
    "services.http.page_load.http2_connection": "HTTP/2 client connection",
    "services.http.server.http2_connection": "HTTP/2 connection of the server",
    "services.http.page_load.http2_strategies": "concurrent connections of HTTP/2",
    "services.http.origin": "program: origin server",
    "services.http.page_load.load_state": "concurrent tasks of a page load",
    "services.http.server.http1_connection": "HTTP/1 connection of the server, and its deadlines",
    "services.http.server.server": "the HTTP server: admission, and shutdown",
    "services.http.proxy": "program: caching proxy",
    "services.http.intermediary.caching_proxy": "requests under way through a cache",
    "services.http.intermediary.pool": "connections to origins",
    "services.http.intermediary.proxy": "requests under way through a proxy",
    "services.http.intermediary.tunnel": "octets both ways",
    "services.http.page_load.happy_eyeballs": "race of connection attempts to the addresses of a host",
    "services.http.page_load.connector": "name resolution, sockets and clock of a page load",
    "services.http.page_load.strategies": "page loads and their time limit",
    "services.http.page_load.http1_strategies": "concurrent connections of HTTP/1",
    "services.mail.authentication.mta_sts.policy_source": "connections to policy hosts",
    "services.mail.authentication.service": "DNS queries of checks, and threads for large messages",
    "services.mail.access.server": "a server for mailboxes: its connections, and their event loop",
    "services.mail.access.program": "the command line and the start of such a server",
    "services.mail.agent.__main__": "the user agent, as it is called",
    "services.mail.agent.command": "its command line",
    "services.mail.agent.mailbox_client": "its connections to servers for mailboxes",
    "services.mail.agent.submission": "its connection to a server that takes mail",
    "services.mail.imap.__main__": "the program that serves mailboxes by IMAP, as it is called",
    "services.mail.pop3.__main__": "the program that serves maildrops by POP3, as it is called",
    "services.mail.delivery.remote": "connections to one mail domain",
    "services.mail.delivery.dispatcher": "entries of the queue under way, and their later tries",
    "services.mail.flags": "flags that the programs of mail share",
    "services.mail.mta_flags": "the command line of the mail server",
    "services.mail.delivery.mx_lookup": "where mail for a domain goes, asked of name servers",
    "services.mail.delivery.local": "messages that wait for the disk",
    "services.mail.mta": "the program that takes, keeps and delivers mail",
    "services.mail.smtp.client": "one connection of a client",
    "services.mail.smtp.server": "the SMTP server: its connections, and their event loop",
    "services.mail.webmail.__main__": "the program that serves mailboxes to browsers, as it is called",
    "services.mail.webmail.submission": "its connection to the server that takes mail",
    "services.mail.webmail.program": "its content, its waits, and what its pages ask of the world",
    "services.mail.queue.spool": "writes to the queue's journal that wait for the disk",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (REPOSITORY / package).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; `from a import b` counts as a and as a.b, without `lab7.`."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("lab7.") for name in found}


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def world_of(path: Path) -> set[str]:
    """What a file imports of the world; `time` does not count where only its conversions are used."""
    touched = (roots(path) & WORLD) | (imports(path) & set(SHELLS))
    return touched - {"time"} if _only_pure_time(path) else touched


def _only_pure_time(path: Path) -> bool:
    named = {name.partition(".")[2] for name in imports(path) if name.startswith("time.")}
    used = {
        node.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "time"
    }
    return named | used <= PURE_TIME


def broken(rule: dict[str, set[str]]) -> list[str]:
    return [f"{name}: {', '.join(sorted(what))}" for name, what in rule.items() if what]


def test_services_import_the_standard_library_and_little_else() -> None:
    allowed = set(sys.stdlib_module_names) | SERVICE_LIBRARIES | {"services", "lab7"}
    assert broken({module_name(path): roots(path) - allowed for path in sources("services")}) == []


def test_topologies_import_neither_services_nor_experiments() -> None:
    assert (
        broken({module_name(path): roots(path) & {"services", "experiments"} for path in sources("topologies")}) == []
    )


def test_programs_are_looked_for_by_one_function() -> None:
    """shutil.which() alone misses the folders of administrators, which are not in the PATH of ordinary users."""
    using = {
        module_name(path)
        for path in sources("topologies", "experiments")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "which" and ast.unparse(node) == "shutil.which"
    }
    assert using == {"topologies.emulation.tools"}


def test_packages_import_no_tests() -> None:
    assert broken({module_name(path): roots(path) & {"tests"} for path in sources(*PACKAGES)}) == []


def test_parsers_of_captures_and_claims_import_nothing_of_services() -> None:
    """A defect of a service's parser must not hide itself."""
    judges = [
        path
        for path in sources("experiments")
        if {"wire", "claims", "judge"} & set(path.relative_to(REPOSITORY).parts[:-1])
    ]
    assert judges
    assert broken({module_name(path): roots(path) & {"services"} for path in judges}) == []


def test_only_the_shells_of_services_touch_the_world() -> None:
    """A new module is a core, or it is added to SHELLS with a reason."""
    touching = {module_name(path) for path in sources("services") if world_of(path)}
    new, gone = touching - set(SHELLS), set(SHELLS) - touching
    assert not new, f"add to SHELLS with a reason, or move what is pure to another module: {', '.join(sorted(new))}"
    assert not gone, f"remove from SHELLS, since they touch nothing of the world: {', '.join(sorted(gone))}"


@pytest.mark.parametrize("path", sources(*PACKAGES, "tests", "docs"), ids=module_name)
def test_a_file_is_short_and_so_are_its_functions(path: Path) -> None:
    short = len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES_MAX
    assert short != (module_name(path) in REVIEWED)
    functions = (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    long = {node.name: length for node in functions if (length := _lines(node)) > FUNCTION_LINES_MAX}
    assert long == {}


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How long a function's body is: parameters, one a line, and what explains it do not make it harder to follow."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


def test_every_module_has_a_docstring() -> None:
    assert [module_name(path) for path in sources(*PACKAGES) if not ast.get_docstring(tree(path))] == []


def committed_texts() -> Iterator[tuple[str, str]]:
    """Every file that git knows, as (path, text); files that are no text are left out."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    for name in filter(None, listed.stdout.split("\0")):
        try:
            yield name, (REPOSITORY / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue


# Written in pieces, because this file is committed as well.
FOREIGN_PATH = re.compile(r"(?<![\w.}])/wor" + r"k/")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


@pytest.mark.parametrize(
    "pattern", [FOREIGN_PATH, UNFINISHED], ids=["a path of one machine", "a mark of unfinished work"]
)
def test_no_committed_file_holds(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in committed_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def test_every_dependency_has_an_upper_bound() -> None:
    """setuptools is free: it carries distutils for Mininet, and its newest release is the one to have."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    every = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    unbounded = [one for one in every if "<" not in one and "==" not in one]
    assert [one for one in unbounded if not one.startswith("setuptools")] == []
