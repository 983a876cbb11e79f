"""Internationalized mail (RFC 6531, RFC 6533) at a running MTA: delivery, relaying, and bounces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loopback.mail.support import HOST, ScriptedServer, mta, wait_until

JOSE = "jos\u00e9@b\u00fccher.example"
MESSAGE = f"From: <{JOSE}>\r\nSubject: gr\u00fcn\r\n\r\nx\r\n".encode()


def test_it_is_delivered_with_its_addresses(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server, server.client() as client:
        client.sendmail(JOSE, ["alice@example.com"], MESSAGE, ["SMTPUTF8", "BODY=8BITMIME"])
        server.wait_for("alice", 1)
        (path,) = (server.maildirs / "example.com" / "alice" / "new").iterdir()
        stored = path.read_bytes().decode("utf-8")
    assert stored.startswith("Return-Path: <jos\u00e9@xn--bcher-kva.example>\n")
    assert "with UTF8SMTP id" in stored
    assert stored.endswith("Subject: gr\u00fcn\n\nx\n")


@pytest.mark.parametrize("offers", [True, False])
def test_it_is_relayed_to_servers_that_take_it_and_else_returned(tmp_path: Path, offers: bool) -> None:
    word = "SMTPUTF8" if offers else "HELP"
    replies = ("220 far", f"250-far\r\n250-8BITMIME\r\n250 {word}", "250 ok", "250 ok", "354 go", "250 ok", "221 bye!")
    with ScriptedServer(replies if offers else (*replies[:2], "221 bye!")) as far:
        flags = ("--smarthost", f"{HOST}:{far.port}", "--relay-from", "127.0.0.0/8")
        with mta(tmp_path / "mta", *flags) as server:
            with server.client() as client:
                client.sendmail("alice@example.com", [JOSE], MESSAGE, ["SMTPUTF8", "BODY=8BITMIME"])
            if not offers:
                (bounce,) = server.wait_for("alice", 1)
                text = bounce.as_bytes()
                assert text.isascii()
                assert b"Final-Recipient: utf-8; jos\\x{E9}@xn--bcher-kva.example\n" in text
                assert b"Status: 5.6.7\n" in text
            wait_until(lambda: (bool(far.heard) and "." in far.heard[0]) or not offers)
    if offers:
        mail, rcpt = (line.encode("latin-1").decode("utf-8") for line in far.heard[0][1:3])
        assert mail.startswith("MAIL FROM:<alice@example.com> ")
        assert mail.endswith(" BODY=8BITMIME SMTPUTF8")
        assert rcpt == "RCPT TO:<jos\u00e9@xn--bcher-kva.example>"
