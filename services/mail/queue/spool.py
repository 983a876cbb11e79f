"""Spool: the open entries in memory, and the asyncio interface to the journal with group commit.

One thread writes the journal. Records that arrive during a write form the next batch: the higher the load, the more
messages share one fdatasync.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from services.eventlog import EventLog
from services.mail.queue.entry import Change, Entry, Place
from services.mail.queue.journal import Journal, Written

# Size limit of a batch, which bounds the delay of the records behind it.
BATCH_OCTETS = 8 * 1024 * 1024
# Memory for contents of entries not yet delivered; beyond it they are read back from the journal.
CACHED_OCTETS = 64 * 1024 * 1024
# Retry interval after a failed write of changes.
RETRY_S = 1.0
# Above any segment number.
_NEWEST = 1 << 62


@dataclass(slots=True)
class _Waiting:
    items: Sequence[Written]
    durable: bool
    written: "asyncio.Future[None] | None"
    octets: int


class Spool:
    """The open entries of one journal; `entries` maps ids to them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, journal: Journal, log: EventLog) -> None:
        self.entries: dict[str, Entry] = {}
        self._loop = loop
        self._journal = journal
        self._log = log
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[_Waiting] = []
        self._writing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._carried: set[str] = set()
        self._cached_octets = 0
        # Number of open entries per segment.
        self._open: Counter[int] = Counter()

    def adopt(self, entries: Iterable[Entry]) -> None:
        """Add the entries recovered from an earlier process."""
        for entry in entries:
            self._enter(entry)

    async def add(self, entries: Sequence[Entry], change: Change | None = None) -> None:
        """Make entries durable, with a change in the same write; raises OSError."""
        written: asyncio.Future[None] = self._loop.create_future()
        items: list[Written] = [*entries, *([] if change is None else [change])]
        self._put(_Waiting(items, True, written, sum(len(entry.content or b"") for entry in entries)))
        await written

    def note(self, change: Change) -> None:
        """Write a change without waiting; if a crash loses it, the attempt is repeated."""
        self._put(_Waiting([change], False, None, 0))

    def settle(self, entry: Entry) -> None:
        """Drop an entry whose recipients are all final, after its change was passed to note() or add()."""
        if self.entries.pop(entry.id, None) is not None:
            self._uncache(entry)
            self._count(entry, -1)

    async def content(self, entry: Entry) -> bytes:
        """Return an entry's content, from memory or from the journal; raises OSError."""
        if entry.content is not None:
            return entry.content
        if entry.place is None:
            raise OSError(f"no content of {entry.id} in the queue")
        return await self._loop.run_in_executor(None, self._journal.read, entry.place)

    async def close(self) -> None:
        """Flush pending writes and close the journal."""
        await self._idle.wait()
        self._thread.shutdown()
        self._journal.close()

    def _enter(self, entry: Entry) -> None:
        self.entries[entry.id] = entry
        self._count(entry, 1)
        if entry.content is not None:
            if self._cached_octets + len(entry.content) > CACHED_OCTETS:
                entry.content = None
            else:
                self._cached_octets += len(entry.content)

    def _uncache(self, entry: Entry) -> None:
        if entry.content is not None:
            self._cached_octets -= len(entry.content)
            entry.content = None

    def _count(self, entry: Entry, number: int) -> None:
        if entry.place is not None:
            self._open[entry.place.segment] += number
            if not self._open[entry.place.segment]:
                del self._open[entry.place.segment]

    def _put(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        if not self._writing:
            self._writing = True
            self._idle.clear()
            # Deferred to the end of this loop iteration: other sessions may add records to the batch.
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        batch: list[_Waiting] = []
        octets = 0
        while self._waiting and (not batch or octets < BATCH_OCTETS):
            one = self._waiting.pop(0)
            octets += one.octets
            batch.append(one)
        if not batch:
            self._writing = False
            self._idle.set()
            return
        items = [item for one in batch for item in one.items]
        durable = any(one.durable for one in batch)
        job = self._loop.run_in_executor(self._thread, self._in_thread, items, durable, self._oldest_open(items))
        job.add_done_callback(lambda done: self._written(batch, items, done))

    def _oldest_open(self, items: Sequence[Written]) -> int | None:
        """Return the oldest segment needed after these records are written; None if no entry is open."""
        if self._open:
            return min(self._open)
        return _NEWEST if any(isinstance(item, Entry) for item in items) else None

    def _in_thread(self, items: Sequence[Written], durable: bool, oldest: int | None) -> list[Place | None]:
        places = self._journal.write(items, durable)
        self._journal.release(oldest)
        return places

    def _written(
        self, batch: list[_Waiting], items: Sequence[Written], done: "asyncio.Future[list[Place | None]]"
    ) -> None:
        error = done.exception()
        if error is None:
            for item, place in zip(items, done.result(), strict=True):
                if isinstance(item, Entry):
                    self._placed(item, place)
        elif self._log.enabled:
            self._log.write("queue_error", error=str(error))
        for one in batch:
            if one.written is None:
                if error is not None:
                    # Retry changes until the disk has space.
                    self._loop.call_later(RETRY_S, self._put, one)
            elif not one.written.cancelled():
                one.written.set_result(None) if error is None else one.written.set_exception(error)
        self._carry_over()
        self._write()

    def _placed(self, entry: Entry, place: Place | None) -> None:
        known = self.entries.get(entry.id)
        if entry.id not in self._carried:
            entry.place = place
            self._enter(entry)
        elif known is not None:
            self._carried.discard(entry.id)
            self._count(known, -1)
            known.place = place
            self._count(known, 1)
        else:
            # The entry became final during the copy: the copy follows its last change in the journal, so repeat the
            # change.
            self._carried.discard(entry.id)
            self.note(Change(entry.id, range(len(entry.recipients))))

    def _carry_over(self) -> None:
        """If there are too many segments, copy an entry of the oldest one into the newest."""
        oldest = self._journal.oldest_to_carry
        if oldest is None or not self._open or self._waiting:
            return
        for entry in list(self.entries.values()):
            if entry.place is not None and entry.place.segment == oldest:
                self._loop.create_task(self._carry(entry))
                return

    async def _carry(self, entry: Entry) -> None:
        try:
            content = await self.content(entry)
        except OSError:
            return
        if entry.id not in self.entries or entry.id in self._carried:
            return
        # Copy the state, so that changes made during the write follow it as Change records.
        self._carried.add(entry.id)
        copy = replace(entry, content=content, recipients=[replace(one) for one in entry.recipients])
        written: asyncio.Future[None] = self._loop.create_future()
        written.add_done_callback(lambda done: self._carried_over(entry.id, done))
        self._put(_Waiting([copy], True, written, len(content)))

    def _carried_over(self, entry_id: str, done: "asyncio.Future[None]") -> None:
        if done.exception() is not None:
            self._carried.discard(entry_id)
