"""Local delivery queue: batches messages per mailbox while the disk is busy, and delivers them in threads."""

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from services.mail.accounts import Account
from services.mail.delivery import local
from services.mail.delivery.local import Letter, MailboxFullError
from services.mail.delivery.trace import return_path_field, without_return_path
from services.mail.maildir.errors import MessageTooLargeError
from services.mail.maildir.store import Maildir
from services.mail.queue.entry import Entry
from services.mail.queue.spool import Spool
from services.mail.smtp.reply import Reply

# Messages per batch; more than a handful gain little.
BATCH_LETTERS = 64
# Mailboxes written to concurrently.
THREADS = 2

DELIVERED = Reply(250, "Delivered to the mailbox", "2.1.5")
MAILBOX_FULL = Reply(552, "The mailbox is full", "5.2.2")
TOO_LARGE = Reply(552, "The message is larger than the mailbox takes", "5.3.4")
DISK_FULL = Reply(452, "No room on the disk", "4.3.1")
DISK_FAULT = Reply(451, "The mailbox cannot be written to", "4.3.0")

Report = Callable[[Entry, dict[int, Reply]], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    at: int


class Mailboxes:
    """The mailboxes below one directory; `report` is called with the reply for each message."""

    def __init__(self, loop: asyncio.AbstractEventLoop, root: Path, spool: Spool, report: Report) -> None:
        self._loop = loop
        self._root = root
        self._spool = spool
        self._report = report
        self._threads = ThreadPoolExecutor(THREADS, "mailboxes")
        self._maildirs: dict[Account, Maildir] = {}
        self._waiting: dict[Account, deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, account: Account, entry: Entry, at: int) -> None:
        """Queue an entry for its recipient number `at`, the owner of `account`."""
        waiting = self._waiting.get(account)
        if waiting is None:
            waiting = self._waiting[account] = deque()
            task = self._loop.create_task(self._deliver_all(account, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append(_Waiting(entry, at))

    def used_octets(self, account: Account) -> int:
        """Return the size of a mailbox, 0 if it cannot be read (delivery then reports the error)."""
        try:
            return self._maildir(account).quota.usage()[0]
        except OSError:
            return 0

    async def close(self) -> None:
        """Finish the current batches; other messages remain in the queue."""
        self._waiting.clear()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    def _maildir(self, account: Account) -> Maildir:
        known = self._maildirs.get(account)
        if known is None:
            known = self._maildirs[account] = Maildir(account.directory(self._root), account.quota_octets or 0)
        return known

    async def _deliver_all(self, account: Account, waiting: deque[_Waiting]) -> None:
        while waiting and self._waiting.get(account) is waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH_LETTERS))]
            results = await self._deliver(account, batch)
            reports: dict[str, tuple[Entry, dict[int, Reply]]] = {}
            for one, result in zip(batch, results, strict=True):
                reports.setdefault(one.entry.id, (one.entry, {}))[1][one.at] = _reply(result)
            for entry, replies in reports.values():
                self._report(entry, replies)
        if self._waiting.get(account) is waiting:
            del self._waiting[account]

    async def _deliver(self, account: Account, batch: list[_Waiting]) -> list[Exception | None]:
        results: list[Exception | None] = [None] * len(batch)
        letters: dict[int, Letter] = {}
        for number, one in enumerate(batch):
            try:
                letters[number] = await self._letter(one)
            except OSError as error:
                results[number] = error
        try:
            job = self._loop.run_in_executor(self._threads, self._in_thread, account, list(letters.values()))
            for number, result in zip(letters, await job, strict=True):
                results[number] = result
        except OSError as error:
            results = [error] * len(batch)
        return results

    def _in_thread(self, account: Account, letters: list[Letter]) -> list[Exception | None]:
        return local.deliver(str(account.directory(self._root)), self._maildir(account), letters)

    async def _letter(self, one: _Waiting) -> Letter:
        entry = one.entry
        content = await self._spool.content(entry)
        # RFC 5321 section 4.4: Return-Path is written once, by final delivery.
        whole = return_path_field(entry.reverse_path) + without_return_path(content)
        return Letter(f"{entry.id}r{one.at}", whole, entry.accepted_s, entry.may_be_there)


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
