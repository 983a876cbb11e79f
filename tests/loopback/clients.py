"""Services as processes on loopback, and clients of them that are not lab7's, each from an address of its own."""

from __future__ import annotations

import ftplib
import imaplib
import os
import poplib
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import dns.message
import dns.query

from tests.loopback.crowd import HOST

REPOSITORY = Path(__file__).resolve().parents[2]
# How long a test waits for what must come: a bound, never a measurement.
PATIENCE_S = 20.0
CLIENT = "127.99.0.1"
ZONE = "$ORIGIN example.com.\n$TTL 1h\n@ SOA ns h ( 1 1d 2h 4w 5m )\n NS ns\nns A 192.0.2.1\n"
MAP = """name www.example.com
region all 0.0.0.0/0
replica all 192.0.2.10
"""


def prepare(folder: Path) -> None:
    """Write the accounts, zone, region map and files that the commands below name."""
    (folder / "accounts").write_text("alice:secret\n")
    (folder / "own.zone").write_text(ZONE)
    (folder / "regions").write_text(MAP)
    (folder / "www").mkdir()
    (folder / "www" / "a.txt").write_text("hello")


@contextmanager
def service(folder: Path, command: str) -> Iterator[int]:
    """Run a service in a folder and yield its port."""
    with running(folder, command) as (_, ports):
        yield ports[0]


@contextmanager
def running(
    folder: Path, command: str, prefix: Sequence[str] = (), errors: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run a service in a folder, by another program if need be; yield it and the ports of its line READY.

    Standard error goes to the file `errors`, if given.
    """
    words = [*prefix, sys.executable, "-m", *command.split(), "--listen", HOST, "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (
        nullcontext() if errors is None else errors.open("w") as stderr,
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=folder, env=environment
        ) as process,
    ):
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("READY "), ready
            yield process, [int(address.rpartition(":")[2]) for address in ready.split()[2:]]
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


def curl(*words: str) -> str:
    """Run curl from the client's address and return what it prints."""
    command = ["curl", "-sS", "--interface", CLIENT, "--max-time", str(PATIENCE_S), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask_http(port: int) -> None:
    assert curl(f"http://{HOST}:{port}/a.txt") == "hello"


def ask_http2(port: int) -> None:
    assert curl("--http2-prior-knowledge", f"http://{HOST}:{port}/a.txt") == "hello"


def ask_https(port: int) -> None:
    assert curl("-k", f"https://{HOST}:{port}/a.txt") == "hello"


def ask_proxy(port: int) -> None:
    assert curl("-o", "/dev/null", "-w", "%{http_code}", f"http://{HOST}:{port}/status") == "200"


def ask_webmail(port: int) -> None:
    assert "password" in curl("-L", f"http://{HOST}:{port}/")


# Commands of the services.

MAILBOXES = "--accounts accounts --maildirs maildirs --domain example.com"
MTA = f"lab7.services.mail.mta {MAILBOXES} --queue queue"
FTP = "lab7.services.ftp.server --root www --user ann:secret --anonymous"
ORIGIN = "lab7.services.http.origin --root www"
AUTHORITATIVE = "lab7.services.dns.authoritative --zone example.com=own.zone"
