"""IMAP extensions over real sockets: compression, and clients that use mod-sequences."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.mail.access import HOST, PATIENCE_S, access_process, maildir_of


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
