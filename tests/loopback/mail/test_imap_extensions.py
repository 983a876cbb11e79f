"""IMAP extensions over real sockets: compression, and clients that use mod-sequences."""

from __future__ import annotations

import imaplib
import re
import shutil
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.loopback.mail.access import HOST, PATIENCE_S, access_process, maildir_of
from tests.loopback.mail.terminal import on_terminal


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("extensions")


@pytest.fixture(scope="module")
def imap(root: Path) -> Iterator[int]:
    with access_process("imap", root) as port:
        yield port


class CompressedClient:
    """A client on a socket that compresses after COMPRESS DEFLATE, with zlib as the RFC says."""

    def __init__(self, port: int, user: str) -> None:
        self.socket = socket.create_connection((HOST, port), PATIENCE_S)
        self._deflator = zlib.compressobj(wbits=-15)
        self._inflator = zlib.decompressobj(wbits=-15)
        self._received = b""
        self.compressed = False
        self.until(b"ready.\r\n")
        self.command(b"l LOGIN %b secret" % user.encode())

    def command(self, line: bytes) -> bytes:
        """Send a command and return the responses."""
        self.send(line + b"\r\n")
        tag = line.split(b" ")[0]
        return self.until(b"\r\n", lambda text: any(one.startswith(tag + b" ") for one in text.splitlines()))

    def send(self, octets: bytes) -> None:
        if self.compressed:
            octets = self._deflator.compress(octets) + self._deflator.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(octets)

    def until(self, end: bytes, done: object = None) -> bytes:
        while not (self._received.endswith(end) and (done is None or done(self._received))):  # type: ignore[operator]
            data = self.socket.recv(65_536)
            assert data, self._received
            self._received += self._inflator.decompress(data) if self.compressed else data
        received, self._received = self._received, b""
        return received


def test_a_compressed_connection_is_used_in_both_directions(root: Path, imap: int) -> None:
    content = b"Subject: x\r\n\r\n" + b"A line of text.\r\n" * 10_000
    maildir_of(root, "alice").deliver(content)
    client = CompressedClient(imap, "alice")
    assert client.command(b"a COMPRESS ZIP") == b"a BAD The only mechanism is DEFLATE.\r\n"
    assert client.command(b"b COMPRESS DEFLATE") == b"b OK Compression begins.\r\n"
    client.compressed = True
    assert b"c OK" in client.command(b"c SELECT INBOX")
    assert content in client.command(b"d FETCH 1 BODY.PEEK[]")
    assert client.command(b"e COMPRESS DEFLATE").startswith(b"e NO [COMPRESSIONACTIVE]")
    client.send(b"f APPEND INBOX {%d+}\r\n" % len(content) + content + b"\r\ng NOOP\r\n")
    assert b"f OK [APPENDUID" in client.until(b"g OK NOOP completed.\r\n")


def test_octets_that_are_not_compressed_end_the_session(imap: int) -> None:
    client = CompressedClient(imap, "alice")
    client.command(b"b COMPRESS DEFLATE")
    client.compressed = True
    client.socket.sendall(b"\xff" * 100)
    assert client.until(b"\r\n") == b"* BYE Cannot decompress: not DEFLATE data.\r\n"


def test_a_bomb_is_read_as_a_line_that_is_too_long(imap: int) -> None:
    client = CompressedClient(imap, "alice")
    client.command(b"b COMPRESS DEFLATE")
    client.compressed = True
    client.send(b"c " + b"x" * 50_000_000)
    assert client.until(b"\r\n").endswith(b"BAD The line is too long.\r\n")
    client.send(b"\r\nd NOOP\r\n")
    assert client.until(b"\r\n") == b"d OK NOOP completed.\r\n"


class ModSequenceClient(imaplib.IMAP4):
    """imaplib with CONDSTORE enabled."""

    def __init__(self, port: int) -> None:
        super().__init__(HOST, port, PATIENCE_S)
        self.login("alice", "secret")
        self.enable("CONDSTORE")
        self.select()

    def states(self) -> dict[int, tuple[bytes, int]]:
        """Return flags and mod-sequence of each message, by UID."""
        _, lines = self.uid("FETCH", "1:*", "(FLAGS MODSEQ)")
        found = (STATE.search(line) for line in lines if isinstance(line, bytes))
        return {int(match[1]): (lasting(match[2]), int(match[3])) for match in found if match is not None}


def lasting(flags: bytes) -> bytes:
    """Return flags without \\Recent, which is a session's, not the message's."""
    return b" ".join(flag for flag in flags.split() if flag != b"\\Recent")


STATE = re.compile(rb"UID (\d+) FLAGS \(([^)]*)\) MODSEQ \((\d+)\)")


@contextmanager
def killed_server(root: Path, port: int) -> Iterator[int]:
    """Run the server, and kill it with SIGKILL at the end."""
    root.mkdir(exist_ok=True)
    (root / "accounts").write_text("alice:secret\n")
    command = [sys.executable, "-m", "lab7.services.mail.imap", "--maildirs", str(root / "mail"), "--port", str(port)]
    command += ["--accounts", str(root / "accounts"), "--domain", "example.com", "--listen", HOST]
    repository = Path(__file__).resolve().parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=repository) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("READY imap "), line
        try:
            yield int(line.rpartition(":")[2])
        finally:
            process.kill()


def test_a_killed_server_loses_no_change_of_flags(tmp_path: Path) -> None:
    """Kill the server at random moments of pipelined STOREs: what changed has a mod-sequence above all known ones."""
    maildir_of(tmp_path, "alice").deliver_many([b"Subject: %d\r\n\r\n" % number for number in range(40)])
    chance = Random(3)
    known: dict[int, tuple[bytes, int]] = {}
    for _ in range(4):
        with killed_server(tmp_path, 0) as port:
            client = ModSequenceClient(port)
            states = client.states()
            highest = max((mod_sequence for _, mod_sequence in known.values()), default=0)
            for uid, (flags, mod_sequence) in states.items():
                if uid in known and flags != known[uid][0]:
                    assert mod_sequence > highest
                assert uid not in known or mod_sequence >= known[uid][1]
            known = states
            commands = [
                b"x%d STORE %d %bFLAGS (\\Flagged $Forwarded)\r\n"
                % (number, chance.randrange(1, 41), chance.choice((b"+", b"-")))
                for number in range(300)
            ]
            client.send(b"".join(commands))
            received = b""
            enough = chance.randrange(2000, 12_000)
            while len(received) < enough:
                received += client.sock.recv(4096)
        for line in received.split(b"\r\n")[:-1]:
            if match := re.search(rb"^\* (\d+) FETCH \(FLAGS \(([^)]*)\) MODSEQ \((\d+)\)\)$", line):
                known[int(match[1])] = lasting(match[2]), int(match[3])


def test_imaplib_sorts_threads_and_searches(root: Path, imap: int) -> None:
    maildir = maildir_of(root, "bob")
    for subject, message_id in (("b", "<1@x>"), ("Re: a", "<2@x>"), ("a", "<3@x>")):
        maildir.deliver(f"Message-ID: {message_id}\r\nSubject: {subject}\r\n\r\n".encode())
    client = imaplib.IMAP4(HOST, imap, timeout=PATIENCE_S)
    client.login("bob", "secret")
    client.select()
    assert client.sort("(SUBJECT REVERSE ARRIVAL)", "UTF-8", "ALL")[0] == "OK"
    assert client.sort("(SUBJECT)", "UTF-8", "ALL") == ("OK", [b"2 3 1"])
    assert client.thread("REFERENCES", "UTF-8", "ALL") == ("OK", [b"(1)(3 2)"])
    assert client.search(None, "RETURN", "(SAVE)", "SUBJECT", "a")[0] == "OK"
    assert client.fetch("$", "UID")[1] == [b"2 (UID 2)", b"3 (UID 3)"]
    client.logout()


@pytest.mark.skipif(shutil.which("neomutt") is None, reason="needs neomutt")
def test_neomutt_resynchronises(root: Path, imap: int, tmp_path: Path) -> None:
    """neomutt enables CONDSTORE and QRESYNC, and keeps headers in a cache."""
    maildir = maildir_of(root, "carol")
    content = [b"From: ann@example.com\r\nSubject: %d\r\nMessage-ID: <%d@x>\r\n\r\nx\r\n" % (n, n) for n in range(4)]
    maildir.deliver_many(content)
    log = tmp_path / "log"
    account = f"imap://carol:secret@{HOST}:{imap}/"
    control = tmp_path / "rc"
    for keys in ("1<enter><flag-message>", "3<enter><delete-message>"):
        control.write_text(
            f'set folder="{account}" spoolfile="{account}INBOX" header_cache="{tmp_path}/cache" ssl_starttls=no\n'
            "set imap_user=carol imap_pass=secret ssl_force_tls=no delete=yes move=no quit=yes\n"
            "set imap_condstore=yes imap_qresync=yes\n"
            f"set debug_level=2 debug_file=\"{log}\"\npush '{keys}<quit>'\n"
        )
        (tmp_path / "cache").mkdir(exist_ok=True)
        on_terminal("env", "TERM=xterm", f"HOME={tmp_path}", "neomutt", "-n", "-F", str(control))
        inbox = maildir.folder("INBOX")
        inbox.refresh()
    assert [inbox.read(uid) for uid in inbox.uids] == [content[0], content[1], content[3]]
    assert "\\Flagged" in inbox.messages[inbox.uids[0]].flags
    said = b"".join(path.read_bytes() for path in tmp_path.glob("log*"))
    assert b"ENABLE" in said
    assert re.search(rb"UID FETCH 1:4 \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)", said)


def test_imaplib_fetches_and_stores_what_another_session_expunged(root: Path, imap: int) -> None:
    maildir_of(root, "user9").deliver_many([b"Subject: %d\r\n\r\ntext\r\n" % number for number in range(3)])
    one, two = (imaplib.IMAP4(HOST, imap, timeout=PATIENCE_S) for _ in range(2))
    for client in (one, two):
        client.login("user9", "secret")
        client.select()
    one.store("2", "+FLAGS", "\\Deleted")
    one.expunge()
    kind, lines = two.fetch("1:3", "(UID BINARY.SIZE[1])")
    assert (kind, lines[1]) == ("OK", b"2 (UID 2 BINARY.SIZE[1] 0)")
    for item in ("MODSEQ", "EMAILID"):
        kind, (text,) = two.fetch("1:3", f"(UID {item})")
        assert (kind, text) == ("NO", b"[EXPUNGEISSUED] Some of the messages have been removed.")
        numbers = [int(line.split()[0]) for line in two.response("FETCH")[1]]
        assert numbers == [1, 3]
    kind, (text,) = two._simple_command("STORE", "1:3", "(UNCHANGEDSINCE 1)", "+FLAGS", "(\\Seen)")
    assert (kind, text) == ("NO", b"[MODIFIED 1:3] Some of the messages have been removed.")
    two.noop()
    assert two.response("EXPUNGE") == ("EXPUNGE", [b"2"])
    for client in (one, two):
        client.logout()
