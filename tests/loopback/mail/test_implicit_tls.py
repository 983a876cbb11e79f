"""Implicit TLS (RFC 8314): ports of IMAP, POP3 and submission on which TLS begins with the first octet."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback.mail.access import HOST, PATIENCE_S, access_process, maildir_of
from tests.loopback.mail.support import mta
from tests.loopback.mail.test_access import trusting


def test_imap(tmp_path: Path) -> None:
    with access_process("imap", tmp_path, "--tls", "--need-tls", "--tls-port", "0") as port:
        client = imaplib.IMAP4_SSL(HOST, port, ssl_context=trusting(), timeout=PATIENCE_S)
        assert "STARTTLS" not in client.capabilities
        assert "AUTH=PLAIN" in client.capabilities
        assert client.login("alice", "secret")[0] == "OK"
        client.append("INBOX", "", "", b"x" * 300_000)
        assert client.select() == ("OK", [b"1"])
        assert client.fetch("1", "BODY[]<299999.9>")[1][0] == (b"1 (BODY[]<299999> {1}", b"x")
        client.logout()


def test_pop3(tmp_path: Path) -> None:
    maildir_of(tmp_path, "alice").deliver(b"Subject: one\r\n\r\ntext\r\n")
    with access_process("pop3", tmp_path, "--tls", "--tls-port", "0") as port:
        client = poplib.POP3_SSL(HOST, port, timeout=PATIENCE_S, context=trusting())
        assert "STLS" not in client.capa()
        client.user("alice")
        client.pass_("secret")
        assert client.retr(1)[1] == [b"Subject: one", b"", b"text"]
        client.quit()


def test_submission(tmp_path: Path) -> None:
    with mta(tmp_path, "--tls", "--submissions-port", "0") as server:
        client = smtplib.SMTP_SSL(HOST, server.submission_port, "me.example", timeout=PATIENCE_S, context=trusting())
        client.ehlo()
        assert not client.has_extn("starttls")
        client.login("alice", "secret")
        client.sendmail("alice@example.com", ["bob@example.com"], b"Subject: inside\r\n\r\nx\r\n")
        client.quit()
        (message,) = server.wait_for("bob", 1)
        assert "with ESMTPSA id" in message["Received"]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_client_in_plain_text_is_not_answered(tmp_path: Path, protocol: str) -> None:
    with access_process(protocol, tmp_path, "--tls", "--tls-port", "0") as port:
        with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
            peer.sendall(b"a NOOP\r\n")
            # A TLS alert (RFC 8446 section 6), or nothing.
            assert peer.recv(100)[:1] in (b"", b"\x15")
        with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer, trusting().wrap_socket(peer) as tls:
            assert isinstance(tls, ssl.SSLSocket)
            assert b"lab7 ready" in tls.recv(1000)


@pytest.mark.parametrize(
    ("module", "flag"), [("imap", "--tls-port"), ("pop3", "--tls-port"), ("mta", "--submissions-port")]
)
def test_a_port_for_tls_needs_a_certificate(tmp_path: Path, module: str, flag: str) -> None:
    (tmp_path / "accounts").write_text("alice:secret\n")
    command = [sys.executable, "-m", f"lab7.services.mail.{module}", "--accounts", str(tmp_path / "accounts")]
    command += ["--maildirs", str(tmp_path / "mail"), "--domain", "example.com", "--port", "0", flag, "0"]
    command += ["--queue", str(tmp_path / "queue")] if module == "mta" else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2
    assert f"{flag} needs a certificate: give one with --tls" in done.stderr
