"""A thousand connections that send an octet every few seconds keep no new client waiting, and leave nothing behind."""

from __future__ import annotations

import os
import re
import ssl
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.loopback import clients
from tests.loopback.clients import AUTHORITATIVE, FTP, MAILBOXES, MTA, ORIGIN, PATIENCE_S, prepare, running
from tests.loopback.crowd import HOST, TRICKLE_TURNS, TURN_S, crowd, raise_file_limit

CONNECTIONS = 1000
# How long the attack goes on: several times the interval at which each connection sends an octet (3 s, where attackers
# take 10: what counts is that it is shorter than the services' time-outs and longer than their grace for new ones).
ATTACK_S = 5 * TURN_S * TRICKLE_TURNS
# A new client is served within a second. On a busy machine some take longer, but none as long as PATIENCE_S.
SERVED_S = 1.0
# Bounds for what a service holds when all have gone: seconds, and octets that its allocator keeps.
SETTLE_S, KEPT_OCTETS = 30.0, 16 << 20
# The client's addresses: in a network of its own, and in the attackers'.
APART, AMONG = "127.99.0.1", "127.0.0.200"
QUERY = dns.message.make_query("example.com", "SOA")


def ask_dot(port: int) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    reply = dns.query.tls(QUERY, HOST, PATIENCE_S, port, source=clients.CLIENT, ssl_context=trusting)
    assert reply.id == QUERY.id


def ask_doh(port: int) -> None:
    # The query in base64url without padding (RFC 8484 section 4.1): the SOA of the root.
    clients.curl("-k", "-f", "-o", "/dev/null", f"https://{HOST}:{port}/dns-query?dns=AAABAAABAAAAAAAAAAAGAAE")


@dataclass(frozen=True)
class Case:
    """A service, an honest client, what each slow connection opens with and trickles, the port's place in READY."""

    command: str
    ask: Callable[[int], None]
    opening: bytes = b""
    trickle: bytes = b"x"
    place: int = 0


RESOLVER = "lab7.services.dns.resolver --root ns=127.0.0.1 --dot-port 0 --doh-port 0"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00"
CASES = {
    "smtp": Case(MTA, clients.ask_smtp),
    "smtp-data": Case(MTA, clients.ask_smtp, b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n"),
    "pop3": Case(f"lab7.services.mail.pop3 {MAILBOXES}", clients.ask_pop3),
    "imap": Case(f"lab7.services.mail.imap {MAILBOXES}", clients.ask_imap),
    "ftp": Case(FTP, clients.ask_ftp),
    "ftp-anonymous": Case(FTP, clients.ask_ftp, b"USER anonymous\r\nPASS x\r\n"),
    "origin": Case(ORIGIN, clients.ask_http, b"G"),
    "origin-body": Case(
        f"{ORIGIN} --echo /echo", clients.ask_http, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"
    ),
    "http2": Case(ORIGIN, clients.ask_http2, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0"),
    "https": Case(f"{ORIGIN} --tls", clients.ask_https, CLIENT_HELLO, b"\x01"),
    "proxy": Case("lab7.services.http.proxy --status /status", clients.ask_proxy, b"G"),
    "dns-tcp": Case(AUTHORITATIVE, clients.ask_dns, b"\x40"),
    "resolver-tcp": Case(RESOLVER, clients.ask_dns, b"\x40"),
    "dot": Case(RESOLVER, ask_dot, CLIENT_HELLO, b"\x01", place=1),
    "doh": Case(RESOLVER, ask_doh, CLIENT_HELLO, b"\x01", place=2),
    "webmail": Case(f"lab7.services.mail.webmail {MAILBOXES} --submission 127.0.0.1:9", clients.ask_webmail, b"G"),
}


@dataclass(frozen=True)
class Held:
    """What a process holds: resident memory and descriptors."""

    octets: int
    descriptors: int

    def is_back_to(self, before: Held) -> bool:
        return self.descriptors <= before.descriptors and self.octets <= before.octets + KEPT_OCTETS


def held(pid: int) -> Held:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return Held(int(found[1]) * 1024, len(os.listdir(f"/proc/{pid}/fd")))


def _sources(count: int) -> list[str]:
    return [f"127.0.0.{10 + number}" for number in range(count)]


def _ask_for(case: Case, port: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Ask again and again, by turns from both addresses, and return how long each answer took."""
    took: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        monkeypatch.setattr(clients, "CLIENT", (APART, AMONG)[len(took) % 2])
        began = time.monotonic()
        case.ask(port)
        took.append(time.monotonic() - began)
        time.sleep(0.1)
    return took


@pytest.mark.slow
@pytest.mark.parametrize("sources", [1, 16])
@pytest.mark.parametrize("name", CASES)
def test_a_new_client_is_served_within_a_second(
    tmp_path: Path, name: str, sources: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_file_limit()
    prepare(tmp_path)
    case = CASES[name]
    errors = tmp_path / "stderr"
    with running(tmp_path, f"{case.command} --log events", errors=errors) as (process, ports):
        port = ports[case.place]
        _ask_for(case, port, 1.0, monkeypatch)
        before = held(process.pid)
        with crowd(port, _sources(sources), CONNECTIONS, case.opening, case.trickle) as attack:
            took = _ask_for(case, port, ATTACK_S, monkeypatch)
            during = held(process.pid)
        until = time.monotonic() + SETTLE_S
        while not (after := held(process.pid)).is_back_to(before) and time.monotonic() < until:
            time.sleep(0.1)
    print(
        f"{name:<14} {sources:>2} addresses: {len(took)} clients, median {statistics.median(took) * 1000:.0f} ms, "
        f"longest {max(took) * 1000:.0f} ms; {attack.closed} slow connections closed; memory {before.octets >> 20}, "
        f"{during.octets >> 20}, {after.octets >> 20} MiB; descriptors {before.descriptors}, {during.descriptors}, "
        f"{after.descriptors} (before, during, after)"
    )
    assert statistics.median(took) <= SERVED_S
    assert after.descriptors <= before.descriptors
    assert after.octets <= before.octets + KEPT_OCTETS
    assert errors.read_text() == ""
    assert '"failed"' not in (tmp_path / "events").read_text()
