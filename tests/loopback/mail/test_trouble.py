"""Full or missing disks, misbehaving clients, status and log output."""

import json
import os
import resource
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.loopback.mail.support import HOST, PATIENCE_S, Server, mta, wait_until

MESSAGE = "Subject: x\r\n\r\n"


def send(server: Server, text: str = MESSAGE, to: str = "alice@example.com") -> None:
    with server.client() as client:
        client.sendmail("ann@example.net", [to], text)


def exchange(server: Server, octets: bytes) -> bytes:
    """Send octets, half-close, and return all replies."""
    with socket.create_connection((HOST, server.port), timeout=PATIENCE_S) as peer:
        peer.sendall(octets)
        peer.shutdown(socket.SHUT_WR)
        out = b""
        while piece := peer.recv(65_536):
            out += piece
        return out


@contextmanager
def small_disk(octets: int) -> Iterator[Path]:
    """Mount a file system of this size in octets."""
    folder = Path(tempfile.mkdtemp())
    command = ["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", os.fspath(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        folder.rmdir()
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", os.fspath(folder)], check=True)
        folder.rmdir()


def test_a_full_disk_is_452_and_takes_mail_again_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(6_000_000) as disk:
        (tmp_path / "mta").mkdir()
        (tmp_path / "mta" / "queue").symlink_to(disk)
        filler = disk / "filler"
        filler.write_bytes(b"x" * 3_000_000)
        with mta(tmp_path / "mta") as server:
            with server.client() as client:
                client.ehlo()
                assert client.docmd("MAIL FROM:<> SIZE=1500000")[0] == 452
                # Without a declared SIZE the rejection comes at the end of the data.
                assert client.docmd("MAIL FROM:<>")[0] == 250
                assert client.docmd("RCPT TO:<alice@example.com>")[0] == 250
                assert client.data(MESSAGE + "xy\r\n" * 1_000_000)[0] == 452
            filler.unlink()
            send(server)
            server.wait_for("alice", 1)


def test_a_file_that_may_not_grow_is_452(tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    server = Server(tmp_path).start(limited)
    try:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(server, MESSAGE + "x\r\n" * 100_000)
        assert refused.value.smtp_code == 452
        send(server)
        server.wait_for("alice", 1)
    finally:
        server.stop()


def test_a_queue_that_is_gone_is_451(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server:
        send(server)
        server.wait_for("alice", 1)
        shutil.rmtree(server.queue)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(server)
        assert refused.value.smtp_code == 451
        server.queue.mkdir()
        send(server)
        server.wait_for("alice", 2)


def test_a_mailbox_that_is_full_when_mail_arrives_bounces(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server:
        send(server, MESSAGE + "x\r\n" * 30_000, "bob@example.com")
        with server.client() as client:
            # SIZE smaller than the message.
            client.ehlo()
            client.docmd("MAIL FROM:<alice@example.com>")
            client.docmd("RCPT TO:<bob@example.com>")
            assert client.docmd("RCPT TO:<alice@example.com>")[0] == 250
            assert client.data(MESSAGE + "y\r\n" * 30_000)[0] == 250
        messages = server.wait_for("alice", 2)
        assert {"<>", "<alice@example.com>"} == {message["Return-Path"] for message in messages}
        assert len(server.messages("bob")) == 1
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(server, MESSAGE + "y\r\n" * 30_000, "bob@example.com")
        assert refused.value.recipients["bob@example.com"][0] == 552


def test_a_second_server_on_one_queue_does_not_start(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server, pytest.raises(AssertionError):
        Server(tmp_path / "mta").start()
    assert server.process is None


def test_too_many_and_too_slow_clients_get_421(tmp_path: Path) -> None:
    with mta(tmp_path / "mta", "--max-connections", "2", "--idle", "1") as server:
        peers = [socket.create_connection((HOST, server.port), timeout=PATIENCE_S) for _ in range(3)]
        greetings = [peer.recv(1000)[:3] for peer in peers]
        assert greetings == [b"220", b"220", b"421"]
        assert peers[2].recv(1000) == b""
        assert peers[0].recv(1000).startswith(b"421 4.4.2")
        for peer in peers:
            peer.close()
        wait_until(lambda: exchange(server, b"QUIT\r\n").startswith(b"220"))


def test_a_stop_says_421_to_who_is_there(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server:
        peer = socket.create_connection((HOST, server.port), timeout=PATIENCE_S)
        assert peer.recv(1000).startswith(b"220")
        server.stop()
        assert peer.recv(1000).startswith(b"421 4.3.2")
        assert peer.recv(1000) == b""
        peer.close()


def test_the_server_closes_after_quit(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server, socket.create_connection((HOST, server.port)) as peer:
        peer.settimeout(PATIENCE_S)
        peer.sendall(b"QUIT\r\n")
        out = b""
        while piece := peer.recv(1000):
            out += piece
        assert out.endswith(b"221 2.0.0 example.com closing\r\n")


def test_a_pipelined_session_that_ends_at_once_is_answered_to_the_end(tmp_path: Path) -> None:
    one = b"MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n"
    with mta(tmp_path / "mta") as server:
        out = exchange(server, b"EHLO x\r\n" + one * 20 + b"QUIT\r\n")
        assert out.count(b"Queued as") == 20
        assert out.endswith(b"closing\r\n")
        server.wait_for("alice", 20)


@pytest.mark.parametrize(
    "octets",
    [b"A" * 300_000, b"NOOP\n" * 100_000, b"\0" * 1000 + b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50],
    ids=["endless", "bare LF", "NUL", "TLS"],
)
def test_what_is_no_smtp_is_bounded_and_others_go_on(tmp_path: Path, octets: bytes) -> None:
    with mta(tmp_path / "mta") as server, server.client() as other:
        other.ehlo()
        with suppress(ConnectionError):
            exchange(server, octets)
        assert other.noop()[0] == 250


def test_status_and_accounts_by_signal(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server:
        assert server.process is not None
        assert server.process.stdout is not None
        server.process.send_signal(signal.SIGUSR1)
        assert json.loads(server.process.stdout.readline()) == {"event": "status", "queued": 0, "tried": 0}
        (server.folder / "accounts").write_text("zoe:x\n")
        server.process.send_signal(signal.SIGHUP)

        def is_there() -> bool:
            with server.client() as client:
                return client.verify("zoe")[0] == 250

        wait_until(is_there)
