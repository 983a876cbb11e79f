"""MTA killed at random moments: each message acknowledged by 250 is delivered exactly once.

A message without its 250 is sent again (RFC 5321 section 6.1), which leaves two copies if the server had accepted it.
The tests check that only messages sent twice have two copies.
"""

import os
import random
import smtplib
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from lab7.services.mail.queue.journal import read_entries
from tests.bench.ports import free_port
from tests.loopback.mail.support import HOST, PATIENCE_S, Server, mta, wait_until

SESSIONS = 4
MESSAGES = 400
KILLS = 6
# Number of messages of the long test.
MANY, MANY_KILLS = 10_000, 10
LONG_S = 600.0


class Senders:
    """Sessions that send numbered messages until each has its 250."""

    def __init__(self, server: Server, messages: int = MESSAGES, recipient: str = "alice@example.com") -> None:
        self._server = server
        self._recipient = recipient
        self._left = list(range(messages))
        self._lock = threading.Lock()
        self.acknowledged: set[str] = set()
        self.attempts: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(SESSIONS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, patience_s: float = 4 * PATIENCE_S) -> None:
        for thread in self._threads:
            thread.join(patience_s)
            assert not thread.is_alive()

    def _run(self) -> None:
        number = self._next()
        while number is not None:
            try:
                with self._server.client() as client:
                    while number is not None:
                        self._send(client, f"number {number}")
                        number = self._next()
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)

    def _next(self) -> int | None:
        with self._lock:
            return self._left.pop() if self._left else None

    def _send(self, client: smtplib.SMTP, name: str) -> None:
        self.attempts[name] += 1
        client.sendmail("ann@example.net", [self._recipient], f"Subject: {name}\r\n\r\n{name}\r\n")
        self.acknowledged.add(name)


def test_what_got_its_250_is_there_once(tmp_path: Path) -> None:
    server = Server(tmp_path, port=free_port()).start()
    senders = Senders(server)
    senders.start()
    chance = random.Random(7)
    for _ in range(KILLS):
        done = len(senders.acknowledged) + chance.randrange(20, 60)
        wait_until(lambda done=done: len(senders.acknowledged) >= min(done, MESSAGES))  # type: ignore[misc]
        server.kill()
        server.start()
    senders.join()
    try:
        wait_until(lambda: server.queued() == "")
        copies = Counter(str(message["Subject"]) for message in server.messages("alice"))
    finally:
        server.stop()
    assert len(senders.acknowledged) == MESSAGES
    assert set(copies) == senders.acknowledged
    twice = {name for name, count in copies.items() if count > 1}
    assert all(copies[name] <= senders.attempts[name] for name in twice)
    assert [entry for entry in read_entries(server.queue) if not entry.is_final] == []


def test_what_was_delivered_and_not_written_down_is_not_delivered_again(tmp_path: Path) -> None:
    """Restore an earlier journal, as after a crash between delivery and its Change record."""
    server = Server(tmp_path).start()
    with server.client() as client:
        for number in range(5):
            client.sendmail("ann@example.net", ["staff@example.com"], f"Subject: number {number}\r\n\r\n")
    wait_until(lambda: server.queued() == "")
    server.kill()
    (segment,) = server.queue.glob("*.journal")
    octets = segment.read_bytes()
    # Corrupt the magic of every Change record; the entries stay intact.
    segment.write_bytes(octets.replace(b"\x1eL7QC", b"\x1eL7Q?"))
    assert len(server.queued().splitlines()) == 5
    server.start()
    try:
        wait_until(lambda: server.queued() == "")
        assert len(server.messages("alice")) == len(server.messages("bob")) == 5
    finally:
        server.stop()


def test_a_clean_stop_and_start_keeps_everything_in_order(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    for _ in range(3):
        with server.client() as client:
            client.sendmail("ann@example.net", ["alice@example.com"], "Subject: x\r\n\r\n")
        server.stop()
        server.start()
    server.stop()
    assert len(server.messages("alice")) == 3
    assert server.queued() == ""


@pytest.mark.slow
def test_ten_thousand_messages_arrive_through_ten_kills_of_the_server_that_they_go_to(tmp_path: Path) -> None:
    """Relay to a server that is killed at random moments; only messages sent twice may have two copies."""
    receiver = Server(tmp_path / "receiver", port=free_port())
    receiver.folder.mkdir()
    receiver.start()
    flags = ("--smarthost", f"{HOST}:{receiver.port}", "--relay-from", "127.0.0.0/8", "--retry", "0.2")
    log = tmp_path / "log"
    with mta(tmp_path / "sender", *flags, "--log", os.fspath(log), domain="here.test") as sender:
        senders = Senders(sender, MANY)
        senders.start()
        chance, folder = random.Random(11), receiver.maildirs / "example.com" / "alice" / "new"
        for kill in range(1, MANY_KILLS + 1):
            wanted = kill * MANY // (MANY_KILLS + 1) + chance.randrange(100)
            wait_until(lambda wanted=wanted: _count(folder) >= wanted, LONG_S)  # type: ignore[misc]
            receiver.kill()
            receiver.start()
        senders.join(LONG_S)
        wait_until(lambda: sender.queued() == "", LONG_S)
    wait_until(lambda: receiver.queued() == "", LONG_S)
    copies = Counter(str(message["Subject"]) for message in receiver.messages("alice"))
    receiver.stop()
    assert set(copies) == senders.acknowledged
    assert len(copies) == MANY
    extra = sum(count - 1 for count in copies.values())
    # RFC 5321 section 6.1: only a transfer without a reply may leave a duplicate.
    assert extra <= log.read_text().count('"in_doubt"')


def _count(folder: Path) -> int:
    return len(os.listdir(folder)) if folder.is_dir() else 0
