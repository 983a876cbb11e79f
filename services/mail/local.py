"""Final delivery: messages into the Maildirs of this server's users, each of them once (RFC 5321 section 4.4).

A message's file is named after its id in the queue, so that an attempt that a crash cut off, after the message was
there and before anybody wrote that down, is recognised by the next. All files of a batch are on the disk, and the names
of all, when deliver() returns; batches are for one mailbox.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.mail.maildir.delivery import stored_form, sync_directory, write_all
from services.mail.maildir.errors import MaildirError
from services.mail.maildir.file_names import host_part
from services.mail.maildir.store import Maildir

_CREATE = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_HOST = host_part(os.uname().nodename)
_KEY = re.compile(r"Q([0-9A-Za-z]+)\.")


class MailboxFullError(MaildirError):
    """The owner's quota has no room for the message."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one mailbox: `key` (letters and digits) tells it from all others, `date_s` is when it came.

    With `may_be_there` the mailbox is looked through first.
    """

    key: str
    content: bytes
    date_s: float
    may_be_there: bool = False


def deliver(path: str, maildir: Maildir, letters: Sequence[Letter]) -> list[Exception | None]:
    """Put letters into the INBOX of the Maildir at `path`; returns what went wrong with each, None for nothing."""
    there = _keys_there(path) if any(letter.may_be_there for letter in letters) else frozenset()
    results: list[Exception | None] = [None] * len(letters)
    written: list[tuple[int, int, str, str]] = []
    try:
        for at, letter in enumerate(letters):
            if letter.key in there:
                continue
            try:
                written.append((at, *_write(path, maildir, letter)))
            except (OSError, MaildirError) as error:
                results[at] = error
        _finish(path, maildir, written, results)
    finally:
        for _, descriptor, _, _ in written:
            os.close(descriptor)
    return results


def _write(path: str, maildir: Maildir, letter: Letter) -> tuple[int, str, str]:
    """Write a letter to tmp/; returns the open file, its name there, and the name that it is to have."""
    stored = stored_form(letter.content)
    if maildir.quota.quota_octets and not maildir.quota.allows(len(stored), 1):
        raise MailboxFullError("The mailbox is full")
    seconds, fraction = divmod(int(letter.date_s * 1_000_000), 1_000_000)
    size_octets = len(stored) + stored.count(b"\n")
    base = f"{seconds}.M{fraction:06}Q{letter.key}.{_HOST},S={len(stored)},W={size_octets}"
    # The same name at every attempt: what a crash left in tmp/ is written over, not left for ever.
    temporary = f"{path}/tmp/{base}"
    descriptor = os.open(temporary, _CREATE, 0o600)
    try:
        write_all(descriptor, stored)
    except OSError:
        os.close(descriptor)
        _remove(temporary)
        raise
    maildir.quota.add(len(stored), 1)
    return descriptor, temporary, f"{path}/new/{base}"


def _finish(
    path: str, maildir: Maildir, written: Sequence[tuple[int, int, str, str]], results: list[Exception | None]
) -> None:
    """Wait for the disk, then give the files their names; all were written before, so that they go out together."""
    named = []
    for at, descriptor, temporary, name in written:
        try:
            os.fsync(descriptor)
            os.rename(temporary, name)
            named.append(at)
        except OSError as error:
            results[at] = error
            _remove(temporary)
            maildir.quota.add(-os.fstat(descriptor).st_size, -1)
    try:
        if named:
            sync_directory(f"{path}/new")
    except OSError as error:
        # They are there, and may not be after a power cut: the next attempt finds them.
        for at in named:
            results[at] = error


def _remove(temporary: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temporary)


def _keys_there(path: str) -> frozenset[str]:
    """The keys of the messages in a Maildir's INBOX."""
    found = set()
    for place in ("new", "cur"):
        with contextlib.suppress(OSError):
            found |= {match[1] for name in os.listdir(f"{path}/{place}") if (match := _KEY.search(name)) is not None}
    return frozenset(found)
