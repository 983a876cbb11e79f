"""Content on its way from one connection to another: fed by one side, read by the other, bounded in between.

    arrival = Arrival()
    arrival.feed(b"abc"); arrival.read(2); arrival.read(2); arrival.read(2)    # b"ab", b"c", None: more is to come
    arrival.finish(); arrival.read(2)                                          # b"": the end

No I/O and no clock: each side is told by a callback when to go on, and the feeder holds back while `is_full`.
"""

from collections import deque
from collections.abc import Callable

from services.http.fields import Fields
from services.http.messages import NO_FIELDS, Arriving, nothing

# What waits between two connections: two of the kernel's usual reads, so that neither side waits for the other.
HELD_OCTETS = 262_144


class Arrival(Arriving):
    """Content with one feeder and one reader.

    `on_room` is called when there is room again after `is_full` was seen, `on_close` when the reader wants no more.
    """

    def __init__(self, size_octets: int | None = None, held_octets: int = HELD_OCTETS) -> None:
        super().__init__(size_octets)
        self.on_room: Callable[[], None] = nothing
        self.on_close: Callable[[], None] = nothing
        self.is_complete = False
        self._held_most = held_octets
        self._held = 0
        self._pieces: deque[bytes] = deque()
        self._error: str | None = None
        self._was_full = False
        self._is_closed = False

    # The feeder's side.

    @property
    def is_full(self) -> bool:
        """Whether the feeder is to wait for on_room."""
        self._was_full = self._held >= self._held_most
        return self._was_full

    @property
    def held_octets(self) -> int:
        """How much waits to be read."""
        return self._held

    @property
    def waiting_octets(self) -> int | None:
        """How much is left to be read where all of it is here, None where it is not."""
        return self._held if self.is_complete else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be fed: it is complete, it failed, or nobody reads on."""
        return self.is_complete or self._error is not None or self._is_closed

    def feed(self, data: bytes) -> None:
        """Add content; a feeder that holds back keeps what waits within the bound."""
        if not self.is_over and data:
            self._pieces.append(data)
            self._held += len(data)
            self.on_more()

    def finish(self, trailers: Fields = NO_FIELDS) -> None:
        """Say that the content is complete."""
        if not self.is_over:
            self.is_complete = True
            self.trailers = trailers
            self.on_more()

    def fail(self, detail: str) -> None:
        """Say that the content breaks off here; what came before is still read."""
        if not self.is_over:
            self._error = detail
            self.on_more()

    # The reader's side.

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while nothing is there; raises OSError where it broke off."""
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
        self._held -= len(piece)
        if self._was_full and self._held < self._held_most // 2:
            self._was_full = False
            self.on_room()
        return piece

    def close(self) -> None:
        """Want no more; the feeder is told where the content was not complete."""
        was_over, self._is_closed = self.is_over, True
        self._pieces.clear()
        self._held = 0
        self.on_more = self.on_room = nothing
        if not was_over:
            self.on_close()
        self.on_close = nothing
