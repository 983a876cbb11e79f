"""Local delivery of messages into Maildirs, in batches per mailbox, each message exactly once (RFC 5321 section 4.4).

Messages that arrive for a mailbox while a batch is written form the mailbox's next batch (class Mailboxes). deliver()
writes a batch in a thread; when it returns, the contents and names of all files of the batch are on disk. A file name
contains the queue id and the recipient's number. If the MTA crashes after delivery but before the queue records it, the
retry, a message with `may_be_delivered`, finds the file by its name and does not deliver again.
"""

import asyncio
import contextlib
import errno
import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab7.services.mail.accounts import Account
from lab7.services.mail.delivery.trace import return_path_field, without_return_path
from lab7.services.mail.maildir.delivery import host_part, stored_form, sync_directory, wire_octets, write_all
from lab7.services.mail.maildir.errors import MaildirError, MessageTooLargeError
from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.queue.entry import Entry
from lab7.services.mail.queue.spool import Spool
from lab7.services.mail.smtp.syntax import Reply

# Maximum number of messages in a batch for one mailbox, which share one sync of the directory.
BATCH_MESSAGES = 64
# Folder for messages that the DMARC policy of their author's domain quarantines; in IMAP it is RFC 6154's \Junk.
JUNK = "Junk"
# Maximum number of mailboxes that are written concurrently, each in a thread.
THREADS = 2

DELIVERED = Reply(250, "Delivered to the mailbox", "2.1.5")
MAILBOX_FULL = Reply(552, "The mailbox is full", "5.2.2")
TOO_LARGE = Reply(552, "The message exceeds the size limit of the mailbox", "5.3.4")
DISK_FULL = Reply(452, "No disk space", "4.3.1")
DISK_FAULT = Reply(451, "Cannot write to the mailbox", "4.3.0")

_CREATE = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_HOST = host_part(os.uname().nodename)
_KEY = re.compile(r"Q([0-9A-Za-z]+)\.")

Report = Callable[[Entry, dict[int, Reply]], None]


class MailboxFullError(MaildirError):
    """Error for a message that exceeds the mailbox's quota."""


@dataclass(frozen=True, slots=True)
class LocalMessage:
    """A message to deliver into one mailbox.

    `key` is the unique part of its file name; `date_s` is the time of acceptance in seconds since 1970 UTC. If
    `may_be_delivered`, an earlier attempt may have stored the message, so the mailbox is first searched for the key. If
    `is_junk`, the message goes to the folder JUNK.
    """

    key: str
    content: bytes
    date_s: float
    may_be_delivered: bool = False
    is_junk: bool = False


@dataclass(frozen=True, slots=True)
class _Written:
    """A message written to a file in tmp/ and not renamed yet: the open file, its name in tmp/, its final name."""

    at: int
    descriptor: int
    temporary: str
    name: str
    octets: int


def deliver(path: str, maildir: Maildir, messages: Sequence[LocalMessage]) -> list[Exception | None]:
    """Deliver messages into the INBOX or folder JUNK of a Maildir; return each message's error, None if delivered."""
    results: list[Exception | None] = [None] * len(messages)
    for is_junk in (False, True):
        chosen = [at for at, message in enumerate(messages) if message.is_junk is is_junk]
        if not chosen:
            continue
        try:
            folder = maildir.ensure(JUNK) if is_junk else path
        except (OSError, MaildirError) as error:
            outcomes: list[Exception | None] = [error] * len(chosen)
        else:
            outcomes = _deliver_into(folder, maildir, [messages[at] for at in chosen])
        for at, outcome in zip(chosen, outcomes, strict=True):
            results[at] = outcome
    return results


def _deliver_into(path: str, maildir: Maildir, messages: Sequence[LocalMessage]) -> list[Exception | None]:
    """Deliver messages into the Maildir folder at `path`; return each message's error, None if delivered."""
    delivered = _delivered_keys(path) if any(message.may_be_delivered for message in messages) else frozenset()
    results: list[Exception | None] = [None] * len(messages)
    written: list[_Written] = []
    octets = 0
    try:
        for at, message in enumerate(messages):
            if message.key in delivered:
                continue
            try:
                written.append(_write(path, maildir, message, at, octets))
                octets += written[-1].octets
            except (OSError, MaildirError) as error:
                results[at] = error
        _finish(path, maildir, written, results)
    finally:
        for item in written:
            os.close(item.descriptor)
    return results


def _write(path: str, maildir: Maildir, message: LocalMessage, at: int, before_octets: int) -> _Written:
    """Write a message to a file in tmp/, without sync; raises MailboxFullError if it exceeds the quota.

    `at` is its position in the batch; `before_octets` is the size of the batch's earlier messages, which also count.
    """
    stored = stored_form(message.content)
    if maildir.quota.quota_octets and not maildir.quota.allows(before_octets + len(stored), 1):
        raise MailboxFullError("The mailbox is full")
    seconds, fraction = divmod(int(message.date_s * 1_000_000), 1_000_000)
    base = f"{seconds}.M{fraction:06}Q{message.key}.{_HOST},S={len(stored)},W={wire_octets(stored)}"
    # The temporary name is equal for every attempt, so that a retry overwrites the file that a crash left.
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
    """Sync the files of a batch, rename them from tmp/ into new/, and sync the directory.

    The error of a message is stored in `results`, at the message's position in the batch.
    """
    named = []
    for item in written:
        try:
            os.fsync(item.descriptor)
            os.rename(item.temporary, item.name)
            named.append(item)
        except OSError as error:
            results[item.at] = error
            _remove(item.temporary)
    try:
        if named:
            maildir.quota.add(sum(item.octets for item in named), len(named))
            sync_directory(f"{path}/new")
    except OSError as error:
        # Unsynced names may not survive a power failure, so report an error; a retry finds the files.
        for item in named:
            results[item.at] = error


def _remove(temporary: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temporary)


def _delivered_keys(path: str) -> frozenset[str]:
    """Return the keys (LocalMessage.key) in a folder's file names: the messages that this MTA has delivered already."""
    keys = set()
    for place in ("new", "cur"):
        with contextlib.suppress(OSError):
            keys |= {match[1] for name in os.listdir(f"{path}/{place}") if (match := _KEY.search(name)) is not None}
    return frozenset(keys)


@dataclass(frozen=True, slots=True)
class _PendingMessage:
    entry: Entry
    at: int


class Mailboxes:
    """Batched delivery into all local mailboxes; `report` is called with an SMTP reply for each recipient."""

    def __init__(self, loop: asyncio.AbstractEventLoop, root: Path, spool: Spool, report: Report) -> None:
        self._loop = loop
        self._root = root
        self._spool = spool
        self._report = report
        # Function set by the MTA that returns True for a message to deliver into JUNK.
        self.is_junk: Callable[[bytes], bool] = lambda _: False
        self._threads = ThreadPoolExecutor(THREADS, "mailboxes")
        self._maildirs: dict[Account, Maildir] = {}
        self._waiting: dict[Account, deque[_PendingMessage]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, account: Account, entry: Entry, at: int) -> None:
        """Add a message to the next batch for a mailbox; `at` is the recipient's number in the queue entry."""
        waiting = self._waiting.get(account)
        if waiting is None:
            waiting = self._waiting[account] = deque()
            task = self._loop.create_task(self._deliver_all(account, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append(_PendingMessage(entry, at))

    def used_octets(self, account: Account) -> int:
        """Return the octets used in a mailbox; 0 if it cannot be read (the delivery then reports the error)."""
        try:
            return self._maildir(account).quota.usage()[0]
        except OSError:
            return 0

    async def close(self) -> None:
        """Wait until the batches being written are complete; messages not yet written remain in the queue."""
        self._waiting.clear()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    def _maildir(self, account: Account) -> Maildir:
        known = self._maildirs.get(account)
        if known is None:
            known = self._maildirs[account] = Maildir(account.directory(self._root), account.quota_octets or 0)
        return known

    async def _deliver_all(self, account: Account, waiting: deque[_PendingMessage]) -> None:
        while waiting and self._waiting.get(account) is waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH_MESSAGES))]
            try:
                results = await self._deliver(account, batch)
            except Exception as error:
                # A fault of this program must not end the task, since later mail for the mailbox would wait forever.
                self._loop.call_exception_handler({"message": f"delivery to {account.mailbox}", "exception": error})
                results = [error] * len(batch)
            reports: dict[str, tuple[Entry, dict[int, Reply]]] = {}
            for item, result in zip(batch, results, strict=True):
                reports.setdefault(item.entry.id, (item.entry, {}))[1][item.at] = _reply(result)
            for entry, replies in reports.values():
                self._report(entry, replies)
        if self._waiting.get(account) is waiting:
            del self._waiting[account]

    async def _deliver(self, account: Account, batch: list[_PendingMessage]) -> list[Exception | None]:
        results: list[Exception | None] = [None] * len(batch)
        messages: dict[int, LocalMessage] = {}
        for number, item in enumerate(batch):
            try:
                messages[number] = await self._message(item)
            except OSError as error:
                results[number] = error
        try:
            job = self._loop.run_in_executor(self._threads, self._in_thread, account, list(messages.values()))
            for number, result in zip(messages, await job, strict=True):
                results[number] = result
        except OSError as error:
            results = [error] * len(batch)
        return results

    def _in_thread(self, account: Account, messages: list[LocalMessage]) -> list[Exception | None]:
        return deliver(str(account.directory(self._root)), self._maildir(account), messages)

    async def _message(self, item: _PendingMessage) -> LocalMessage:
        entry = item.entry
        content = await self._spool.content(entry)
        # RFC 5321 section 4.4: final delivery writes the only Return-Path field.
        whole = return_path_field(entry.reverse_path) + without_return_path(content)
        is_junk = self.is_junk(content)
        return LocalMessage(f"{entry.id}r{item.at}", whole, entry.accepted_s, entry.may_be_delivered, is_junk)


def _reply(result: Exception | None) -> Reply:
    if result is None:
        return DELIVERED
    if isinstance(result, MailboxFullError):
        return MAILBOX_FULL
    if isinstance(result, MessageTooLargeError):
        return TOO_LARGE
    if isinstance(result, OSError) and result.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DISK_FULL
    return DISK_FAULT
