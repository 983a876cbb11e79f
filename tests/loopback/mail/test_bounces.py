"""Bounces: of which recipients, in a form that every server accepts; messages without a header."""

import email
import email.policy
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from email.message import EmailMessage
from mailbox import MaildirMessage
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.mail.support import HOST, PATIENCE_S, mta, wait_until

UMLAUT = "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
MESSAGE = "Subject: x\r\n\r\nx\r\n"
ALIASES = """
alice:secret
bob:hunter2
carol:x::hold
moved -> new@example.net
ping => pong@example.com
pong: ping
team: bob, carol, moved, ping
"""


class OldServer:
    """An SMTP server in a thread without extensions, which keeps the messages that it receives."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> "OldServer":
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, suppress(OSError):
                    self._serve(peer)

    def _serve(self, peer: socket.socket) -> None:
        stream = peer.makefile("rb")
        peer.sendall(b"220 old.example.net\r\n")
        replies = {b"EHLO": b"500 unknown", b"DATA": b"354 go on", b"QUIT": b"221 bye", b"RCPT": b"250 ok"}
        while line := stream.readline():
            if b"nobody" in line:
                peer.sendall(b"550 No such person\r\n")
                continue
            peer.sendall(replies.get(line[:4].upper(), b"250 ok") + b"\r\n")
            if line.startswith(b"DATA"):
                self.messages.append(b"".join(iter(stream.readline, b".\r\n")))
                peer.sendall(b"250 ok\r\n")


def relay(folder: Path, port: int) -> list[str]:
    """Return the flags of an MTA that relays for this machine through the server at this port."""
    return ["--smarthost", f"{HOST}:{port}", "--relay-from", "127.0.0.0/8", "--log", os.fspath(folder / "log")]


def parsed(octets: bytes) -> EmailMessage:
    """Parse a message by Python's email package, which must find no defect."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def statuses(message: EmailMessage | MaildirMessage) -> list[tuple[str, str]]:
    """Return (Final-Recipient, Status) of each recipient of a DSN."""
    (status,) = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
    blocks: Any = status.get_payload()
    return [(str(block["Final-Recipient"]).removeprefix("rfc822; "), str(block["Status"])) for block in blocks[1:]]


@pytest.mark.parametrize(("subject", "body"), [("x", UMLAUT), (f"gr{UMLAUT}n", UMLAUT * 1_500)])
def test_a_bounce_of_an_8_bit_message_passes_a_server_without_8bitmime(tmp_path: Path, subject: str, body: str) -> None:
    with OldServer() as old, mta(tmp_path / "mta", *relay(tmp_path, old.port)) as server:
        text = f"Subject: {subject}\r\n\r\n{body}\r\n".encode()
        with server.client() as client:
            client.sendmail("ann@far.example", ["nobody@else.example"], text, ["BODY=8BITMIME"])
        wait_until(lambda: bool(old.messages))
    (bounce,) = old.messages
    assert bounce.isascii()
    assert max(map(len, bounce.split(b"\r\n"))) <= 998
    message = parsed(bounce)
    assert message["To"] == "ann@far.example"
    returned = list(message.iter_parts())[2]
    content = returned.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert f"Subject: {subject}" in content.decode("utf-8")
    assert '"dropped"' not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("body", [b"Hello Carol, how are you\r\nx: y\r\n", b"\r\nHello\r\n", b" Hello\r\n", b""])
def test_text_without_a_header_is_no_header(tmp_path: Path, body: bytes) -> None:
    with mta(tmp_path / "mta") as server:
        with socket.create_connection((HOST, server.port), timeout=PATIENCE_S) as peer:
            peer.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n" + body + b".\r\nQUIT\r\n")
            while peer.recv(65_536):
                pass
        server.wait_for("alice", 1)
        (path,) = (server.maildirs / "example.com" / "alice" / "new").iterdir()
        stored = path.read_bytes()
        message = parsed(stored)
        assert message.keys() == ["Return-Path", "Received"]
        _, empty_line, rest = stored.partition(b"\n\n")
        assert empty_line
        assert rest.replace(b"\n", b"\r\n") == body.removeprefix(b"\r\n")


@pytest.mark.skipif(shutil.which("swaks") is None, reason="needs swaks")
def test_swaks_sends_a_message_without_a_header(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server:
        command = ["swaks", "--server", f"{HOST}:{server.port}", "--to", "alice@example.com", "--from", "a@example.net"]
        command += ["--data", "Hello Alice, this is text\\nand: this"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
        server.wait_for("alice", 1)
        (path,) = (server.maildirs / "example.com" / "alice" / "new").iterdir()
        assert b"\n\nHello Alice, this is text\nand: this\n" in path.read_bytes()


def test_the_failures_of_an_alias_are_in_one_bounce(tmp_path: Path) -> None:
    (tmp_path / "mta").mkdir()
    (tmp_path / "mta" / "accounts").write_text(ALIASES)
    flags = ["--retry", "0.1", "--expire", "1", "--log", os.fspath(tmp_path / "log")]
    with mta(tmp_path / "mta", *flags) as server:
        with server.client() as client:
            client.sendmail("alice@example.com", ["team@example.com"], MESSAGE)
        server.wait_for("bob", 1)
        found = [statuses(message) for message in server.wait_for("alice", 2)]
        assert sorted(found) == [
            [("carol@example.com", "4.2.1")],
            [("moved@example.com", "5.1.6"), ("ping@example.com", "5.4.6")],
        ]
        assert server.messages("carol") == []
        wait_until(lambda: server.queued() == "")
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    reasons = [event["reason"] for event in events if event["event"] == "accounts_warning"]
    assert [reason.split(": ")[1].split(" ")[0] for reason in reasons] == ["ping", "pong"]


def test_mail_in_the_queue_follows_a_user_who_became_an_alias(tmp_path: Path) -> None:
    (tmp_path / "mta").mkdir()
    accounts = tmp_path / "mta" / "accounts"
    accounts.write_text(ALIASES.replace("moved, ping", "bob"))
    with mta(tmp_path / "mta", "--retry", "0.2") as server:
        with server.client() as client:
            client.sendmail("alice@example.com", ["team@example.com"], MESSAGE)
        server.wait_for("bob", 1)
        wait_until(lambda: "450 4.2.1" in server.queued())
        accounts.write_text(ALIASES.replace("carol:x::hold", "carol: bob, alice"))
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.queued() == "")
        (message,) = server.wait_for("alice", 1)
        assert message["Return-Path"] == "<alice@example.com>"
        assert len(server.wait_for("bob", 2)) == 2


def test_remote_failures_name_the_server(tmp_path: Path) -> None:
    with OldServer() as old, mta(tmp_path / "mta", *relay(tmp_path, old.port)) as server:
        with server.client() as client:
            client.sendmail("alice@example.com", ["nobody@else.example"], MESSAGE)
        (bounce,) = server.wait_for("alice", 1)
    assert statuses(bounce) == [("nobody@else.example", "5.0.0")]
    assert f"Remote-MTA: dns; [{HOST}]\nDiagnostic-Code: smtp; 550 No such person\n" in bounce.as_string()
