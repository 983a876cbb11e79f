"""Spool of the MTA: the queued messages in memory, written to the journal with group commit.

One thread writes the journal. New messages and changes of their state that arrive during a write form the next batch:
the higher the load, the more messages share one fdatasync.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lab7.services.eventlog import EventLog
from lab7.services.mail.queue.entry import Change, ContentLocation, Entry
from lab7.services.mail.queue.journal import Journal, JournalItem

# Maximum octets of content in a batch, which bounds the delay of the following records.
BATCH_OCTETS = 8 * 1024 * 1024
# Maximum memory in octets for contents of undelivered messages; further contents are read back from the journal.
CACHED_OCTETS = 64 * 1024 * 1024
# Seconds until a failed write of changes is retried.
RETRY_S = 1.0
# _NEWEST is above any segment number and lets release() remove all segments but the active one.
_NEWEST = 1 << 62


@dataclass(slots=True)
class _PendingWrite:
    items: Sequence[JournalItem]
    durable: bool
    written: "asyncio.Future[None] | None"
    octets: int


class Spool:
    """The undelivered messages of the queue; `entries` maps queue ids to entries."""

    def __init__(self, loop: asyncio.AbstractEventLoop, journal: Journal, log: EventLog) -> None:
        self.entries: dict[str, Entry] = {}
        self._loop = loop
        self._journal = journal
        self._log = log
        self._thread = ThreadPoolExecutor(1, "journal")
        self._pending: list[_PendingWrite] = []
        self._writing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._copying: set[str] = set()
        self._cached_octets = 0
        # Number of open entries per segment; a segment without open entries can be removed.
        self._open_per_segment: Counter[int] = Counter()

    def restore(self, entries: Iterable[Entry]) -> None:
        """Add queue entries that an earlier process left in the journal."""
        for entry in entries:
            self._enter(entry)

    async def add(self, entries: Sequence[Entry], change: Change | None = None) -> None:
        """Write queue entries, and optionally a change, to the journal in one write; return after the sync to disk.

        Raises OSError.
        """
        written: asyncio.Future[None] = self._loop.create_future()
        items: list[JournalItem] = [*entries, *([] if change is None else [change])]
        self._enqueue(_PendingWrite(items, True, written, sum(len(entry.content or b"") for entry in entries)))
        await written

    def write_later(self, change: Change) -> None:
        """Write a change without waiting for the sync; if a crash loses it, the delivery attempt is repeated."""
        self._enqueue(_PendingWrite([change], False, None, 0))

    def remove(self, entry: Entry) -> None:
        """Remove a queue entry without undelivered recipients from memory.

        Its last change must have been passed to write_later() or add().
        """
        if self.entries.pop(entry.id, None) is not None:
            self._uncache(entry)
            self._count(entry, -1)

    async def content(self, entry: Entry) -> bytes:
        """Return the message content of a queue entry, from memory or from the journal; raises OSError."""
        if entry.content is not None:
            return entry.content
        if entry.place is None:
            raise OSError(f"the content of {entry.id} is missing in the queue")
        return await self._loop.run_in_executor(None, self._journal.read, entry.place)

    async def close(self) -> None:
        """Wait for pending writes and close the journal."""
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
            self._open_per_segment[entry.place.segment] += number
            if not self._open_per_segment[entry.place.segment]:
                del self._open_per_segment[entry.place.segment]

    def _enqueue(self, pending: _PendingWrite) -> None:
        self._pending.append(pending)
        if not self._writing:
            self._writing = True
            self._idle.clear()
            # Defer the write to the end of this event loop iteration: other sessions may add records to the batch.
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        batch: list[_PendingWrite] = []
        octets = 0
        while self._pending and (not batch or octets < BATCH_OCTETS):
            pending = self._pending.pop(0)
            octets += pending.octets
            batch.append(pending)
        if not batch:
            self._writing = False
            self._idle.set()
            return
        items = [item for pending in batch for item in pending.items]
        durable = any(pending.durable for pending in batch)
        job = self._loop.run_in_executor(self._thread, self._in_thread, items, durable, self._oldest_open(items))
        job.add_done_callback(lambda done: self._written(batch, items, done))

    def _oldest_open(self, items: Sequence[JournalItem]) -> int | None:
        """Return the number of the oldest segment with an undelivered entry; None if there is none.

        Returns _NEWEST if the only undelivered entries are in `items`, which are not written yet.
        """
        if self._open_per_segment:
            return min(self._open_per_segment)
        return _NEWEST if any(isinstance(item, Entry) for item in items) else None

    def _in_thread(
        self, items: Sequence[JournalItem], durable: bool, oldest: int | None
    ) -> list[ContentLocation | None]:
        places = self._journal.write(items, durable)
        self._journal.release(oldest)
        return places

    def _written(
        self,
        batch: list[_PendingWrite],
        items: Sequence[JournalItem],
        done: "asyncio.Future[list[ContentLocation | None]]",
    ) -> None:
        error = done.exception()
        if error is None:
            for item, place in zip(items, done.result(), strict=True):
                if isinstance(item, Entry):
                    self._set_location(item, place)
        elif self._log.enabled:
            self._log.write("queue_error", error=str(error))
        for pending in batch:
            if pending.written is None:
                if error is not None:
                    # Writes of changes are retried until the disk has space.
                    self._loop.call_later(RETRY_S, self._enqueue, pending)
            elif not pending.written.cancelled():
                pending.written.set_result(None) if error is None else pending.written.set_exception(error)
        self._copy_oldest()
        self._write()

    def _set_location(self, entry: Entry, place: ContentLocation | None) -> None:
        known = self.entries.get(entry.id)
        if entry.id not in self._copying:
            entry.place = place
            self._enter(entry)
        elif known is not None:
            self._copying.discard(entry.id)
            self._count(known, -1)
            known.place = place
            self._count(known, 1)
        else:
            # If the entry became final during the copy, record that again after the copy, which would reopen the entry.
            self._copying.discard(entry.id)
            self.write_later(Change(entry.id, range(len(entry.recipients))))

    def _copy_oldest(self) -> None:
        """Copy one undelivered entry of the oldest segment into the newest if there are more than SEGMENTS_MAX."""
        oldest = self._journal.segment_to_copy
        if oldest is None or not self._open_per_segment or self._pending:
            return
        for entry in list(self.entries.values()):
            if entry.place is not None and entry.place.segment == oldest:
                self._loop.create_task(self._copy_entry(entry))
                return

    async def _copy_entry(self, entry: Entry) -> None:
        try:
            content = await self.content(entry)
        except OSError:
            return
        if entry.id not in self.entries or entry.id in self._copying:
            return
        # Write a copy of the entry's state, so that changes during the copy follow as Change records.
        self._copying.add(entry.id)
        copy = replace(entry, content=content, recipients=[replace(recipient) for recipient in entry.recipients])
        written: asyncio.Future[None] = self._loop.create_future()
        written.add_done_callback(lambda done: self._copied(entry.id, done))
        self._enqueue(_PendingWrite([copy], True, written, len(content)))

    def _copied(self, entry_id: str, done: "asyncio.Future[None]") -> None:
        if done.exception() is not None:
            self._copying.discard(entry_id)
