"""No service is kept from new clients by those that open all its connections and keep them."""

from __future__ import annotations

import ftplib
import imaplib
import os
import poplib
import resource
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.loopback.crowd import HOST, addresses, crowd, raise_file_limit

REPOSITORY = Path(__file__).resolve().parents[2]
# How long a test waits for what must come: a bound, never a measurement.
PATIENCE_S = 20.0
CLIENT = "127.99.0.1"
ZONE = "$ORIGIN example.com.\n$TTL 1h\n@ SOA ns h ( 1 1d 2h 4w 5m )\n NS ns\nns A 192.0.2.1\n"
MAP = """name www.example.com
region all 0.0.0.0/0
replica all 192.0.2.10
"""


@pytest.fixture(autouse=True)
def _many_files() -> None:
    raise_file_limit()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accounts").write_text("alice:secret\n")
    (tmp_path / "own.zone").write_text(ZONE)
    (tmp_path / "regions").write_text(MAP)
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.txt").write_text("hello")
    return tmp_path


@contextmanager
def service(folder: Path, command: str) -> Iterator[int]:
    """Run a service in a folder and yield its port."""
    with running(folder, command) as (_, port):
        yield port


@contextmanager
def running(folder: Path, command: str, prefix: Sequence[str] = ()) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a service in a folder, by another program if need be, and yield it and its port."""
    words = [*prefix, sys.executable, "-m", *command.split(), "--listen", HOST, "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("READY "), ready
            yield process, int(ready.split()[2].rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


# Clients that nobody here wrote; each comes from an address of its own.


def ask_smtp(port: int) -> None:
    with smtplib.SMTP(HOST, port, timeout=PATIENCE_S, source_address=(CLIENT, 0)) as client:
        assert client.sendmail("bob@example.net", "alice@example.com", "Subject: hello\r\n\r\nhello\r\n") == {}


class _Imap(imaplib.IMAP4):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, (CLIENT, 0))


class _Pop(poplib.POP3):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, (CLIENT, 0))


def ask_imap(port: int) -> None:
    with _Imap(HOST, port, PATIENCE_S) as client:
        assert client.login("alice", "secret")[0] == "OK"
        assert client.select()[0] == "OK"


def ask_pop3(port: int) -> None:
    client = _Pop(HOST, port, PATIENCE_S)
    client.user("alice")
    assert client.pass_("secret").startswith(b"+OK")
    client.quit()


def ask_ftp(port: int) -> None:
    with ftplib.FTP(timeout=PATIENCE_S, source_address=(CLIENT, 0)) as client:
        client.connect(HOST, port)
        client.login("ann", "secret")
        assert client.nlst() == ["a.txt"]


def ask_dns(port: int) -> None:
    query = dns.message.make_query("www.example.com", "A")
    reply = dns.query.tcp(query, HOST, PATIENCE_S, port, source=CLIENT)
    assert reply.id == query.id


def _curl(*words: str) -> str:
    command = ["curl", "-sS", "--interface", CLIENT, "--max-time", str(PATIENCE_S), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask_http(port: int) -> None:
    assert _curl(f"http://{HOST}:{port}/a.txt") == "hello"


def ask_http2(port: int) -> None:
    assert _curl("--http2-prior-knowledge", f"http://{HOST}:{port}/a.txt") == "hello"


def ask_https(port: int) -> None:
    assert _curl("-k", f"https://{HOST}:{port}/a.txt") == "hello"


def ask_proxy(port: int) -> None:
    assert _curl("-o", "/dev/null", "-w", "%{http_code}", f"http://{HOST}:{port}/status") == "200"


def ask_webmail(port: int) -> None:
    assert "password" in _curl("-L", f"http://{HOST}:{port}/")


@dataclass(frozen=True)
class Case:
    """A service, an honest client of it, the size of its table, and what an attacker opens with and trickles."""

    command: str
    ask: Callable[[int], None]
    table: int = 1000
    opening: bytes = b""
    trickle: bytes = b"x"


MAILBOXES = "--accounts accounts --maildirs maildirs --domain example.com"
MTA = f"services.mail.mta {MAILBOXES} --queue queue"
FTP = "services.ftp.server --root www --user ann:secret --anonymous"
ORIGIN = "services.http.origin --root www"
AUTHORITATIVE = "services.dns.authoritative --zone example.com=own.zone"
GET = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
# A query for the SOA of the root, and then one octet of the next one's length.
QUERY = b"\x00\x11\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01\x00"
CASES = {
    "imap": Case(f"services.mail.imap {MAILBOXES}", ask_imap),
    "pop3": Case(f"services.mail.pop3 {MAILBOXES}", ask_pop3),
    "mta": Case(MTA, ask_smtp),
    "mta-greeted": Case(MTA, ask_smtp, opening=b"EHLO x\r\n"),
    "mta-data": Case(MTA, ask_smtp, opening=b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n"),
    "ftp": Case(FTP, ask_ftp, 512),
    "ftp-anonymous": Case(FTP, ask_ftp, 512, b"USER anonymous\r\nPASS x\r\n"),
    "webmail": Case(f"services.mail.webmail {MAILBOXES} --submission 127.0.0.1:9", ask_webmail, 1024, b"G"),
    "origin": Case(ORIGIN, ask_http, 1024, b"G"),
    "origin-idle": Case(ORIGIN, ask_http, 1024, GET, b""),
    "origin-tls": Case(f"{ORIGIN} --tls", ask_https, 1024, b"\x16\x03\x01\x02\x00", b"\x01"),
    "http2": Case(ORIGIN, ask_http2, 1024, PREFACE, b""),
    "proxy": Case("services.http.proxy --status /status", ask_proxy, 1024, b"G"),
    "authoritative": Case(AUTHORITATIVE, ask_dns, 150, b"\x40"),
    "authoritative-asked": Case(AUTHORITATIVE, ask_dns, 150, QUERY, b""),
    "recursive": Case("services.dns.recursive --zone example.com=own.zone", ask_dns, 150, b"\x40"),
    "resolver": Case("services.dns.resolver --root ns=127.0.0.1", ask_dns, 150, b"\x40"),
    "cdn": Case("services.dns.cdn --zone example.com=own.zone --map regions", ask_dns, 150, b"\x40"),
}


# One attack on each service is part of every run; the others take longer than they are likely to tell more.
EVERY_RUN = {("imap", 1), ("pop3", 1), ("mta", 5), ("ftp", 1), ("origin", 5), ("origin-tls", 1), ("http2", 1)}
EVERY_RUN |= {(name, sources) for name in CASES for sources in (1, 5) if CASES[name].table == 150}


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        pytest.param(name, sources, marks=() if (name, sources) in EVERY_RUN else pytest.mark.slow)
        for name in CASES
        for sources in (1, 5)
    ],
)
def test_a_new_client_is_served_while_others_keep_all_connections(folder: Path, name: str, sources: int) -> None:
    case = CASES[name]
    with (
        service(folder, case.command) as port,
        crowd(port, addresses(sources), case.table, case.opening, case.trickle),
    ):
        for _ in range(3):
            case.ask(port)


def test_a_new_client_is_served_when_the_server_has_no_descriptors_left(folder: Path) -> None:
    with (
        running(folder, AUTHORITATIVE) as (process, port),
        crowd(port, addresses(5), 100, b"\x40"),
    ):
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (60, 60))
        with crowd(port, addresses(5), 40, b"\x40"):
            for _ in range(3):
                ask_dns(port)


def test_a_server_that_may_open_few_files_has_fewer_connections(folder: Path) -> None:
    limit = ["prlimit", "--nofile=104:104"]
    with running(folder, f"services.mail.imap {MAILBOXES}", limit) as (_, port), crowd(port, addresses(5), 100):
        for _ in range(3):
            ask_imap(port)


# Phases end though octets come.


IMAP, POP3 = f"services.mail.imap {MAILBOXES}", f"services.mail.pop3 {MAILBOXES}"


@pytest.mark.parametrize(
    ("command", "trickled", "farewell"),
    [
        (f"{IMAP} --login-timeout 0.5", b"x", b"* BYE "),
        (f"{IMAP} --login-timeout 0.5", b"a NOOP\r\n", b"* BYE "),
        (f"{POP3} --login-timeout 0.5", b"x", b"-ERR "),
        (f"{POP3} --login-timeout 0.5", b"CAPA\r\n", b"-ERR "),
        (f"{FTP} --login-timeout 0.5", b"x", b"421 "),
        (f"{FTP} --login-timeout 0.5", b"NOOP\r\n", b"421 "),
        # RFC 5321 section 4.5.3.2.7: the wait is for the next command, and there is no login.
        (f"{MTA} --idle 0.5", b"x", b"421 "),
    ],
)
def test_the_wait_for_a_login_is_put_off_by_nothing(
    folder: Path, command: str, trickled: bytes, farewell: bytes
) -> None:
    with service(folder, command) as port, socket.create_connection((HOST, port), PATIENCE_S) as peer:
        assert farewell in trickle(peer, trickled)


@pytest.mark.parametrize(
    ("command", "login", "farewell"),
    [
        (FTP, b"USER ann\r\nPASS secret\r\n", b"421 "),
        (IMAP, b"a LOGIN alice secret\r\n", b"* BYE "),
        (POP3, b"USER alice\r\nPASS secret\r\n", b"-ERR "),
    ],
)
def test_the_wait_for_a_command_is_not_put_off_by_a_part_of_one(
    folder: Path, command: str, login: bytes, farewell: bytes
) -> None:
    with (
        service(folder, f"{command} --idle 1") as port,
        socket.create_connection((HOST, port), PATIENCE_S) as peer,
    ):
        peer.sendall(login)
        assert farewell in trickle(peer, b"x")


def trickle(peer: socket.socket, octets: bytes) -> bytes:
    """Send octets again and again until the server closes; returns what it said."""
    said, until = b"", time.monotonic() + PATIENCE_S
    peer.settimeout(0.05)
    while time.monotonic() < until:
        try:
            peer.sendall(octets)
            piece = peer.recv(65_536)
        except TimeoutError:
            continue
        except ConnectionError:
            return said
        if not piece:
            return said
        said += piece
    raise AssertionError(f"still open; said {said!r}")
