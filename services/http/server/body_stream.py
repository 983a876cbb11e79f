"""Streamed message content with a bounded buffer and backpressure, between a receiving and a sending connection.

    stream = BodyStream()
    stream.feed(b"abc"); stream.read(2); stream.read(2); stream.read(2)    # b"ab", b"c", None: no data available
    stream.finish(); stream.read(2)                                        # b"": the end

Sans-IO: the stream calls `on_more` when the reader can continue, and `on_room` when the writer can. The writer must
pause while `is_full`.
"""

from collections import deque
from collections.abc import Callable

from lab7.services.http.fields import Fields
from lab7.services.http.messages import NO_FIELDS, StreamedBody, do_nothing

# Buffer limit in octets: two reads of the usual size, so that writer and reader do not wait for one another.
BUFFER_OCTETS = 262_144


class BodyStream(StreamedBody):
    """Streamed message content in a bounded buffer, with one writer and one reader.

    `on_room` is called when the buffer has room again after `is_full` was true, `on_close` if the reader closes early.
    """

    def __init__(self, size_octets: int | None = None, buffer_octets: int = BUFFER_OCTETS) -> None:
        super().__init__(size_octets)
        self.on_room: Callable[[], None] = do_nothing
        self.on_close: Callable[[], None] = do_nothing
        self.is_complete = False
        self._buffer_octets = buffer_octets
        self._buffered = 0
        self._pieces: deque[bytes] = deque()
        self._error: str | None = None
        self._was_full = False
        self._is_closed = False

    # The writer's side.

    @property
    def is_full(self) -> bool:
        """True if the buffer is full, so that the writer should wait for on_room."""
        self._was_full = self._buffered >= self._buffer_octets
        return self._was_full

    @property
    def buffered_octets(self) -> int:
        """Size of the buffered content in octets."""
        return self._buffered

    @property
    def remaining_octets(self) -> int | None:
        """Size in octets of the unread content; None until the content is complete."""
        return self._buffered if self.is_complete else None

    @property
    def is_over(self) -> bool:
        """True if no more content may be added: it is complete or has failed, or the reader has closed the stream."""
        return self.is_complete or self._error is not None or self._is_closed

    def feed(self, data: bytes) -> None:
        """Append content to the buffer, even if it is full; the writer must pause while `is_full` is true."""
        if not self.is_over and data:
            self._pieces.append(data)
            self._buffered += len(data)
            self.on_more()

    def finish(self, trailers: Fields = NO_FIELDS) -> None:
        """Mark the content as complete, with its trailer fields."""
        if not self.is_over:
            self.is_complete = True
            self.trailers = trailers
            self.on_more()

    def fail(self, detail: str) -> None:
        """Mark the content as failed: once the buffered part is read, read() raises OSError with `detail`."""
        if not self.is_over:
            self._error = detail
            self.on_more()

    # The reader's side.

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while no data is available; raises OSError after fail()."""
        if self._pieces:
            return self._take(limit_octets)
        if self._error is not None:
            raise OSError(self._error)
        return b"" if self.is_complete else None

    def _take(self, limit_octets: int) -> bytes:
        piece = self._pieces.popleft()
        if len(piece) > limit_octets:
            self._pieces.appendleft(piece[limit_octets:])
            piece = piece[:limit_octets]
        self._buffered -= len(piece)
        if self._was_full and self._buffered < self._buffer_octets // 2:
            self._was_full = False
            self.on_room()
        return piece

    def close(self) -> None:
        """Discard the unread content; call `on_close` unless the content is complete."""
        was_over, self._is_closed = self.is_over, True
        self._pieces.clear()
        self._buffered = 0
        self.on_more = self.on_room = do_nothing
        if not was_over:
            self.on_close()
        self.on_close = do_nothing
