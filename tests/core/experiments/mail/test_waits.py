"""Waits for messages: they end soon after an attempt at delivery has failed, and not before."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab7.experiments.mail import lab
from lab7.experiments.mail.lab import has_failed_attempt, wait_for_messages, was_connected
from lab7.services.mail.address import Mailbox
from lab7.services.mail.queue.entry import Change, Entry, Recipient
from lab7.services.mail.queue.journal import Journal
from lab7.services.mail.smtp.syntax import Reply
from lab7.topologies.emulation.errors import EmulationError

PATIENCE_S = 300.0
ROW = "   0: 1903190A:{port:04X} 1901190A:D431 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1"


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "LOOK_S", 0.0)


def test_a_failed_attempt_ends_the_wait(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(EmulationError, match="0 of 1 messages"):
        wait_for_messages(tmp_path, 1, PATIENCE_S, lambda: True)
    assert time.monotonic() - began_s < PATIENCE_S / 2


def test_a_message_that_comes_after_a_failed_attempt_is_taken(tmp_path: Path) -> None:
    def failed() -> bool:
        (tmp_path / "late").touch()
        return True

    assert [path.name for path in wait_for_messages(tmp_path, 1, PATIENCE_S, failed, PATIENCE_S)] == ["late"]


def test_without_a_failed_attempt_the_wait_goes_on(tmp_path: Path) -> None:
    looks: list[int] = []

    def failed() -> bool:
        looks.append(len(looks))
        if len(looks) == 3:
            (tmp_path / "message").touch()
        return False

    assert len(wait_for_messages(tmp_path, 1, PATIENCE_S, failed)) == 1
    assert len(looks) == 3


def test_an_attempt_that_failed_is_in_the_queue(tmp_path: Path) -> None:
    host: Any = SimpleNamespace(workdir=tmp_path)
    assert not has_failed_attempt(host)
    journal = Journal(tmp_path / "queue")
    mailbox = Mailbox("bob", "example.com")
    journal.write([Entry("1", 1000.0, mailbox, [Recipient(mailbox)], 3, content=b"x\r\n")], durable=True)
    assert not has_failed_attempt(host)
    journal.write([Change("1", (), {0: Reply(451, "Not an SMTP server", "4.5.0")}, 1, 2000.0)], durable=True)
    assert has_failed_attempt(host)
    journal.write([Change("1", (0,))], durable=True)
    assert not has_failed_attempt(host)
    journal.close()


@pytest.mark.parametrize(
    ("port", "state", "found"), [(25, "0A", False), (25, "01", True), (25, "06", True), (587, "01", False)]
)
def test_a_connection_that_was_is_seen(port: int, state: str, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "  sl  local_address rem_address   st ...\n" + ROW.format(port=port, state=state) + "\n"
    monkeypatch.setattr(Path, "read_text", lambda _path: table)
    assert was_connected(SimpleNamespace(namespace_pid=1)) is found  # type: ignore[arg-type]
