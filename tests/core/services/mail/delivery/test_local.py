"""Final delivery into a Maildir: exactly once, after any interrupted attempt."""

import errno
import mailbox
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.services.mail.delivery.local import LocalMessage, MailboxFullError, deliver
from lab7.services.mail.maildir.store import Maildir


def letter(key: str, content: bytes = b"Subject: x\r\n\r\nHello.\r\n", again: bool = False) -> LocalMessage:
    return LocalMessage(key, content, 1_700_000_000.25, again)


def subjects(path: Path) -> list[str]:
    return sorted(message["Subject"] for message in mailbox.Maildir(path, create=False))


def test_letters_are_there_for_any_reader(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    assert deliver(str(tmp_path), maildir, [letter("1r0", b"Subject: a\r\n\r\n"), letter("2r0")]) == [None, None]
    assert subjects(tmp_path) == ["a", "x"]
    folder = maildir.folder("INBOX")
    folder.refresh()
    assert {folder.read(uid) for uid in folder.uids} == {b"Subject: a\r\n\r\n", b"Subject: x\r\n\r\nHello.\r\n"}
    assert os.listdir(tmp_path / "tmp") == []


@pytest.mark.parametrize("place", ["new", "cur"])
def test_a_letter_that_is_there_already_is_not_delivered_again(tmp_path: Path, place: str) -> None:
    maildir = Maildir(tmp_path)
    deliver(str(tmp_path), maildir, [letter("1r0")])
    (name,) = os.listdir(tmp_path / "new")
    if place == "cur":
        os.rename(tmp_path / "new" / name, tmp_path / "cur" / f"{name}:2,S")
    assert deliver(str(tmp_path), maildir, [letter("1r0", again=True), letter("1r1", again=True)]) == [None, None]
    assert len(subjects(tmp_path)) == 2


def test_what_a_crash_left_in_tmp_is_written_over(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    deliver(str(tmp_path), maildir, [letter("1r0")])
    (name,) = os.listdir(tmp_path / "new")
    os.rename(tmp_path / "new" / name, tmp_path / "tmp" / name)
    (tmp_path / "tmp" / name).write_bytes(b"torn and longer than what comes" * 10)
    assert deliver(str(tmp_path), maildir, [letter("1r0", again=True)]) == [None]
    assert (tmp_path / "new" / name).read_bytes() == b"Subject: x\n\nHello.\n"
    assert os.listdir(tmp_path / "tmp") == []


def test_junk_goes_into_a_folder_of_its_own_and_only_once(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    letters = [letter("1r0", b"Subject: a\r\n\r\n"), replace(letter("2r0", b"Subject: b\r\n\r\n"), is_junk=True)]
    assert deliver(str(tmp_path), maildir, letters) == [None, None]
    again = [replace(one, may_be_delivered=True) for one in letters]
    assert deliver(str(tmp_path), maildir, again) == [None, None]
    assert (subjects(tmp_path), subjects(tmp_path / ".Junk")) == (["a"], ["b"])
    assert maildir.names() == ["INBOX", "Junk"]
    assert maildir.subscriptions.names() == ["Junk"]


def test_without_the_folder_for_junk_other_letters_are_delivered(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    (tmp_path / ".Junk").write_bytes(b"a file in the place of the folder")
    results = deliver(str(tmp_path), maildir, [replace(letter("1r0"), is_junk=True), letter("2r0")])
    assert (isinstance(results[0], OSError), results[1]) == (True, None)


def test_a_quota_refuses_what_does_not_fit_and_takes_the_rest(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path, 100)
    results = deliver(str(tmp_path), maildir, [letter("1r0"), letter("2r0", b"x" * 90), letter("3r0")])
    assert results[0] is None
    assert isinstance(results[1], MailboxFullError)
    assert results[2] is None
    assert maildir.quota.usage() == (38, 2)


def test_a_full_disk_is_told_of_each_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maildir = Maildir(tmp_path)
    real = os.fsync
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "full")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    results = deliver(str(tmp_path), maildir, [letter(f"{number}r0") for number in range(3)])
    assert [isinstance(result, OSError) for result in results] == [False, True, False]
    assert len(subjects(tmp_path)) == 2
    assert os.listdir(tmp_path / "tmp") == []
