"""The files on the path of a query, a request and a message, as docs/architecture.md lists them, by a recording."""

from __future__ import annotations

import http.client
import imaplib
import os
import smtplib
import time
from contextlib import ExitStack
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode

from tests.core.test_architecture import rows, sections
from tests.loopback.dns.internet import SERVED, free_net, zones
from tests.loopback.mail.access import DOMAIN, USERS
from tests.loopback.mail.support import wait_until
from tests.loopback.path_recorder import Recorded, recorded

HOST = "127.0.0.1"
PATIENCE_S = 30.0
MESSAGE = "From: x@example.net\r\nTo: alice@example.com\r\nSubject: s\r\n\r\nhello\r\n.dot\r\n"


def listed(title: str) -> list[str]:
    """The files that the document lists for a path."""
    [section] = [section for name, section in sections().items() if name.startswith(title)]
    return list(rows(section))


def difference(files: list[str], title: str) -> tuple[set[str], set[str]]:
    """The files of which a function ran that the document lacks, and those that it lists besides."""
    return set(files) - set(listed(title)), set(listed(title)) - set(files)


def stopped(*services: Recorded) -> list[str]:
    """End all recordings; return the files, each once."""
    return list(dict.fromkeys(file for one in services for file in one.stop()))


def resolve(port: int, question: dns.message.Message) -> dns.message.Message:
    return dns.query.udp(question, HOST, port=port, timeout=PATIENCE_S)


def test_path_of_a_dns_query(tmp_path: Path) -> None:
    net, port = free_net()
    for origin, text in zones(net).items():
        (tmp_path / f"{origin}zone").write_text(f"$ORIGIN {origin}\n{text}")
    with ExitStack() as stack:
        servers = []
        for number, origins in SERVED.items():
            flags = [flag for origin in origins for flag in ("--zone", os.fspath(tmp_path / f"{origin}zone"))]
            flags += ["--listen", f"{net}.{number}", "--port", str(port)]
            servers.append(stack.enter_context(recorded("lab7.services.dns.authoritative", *flags)))
        flags = ["--root", f"a.root.test={net}.1", "--upstream-port", str(port), "--listen", HOST, "--port", "0"]
        resolver = stack.enter_context(recorded("lab7.services.dns.resolver", *flags))
        # A response to another query shows that the start of the resolver is over; the servers have started before it.
        refused = resolve(resolver.port, dns.message.make_query("example.com.", "A", "CH"))
        assert refused.rcode() == dns.rcode.REFUSED
        for one in (resolver, *servers):
            one.start()
        response = resolve(resolver.port, dns.message.make_query("www.example.com.", "A"))
        assert len(response.answer[0]) == 3
        files = stopped(resolver, *servers)
    assert difference(files, "One DNS query") == (set(), set())


def test_path_of_an_http_request(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("x" * 300_000)
    flags = ["--listen", HOST, "--port", "0"]
    with ExitStack() as stack:
        rule = ["--root", os.fspath(tmp_path), "--cache-control", "*.css=max-age=600"]
        origin = stack.enter_context(recorded("lab7.services.http.origin", *rule, *flags))
        url = f"http://{HOST}:{origin.port}"
        proxy = stack.enter_context(recorded("lab7.services.http.proxy", "--origin", url, *flags))
        for one in (origin, proxy):
            # The response to a request without Host shows that the start is over.
            refused = http.client.HTTPConnection(HOST, one.port, timeout=PATIENCE_S)
            refused.putrequest("GET", "/", skip_host=True)
            refused.endheaders()
            assert refused.getresponse().status == http.HTTPStatus.BAD_REQUEST
            refused.close()
        for one in (origin, proxy):
            one.start()
        client = http.client.HTTPConnection(HOST, proxy.port, timeout=PATIENCE_S)
        for expected in ("fwd=uri-miss", "hit"):
            client.request("GET", "/a.css")
            response = client.getresponse()
            assert len(response.read()) == 300_000
            assert expected in str(response.getheader("Cache-Status"))
        files = stopped(proxy, origin)
        client.close()
    assert difference(files, "One HTTP request") == (set(), set())


def test_path_of_a_message(tmp_path: Path) -> None:
    accounts, maildirs = tmp_path / "accounts", tmp_path / "mail"
    accounts.write_text(USERS)
    flags = ["--domain", DOMAIN, "--accounts", os.fspath(accounts), "--maildirs", os.fspath(maildirs)]
    flags += ["--listen", HOST, "--port", "0"]
    with ExitStack() as stack:
        mta = stack.enter_context(recorded("lab7.services.mail.mta", "--queue", tmp_path / "queue", *flags))
        imap = stack.enter_context(recorded("lab7.services.mail.imap", *flags))
        # The greetings of other sessions show that the start is over.
        smtplib.SMTP(HOST, mta.port, timeout=PATIENCE_S).close()
        imaplib.IMAP4(HOST, imap.port, timeout=PATIENCE_S).logout()
        for one in (mta, imap):
            one.start()
        with smtplib.SMTP(HOST, mta.port, "client.example.net", timeout=PATIENCE_S) as client:
            client.sendmail("x@example.net", [f"alice@{DOMAIN}"], MESSAGE)
        wait_until(lambda: any((maildirs / DOMAIN / "alice" / "new").glob("*")))
        with imaplib.IMAP4(HOST, imap.port, timeout=PATIENCE_S) as mailbox:
            mailbox.login("alice", "secret")
            mailbox.select("INBOX")
            fetched = mailbox.fetch("1", "(FLAGS BODY[])")[1][0]
            assert isinstance(fetched, tuple)
            assert b"hello" in fetched[1]
        # The queue notes a delivery after it.
        time.sleep(0.5)
        files = stopped(mta, imap)
    assert difference(files, "One message") == (set(), set())
