"""Dialogues of every protocol whose messages a ladder shows, as packets of a wire."""

from __future__ import annotations

from collections.abc import Callable

from scapy.layers.dns import DNS, DNSQR, DNSRR

from tests.core.experiments.harness.wire import CLIENT, SERVER, Tcp, Wire
from tests.core.experiments.http.http2_wire import multiplexed
from tests.core.experiments.ladder.wire import DELAY_MS, datagram, page_load, transcript

SMTP = """
S: 220 mail.example.com ESMTP ready
C: EHLO client.example.org
S: 250-mail.example.com greets you
   250 SIZE 10000000
C: MAIL FROM:<ann@example.org>
S: 250 2.1.0 Sender ok
C: RCPT TO:<bob@example.com>
S: 250 2.1.5 Recipient ok
C: DATA
S: 354 Go ahead
C: Subject: hello

   A line of text.
   .
S: 250 2.0.0 Queued
C: QUIT
S: 221 2.0.0 Bye
"""
POP3 = """
S: +OK ready
C: USER bob
S: +OK
C: PASS secret
S: +OK 1 messages
C: LIST
S: +OK 1 messages
   1 120
   .
C: RETR 1
S: +OK 120 octets
   Subject: hello

   A line of text.
   .
C: DELE 9
S: -ERR no such message
C: QUIT
S: +OK bye
"""
IMAP = """
S: * OK ready
C: a1 LOGIN bob secret
S: a1 OK logged in
C: a2 SELECT INBOX
S: * 1 EXISTS
   * 0 RECENT
   * FLAGS (\\Seen)
   a2 OK [READ-WRITE] selected
C: a3 FETCH 1 (FLAGS)
S: * 1 FETCH (FLAGS (\\Seen))
   a3 OK done
C: a4 LOGOUT
S: * BYE
   a4 OK done
"""
FTP = """
S: 220 ready
C: USER ann
S: 331 password please
C: PASS secret
S: 230 logged in
C: CWD pub
S: 250 changed
C: SIZE picture.png
S: 213 6000
C: QUIT
S: 221 bye
"""


def http1(wire: Wire) -> None:
    """Add a page, an image and a missing object on one connection."""
    page_load(wire, ("/", "/picture.png", "/about.html"))


def http2(wire: Wire) -> None:
    """Add a page and two objects on one HTTP/2 connection."""
    multiplexed(wire, ("/", "/a", "/b"))


def dns(wire: Wire) -> None:
    """Add queries by UDP with an answer, a referral, NXDOMAIN and no answer at all, and one by TCP."""
    name = "www.example.com."
    answer = DNSRR(rrname=name, type="A", rdata="192.0.2.80", ttl=60)
    referral = DNSRR(rrname="example.com.", type="NS", rdata="ns.example.com.", ttl=60)
    outcomes: tuple[dict[str, object] | None, ...] = ({"an": [answer]}, {"ns": [referral]}, {"rcode": 3}, None)
    for number, outcome in enumerate(outcomes, start=1):
        question = [DNSQR(qname=name, qtype="A" if number % 2 else "AAAA")]
        wire.add(datagram(bytes(DNS(id=number, rd=1, qd=question)), ports=(5000 + number, 53)))
        wire.after(2 * DELAY_MS)
        if outcome is not None:
            reply = bytes(DNS(id=number, qr=1, qd=question, **outcome))
            wire.add(datagram(reply, SERVER, CLIENT, (53, 5000 + number)))
            wire.after(5)
    connection = Tcp(wire, port=45001, server_port=53).open(2 * DELAY_MS)
    for side, octets in (
        (connection.client, bytes(DNS(id=9, qd=[DNSQR(qname=name, qtype="MX")]))),
        (connection.server, bytes(DNS(id=9, qr=1, qd=[DNSQR(qname=name, qtype="MX")]))),
    ):
        side("PA", len(octets).to_bytes(2, "big") + octets)
        wire.after(2 * DELAY_MS)
    connection.close()


def of_lines(lines: str, port: int) -> Callable[[Wire], None]:
    """Return a function that adds a transcript as a connection to this port."""

    def add(wire: Wire) -> None:
        transcript(wire, port, lines)

    return add


DIALOGUES: dict[str, Callable[[Wire], None]] = {
    "http1": http1,
    "http2": http2,
    "dns": dns,
    "smtp": of_lines(SMTP, 25),
    "pop3": of_lines(POP3, 110),
    "imap": of_lines(IMAP, 143),
    "ftp": of_lines(FTP, 21),
}
