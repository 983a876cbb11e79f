"""Store of HTTP responses in memory or, persistent over restarts, in a directory on disk.

    store = Store(memory_octets=64 << 20, directory=Path("cache"))
    store.put(stored, b"...")     # a response whose small content has arrived completely, in one step
    writer = store.begin(stored)
    follower = writer.reader()    # a body for a client, read while the content arrives
    writer.write(b"...")          # False once the writer is closed
    writer.commit()               # the StoredResponse, which find() returns from now on; or writer.abort()
    [stored] = store.find(b"http://www.example.com/")
    body = store.open(stored)

Without a directory, all responses are in memory. With a directory, all responses are on disk, and small, recently used
content is also cached in memory. Calls return at once or after access to the local disk; no call waits for a peer. Left
out: persistence of the LRU order (after a restart, entries are loaded in the order in which they were stored).
"""

import errno
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from lab7.services.eventlog import EventLog
from lab7.services.http.cache.keys import same_key
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.files.static import FileBody, Segment
from lab7.services.http.messages import Body
from lab7.services.http.ranges import Span
from lab7.services.http.storage import limits
from lab7.services.http.storage.folder import Folder, blocks, write_all
from lab7.services.http.storage.format import Head, encode_head
from lab7.services.http.storage.index import Entry, Index, IndexLimits, SameKey, Space, head_octets, named
from lab7.services.http.storage.limits import HELD_CONTENT_OCTETS, PIECE_OCTETS

# Content, in memory and in files.


class MemoryBody:
    """Response body from content in memory: selected parts of it, and literal octets in between.

    It stays readable after the store has removed the entry.
    """

    def __init__(self, content: bytes | bytearray, segments: Sequence[Segment]) -> None:
        """Create a body of `segments`: literal octets, or pairs (offset, length) that select a part of `content`."""
        views = [_view(content, segment) for segment in reversed(segments)]
        self.size_octets: int | None = sum(map(len, views))
        self._views = views

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets, b"" at the end."""
        while self._views:
            view = self._views.pop()
            if len(view) > limit_octets:
                self._views.append(view[limit_octets:])
            if view:
                return bytes(view[:limit_octets])
        return b""

    def close(self) -> None:
        """Release the content; idempotent."""
        self._views.clear()


def joined(content: bytes | bytearray, segments: Sequence[Segment]) -> bytes:
    """Return the octets that a MemoryBody with the same arguments yields, as one bytes object."""
    return b"".join(_view(content, segment) for segment in segments)


def _view(content: bytes | bytearray, segment: Segment) -> memoryview:
    if isinstance(segment, bytes):
        return memoryview(segment)
    return memoryview(content)[segment[0] : segment[0] + segment[1]]


class MemoryContent:
    """Content that is arriving and is buffered in memory."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def write(self, data: bytes) -> None:
        """Append octets to the content in memory."""
        self.octets += data

    def read(self, offset: int, limit_octets: int) -> bytes:
        """Return at most `limit_octets` of the available octets from `offset` on."""
        with memoryview(self.octets) as view:
            return bytes(view[offset : offset + limit_octets])

    def close(self) -> None:
        """Do nothing: an entry or a reader may still use the octets."""


class FileContent:
    """Content that is arriving and is written to a new file; methods raise OSError if the disk fails."""

    def __init__(self, folder: Folder, name: str, octets: bytearray) -> None:
        self._descriptor = folder.create_content(name)
        try:
            self.write(octets)
        except OSError:
            self.close()
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Append octets to the file; raises OSError."""
        write_all(self._descriptor, data)

    def read(self, offset: int, limit_octets: int) -> bytes:
        """Return at most `limit_octets` of the available octets from `offset` on; raises OSError."""
        return os.pread(self._descriptor, limit_octets, offset)

    def close(self) -> None:
        """Close the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def read_content(descriptor: int, size_octets: int, checksum: int) -> bytes:
    """Return the complete content of a file; raises OSError if length or CRC-32 differ from the stored values."""
    content = os.pread(descriptor, size_octets + 1, 0)
    if len(content) != size_octets or zlib.crc32(content) != checksum:
        raise OSError("checksum mismatch")
    return content


def verify_content(descriptor: int, size_octets: int, checksum: int | None) -> None:
    """Verify a file's length, and its CRC-32 if given; raises OSError if a value differs from the stored one."""
    if os.fstat(descriptor).st_size != size_octets:
        raise OSError("size mismatch")
    if checksum is None:
        return
    actual = offset = 0
    while data := os.pread(descriptor, PIECE_OCTETS, offset):
        offset += len(data)
        actual = zlib.crc32(data, actual)
    if offset != size_octets or actual != checksum:
        raise OSError("checksum mismatch")


# Arriving content.


class WriterState(Enum):
    """State of a StoreWriter: content is arriving, the response is committed (stored), or it was aborted."""

    ARRIVING = auto()
    COMPLETE = auto()
    ABORTED = auto()


class StoreWriter:
    """Writer of one response whose content is arriving; created by Store.begin().

    The writer aborts itself if the content exceeds a limit, if other arriving responses take all the space, or if the
    disk fails. Further writes are ignored.
    """

    def __init__(
        self, space: Space, stored: StoredResponse, finish: Callable[["StoreWriter", StoredResponse | None], bool]
    ) -> None:
        """Create an open writer.

        `finish(writer, stored)` is called at the end: it stores the content and returns True, or discards it if
        `stored` is None.
        """
        self.stored = stored
        self.state = WriterState.ARRIVING
        self.size_octets = 0
        self.checksum = 0
        self.content: MemoryContent | FileContent = MemoryContent()
        self.is_revoked = False
        """The URI was invalidated since the start: the content may be outdated and is not stored."""
        self._space = space
        self._finish = finish
        self._memory_octets = 0
        self._disk_octets = 0
        self._readers: set[StoreReader] = set()

    @property
    def is_open(self) -> bool:
        """True while the writer accepts content: neither committed nor aborted."""
        return self.state is WriterState.ARRIVING

    def write(self, data: bytes) -> bool:
        """Append octets; return False once the writer is closed."""
        if self.is_open and data:
            self._write(data)
        return self.is_open

    def commit(self, stored: StoredResponse | None = None) -> StoredResponse | None:
        """Store the response and return it with its `size_octets` and `name`; None if it cannot be stored.

        `stored`, of the same URI, replaces the argument of begin(), for metadata that is known only at the end of the
        content. Content whose length differs from that of its `span` is not stored.
        """
        if not self.is_open:
            return None
        stored = named(stored or self.stored, self.stored.name, self.size_octets)
        span = stored.span
        if span is not None and span.last - span.first + 1 != self.size_octets:
            self.abort()
            return None
        is_stored = self._finish(self, stored)
        self._end(WriterState.COMPLETE)
        return stored if is_stored else None

    def abort(self) -> None:
        """Discard the content; does nothing after commit() or abort()."""
        if not self.is_open:
            return
        self._finish(self, None)
        self._end(WriterState.ABORTED)

    def reader(self, first: int = 0, last: int | None = None) -> "StoreReader":
        """Return a StoreReader of octets `first` to `last` (None: the end), which can be read while they arrive.

        Raises ValueError once the writer is closed; Store.open() is then to be used.
        """
        if not self.is_open:
            raise ValueError("the content is no longer being received")
        reader = StoreReader(self, first, last)
        self._readers.add(reader)
        return reader

    def forget(self, reader: "StoreReader") -> None:
        """Remove a closed reader from the writer's list.

        After the end of writing, the last removal closes the content file.
        """
        self._readers.discard(reader)
        self._close_unread()

    # Methods for the Store.

    @property
    def held(self) -> bytes | bytearray | None:
        """The content that has arrived so far, as bytes, if it is in memory; None if it is in a file."""
        if not isinstance(self.content, MemoryContent):
            return None
        octets = self.content.octets
        return bytes(octets) if len(octets) <= HELD_CONTENT_OCTETS else octets

    def reserve(self, memory_octets: int, disk_octets: int) -> bool:
        """Reserve additional memory and disk space, in octets; return False if there is no room."""
        if not self._space.reserve(memory_octets, disk_octets):
            return False
        self._memory_octets += memory_octets
        self._disk_octets += disk_octets
        return True

    def release(self) -> None:
        """Release all space that the writer has reserved."""
        self.reserve(-self._memory_octets, -self._disk_octets)

    def _write(self, data: bytes) -> None:
        size = self.size_octets + len(data)
        try:
            if not self._has_room(size, len(data)):
                self.abort()
                return
            self.content.write(data)
        except OSError as error:
            self._space.disk_failed(error)
            self.abort()
            return
        self.size_octets = size
        self.checksum = zlib.crc32(data, self.checksum)
        self._wake()

    def _has_room(self, size: int, more: int) -> bool:
        """Reserve space for `more` octets, by which the content grows to `size` octets.

        Return False if there is no room. Content that becomes too large for memory is moved to a file. Raises OSError.
        """
        if size > self._space.object_octets:
            return False
        if isinstance(self.content, MemoryContent) and (self._space.folder is None or size <= HELD_CONTENT_OCTETS):
            return self.reserve(more, 0)
        if not self.reserve(0, blocks(size) - self._disk_octets):
            return False
        if isinstance(self.content, MemoryContent) and self._space.folder is not None:
            size_before = self.size_octets
            self.content = FileContent(self._space.folder, self.stored.name, self.content.octets)
            self.reserve(-size_before, 0)
        return True

    def _end(self, state: WriterState) -> None:
        self.state = state
        self.release()
        self._close_unread()
        self._wake()

    def _close_unread(self) -> None:
        if not self._readers and not self.is_open:
            self.content.close()

    def _wake(self) -> None:
        for reader in tuple(self._readers):
            if reader.wake is not None:
                reader.wake()


class StoreReader:
    """Response body that follows arriving content; it stays readable after the store has removed the entry.

    StoreReader has read() and close() of lab7.services.http.messages.Body, with one difference: b"" means that no
    octets are available yet, and `is_finished` is True at the end.
    """

    def __init__(self, writer: StoreWriter, first: int, last: int | None) -> None:
        self.size_octets: int | None = None if last is None else last - first + 1
        self.wake: Callable[[], None] | None = None
        """Called by write(), commit() and abort() for new octets or the end."""
        self._writer: StoreWriter | None = writer
        self._next = first
        self._end = last

    def read(self, limit_octets: int) -> bytes:
        """Return the next available octets.

        If the content was aborted, raises OSError after the last octet that has arrived.
        """
        writer = self._writer
        if writer is None or self.is_finished:
            return b""
        end = writer.size_octets if self._end is None else min(self._end + 1, writer.size_octets)
        data = writer.content.read(self._next, min(limit_octets, max(end - self._next, 0)))
        if not data and writer.state is WriterState.ABORTED:
            raise OSError("the content was truncated")
        self._next += len(data)
        return data

    @property
    def is_finished(self) -> bool:
        """True once all octets have been read, or the reader is closed."""
        writer = self._writer
        if writer is None or (self._end is not None and self._next > self._end):
            return True
        return writer.state is WriterState.COMPLETE and self._next >= writer.size_octets

    def close(self) -> None:
        """Release the content; idempotent."""
        writer, self._writer = self._writer, None
        self.wake = None
        if writer is not None:
            writer.forget(self)


# The store.

# Errors of an overloaded system, after which a file that cannot be opened is not regarded as damaged.
_NOT_NOW = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of a store: present numbers of entries, octets and writers; counters of events since the start."""

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
    """Bounded store of HTTP responses, in memory or on disk. Raises ServiceError if `directory` cannot be used."""

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
        """Create a store in memory or, with `directory`, on disk.

        `memory_octets`, `disk_octets` and `entries_max` limit all responses together, with metadata and arriving
        content; `object_octets` limits the content of one response. `same_key(old, new)` returns True if a new response
        of the same URI and method replaces an old one (RFC 9111 section 4.1).
        """
        self.folder = None if directory is None else Folder(directory)
        self._index = Index(IndexLimits(memory_octets, 0 if directory is None else disk_octets, entries_max), same_key)
        self._writers: dict[bytes, set[StoreWriter]] = {}
        self._space = Space(self._index, self.folder, object_octets, log)
        self._log = log
        self._last_name = 0
        self._stored = self._aborted = self._damaged = 0
        if self.folder is not None:
            self._load(self.folder)

    def find(self, uri: bytes) -> tuple[StoredResponse, ...]:
        """Return the stored responses of a URI, the newest first."""
        return self._index.find(uri)

    def begin(self, stored: StoredResponse, expected_octets: int = 0) -> StoreWriter:
        """Start storing a response; return the writer for its content, already aborted if storing is impossible.

        `expected_octets` is the length of the content, 0 if unknown. If it is known, a response that is too large is
        rejected at once, before other entries are evicted for it.
        """
        self._last_name += 1
        stored = named(stored, f"{self._last_name:016x}")
        writer = StoreWriter(self._space, stored, self._finish)
        self._writers.setdefault(stored.uri, set()).add(writer)
        octets = head_octets(stored)
        is_small = len(stored.uri) <= limits.URI_OCTETS and octets <= limits.HEAD_OCTETS
        if not is_small or not self._may_arrive(expected_octets) or not writer.reserve(octets, 0):
            writer.abort()
        return writer

    def put(self, stored: StoredResponse, content: bytes) -> StoredResponse | None:
        """Store a response whose content has arrived completely; return it as commit() does, None if it is not stored.

        The content has at most HELD_CONTENT_OCTETS; longer content needs begin().
        """
        self._last_name += 1
        octets = head_octets(stored)
        is_small = len(stored.uri) <= limits.URI_OCTETS and octets <= limits.HEAD_OCTETS
        is_whole = stored.span is None or len(stored.span) == len(content)
        has_room = len(content) <= self._space.object_octets and self._index.may_reserve(octets + len(content), 0)
        stored = named(stored, f"{self._last_name:016x}", len(content))
        entry = self._write_files(stored, zlib.crc32(content), content) if is_small and is_whole and has_room else None
        if entry is None:
            self._discard(stored.name)
            return None
        return stored if self._add(entry) else None

    def open(self, stored: StoredResponse, first: int = 0, last: int | None = None) -> Body | None:
        """Return a body of octets `first` to `last` (default: the end) of a stored response's content; None for a miss.

        Both positions are relative to the stored content, even for a partial response; `last` may be beyond the end of
        the content. Later removal of the entry does not affect the body. A miss means that the entry has been removed,
        or that its files are damaged; then open() removes the entry.
        """
        size = stored.size_octets or 0
        end = size if last is None else min(last + 1, size)
        return self._open(stored, [(first, max(end - first, 0))])

    def open_segments(self, stored: StoredResponse, segments: Sequence[bytes | Span]) -> Body | None:
        """Return a body of several segments: spans of the content, or literal octets; None for a miss (see open()).

        Raises ValueError for a span that is not within the content.
        """
        return self._open(stored, _segments(stored, segments))

    def held(self, stored: StoredResponse, segments: Sequence[bytes | Span] | None = None) -> bytes | None:
        """Return the content of a stored response, or its `segments`, as bytes if it is small and in memory.

        Returns None otherwise; open() is then to be used.
        """
        entry = self._index.get(stored.name)
        if entry is None or not isinstance(entry.content, bytes):
            return None
        self._index.touch(stored.name)
        if segments is None:
            return entry.content
        return joined(entry.content, _segments(stored, segments))

    def touch(self, stored: StoredResponse) -> None:
        """Mark a stored response as the most recently used one, as open() and held() do."""
        self._index.touch(stored.name)

    def replace(self, old: StoredResponse, new: StoredResponse) -> StoredResponse | None:
        """Replace the metadata of the stored response `old` by those of `new`; keep its content (RFC 9111 section 3.2).

        Return the updated stored response; None if `old` was removed.
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
        """Remove a stored response, if it is still stored."""
        entry = self._index.drop(stored.name)
        if entry is not None:
            self._space.remove_files([entry])

    def remove_uri(self, uri: bytes) -> None:
        """Invalidate a URI: remove its stored responses (RFC 9111 section 4.4).

        Responses that are just arriving will not be stored either, since they may precede the change.
        """
        for stored in self.find(uri):
            self.remove(stored)
        for writer in self._writers.get(uri, ()):
            writer.is_revoked = True

    @property
    def statistics(self) -> Statistics:
        """Return the statistics of the store."""
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

    def _finish(self, writer: StoreWriter, stored: StoredResponse | None) -> bool:
        """Store a writer's content as the response `stored`, or discard it if `stored` is None.

        Returns True if the response is stored.
        """
        if stored is None:
            self._discard(writer.stored.name)
        is_stored = stored is not None and self._keep(writer, stored)
        writers = self._writers.get(writer.stored.uri, set())
        writers.discard(writer)
        if not writers:
            self._writers.pop(writer.stored.uri, None)
        return is_stored

    def _keep(self, writer: StoreWriter, stored: StoredResponse) -> bool:
        is_outdated = writer.is_revoked or self._index.has_newer(stored)
        entry = None if is_outdated else self._write_files(stored, writer.checksum, writer.held)
        if entry is None:
            self._discard(stored.name)
            return False
        writer.release()
        return self._add(entry)

    def _add(self, entry: Entry) -> bool:
        """Add an entry to the index, evicting others if necessary; return True if it is stored afterwards."""
        self._space.remove_files(self._index.add(entry))
        self._space.evict()
        self._stored += 1
        return self._index.get(entry.stored.name) is entry

    def _discard(self, name: str) -> None:
        self._aborted += 1
        if self.folder is not None:
            self.folder.remove(name)

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

    def _write_files(self, stored: StoredResponse, checksum: int, held: bytes | bytearray | None) -> Entry | None:
        """Write a response's metadata, and content held in memory, to files.

        Returns the index entry of the response, None if the disk fails.
        """
        if self.folder is None:
            return Entry(stored, checksum, 0, held)
        octets = encode_head(Head(stored, checksum))
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
        return Entry(stored, checksum, blocks(len(octets)) + blocks(stored.size_octets or 0), held)

    def _rewrite_head(self, entry: Entry, stored: StoredResponse) -> int:
        """Write changed metadata of an entry to its file; return the disk space of both of its files, in octets."""
        if self.folder is None:
            return 0
        content_octets = blocks(stored.size_octets or 0)
        octets = encode_head(Head(stored, entry.checksum))
        try:
            if len(octets) > limits.HEAD_OCTETS:
                raise OSError("the head exceeds the size limit")
            self.folder.write_head(stored.name, octets)
        except OSError as error:
            # Remove the outdated metadata, which must not be loaded at the next start.
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
            raise ValueError(f"{segment} is outside of the {size} octets of content")
    return [segment if isinstance(segment, bytes) else (segment.first, len(segment)) for segment in segments]
