"""Store of responses in memory, or with a directory on disk, persistent over restarts.

    store = Store(memory_octets=64 << 20, directory=Path("cache"))
    writer = store.begin(stored); writer.write(b"..."); writer.commit()
    [stored] = store.find(b"http://www.example.com/")
    body = store.open(stored)

Without a directory all responses are in memory. With one all are on disk, and small, recently used content is cached
in memory. Calls return at once or after access to the local disk; none waits for a peer. Left out: the LRU order over a
restart (entries are loaded in the order in which they were stored).
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.eventlog import EventLog
from services.http.cache.stored import StoredResponse
from services.http.cache.vary import same_key
from services.http.files.representation import FileBody
from services.http.messages import Body
from services.http.ranges import Span
from services.http.storage import limits
from services.http.storage.content import MemoryBody, Segment, joined, read_content, verify_content
from services.http.storage.folder import Folder, blocks
from services.http.storage.format import Head, encode_head
from services.http.storage.index import Entry, Index, Limits, SameKey, head_octets
from services.http.storage.space import Space
from services.http.storage.writer import Writer

# Errors of an overloaded system; a file that cannot be opened because of them is not damaged.
_NOT_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Current entries and octets, and counters since the start."""

    entries: int
    memory_octets: int
    disk_octets: int
    writers: int
    stored: int
    evictions: int
    aborted: int
    damaged: int
    disk_failures: int


class Store:
    """A bounded set of stored responses; raises ServiceError where `directory` cannot be used."""

    def __init__(
        self,
        *,
        same_key: SameKey = same_key,
        memory_octets: int = limits.MEMORY_OCTETS,
        object_octets: int = limits.OBJECT_OCTETS,
        directory: Path | None = None,
        disk_octets: int = limits.DISK_OCTETS,
        entries_max: int = limits.ENTRIES_MAX,
        log: EventLog | None = None,
    ) -> None:
        """`same_key(old, new)` returns True where a new response of the same URI and method replaces an old one (RFC
        9111 section 4.1). `object_octets` limits the content of one response, `memory_octets` the memory and
        `disk_octets` the disk space of all, including heads and arriving content."""
        self.folder = None if directory is None else Folder(directory)
        self._index = Index(Limits(memory_octets, 0 if directory is None else disk_octets, entries_max), same_key)
        self._writers: dict[bytes, set[Writer]] = {}
        self._space = Space(self._index, self.folder, object_octets, log)
        self._log = log
        self._last_name = 0
        self._stored = self._aborted = self._damaged = 0
        if self.folder is not None:
            self._load(self.folder)

    def find(self, uri: bytes) -> tuple[StoredResponse, ...]:
        """Return the stored responses of a URI, the newest first."""
        return self._index.find(uri)

    def begin(self, stored: StoredResponse, expected_octets: int = 0) -> Writer:
        """Start storing a response; return the writer for its content, which is aborted where storing is impossible.

        `expected_octets` is the length of the content, 0 where unknown. It avoids evictions for a response that turns
        out to be too large.
        """
        self._last_name += 1
        stored = replace(stored, name=f"{self._last_name:016x}")
        writer = Writer(self._space, stored, self._finish)
        self._writers.setdefault(stored.uri, set()).add(writer)
        octets = head_octets(stored)
        is_small = len(stored.uri) <= limits.URI_OCTETS and octets <= limits.HEAD_OCTETS
        if not is_small or not self._may_arrive(expected_octets) or not writer.reserve(octets, 0):
            writer.abort()
        return writer

    def open(self, stored: StoredResponse, first: int = 0, last: int | None = None) -> Body | None:
        """Return a body of octets `first` to `last` (default: the end) of a stored response's content.

        Both are relative to the stored content, even for a partial response, and `last` may exceed its end. Removal of
        the entry does not affect the body. None is a miss: the entry was removed, or its files are damaged, which
        removes it.
        """
        size = stored.size_octets or 0
        end = size if last is None else min(last + 1, size)
        return self._open(stored, [(first, max(end - first, 0))])

    def open_segments(self, stored: StoredResponse, segments: Sequence[bytes | Span]) -> Body | None:
        """Return a body of several spans of the content and of literal octets, like open().

        Raises ValueError for a span that is not within the content.
        """
        return self._open(stored, _segments(stored, segments))

    def held(self, stored: StoredResponse, segments: Sequence[bytes | Span] | None = None) -> bytes | None:
        """Return the same as bytes where the content is small and in memory; None otherwise: use open()."""
        entry = self._index.get(stored.name)
        if entry is None or not isinstance(entry.content, bytes):
            return None
        self._index.touch(stored.name)
        if segments is None:
            return entry.content
        return joined(entry.content, _segments(stored, segments))

    def touch(self, stored: StoredResponse) -> None:
        """Mark a stored response as used, as open() and held() do."""
        self._index.touch(stored.name)

    def replace(self, old: StoredResponse, new: StoredResponse) -> StoredResponse | None:
        """Replace the head of a stored response by that of `new`, with the same content (RFC 9111 section 3.2).

        Return the updated stored response; None where `old` was removed.
        """
        entry = self._index.get(old.name)
        if entry is None:
            return None
        before = entry.stored
        new = replace(new, uri=before.uri, name=before.name, size_octets=before.size_octets, span=before.span)
        self._index.replace(entry, new, self._rewrite_head(entry, new))
        self._space.evict()
        return new

    def remove(self, stored: StoredResponse) -> None:
        """Remove a stored response, if it exists."""
        entry = self._index.drop(stored.name)
        if entry is not None:
            self._space.remove_files([entry])

    def remove_uri(self, uri: bytes) -> None:
        """Invalidate a URI: remove its stored responses, and do not store those that are arriving, since they may
        precede the change (RFC 9111 section 4.4)."""
        for stored in self.find(uri):
            self.remove(stored)
        for writer in self._writers.get(uri, ()):
            writer.is_revoked = True

    @property
    def statistics(self) -> Statistics:
        """Current numbers and counters."""
        index = self._index
        return Statistics(
            entries=len(index),
            memory_octets=index.memory_octets + index.pending_memory,
            disk_octets=index.disk_octets + index.pending_disk,
            writers=sum(map(len, self._writers.values())),
            stored=self._stored,
            evictions=self._space.evictions,
            aborted=self._aborted,
            damaged=self._damaged,
            disk_failures=self._space.disk_failures,
        )

    def close(self) -> None:
        """Abort arriving responses and release the directory; open bodies stay readable."""
        for writers in tuple(self._writers.values()):
            for writer in tuple(writers):
                writer.abort()
        if self.folder is not None:
            self.folder.close()

    # The end of a writer.

    def _finish(self, writer: Writer, stored: StoredResponse | None) -> bool:
        """Store the content of a writer as `stored`, or discard it for None; return True where it is stored."""
        if stored is None:
            self._discard(writer)
        is_stored = stored is not None and self._keep(writer, stored)
        writers = self._writers.get(writer.stored.uri, set())
        writers.discard(writer)
        if not writers:
            self._writers.pop(writer.stored.uri, None)
        return is_stored

    def _keep(self, writer: Writer, stored: StoredResponse) -> bool:
        is_outdated = writer.is_revoked or self._index.has_newer(stored)
        entry = None if is_outdated else self._write_files(writer, stored)
        if entry is None:
            self._discard(writer)
            return False
        writer.release()
        self._space.remove_files(self._index.add(entry))
        self._space.evict()
        self._stored += 1
        return self._index.get(stored.name) is entry

    def _discard(self, writer: Writer) -> None:
        self._aborted += 1
        if self.folder is not None:
            self.folder.remove(writer.stored.name)

    # Files.

    def _load(self, folder: Folder) -> None:
        for head, file_octets in folder.scan():
            self._last_name = int(head.stored.name, 16)
            entry = Entry(head.stored, head.checksum, file_octets, is_verified=False)
            self._space.remove_files(self._index.add(entry))
        self._space.evict()

    def _may_arrive(self, octets: int) -> bool:
        is_small = self.folder is None or octets <= limits.HELD_CONTENT_OCTETS
        room = (octets, 0) if is_small else (0, blocks(octets))
        return octets <= self._space.object_octets and self._index.may_reserve(*room)

    def _write_files(self, writer: Writer, stored: StoredResponse) -> Entry | None:
        held = writer.held
        if self.folder is None:
            return Entry(stored, writer.checksum, 0, held)
        octets = encode_head(Head(stored, writer.checksum))
        more = blocks(len(octets)) + blocks(len(held or b""))
        if len(octets) > limits.HEAD_OCTETS or not self._space.reserve(0, more):
            return None
        try:
            self.folder.write(stored.name, octets, held)
        except OSError as error:
            self._space.disk_failed(error)
            return None
        finally:
            self._space.reserve(0, -more)
        self._space.disk_succeeded()
        return Entry(stored, writer.checksum, blocks(len(octets)) + blocks(writer.size_octets), held)

    def _rewrite_head(self, entry: Entry, stored: StoredResponse) -> int:
        """Write another head of an entry; return the disk space of its files."""
        if self.folder is None:
            return 0
        content_octets = blocks(stored.size_octets or 0)
        octets = encode_head(Head(stored, entry.checksum))
        try:
            if len(octets) > limits.HEAD_OCTETS:
                raise OSError("the head exceeds the size limit")
            self.folder.write_head(stored.name, octets)
        except OSError as error:
            # The outdated head must not be loaded at the next start.
            self._space.disk_failed(error)
            self.folder.remove_head(stored.name)
            return content_octets
        return blocks(len(octets)) + content_octets

    def _open(self, stored: StoredResponse, segments: Sequence[Segment]) -> Body | None:
        entry = self._index.get(stored.name)
        if entry is None:
            return None
        self._index.touch(stored.name)
        if entry.content is not None:
            return MemoryBody(entry.content, segments)
        if self.folder is None or not entry.stored.size_octets:
            return MemoryBody(b"", segments)
        try:
            descriptor = self.folder.open_content(entry.stored.name)
        except OSError as error:
            if error.errno not in _NOT_NOW:
                self._drop_damaged(entry, error)
            return None
        return self._body(entry, descriptor, segments)

    def _body(self, entry: Entry, descriptor: int, segments: Sequence[Segment]) -> Body | None:
        size = entry.stored.size_octets or 0
        is_small = size <= limits.HELD_CONTENT_OCTETS
        try:
            if is_small:
                content = read_content(descriptor, size, entry.checksum)
            else:
                verify_content(descriptor, size, None if entry.is_verified else entry.checksum)
        except OSError as error:
            os.close(descriptor)
            self._drop_damaged(entry, error)
            return None
        if not is_small:
            entry.is_verified = True
            return FileBody(descriptor, segments)
        os.close(descriptor)
        self._index.hold(entry, content)
        self._space.evict()
        return MemoryBody(content, segments)

    def _drop_damaged(self, entry: Entry, reason: OSError) -> None:
        self._damaged += 1
        if self._log is not None:
            self._log.write("damaged", uri=entry.stored.uri, reason=str(reason))
        self.remove(entry.stored)


def _segments(stored: StoredResponse, segments: Sequence[bytes | Span]) -> list[Segment]:
    size = stored.size_octets or 0
    for segment in segments:
        if isinstance(segment, Span) and not 0 <= segment.first <= segment.last < size:
            raise ValueError(f"{segment} is not within {size} octets of content")
    return [segment if isinstance(segment, bytes) else (segment.first, len(segment)) for segment in segments]
