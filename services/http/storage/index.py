"""Index of stored responses by cache key, with accounting of memory and disk space, limits, and LRU eviction.

    index.add(entry)           -> the entries that it replaces; if the URI has too many variants, also the LRU variant
    index.make_room()          -> the entries evicted until memory and disk space are within their limits
    index.find(b"http://a/")   -> the stored responses of a URI, the newest first

The cache key is the URI (RFC 9111 section 2). Variants of one URI differ in the request fields that Vary nominates
(section 4.1), and their number per URI is limited; the function `same_key` compares variants. Index does the
accounting, without I/O; Space removes the files of evicted and replaced entries.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain

from lab7.services.eventlog import EventLog
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.storage import limits
from lab7.services.http.storage.folder import Folder

SameKey = Callable[[StoredResponse, StoredResponse], bool]


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """Limits of the whole store: octets in memory and on disk (0: no disk), entries, and responses of one URI."""

    memory_octets: int = limits.MEMORY_OCTETS
    disk_octets: int = 0
    entries: int = limits.ENTRIES_MAX
    variants: int = limits.VARIANTS_MAX


@dataclass(slots=True, eq=False)
class Entry:
    """Entry of the index: a stored response, its disk space, and its content if that is held in memory."""

    stored: StoredResponse
    checksum: int
    file_octets: int
    """Disk space of its files, 0 without files."""
    content: bytes | bytearray | None = None
    is_verified: bool = True
    """This process has written the content, or verified its checksum."""
    used: int = 0
    """Number of the last use, counted over all entries."""
    head_octets: int = field(init=False)

    def __post_init__(self) -> None:
        self.head_octets = head_octets(self.stored)

    @property
    def memory_octets(self) -> int:
        """Memory that the entry uses at present, in octets: metadata, and content if it is held in memory."""
        return self.head_octets + (len(self.content) if self.content is not None else 0)


def named(stored: StoredResponse, name: str, size_octets: int | None = None) -> StoredResponse:
    """Return a stored response with the name and the size of its content in the store.

    This is cheaper than dataclasses.replace().
    """
    return StoredResponse(
        stored.uri,
        stored.method,
        stored.request_fields,
        stored.request_time,
        stored.response_time,
        stored.response,
        size_octets,
        stored.span,
        name,
    )


def head_octets(stored: StoredResponse) -> int:
    """Estimate the memory of a stored response without its content, in octets."""
    octets = limits.ENTRY_OVERHEAD_OCTETS + len(stored.uri)
    for fields in (stored.request_fields, stored.response.fields):
        octets += limits.LINE_OVERHEAD_OCTETS * len(fields) + sum(map(len, chain.from_iterable(fields.lines)))
    return octets


class Index:
    """Index of entries by name and by URI, in LRU order, with the sums of their memory and disk space.

    `pending_memory` and `pending_disk` are the octets of arriving responses, which count towards the limits as well.
    """

    def __init__(self, most: IndexLimits, same_key: SameKey) -> None:
        self.limits = most
        self.memory_octets = 0
        self.disk_octets = 0
        self.pending_memory = 0
        self.pending_disk = 0
        self._same_key = same_key
        self._uses = 0
        # Entries in LRU order: the least recently used one is first.
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        # Entries whose content is both in memory and in a file, in LRU order.
        self._held: OrderedDict[str, Entry] = OrderedDict()
        self._by_uri: dict[bytes, tuple[StoredResponse, ...]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, uri: bytes) -> tuple[StoredResponse, ...]:
        """Return the stored responses of a URI, the newest first."""
        return self._by_uri.get(uri, ())

    def get(self, name: str) -> Entry | None:
        """Return an entry of the index; None if it has been removed."""
        return self._entries.get(name)

    def touch(self, name: str) -> None:
        """Mark an entry as the most recently used one, if it exists."""
        entry = self._entries.get(name)
        if entry is None:
            return
        self._uses += 1
        entry.used = self._uses
        self._entries.move_to_end(name)
        if name in self._held:
            self._held.move_to_end(name)

    def add(self, entry: Entry) -> list[Entry]:
        """Add an entry.

        Remove the entries that it replaces, and one more if its URI then has too many stored responses. Returns the
        removed entries.
        """
        stored = entry.stored
        before, dropped = self.find(stored.uri), list[Entry]()
        if before:
            gone = [other for other in before if self._replaces(other, stored)]
            dropped = self._drop_all(gone)
            if len(before) - len(gone) >= self.limits.variants:
                dropped += self._drop_all([min(self.find(stored.uri), key=self._last_use)])
        self._by_uri[stored.uri] = (stored, *self.find(stored.uri))
        self._entries[stored.name] = entry
        self._count(entry, 1)
        self.touch(stored.name)
        return dropped

    def has_newer(self, stored: StoredResponse) -> bool:
        """Return True if `stored` would replace a stored response whose arrival began later (RFC 9111 section 4).

        Names are numbered in the order in which responses began to arrive.
        """
        return any(other.name > stored.name and self._replaces(other, stored) for other in self.find(stored.uri))

    def replace(self, entry: Entry, stored: StoredResponse, file_octets: int) -> None:
        """Replace an entry's metadata by `stored`, of the same name and URI, as the URI's newest response."""
        self._count(entry, -1)
        others = (other for other in self.find(stored.uri) if other.name != stored.name)
        self._by_uri[stored.uri] = (stored, *others)
        entry.stored, entry.head_octets, entry.file_octets = stored, head_octets(stored), file_octets
        self._count(entry, 1)
        self.touch(stored.name)

    def hold(self, entry: Entry, content: bytes) -> None:
        """Keep the content of an entry, which is in a file, in memory as well."""
        self._count(entry, -1)
        entry.content = content
        self._count(entry, 1)

    def drop(self, name: str) -> Entry | None:
        """Remove and return an entry; None if it does not exist."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return None
        self._count(entry, -1)
        uri = entry.stored.uri
        rest = tuple(other for other in self._by_uri[uri] if other.name != name)
        if rest:
            self._by_uri[uri] = rest
        else:
            del self._by_uri[uri]
        return entry

    def make_room(self) -> list[Entry]:
        """Evict the least recently used content until all limits hold; return the removed entries.

        First, content that is also in a file is released from memory; then whole entries are removed. Arriving
        responses are not evicted: may_reserve() is checked before they are counted.
        """
        most, evicted = self.limits, []
        while self._held and self.memory_octets + self.pending_memory > most.memory_octets:
            self._release(next(iter(self._held.values())))
        while self._entries and not self._has_room:
            name = next(iter(self._entries))
            entry = self.drop(name)
            if entry is not None:
                evicted.append(entry)
        return evicted

    def may_reserve(self, memory_octets: int, disk_octets: int) -> bool:
        """Return True if arriving content of this size fits the limits, after eviction of all entries if necessary."""
        return (
            self.pending_memory + memory_octets <= self.limits.memory_octets
            and self.pending_disk + disk_octets <= self.limits.disk_octets
        )

    @property
    def _has_room(self) -> bool:
        return (
            self.memory_octets + self.pending_memory <= self.limits.memory_octets
            and self.disk_octets + self.pending_disk <= self.limits.disk_octets
            and len(self._entries) <= self.limits.entries
        )

    def _release(self, entry: Entry) -> None:
        self._count(entry, -1)
        entry.content = None
        self._count(entry, 1)

    def _drop_all(self, gone: list[StoredResponse]) -> list[Entry]:
        dropped = (self.drop(stored.name) for stored in gone)
        return [entry for entry in dropped if entry is not None]

    def _replaces(self, old: StoredResponse, new: StoredResponse) -> bool:
        return old.method == new.method and self._same_key(old, new)

    def _last_use(self, stored: StoredResponse) -> int:
        return self._entries[stored.name].used

    def _count(self, entry: Entry, sign: int) -> None:
        self.memory_octets += sign * entry.memory_octets
        self.disk_octets += sign * entry.file_octets
        if entry.content is None or not entry.file_octets:
            return
        if sign > 0:
            self._held[entry.stored.name] = entry
        else:
            self._held.pop(entry.stored.name, None)


class Space:
    """Memory and disk space of one store: reserved for arriving content, and freed by eviction of entries.

        space.reserve(memory_octets, disk_octets)   # False if other arriving content takes all the space
        space.evict()                               # remove the least recently used entries, until all limits hold

    `object_octets` is the maximum size of one response's content. Disk failures are counted, and the first is logged.
    """

    def __init__(self, index: Index, folder: Folder | None, object_octets: int, log: EventLog | None) -> None:
        self.folder = folder
        self.object_octets = object_octets
        self.evictions = 0
        self.disk_failures = 0
        self._index = index
        self._log = log
        self._disk_fails = False

    def reserve(self, memory_octets: int, disk_octets: int) -> bool:
        """Reserve octets for arriving content, or release them (negative numbers); return False if there is no room."""
        is_more = memory_octets > 0 or disk_octets > 0
        if is_more and not self._index.may_reserve(memory_octets, disk_octets):
            return False
        self._index.pending_memory += memory_octets
        self._index.pending_disk += disk_octets
        if is_more:
            self.evict()
        return True

    def evict(self) -> None:
        """Evict the least recently used entries until all limits hold."""
        evicted = self._index.make_room()
        if evicted:
            self.evictions += len(evicted)
            self.remove_files(evicted)

    def remove_files(self, entries: Iterable[Entry]) -> None:
        """Remove the files of entries that were removed from the index."""
        if self.folder is not None:
            for entry in entries:
                self.folder.remove(entry.stored.name)

    def disk_failed(self, error: OSError) -> None:
        """Count a failed write; log it if it is the first failure since a successful write."""
        self.disk_failures += 1
        if not self._disk_fails and self._log is not None:
            self._log.write("not stored", reason=f"write failed: {error}")
        self._disk_fails = True

    def disk_succeeded(self) -> None:
        """Record a successful write, so that the next failure is logged again."""
        self._disk_fails = False
