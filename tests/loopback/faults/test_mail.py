"""Faults of the mail services and the user agent: each violates its message rule and no other; correct ones none.

The message goes from a client to the MTA of example.com, from there to that of example.net, and is read by POP3.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab7.services.mail.faults import AGENT_FAULTS, IMAP_FAULTS, MTA_FAULTS, POP3_FAULTS
from tests.loopback.faults.support import HOST, PATIENCE_S, REPOSITORY, LineClient, fault_flags, service, violated
from tests.loopback.mail.support import Server
from tests.loopback.recorder import Ends, Recorder

CLIENT, COM, NET = "10.0.1.1", "10.0.2.1", "10.0.3.1"
END_OF_LINES = re.compile(rb"(?:\A|\n)\.\r?\n\Z|\A-ERR[^\n]*\n\Z")
TAGGED = re.compile(rb"(?:\A|\n)a[0-9] (?:OK|NO|BAD)[^\n]*\n\Z")
MESSAGE = (
    b"Date: Tue, 01 Jan 2030 00:00:00 +0000\r\nFrom: alice@example.com\r\nTo: bob@example.net\r\n"
    b"Message-ID: <1@example.com>\r\nSubject: Dots\r\n\r\nHello,\r\n.hidden\r\n..twice\r\nbye\r\n"
)
MTA_RULES = {
    "no-dot-stuffing": "smtp-dot-stuffing",
    "no-dot-unstuffing": "mail-dot-unstuffing",
    "space-in-ehlo": "smtp-reply-lines",
    "250-to-data": "smtp-data-reply",
    "lf-in-smtp": "smtp-line-end",
}
POP3_RULES = {
    "wrong-list-sizes": "pop3-size",
    "no-byte-stuffing": "pop3-dot-stuffing",
    "lf-in-pop3": "pop3-line-end",
}
IMAP_RULES = {"changing-uidvalidity": "imap-uidvalidity", "wrong-rfc822-size": "imap-size"}
AGENT_RULES = {"broken-boundary": "mime-boundary", "open-multipart": "mime-closing"}


def test_every_fault_has_a_rule() -> None:
    assert {*MTA_RULES, "early-250"} == MTA_FAULTS.keys()
    assert POP3_RULES.keys() == POP3_FAULTS.keys()
    assert IMAP_RULES.keys() == IMAP_FAULTS.keys()
    assert AGENT_RULES.keys() == AGENT_FAULTS.keys()


def stuffed(content: bytes) -> bytes:
    return re.sub(rb"(?m)^\.", b"..", content) + b"."


def send(port: int, content: bytes = MESSAGE, to: bytes = b"bob@example.net", leave: bool = True) -> bytes:
    """Send a message, and return the reply to its end."""
    with LineClient(port) as client:
        client.read()
        envelope = (b"MAIL FROM:<alice@example.com>", b"RCPT TO:<%b>" % to, b"DATA")
        client.say(b"EHLO client.example.com", *envelope)
        reply = client.say(stuffed(content))
        if leave:
            client.say(b"QUIT")
        return reply


def read_pop3(port: int, user: bytes = b"bob", password: bytes = b"hunter2") -> bytes:
    """List and read all messages of a mailbox; return the last response."""
    with LineClient(port) as client:
        client.read()
        client.say(b"USER " + user, b"PASS " + password)
        listed = client.say(b"LIST", end=END_OF_LINES)
        numbers = re.findall(rb"(?m)^([0-9]+) [0-9]+\r?$", listed)
        for number in numbers:
            listed = client.say(b"RETR " + number, end=END_OF_LINES)
        client.say(b"QUIT")
        return listed


@contextmanager
def mailbox_server(mta: Server, *flags: str) -> Iterator[int]:
    """Run POP3 on the mailboxes of an MTA."""
    files = ("--maildirs", str(mta.maildirs), "--accounts", str(mta.folder / "accounts"), "--domain", mta.domain)
    with service("mail.pop3", *files, *flags) as port:
        yield port


def mta(folder: Path, domain: str, *flags: str) -> Server:
    folder.mkdir()
    return Server(folder, domain, flags)


@pytest.mark.parametrize("fault", [None, *MTA_RULES])
def test_a_fault_of_the_mta(fault: str | None, tmp_path: Path) -> None:
    with ExitStack() as stack, Recorder() as recorder:
        far = mta(tmp_path / "net", "example.net").start()
        stack.callback(far.stop)
        onward = recorder.tcp((HOST, far.port), Ends(25, COM, NET))
        flags = ("--relay-from", "127.0.0.0/8", "--smarthost", f"{HOST}:{onward}", *fault_flags(fault))
        near = mta(tmp_path / "com", "example.com", *flags).start()
        stack.callback(near.stop)
        assert send(recorder.tcp((HOST, near.port), Ends(25, CLIENT, COM))).startswith(b"250 ")
        far.wait_for("bob", 1)
        pop3 = stack.enter_context(mailbox_server(far))
        read_pop3(recorder.tcp((HOST, pop3), Ends(110, CLIENT, NET)))
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({MTA_RULES[fault]} if fault else set())


@pytest.mark.parametrize("fault", [None, "early-250"])
def test_a_message_that_is_accepted_before_it_is_durable(fault: str | None, tmp_path: Path) -> None:
    with ExitStack() as stack, Recorder() as recorder:
        server = mta(tmp_path / "com", "example.com", *fault_flags(fault)).start()
        relay = recorder.tcp((HOST, server.port), Ends(25, CLIENT, COM))
        with LineClient(relay) as idle:
            idle.read()
            assert send(relay, to=b"bob@example.com", leave=False).startswith(b"250 ")
            server.kill()
            assert idle.read() == b""
        server.start()
        stack.callback(server.stop)
        with LineClient(relay) as client:
            assert client.read().startswith(b"220 ")
            client.say(b"QUIT")
        # The rule leaves the restarted server a second.
        time.sleep(1.1)
        if fault is None:
            server.wait_for("bob", 1)
        pop3 = stack.enter_context(mailbox_server(server))
        response = read_pop3(recorder.tcp((HOST, pop3), Ends(110, CLIENT, COM)))
        assert (b".hidden" in response) == (fault is None)
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({"mail-lost"} if fault else set())


@contextmanager
def access(protocol: str, folder: Path, *flags: str) -> Iterator[int]:
    """Run an access server on a mailbox with one message."""
    new = folder / "mail" / "example.com" / "bob" / "new"
    for part in (new, new.with_name("cur"), new.with_name("tmp")):
        part.mkdir(parents=True)
    (new / "1893456000.1.host").write_bytes(MESSAGE)
    (folder / "accounts").write_text("bob:hunter2\n")
    files = ("--maildirs", str(folder / "mail"), "--accounts", str(folder / "accounts"), "--domain", "example.com")
    with service(f"mail.{protocol}", *files, *flags) as port:
        yield port


@pytest.mark.parametrize("fault", [None, *POP3_RULES])
def test_a_fault_of_the_pop3_server(fault: str | None, tmp_path: Path) -> None:
    with access("pop3", tmp_path, *fault_flags(fault)) as port, Recorder() as recorder:
        read_pop3(recorder.tcp((HOST, port), Ends(110)))
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({POP3_RULES[fault]} if fault else set())


@pytest.mark.parametrize("fault", [None, *IMAP_RULES])
def test_a_fault_of_the_imap_server(fault: str | None, tmp_path: Path) -> None:
    with access("imap", tmp_path, *fault_flags(fault)) as port, Recorder() as recorder:
        relay = recorder.tcp((HOST, port), Ends(143))
        for _ in range(2):
            with LineClient(relay) as client:
                client.read(re.compile(rb"\n\Z"))
                commands = (b"a1 LOGIN bob hunter2", b"a2 SELECT INBOX", b"a3 FETCH 1 (UID RFC822.SIZE BODY[])")
                assert b".hidden" in client.say(*commands, end=TAGGED)
                client.say(b"a4 LOGOUT", end=TAGGED)
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({IMAP_RULES[fault]} if fault else set())


@pytest.mark.parametrize("fault", [None, *AGENT_RULES])
def test_a_fault_of_the_user_agent(fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    command = [sys.executable, "-m", "lab7.services.mail.agent", "compose", "--from", "alice@example.com"]
    command += ["--to", "bob@example.com", "--text", "See the picture.", "--attach", str(tmp_path / "picture.png")]
    done = subprocess.run(
        [*command, *fault_flags(fault)], check=True, capture_output=True, timeout=PATIENCE_S, cwd=REPOSITORY
    )
    with ExitStack() as stack, Recorder() as recorder:
        server = mta(tmp_path / "com", "example.com").start()
        stack.callback(server.stop)
        relay = recorder.tcp((HOST, server.port), Ends(25, CLIENT, COM))
        assert send(relay, done.stdout, to=b"bob@example.com").startswith(b"250 ")
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({AGENT_RULES[fault]} if fault else set())
