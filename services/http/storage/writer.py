"""A response on its way into the store, which others may read while it comes.

    writer = store.begin(stored)
    follower = writer.reader()
    follower.wake = ...           # called when there is more, or the end
    writer.write(b"...")          # False from the moment on when it is not to be stored
    writer.commit()               # the StoredResponse, findable from now on; or writer.abort()

A writer gives up by itself where the content is larger than may be stored, where other arriving responses take all the
room, and where the disk fails. Whoever writes need not ask: to write on is no mistake and does nothing.
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
    """What has become of the content."""

    ARRIVING = auto()
    COMPLETE = auto()
    ABORTED = auto()


class Writer:
    """One response that arrives; made by Store.begin()."""

    def __init__(
        self, space: Space, stored: StoredResponse, finish: Callable[["Writer", StoredResponse | None], bool]
    ) -> None:
        """`finish` stores the content as the response that it gets, or discards it for None, and tells which."""
        self.stored = stored
        self.state = State.ARRIVING
        self.size_octets = 0
        self.checksum = 0
        self.content: MemoryContent | FileContent = MemoryContent()
        self.is_revoked = False
        """Whether the URI was invalidated since the writer began: what arrives is then of before, and not stored."""
        self._space = space
        self._finish = finish
        self._memory_octets = 0
        self._disk_octets = 0
        self._readers: set[Reader] = set()

    @property
    def is_open(self) -> bool:
        """Whether the content still arrives and is, as far as is known, going to be stored."""
        return self.state is State.ARRIVING

    def write(self, data: bytes) -> bool:
        """Add octets; return is_open."""
        if self.is_open and data:
            self._write(data)
        return self.is_open

    def commit(self, stored: StoredResponse | None = None) -> StoredResponse | None:
        """Store what arrived and return it, with its `size_octets` and `name`; None where it is not stored.

        `stored`, of the same URI, takes the place of what begin() was given, for what only the end of the content
        tells. Content that is not as long as a `span` says is not stored.
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
        """Drop what arrived; does nothing after the end."""
        if not self.is_open:
            return
        self._finish(self, None)
        self._end(State.ABORTED)

    def reader(self, first: int = 0, last: int | None = None) -> "Reader":
        """Return a body of the octets `first` to `last` that follows the content as it arrives.

        Raises ValueError after the end: there is an entry to open, or nothing.
        """
        if not self.is_open:
            raise ValueError("the content no longer arrives")
        reader = Reader(self, first, last)
        self._readers.add(reader)
        return reader

    def forget(self, reader: "Reader") -> None:
        """Take leave of a reader, which is closed; the last one after the end closes the file."""
        self._readers.discard(reader)
        self._close_unread()

    # What the store calls.

    @property
    def held(self) -> bytes | bytearray | None:
        """The content where it is in memory."""
        if not isinstance(self.content, MemoryContent):
            return None
        octets = self.content.octets
        return bytes(octets) if len(octets) <= HELD_CONTENT_OCTETS else octets

    def reserve(self, memory_octets: int, disk_octets: int) -> bool:
        """Make room for that much more; False where there is none."""
        if not self._space.reserve(memory_octets, disk_octets):
            return False
        self._memory_octets += memory_octets
        self._disk_octets += disk_octets
        return True

    def release(self) -> None:
        """Give back all the room that was reserved."""
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
        """Reserve what the content takes once it is `size` octets; raises OSError where its file cannot be had."""
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
    """Reads content while it arrives, and to its end whatever becomes of the entry.

    Has read() and close() of services.http.messages.Body, with one difference: b"" means that there is no more *now*,
    and `is_finished` tells whether there ever will be. `size_octets` is for whoever knows the length from the head.
    """

    def __init__(self, writer: Writer, first: int, last: int | None) -> None:
        self.size_octets: int | None = None if last is None else last - first + 1
        self.wake: Callable[[], None] | None = None
        """Called from within write(), commit() and abort(), when octets or the end have come."""
        self._writer: Writer | None = writer
        self._next = first
        self._end = last

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets that are there; raises OSError once the content was aborted before its end."""
        writer = self._writer
        if writer is None or self.is_finished:
            return b""
        end = writer.size_octets if self._end is None else min(self._end + 1, writer.size_octets)
        data = writer.content.read(self._next, min(limit_octets, max(end - self._next, 0)))
        if not data and writer.state is State.ABORTED:
            raise OSError("the content that was to be stored did not come to its end")
        self._next += len(data)
        return data

    @property
    def is_finished(self) -> bool:
        """Whether everything was read, or the reader is closed."""
        writer = self._writer
        if writer is None or (self._end is not None and self._next > self._end):
            return True
        return writer.state is State.COMPLETE and self._next >= writer.size_octets

    def close(self) -> None:
        """Let go of the content; may be called twice."""
        writer, self._writer = self._writer, None
        self.wake = None
        if writer is not None:
            writer.forget(self)
