"""Maildir folders: messages, flags and UIDs; concurrent programs and processes; crashes at any point."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab7.services.mail.maildir.delivery import NewMessage
from lab7.services.mail.maildir.errors import (
    FolderExistsError,
    MessageGoneError,
    MessageTooLargeError,
    NoFolderError,
    QuotaExceededError,
)
from lab7.services.mail.maildir.limits import DEAD_LINES_MAX
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.maildir.uid_index import FILE


@pytest.fixture
def maildir(tmp_path: Path) -> Maildir:
    return Maildir(tmp_path / "box")


def fill(maildir: Maildir, count: int) -> None:
    maildir.deliver_many([b"Subject: %d\r\n\r\n" % number for number in range(count)])


def test_a_message_is_read_as_it_was_delivered(maildir: Maildir) -> None:
    content = b"Subject: x\r\n\r\none\r\ntwo\rthree\r\n.\r\n\x00\xff"
    name = maildir.deliver(content, ("\\Seen",))
    folder = maildir.folder("INBOX")
    folder.refresh()
    (message,) = folder.messages.values()
    assert (message.base, message.flags) == (name, frozenset(("\\Seen",)))
    assert folder.read(message.uid) == content
    assert folder.size_octets(message.uid) == len(content)
    assert folder.read_header(message.uid) == b"Subject: x\r\n\r\n"


def test_lines_end_in_lf_on_the_disk_whoever_wrote_them(maildir: Maildir, tmp_path: Path) -> None:
    (tmp_path / "box" / "new" / "1.1.h").write_bytes(b"A: 1\r\n\r\nx\r\n")
    (tmp_path / "box" / "new" / "1.2.h").write_bytes(b"A: 1\n\nx\n")
    folder = maildir.folder("INBOX")
    folder.refresh()
    assert {folder.read(uid) for uid in folder.uids} == {b"A: 1\r\n\r\nx\r\n"}
    assert [folder.size_octets(uid) for uid in folder.uids] == [11, 11]
    maildir.deliver(b"A: 1\r\n\r\n")
    (delivered,) = (path for path in (tmp_path / "box" / "new").iterdir() if "W=" in path.name)
    assert delivered.read_bytes() == b"A: 1\n\n"


def test_identifiers_last(maildir: Maildir, tmp_path: Path) -> None:
    fill(maildir, 3)
    folder = maildir.folder("INBOX")
    folder.refresh()
    assert folder.uids == [1, 2, 3]
    folder.expunge([3])
    again = Maildir(tmp_path / "box").folder("INBOX")
    again.refresh()
    assert (again.uids, again.uidnext, again.uidvalidity) == ([1, 2], 4, folder.uidvalidity)
    assert [again.read(uid) for uid in again.uids] == [b"Subject: 0\r\n\r\n", b"Subject: 1\r\n\r\n"]


def test_two_processes_agree(maildir: Maildir, tmp_path: Path) -> None:
    one, two = maildir.folder("INBOX"), Maildir(tmp_path / "box").folder("INBOX")
    for _ in range(5):
        for folder in (one, two):
            fill(maildir, 2)
            folder.refresh()
    one.refresh()
    two.refresh()
    assert {uid: m.base for uid, m in one.messages.items()} == {uid: m.base for uid, m in two.messages.items()}
    assert one.uids == list(range(1, 21))


def test_flags_are_seen_by_others_and_foreign_letters_kept(maildir: Maildir, tmp_path: Path) -> None:
    fill(maildir, 1)
    folder = maildir.folder("INBOX")
    folder.refresh()
    folder.set_flags(1, frozenset(("\\Flagged", "word")))
    (file,) = (tmp_path / "box" / "cur").iterdir()
    assert file.name.endswith(":2,Fa")
    # Flag P of another program, and a flag that the program removes.
    file.rename(file.with_name(file.name.removesuffix("Fa") + "Pa"))
    folder.set_flags(1, folder.messages[1].flags | {"\\Seen"})
    (file,) = (tmp_path / "box" / "cur").iterdir()
    assert file.name.endswith(":2,FPSa")


def test_a_message_that_another_removed_is_gone(maildir: Maildir, tmp_path: Path) -> None:
    fill(maildir, 1)
    folder = maildir.folder("INBOX")
    folder.refresh()
    for file in (tmp_path / "box" / "new").iterdir():
        file.unlink()
    with pytest.raises(MessageGoneError):
        folder.read(1)
    assert folder.uids == []
    folder.expunge([1])


def test_a_listing_is_trusted_only_when_it_is_old_enough(tmp_path: Path) -> None:
    """Two deliveries within one tick of the directory's mtime: the second must be noticed."""
    maildir = Maildir(tmp_path / "box", wall_clock=time.time)
    folder = maildir.folder("INBOX")
    for count in range(1, 200):
        fill(maildir, 1)
        folder.refresh()
        assert len(folder.uids) == count


def test_folders_come_and_go(maildir: Maildir) -> None:
    maildir.create("a/b")
    with pytest.raises(FolderExistsError):
        maildir.create("a/b")
    folder = maildir.folder("a/b")
    folder.append([NewMessage(b"x")])
    maildir.remove("a/b")
    with pytest.raises(NoFolderError):
        maildir.folder("a/b")
    with pytest.raises(NoFolderError):
        folder.refresh()
    assert maildir.names() == ["INBOX"]


def test_quota(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path / "box", quota_octets=1000)
    maildir.deliver(b"x" * 600)
    with pytest.raises(QuotaExceededError):
        maildir.deliver(b"x" * 600)
    assert maildir.quota.usage() == (600, 1)
    folder = maildir.folder("INBOX")
    folder.refresh()
    folder.expunge(folder.uids)
    maildir.deliver(b"x" * 600)
    # Removal by another program is noticed when the sums would refuse a message.
    for file in (tmp_path / "box" / "new").iterdir():
        file.unlink()
    maildir.deliver(b"x" * 600)
    assert maildir.quota.usage() == (600, 1)


def test_a_message_too_large_leaves_nothing(maildir: Maildir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab7.services.mail.maildir.delivery.MESSAGE_OCTETS", 10)
    with pytest.raises(MessageTooLargeError):
        maildir.deliver_many([b"small", b"x" * 11])
    assert [path for place in ("tmp", "new", "cur") for path in (tmp_path / "box" / place).iterdir()] == []


@pytest.mark.parametrize("torn", [b"4", b"4 ", b"4 half-a-na", b"R 9"])
def test_a_line_that_a_killed_process_left_is_cut_off(maildir: Maildir, tmp_path: Path, torn: bytes) -> None:
    fill(maildir, 3)
    folder = maildir.folder("INBOX")
    folder.refresh()
    with open(tmp_path / "box" / FILE, "ab") as file:
        file.write(torn)
    fill(maildir, 1)
    again = Maildir(tmp_path / "box").folder("INBOX")
    again.refresh()
    assert again.uids == [1, 2, 3, 4]
    folder.refresh()
    assert folder.messages.keys() == again.messages.keys()


@pytest.mark.parametrize(
    "octets", [b"", b"rubbish\n", b"lab7-uids 1 x\n", b"lab7-uids 1 0\n1 x\n", random.Random(7).randbytes(100)]
)
def test_an_index_that_cannot_be_read_begins_anew(maildir: Maildir, tmp_path: Path, octets: bytes) -> None:
    fill(maildir, 2)
    folder = maildir.folder("INBOX")
    folder.refresh()
    (tmp_path / "box" / FILE).write_bytes(octets)
    again = Maildir(tmp_path / "box").folder("INBOX")
    again.refresh()
    assert again.uids == [1, 2]
    assert again.uidvalidity > folder.uidvalidity


def test_the_index_does_not_grow_for_ever(maildir: Maildir, tmp_path: Path) -> None:
    folder = maildir.folder("INBOX")
    for _ in range(4):
        fill(maildir, DEAD_LINES_MAX)
        folder.refresh()
        folder.expunge(folder.uids)
    fill(maildir, 1)
    folder.refresh()
    assert folder.uids == [4 * DEAD_LINES_MAX + 1]
    assert (tmp_path / "box" / FILE).read_bytes().count(b"\n") < 2 * DEAD_LINES_MAX
    again = Maildir(tmp_path / "box").folder("INBOX")
    again.refresh()
    assert (again.uids, again.uidnext) == (folder.uids, folder.uidnext)


WRITER = """
import sys
from pathlib import Path
from lab7.services.mail.maildir.store import Maildir
maildir = Maildir(Path(sys.argv[1]))
folder = maildir.folder("INBOX")
while True:
    maildir.deliver_many([b"Subject: x\\r\\n\\r\\n"] * 20)
    folder.refresh()
    folder.claim_recent()
    print("".join(f"{m.uid} {m.base}\\n" for m in folder.messages.values()) + "=", flush=True)
    folder.expunge(folder.uids[:15])
"""


def test_no_identifier_is_given_twice_whenever_a_process_is_killed(tmp_path: Path) -> None:
    told: dict[int, str] = {}
    rng = random.Random(8)
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "box")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[5])
        assert process.stdout is not None
        for _ in range(rng.randint(30, 300)):
            line = process.stdout.readline()
            note(told, line)
        os.kill(process.pid, signal.SIGKILL)
        for line in process.stdout:
            note(told, line)
        process.stdout.close()
        process.wait()
    folder = Maildir(tmp_path / "box").folder("INBOX")
    folder.refresh()
    for message in folder.messages.values():
        assert told.setdefault(message.uid, message.base) == message.base
    assert folder.uidnext > max(told)


def note(told: dict[int, str], line: str) -> None:
    if line.endswith("\n") and line[0].isdigit():
        uid, base = line.split()
        assert told.setdefault(int(uid), base) == base


def test_a_failed_rename_of_the_inbox_creates_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: str, _target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    maildir = Maildir(tmp_path / "box")
    maildir.deliver(b"x" * 600)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="No space left"):
        maildir.rename("INBOX", "old")
    assert maildir.names() == ["INBOX"]
