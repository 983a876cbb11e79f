"""Storage accounting: the memory and disk space of entries and of content that arrives, and eviction where it is full.

    space.reserve(memory_octets, disk_octets)   # False where other arriving content takes all the space
    space.evict()                               # entries leave, the one unused for longest first, until all limits hold

The index (index.py) counts; this module removes the files of what leaves, and notes failures of the disk.
"""

from collections.abc import Iterable

from services.eventlog import EventLog
from services.http.storage.folder import Folder
from services.http.storage.index import Entry, Index


class Space:
    """The space of one store; `object_octets` is the largest content that is stored."""

    def __init__(self, index: Index, folder: Folder | None, object_octets: int, log: EventLog | None) -> None:
        self.folder = folder
        self.object_octets = object_octets
        self.evictions = 0
        self.disk_failures = 0
        self._index = index
        self._log = log
        self._disk_fails = False

    def reserve(self, memory_octets: int, disk_octets: int) -> bool:
        """Reserve space for octets that arrive, or return it where negative; False where others take all of it."""
        if (memory_octets > 0 or disk_octets > 0) and not self._index.may_reserve(memory_octets, disk_octets):
            return False
        self._index.pending_memory += memory_octets
        self._index.pending_disk += disk_octets
        self.evict()
        return True

    def evict(self) -> None:
        """Evict entries until all limits hold."""
        evicted = self._index.make_room()
        self.evictions += len(evicted)
        self.remove_files(evicted)

    def remove_files(self, entries: Iterable[Entry]) -> None:
        """Remove the files of entries that have left the index."""
        if self.folder is not None:
            for entry in entries:
                self.folder.remove(entry.stored.name)

    def disk_failed(self, error: OSError) -> None:
        """Count a write that failed; log the first one since the last that succeeded."""
        self.disk_failures += 1
        if not self._disk_fails and self._log is not None:
            self._log.write("not stored", reason=f"write failed: {error}")
        self._disk_fails = True

    def disk_succeeded(self) -> None:
        """Note a write that succeeded."""
        self._disk_fails = False
