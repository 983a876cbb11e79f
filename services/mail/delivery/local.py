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


@dataclass(frozen=True, slots=True)
class _Written:
    """A letter in tmp/: the open file, its name there, and the name that it is to have."""

    at: int
    descriptor: int
    temporary: str
    name: str
    octets: int


def deliver(path: str, maildir: Maildir, letters: Sequence[Letter]) -> list[Exception | None]:
    """Put letters into the INBOX of the Maildir at `path`; returns what went wrong with each, None for nothing."""
    there = _keys_there(path) if any(letter.may_be_there for letter in letters) else frozenset()
    results: list[Exception | None] = [None] * len(letters)
    written: list[_Written] = []
    octets = 0
    try:
        for at, letter in enumerate(letters):
            if letter.key in there:
                continue
            try:
                written.append(_write(path, maildir, letter, at, octets))
                octets += written[-1].octets
            except (OSError, MaildirError) as error:
                results[at] = error
        _finish(path, maildir, written, results)
    finally:
        for one in written:
            os.close(one.descriptor)
    return results


def _write(path: str, maildir: Maildir, letter: Letter, at: int, before_octets: int) -> _Written:
    """Write a letter to tmp/; `before_octets` are on their way into the mailbox already."""
    stored = stored_form(letter.content)
    if maildir.quota.quota_octets and not maildir.quota.allows(before_octets + len(stored), 1):
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
    return _Written(at, descriptor, temporary, f"{path}/new/{base}", len(stored))


def _finish(path: str, maildir: Maildir, written: Sequence[_Written], results: list[Exception | None]) -> None:
    """Wait for the disk, then give the files their names; all were written before, so that they go out together."""
    named = []
    for one in written:
        try:
            os.fsync(one.descriptor)
            os.rename(one.temporary, one.name)
            named.append(one)
        except OSError as error:
            results[one.at] = error
            _remove(one.temporary)
    try:
        if named:
            maildir.quota.add(sum(one.octets for one in named), len(named))
            sync_directory(f"{path}/new")
    except OSError as error:
        # They are there, and may not be after a power cut: the next attempt finds them.
        for one in named:
            results[one.at] = error


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
