"""Cache fill: writing an arriving response into the store while streaming it to all waiting clients.

    fill = CacheFill(source, writer)    # source: the arriving content; writer: a StoreWriter, None to store nothing
    body = fill.reader()                # a StreamedBody for each client, from the first octet on
    fill.start()

While the store accepts the content, each client's reader reads it from the store at its own rate; memory is bounded by
the store's limits. The store may reject further octets, because the content is too large or the store is full. These
octets are buffered per reader (FillReader.tail), and the slowest reader pauses the source (backpressure). If the
content is truncated, all readers get truncated content, and it is stored as a partial response or not at all (RFC 9111
section 3.3).
"""

from collections.abc import Callable

from lab7.services.http.cache.response import truncated
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.messages import StreamedBody, do_nothing
from lab7.services.http.server.body_stream import BodyStream
from lab7.services.http.storage.store import StoreReader, StoreWriter, WriterState

PIECE_OCTETS = 262_144
# If all clients have disconnected, the content is fetched to its end only if at most QUICK_ABORT_OCTETS are missing.
# QUICK_ABORT_OCTETS is larger than squid's quick_abort_min of 16 KB, to suit faster links.
QUICK_ABORT_OCTETS = 1024 * 1024


def _never() -> bool:
    return False


class CacheFill:
    """Transfer of the content of one arriving response into the store and to its clients, each with a FillReader.

    `is_wanted` is a function that returns True while a client that has no reader yet is waiting for the response.
    """

    def __init__(
        self,
        source: StreamedBody,
        writer: StoreWriter | None,
        is_wanted: Callable[[], bool] = _never,
        continues_unread: bool = False,
    ) -> None:
        """Create a cache fill; `writer` stores the content, None to store nothing.

        With `continues_unread`, storing continues after all readers have closed.
        """
        self.writer = writer
        self.source = source
        self.error: str | None = None
        self.is_over = False
        self.on_over: Callable[[], None] = do_nothing
        self._is_wanted = is_wanted
        self._continues_unread = continues_unread
        self._readers: list[FillReader] = []
        self._is_pumping = False

    def start(self) -> None:
        """Transfer the content that has arrived so far, and register pump() to be called when more arrives."""
        self.source.on_more = self.pump
        self.pump()

    @property
    def joinable(self) -> StoredResponse | None:
        """The arriving response, if a new reader can still get all of its content; None otherwise.

        It is None, too, if the URI has been invalidated, since the response may then be outdated.
        """
        writer = self.writer
        return None if writer is None or self.is_over or not writer.is_open or writer.is_revoked else writer.stored

    @property
    def is_storing(self) -> bool:
        """True while arriving octets are written to the store."""
        return self.writer is not None and self.writer.is_open

    @property
    def stored_octets(self) -> int:
        """Size in octets of the content written to the store so far."""
        return 0 if self.writer is None else self.writer.size_octets

    def reader(self) -> "FillReader":
        """Return a new reader of the whole content. Call this only before start() or while `joinable` is not None."""
        writer = self.writer
        reader = FillReader(self, writer.reader() if writer is not None and writer.is_open else None)
        self._readers.append(reader)
        return reader

    def pump(self) -> None:
        """Transfer arriving content to store and readers, until no more is available or a reader's buffer is full."""
        # Do not re-enter pump(), which a reader may call: the next piece must not overtake this one.
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while not self.is_over and not any(reader.is_full for reader in self._readers):
                if not self._pass_on():
                    break
        finally:
            self._is_pumping = False

    def _pass_on(self) -> bool:
        """Write one piece of arriving content to the store; if the store does not accept it, give it to the readers.

        Returns False if no piece is available.
        """
        try:
            data = self.source.read(PIECE_OCTETS)
        except OSError as error:
            self._break(str(error))
            return True
        if data is None:
            return False
        if not data:
            self._end()
        elif self.writer is None or not self.writer.write(data):
            self._share(data)
        return True

    def check(self) -> None:
        """Abort the transfer if no client is left, unless the content is still to be stored."""
        if self.is_over or self._readers or self._is_wanted():
            return
        if self.is_storing and (self._continues_unread or self._is_nearly_complete()):
            return
        self.source.close()
        self._break("all clients have disconnected")

    def remove_reader(self, reader: "FillReader") -> None:
        """Remove a reader; after the last one, abort the transfer unless the content continues to be stored."""
        if reader in self._readers:
            self._readers.remove(reader)
            self.check()
            # Resume the source, which the full buffer of the removed reader may have paused.
            self.pump()

    def _share(self, data: bytes) -> None:
        for reader in tuple(self._readers):
            reader.tail.feed(data)
        self.check()

    def _is_nearly_complete(self) -> bool:
        size = self.source.size_octets
        return size is not None and size - self.stored_octets <= QUICK_ABORT_OCTETS

    def _end(self) -> None:
        self.is_over = True
        trailers = self.source.trailers
        self.source.close()
        if self.writer is not None:
            self.writer.commit()
        for reader in tuple(self._readers):
            reader.trailers = trailers
            reader.tail.finish(trailers)
        self._conclude()

    def _break(self, detail: str) -> None:
        self.is_over = True
        self.error = detail
        writer = self.writer
        if writer is not None and writer.is_open:
            part = truncated(writer.stored, writer.size_octets)
            if part is None:
                writer.abort()
            else:
                writer.commit(part)
        for reader in tuple(self._readers):
            reader.tail.fail(detail)
        self._conclude()

    def _conclude(self) -> None:
        on_over, self.on_over = self.on_over, do_nothing
        on_over()


class FillReader(StreamedBody):
    """Response body for one client: first the octets in the store, then the octets that the store did not accept."""

    def __init__(self, fill: CacheFill, stored: StoreReader | None) -> None:
        super().__init__(fill.source.size_octets)
        self.tail = BodyStream()
        self._fill = fill
        self._stored = stored
        self.tail.on_more = self._more
        self.tail.on_room = fill.pump
        if stored is not None:
            stored.wake = self._more

    @property
    def is_full(self) -> bool:
        """True if the buffer of octets that are not stored is full; reading from the origin then pauses."""
        return self.tail.is_full

    @property
    def remaining_octets(self) -> int | None:
        """Number of octets left to read; None unless all of the content has arrived without an error."""
        fill = self._fill
        if not fill.is_over or fill.error is not None:
            return None
        return self.tail.buffered_octets + (fill.stored_octets if self._stored is not None else 0)

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while none are available; raises OSError if truncated."""
        if self._stored is None:
            return self.tail.read(limit_octets)
        try:
            data = self._stored.read(limit_octets)
        except OSError:
            # An aborted writer raises OSError once all stored octets have been read; other errors come from the disk.
            writer = self._fill.writer
            if writer is None or writer.state is not WriterState.ABORTED:
                raise
            data = b""
        if data:
            return data
        if self._fill.is_storing:
            return None
        # After the stored part, `tail` has the octets that were not stored, and the end of the content.
        self._stored.close()
        self._stored = None
        return self.tail.read(limit_octets)

    def close(self) -> None:
        """Release the body's content; idempotent."""
        self.on_more = do_nothing
        if self._stored is not None:
            self._stored.close()
            self._stored = None
        self.tail.close()
        self._fill.remove_reader(self)

    def _more(self) -> None:
        self.on_more()
