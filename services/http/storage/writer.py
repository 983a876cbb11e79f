"""Store writer: saves a response while its content arrives, and serves it to concurrent readers.

    writer = store.begin(stored)
    follower = writer.reader()
    follower.wake = ...           # called when there are more octets, or the end
    writer.write(b"...")          # False once the writer is closed
    writer.commit()               # the StoredResponse, which find() returns from now on; or writer.abort()

A writer aborts by itself where the content exceeds a limit, where other arriving responses take all the space, and
where the disk fails. Further writes are ignored.
"""

import zlib
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto

from services.http.cache.stored import StoredResponse
from services.http.storage.content import FileContent, MemoryContent
from services.http.storage.folder import blocks
from services.http.storage.limits import HELD_CONTENT_OCTETS
from services.http.storage.space import Space


class State(Enum):
    """State of the content."""

    ARRIVING = auto()
    COMPLETE = auto()
    ABORTED = auto()


class Writer:
    """An arriving response; created by Store.begin()."""

    def __init__(
        self, space: Space, stored: StoredResponse, finish: Callable[["Writer", StoredResponse | None], bool]
    ) -> None:
        """`finish(writer, stored)` stores the content, or discards it for None; returns True where it is stored."""
        self.stored = stored
        self.state = State.ARRIVING
        self.size_octets = 0
        self.checksum = 0
        self.content: MemoryContent | FileContent = MemoryContent()
        self.is_revoked = False
        """The URI was invalidated since the start: the content may be outdated and is not stored."""
        self._space = space
        self._finish = finish
        self._memory_octets = 0
        self._disk_octets = 0
        self._readers: set[Reader] = set()

    @property
    def is_open(self) -> bool:
        """True while the content arrives and is accepted."""
        return self.state is State.ARRIVING

    def write(self, data: bytes) -> bool:
        """Append octets; return is_open."""
        if self.is_open and data:
            self._write(data)
        return self.is_open

    def commit(self, stored: StoredResponse | None = None) -> StoredResponse | None:
        """Store the response and return it, with its `size_octets` and `name`; None where it is not stored.

        `stored`, of the same URI, replaces the argument of begin(), for metadata that is known only at the end of the
        content. Content whose length differs from that of its `span` is not stored.
        """
        if not self.is_open:
            return None
        stored = replace(stored or self.stored, size_octets=self.size_octets, name=self.stored.name)
        span = stored.span
        if span is not None and span.last - span.first + 1 != self.size_octets:
            self.abort()
            return None
        is_stored = self._finish(self, stored)
        self._end(State.COMPLETE)
        return stored if is_stored else None

    def abort(self) -> None:
        """Discard the content; does nothing after the end."""
        if not self.is_open:
            return
        self._finish(self, None)
        self._end(State.ABORTED)

    def reader(self, first: int = 0, last: int | None = None) -> "Reader":
        """Return a body of octets `first` to `last` that follows the arriving content.

        Raises ValueError after the end; use Store.open() then.
        """
        if not self.is_open:
            raise ValueError("the content no longer arrives")
        reader = Reader(self, first, last)
        self._readers.add(reader)
        return reader

    def forget(self, reader: "Reader") -> None:
        """Remove a closed reader; after the end, the last one closes the file."""
        self._readers.discard(reader)
        self._close_unread()

    # What the store calls.

    @property
    def held(self) -> bytes | bytearray | None:
        """The content, where it is in memory; else None."""
        if not isinstance(self.content, MemoryContent):
            return None
        octets = self.content.octets
        return bytes(octets) if len(octets) <= HELD_CONTENT_OCTETS else octets

    def reserve(self, memory_octets: int, disk_octets: int) -> bool:
        """Reserve that much more space; return False where there is none."""
        if not self._space.reserve(memory_octets, disk_octets):
            return False
        self._memory_octets += memory_octets
        self._disk_octets += disk_octets
        return True

    def release(self) -> None:
        """Return all reserved space."""
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
        """Reserve the space of content of `size` octets; raises OSError where its file cannot be created."""
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

    def _end(self, state: State) -> None:
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


class Reader:
    """A body that follows arriving content, unaffected by removal of the entry.

    It has read() and close() of services.http.messages.Body, with one difference: b"" means that no octets are
    available yet, and `is_finished` is True at the end.
    """

    def __init__(self, writer: Writer, first: int, last: int | None) -> None:
        self.size_octets: int | None = None if last is None else last - first + 1
        self.wake: Callable[[], None] | None = None
        """Called by write(), commit() and abort() for new octets or the end."""
        self._writer: Writer | None = writer
        self._next = first
        self._end = last

    def read(self, limit_octets: int) -> bytes:
        """Return the next available octets; raises OSError after the stored octets of aborted content."""
        writer = self._writer
        if writer is None or self.is_finished:
            return b""
        end = writer.size_octets if self._end is None else min(self._end + 1, writer.size_octets)
        data = writer.content.read(self._next, min(limit_octets, max(end - self._next, 0)))
        if not data and writer.state is State.ABORTED:
            raise OSError("the content was truncated")
        self._next += len(data)
        return data

    @property
    def is_finished(self) -> bool:
        """True where all octets have been read, or the reader is closed."""
        writer = self._writer
        if writer is None or (self._end is not None and self._next > self._end):
            return True
        return writer.state is State.COMPLETE and self._next >= writer.size_octets

    def close(self) -> None:
        """Release the content; idempotent."""
        writer, self._writer = self._writer, None
        self.wake = None
        if writer is not None:
            writer.forget(self)
