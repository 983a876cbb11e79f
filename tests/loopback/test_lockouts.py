"""No service is kept from new clients by those that open all its connections and keep them."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback.clients import (
    AUTHORITATIVE,
    FTP,
    MAILBOXES,
    MTA,
    ORIGIN,
    PATIENCE_S,
    ask_dns,
    ask_ftp,
    ask_http,
    ask_http2,
    ask_https,
    ask_imap,
    ask_pop3,
    ask_proxy,
    ask_smtp,
    ask_webmail,
    prepare,
    running,
    service,
)
from tests.loopback.crowd import HOST, addresses, crowd, raise_file_limit


@pytest.fixture(autouse=True)
def _many_files() -> None:
    raise_file_limit()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Case:
    """A service, an honest client of it, the size of its table, and what an attacker opens with and trickles."""

    command: str
    ask: Callable[[int], None]
    table: int = 1000
    opening: bytes = b""
    trickle: bytes = b"x"


GET = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
# A query for the SOA of the root, and then one octet of the next one's length.
QUERY = b"\x00\x11\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01\x00"
CASES = {
    "imap": Case(f"lab7.services.mail.imap {MAILBOXES}", ask_imap),
    "pop3": Case(f"lab7.services.mail.pop3 {MAILBOXES}", ask_pop3),
    "mta": Case(MTA, ask_smtp),
    "mta-greeted": Case(MTA, ask_smtp, opening=b"EHLO x\r\n"),
    "mta-data": Case(MTA, ask_smtp, opening=b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n"),
    "ftp": Case(FTP, ask_ftp, 512),
    "ftp-anonymous": Case(FTP, ask_ftp, 512, b"USER anonymous\r\nPASS x\r\n"),
    "webmail": Case(f"lab7.services.mail.webmail {MAILBOXES} --submission 127.0.0.1:9", ask_webmail, 1024, b"G"),
    "origin": Case(ORIGIN, ask_http, 1024, b"G"),
    "origin-idle": Case(ORIGIN, ask_http, 1024, GET, b""),
    "origin-tls": Case(f"{ORIGIN} --tls", ask_https, 1024, b"\x16\x03\x01\x02\x00", b"\x01"),
    "http2": Case(ORIGIN, ask_http2, 1024, PREFACE, b""),
    "proxy": Case("lab7.services.http.proxy --status /status", ask_proxy, 1024, b"G"),
    "authoritative": Case(AUTHORITATIVE, ask_dns, 150, b"\x40"),
    "authoritative-asked": Case(AUTHORITATIVE, ask_dns, 150, QUERY, b""),
    "recursive": Case("lab7.services.dns.recursive --zone example.com=own.zone", ask_dns, 150, b"\x40"),
    "resolver": Case("lab7.services.dns.resolver --root ns=127.0.0.1", ask_dns, 150, b"\x40"),
    "cdn": Case("lab7.services.dns.cdn --zone example.com=own.zone --map regions", ask_dns, 150, b"\x40"),
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
        running(folder, AUTHORITATIVE) as (process, (port,)),
        crowd(port, addresses(5), 100, b"\x40"),
    ):
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (60, 60))
        with crowd(port, addresses(5), 40, b"\x40"):
            for _ in range(3):
                ask_dns(port)


def test_a_server_that_may_open_few_files_has_fewer_connections(folder: Path) -> None:
    limit = ["prlimit", "--nofile=104:104"]
    with running(folder, f"lab7.services.mail.imap {MAILBOXES}", limit) as (_, (port,)), crowd(port, addresses(5), 100):
        for _ in range(3):
            ask_imap(port)


# Phases end though octets come.


IMAP, POP3 = f"lab7.services.mail.imap {MAILBOXES}", f"lab7.services.mail.pop3 {MAILBOXES}"


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
