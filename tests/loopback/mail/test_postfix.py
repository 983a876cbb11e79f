"""Interoperability with Postfix, in both directions."""

from __future__ import annotations

import mailbox
import smtplib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.ports import free_port
from tests.bench.smtp_peers import has_postfix, postfix
from tests.loopback.mail.support import HOST, PATIENCE_S, mta, wait_until

pytestmark = [pytest.mark.skipif(not has_postfix(), reason="needs Postfix, and root"), pytest.mark.slow]
COUNT = 20
# Lines that begin with a dot, and one of maximum length (RFC 5321 section 4.5.3.1.6).
TEXT = ".\r\n..two\r\n" + "x" * 998 + "\r\nend\r\n"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Create a directory that Postfix's users may enter; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def subjects(folder: Path) -> list[str]:
    if not (folder / "cur").is_dir():
        return []
    return sorted(str(one["Subject"]) for one in mailbox.Maildir(folder, create=False))


def expected() -> list[str]:
    return sorted(f"number {number}" for number in range(COUNT))


def send(port: int, recipient: str) -> None:
    with smtplib.SMTP(HOST, port, "client.example.net", timeout=PATIENCE_S) as client:
        for number in range(COUNT):
            client.sendmail("ann@example.net", [recipient], f"Subject: number {number}\r\n\r\n{TEXT}")


def bodies(messages: list[mailbox.MaildirMessage]) -> set[bytes]:
    return {bytes(one.get_payload(decode=True)) for one in messages}


def test_what_we_pass_on_postfix_takes(open_folder: Path) -> None:
    port = free_port()
    with postfix(open_folder / "postfix", port) as there:
        flags = ("--smarthost", f"{HOST}:{port}", "--relay-from", "127.0.0.0/8")
        with mta(open_folder / "ours", *flags, domain="here.test") as ours:
            send(ours.port, "alice@example.com")
            wait_until(lambda: subjects(there) == expected())
            wait_until(lambda: ours.queued() == "")
        assert bodies(list(mailbox.Maildir(there, create=False))) == {TEXT.replace("\r\n", "\n").encode()}


def test_what_postfix_passes_on_we_take(open_folder: Path) -> None:
    with mta(open_folder / "ours", domain="there.test") as ours:
        port = free_port()
        with postfix(open_folder / "postfix", port, relayhost=f"[{HOST}]:{ours.port}"):
            send(port, "alice@there.test")
            ours.wait_for("alice", COUNT)
        messages = ours.messages("alice")
        assert sorted(str(one["Subject"]) for one in messages) == expected()
        assert bodies(messages) == {TEXT.replace("\r\n", "\n").encode()}
