"""Copies that another program removes before their folder has seen them: each had a UID, and the copy succeeds."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.maildir.store import Maildir


def _remove_files(folder: Folder) -> None:
    for place in ("new", "cur"):
        for path in (Path(folder.path) / place).iterdir():
            path.unlink()


def _rest(steps: Generator[None, None, list[tuple[int, int]]]) -> list[tuple[int, int]]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return list(end.value)


def test_a_copy_that_is_removed_at_once_has_a_uid_that_is_not_used_again(tmp_path: Path) -> None:
    mailbox = Maildir(tmp_path / "mail")
    mailbox.deliver(b"Subject: one\r\n\r\nbody\r\n")
    mailbox.create("copies")
    inbox, target = mailbox.folder("INBOX"), mailbox.folder("copies")
    for folder in (inbox, target):
        folder.refresh()
    steps = inbox.copy_steps([1], target)
    # After the first step the copies are in their folder, which has not been listed yet.
    next(steps)
    _remove_files(target)
    assert _rest(steps) == [(1, 1)]
    assert list(target.messages) == []
    assert inbox.copy_to([1], target) == [(1, 2)]
