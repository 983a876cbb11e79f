"""Final delivery into local Maildirs, exactly once despite crashes (RFC 5321 section 4.4).

The file name contains the queue id and the number of the recipient. If a crash came after delivery but before the queue
recorded it, the retry (`may_be_there`) recognises the file by this name. A batch is for one mailbox; when deliver()
returns, the contents and names of all its files are on disk.
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
    """The message exceeds the mailbox's quota."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one mailbox: `key` (letters and digits) is unique, `date_s` the time of acceptance.

    With `may_be_there` the mailbox is searched for the key first.
    """

    key: str
    content: bytes
    date_s: float
    may_be_there: bool = False


@dataclass(frozen=True, slots=True)
class _Written:
    """A message in tmp/: its open file, its name there, and its final name."""

    at: int
    descriptor: int
    temporary: str
    name: str
    octets: int


def deliver(path: str, maildir: Maildir, letters: Sequence[Letter]) -> list[Exception | None]:
    """Deliver messages to the INBOX of the Maildir at `path`; returns the error of each, None for success."""
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
    """Write a message to tmp/; `before_octets` is the size of those written before it in this batch."""
    stored = stored_form(letter.content)
    if maildir.quota.quota_octets and not maildir.quota.allows(before_octets + len(stored), 1):
        raise MailboxFullError("The mailbox is full")
    seconds, fraction = divmod(int(letter.date_s * 1_000_000), 1_000_000)
    size_octets = len(stored) + stored.count(b"\n")
    base = f"{seconds}.M{fraction:06}Q{letter.key}.{_HOST},S={len(stored)},W={size_octets}"
    # The same name for every attempt: a file left in tmp/ by a crash is overwritten.
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
    """Sync the files, then rename them into new/; all are written before the first sync: one flush covers them."""
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
        # The files exist but might not survive a power failure: report an error; the retry finds them.
        for one in named:
            results[one.at] = error


def _remove(temporary: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temporary)


def _keys_there(path: str) -> frozenset[str]:
    """Return the keys of the messages in a Maildir's INBOX."""
    found = set()
    for place in ("new", "cur"):
        with contextlib.suppress(OSError):
            found |= {match[1] for name in os.listdir(f"{path}/{place}") if (match := _KEY.search(name)) is not None}
    return frozenset(found)
