"""Message rules of SMTP, FTP, POP3 and IMAP: each fault gives exactly one violation; correct sessions give none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab7.experiments.analysis.inspection import inspect
from lab7.experiments.analysis.rules.rule import Violation
from tests.core.experiments.harness.wire import Tcp, Wire

# (sender, octets): "S" for the server, "C" for the client.
Turn = tuple[str, bytes]
PORTS = {"smtp": 25, "ftp": 21, "pop3": 110, "imap": 143}


def violations(protocol: str, turns: Sequence[Turn], folder: Path) -> list[Violation]:
    wire = Wire()
    tcp = Tcp(wire, server_port=PORTS[protocol]).open()
    for side, octets in turns:
        wire.after(5)
        (tcp.server if side == "S" else tcp.client)("PA", octets)
    tcp.close()
    return list(inspect(wire.capture(folder), (protocol,)).violations)


def replaced(turns: Sequence[Turn], old: bytes, new: bytes) -> list[Turn]:
    assert any(old in octets for _, octets in turns)
    return [(side, octets.replace(old, new)) for side, octets in turns]


SMTP: list[Turn] = [
    ("S", b"220 mail.example.com ESMTP\r\n"),
    ("C", b"EHLO client.example.org\r\n"),
    ("S", b"250-mail.example.com\r\n250-PIPELINING\r\n250 8BITMIME\r\n"),
    ("C", b"MAIL FROM:<alice@example.org>\r\n"),
    ("S", b"250 OK\r\n"),
    ("C", b"RCPT TO:<bob@example.com>\r\n"),
    ("S", b"250 OK\r\n"),
    ("C", b"DATA\r\n"),
    ("S", b"354 Start mail input\r\n"),
    ("C", b"Subject: x\r\n\r\nHello\r\n..hidden\r\nbye\r\n.\r\n"),
    ("S", b"250 Queued\r\n"),
    ("C", b"QUIT\r\n"),
    ("S", b"221 Bye\r\n"),
]
FTP: list[Turn] = [
    ("S", b"220 Ready\r\n"),
    ("C", b"USER ann\r\n"),
    ("S", b"331 Password\r\n"),
    ("C", b"PASS secret\r\n"),
    ("S", b"230 Logged in\r\n"),
    ("C", b"FEAT\r\n"),
    ("S", b"211-Features:\r\n UTF8\r\n211 End\r\n"),
    ("C", b"TYPE I\r\n"),
    ("S", b"200 Type I\r\n"),
    ("C", b"PASV\r\n"),
    ("S", b"227 Entering Passive Mode (10,0,2,1,200,1)\r\n"),
    ("C", b"RETR a.png\r\n"),
    ("S", b"150 Opening\r\n"),
    ("S", b"226 Done\r\n"),
    ("C", b"QUIT\r\n"),
    ("S", b"221 Bye\r\n"),
]
POP3: list[Turn] = [
    ("S", b"+OK ready\r\n"),
    ("C", b"USER bob\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS secret\r\n"),
    ("S", b"+OK 1 message\r\n"),
    ("C", b"LIST\r\n"),
    ("S", b"+OK 1 message\r\n1 23\r\n.\r\n"),
    ("C", b"RETR 1\r\n"),
    ("S", b"+OK 23 octets\r\nSubject: x\r\n\r\n..hidden\r\n.\r\n"),
    ("C", b"QUIT\r\n"),
    ("S", b"+OK Bye\r\n"),
]
IMAP: list[Turn] = [
    ("S", b"* OK ready\r\n"),
    ("C", b"a1 LOGIN bob secret\r\n"),
    ("S", b"a1 OK done\r\n"),
    ("C", b"a2 SELECT INBOX\r\n"),
    ("S", b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\na2 OK done\r\n"),
    ("C", b"a3 FETCH 1 (UID RFC822.SIZE BODY[])\r\n"),
    ("S", b"* 1 FETCH (UID 4 RFC822.SIZE 16 BODY[] {16}\r\nSubject: x\r\n\r\nhi)\r\na3 OK done\r\n"),
    ("C", b"a4 LOGOUT\r\n"),
    ("S", b"* BYE\r\na4 OK done\r\n"),
]
SESSIONS = {"smtp": SMTP, "ftp": FTP, "pop3": POP3, "imap": IMAP}


@pytest.mark.parametrize("protocol", SESSIONS)
def test_a_correct_session_gives_no_violation(protocol: str, tmp_path: Path) -> None:
    assert violations(protocol, SESSIONS[protocol], tmp_path) == []


@pytest.mark.parametrize("protocol", SESSIONS)
@pytest.mark.parametrize("sender", ["S", "C"])
def test_bare_lf_is_reported_once(protocol: str, sender: str, tmp_path: Path) -> None:
    turns = [
        (side, octets.replace(b"\r\n", b"\n") if side == sender else octets) for side, octets in SESSIONS[protocol]
    ]
    if protocol == "imap" and sender == "S":
        turns = [(side, octets.replace(b"\nSubject", b"\r\nSubject")) for side, octets in turns]
    assert [one.rule.id for one in violations(protocol, turns, tmp_path)] == [f"{protocol}-line-end"]


# Protocol: octets of the correct session, their replacement, the rule, and the octets of the violation.
FAULTS: list[tuple[str, bytes, bytes, str, bytes]] = [
    (
        "smtp",
        b"250-mail.example.com\r\n250-PIPE",
        b"250 mail.example.com\r\n250 PIPE",
        "smtp-reply-lines",
        b"250 mail.example.com\r\n",
    ),
    ("smtp", b"354 Start mail input", b"250 OK", "smtp-data-reply", b"250 OK\r\n"),
    ("smtp", b"\r\n..hidden", b"\r\n.hidden", "smtp-dot-stuffing", b".hidden\r\n"),
    ("smtp", b"\r\n..hidden", b"\r\n.", "smtp-dot-stuffing", b".\r\n"),
    (
        "smtp",
        b"FROM:<alice@example.org>",
        b"FROM: <alice@example.org>",
        "smtp-command",
        b"MAIL FROM: <alice@example.org>\r\n",
    ),
    ("smtp", b"221 Bye", b"Bye", "smtp-reply", b"Bye\r\n"),
    ("smtp", b"221 Bye\r\n", b"221 Bye\r\n250 More\r\n", "smtp-unrequested", b"250 More\r\n"),
    ("ftp", b"10,0,2,1,200,1", b"192,168,9,9,200,1", "ftp-passive-address", b"192,168,9,9,200,1"),
    ("ftp", b"230 Logged in", b"Welcome", "ftp-reply", b"Welcome\r\n"),
    ("ftp", b"PASV\r\n", b"PORT 10,9,9,9,200,1\r\n", "ftp-port-address", b"PORT 10,9,9,9,200,1\r\n"),
    ("ftp", b"221 Bye\r\n", b"221 Bye\r\n226 Done\r\n", "ftp-unrequested", b"226 Done\r\n"),
    ("pop3", b"\r\n..hidden", b"\r\n.hidden", "pop3-dot-stuffing", b".hidden\r\n"),
    ("pop3", b"1 23\r\n", b"1 22\r\n", "pop3-size", b"1 22\r\n"),
    ("pop3", b"+OK Bye", b"+ok Bye", "pop3-response", b"+ok Bye\r\n"),
    ("imap", b"RFC822.SIZE 16", b"RFC822.SIZE 14", "imap-size", b"* 1 FETCH (UID 4 RFC822.SIZE 14 BODY[] {16}\r\nSub"),
    ("imap", b"a4 OK done", b"a5 OK done", "imap-tag", b"a5 OK done\r\n"),
]


@pytest.mark.parametrize(("protocol", "old", "new", "rule", "octets"), FAULTS)
def test_a_fault_gives_one_violation(
    protocol: str, old: bytes, new: bytes, rule: str, octets: bytes, tmp_path: Path
) -> None:
    found = violations(protocol, replaced(SESSIONS[protocol], old, new), tmp_path)
    assert [(one.rule.id, one.octets) for one in found] == [(rule, octets)]


def test_a_transfer_without_a_preliminary_reply(tmp_path: Path) -> None:
    turns = [turn for turn in FTP if turn[1] != b"150 Opening\r\n"]
    assert [one.rule.id for one in violations("ftp", turns, tmp_path)] == ["ftp-preliminary"]


def test_a_client_that_does_not_wait_for_the_greeting(tmp_path: Path) -> None:
    turns = [SMTP[1], SMTP[0], *SMTP[2:]]
    assert [one.rule.id for one in violations("smtp", turns, tmp_path)] == ["smtp-greeting"]


def test_a_picture_that_is_transferred_as_text(tmp_path: Path) -> None:
    wire = Wire()
    control = Tcp(wire, server_port=21).open()
    for side, octets in replaced(FTP, b"TYPE I", b"TYPE A"):
        wire.after(5)
        if octets.startswith(b"226"):
            Tcp(wire, port=41000, server_port=200 * 256 + 1).open().server("PA", b"\x89PNG\r\r\n\x1a\r\n" * 9).close()
        (control.server if side == "S" else control.client)("PA", octets)
    control.close()
    (one,) = inspect(wire.capture(tmp_path), ("ftp",)).violations
    assert (one.rule.id, one.rule.level, one.octets) == ("ftp-type", "should", b"RETR a.png\r\n")


def test_uidvalidity_that_changes_between_sessions(tmp_path: Path) -> None:
    wire = Wire()
    for port, turns in ((40001, IMAP), (40002, replaced(IMAP, b"UIDVALIDITY 7", b"UIDVALIDITY 8"))):
        tcp = Tcp(wire, port=port, server_port=143).open()
        for side, octets in turns:
            wire.after(5)
            (tcp.server if side == "S" else tcp.client)("PA", octets)
        tcp.close()
    (one,) = inspect(wire.capture(tmp_path), ("imap",)).violations
    assert one.rule.id == "imap-uidvalidity"
    assert one.found == "UIDVALIDITY 8 of INBOX, 7 before"


@pytest.mark.parametrize("protocol", SESSIONS)
def test_random_cuts_raise_no_exception(protocol: str, tmp_path: Path) -> None:
    """A session cut after any number of octets of either side is checked without an exception."""
    turns = SESSIONS[protocol]
    for number in range(len(turns)):
        side, octets = turns[number]
        for size in {0, 1, len(octets) // 2, len(octets) - 1}:
            violations(protocol, [*turns[:number], (side, octets[:size])] if size else turns[:number], tmp_path)
