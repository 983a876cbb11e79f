"""A response on its way into the store, and at the same time to everybody who waits for it.

    fill = Fill(arrival, writer)
    body = fill.reader()         # for each client; all get the same octets from the first one on
    fill.start()

While the writer takes the content, readers read what is stored, each at its own pace, and none holds up another: the
bound is the store's. From where the writer takes no more (the content is too large, or the store has no room), readers
share what comes, and the slowest of them holds back the source. Content that breaks off breaks off for every reader,
and is stored as what it is: part of a representation, or not at all (RFC 9111 section 3.3).
"""

from collections.abc import Callable

from services.http.cache.storable import truncated
from services.http.cache.stored import StoredResponse
from services.http.messages import StreamedBody, do_nothing
from services.http.server.body_stream import BodyStream
from services.http.storage.writer import Reader, State, Writer

PIECE_OCTETS = 262_144
# What is nearly here is fetched to its end even if nobody waits for it any more: squid's quick_abort_min is 16 KB and
# its quick_abort_pct 95 %; this is the former for today's lines.
NEARLY_OCTETS = 1024 * 1024


def _never() -> bool:
    return False


class Fill:
    """One arriving response. `is_wanted` tells whether somebody who has no reader yet is going to want one."""

    def __init__(
        self,
        source: StreamedBody,
        writer: Writer | None,
        is_wanted: Callable[[], bool] = _never,
        keeps_on: bool = False,
    ) -> None:
        """`writer` is None where nothing is to be stored; `keeps_on`: to be stored though nobody reads it."""
        self.writer = writer
        self.source = source
        self.error: str | None = None
        self.is_over = False
        self.on_over: Callable[[], None] = do_nothing
        self._is_wanted = is_wanted
        self._keeps_on = keeps_on
        self._readers: list[FillReader] = []
        self._is_pumping = False

    def start(self) -> None:
        """Take what is there, and from then on what comes."""
        self.source.on_more = self.pump
        self.pump()

    @property
    def joined(self) -> StoredResponse | None:
        """What arrives, where all of it can still be had by a new reader, and may be: it was not invalidated."""
        writer = self.writer
        return None if writer is None or self.is_over or not writer.is_open or writer.is_revoked else writer.stored

    @property
    def is_storing(self) -> bool:
        """Whether what comes goes into the store."""
        return self.writer is not None and self.writer.is_open

    @property
    def taken_octets(self) -> int:
        """How much the store has taken."""
        return 0 if self.writer is None else self.writer.size_octets

    def reader(self) -> "FillReader":
        """Return a body that reads all of the content; for a fill that has not begun, or may be joined."""
        writer = self.writer
        reader = FillReader(self, writer.reader() if writer is not None and writer.is_open else None)
        self._readers.append(reader)
        return reader

    def pump(self) -> None:
        """Pass on what has come, as far as it may go."""
        # Whoever is given a piece may ask for the next one, which is not to overtake this one on its way to others.
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
        """Pass on one piece; returns whether there was one, or the end."""
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
        """Give up where nobody wants the content and it is not worth having."""
        if self.is_over or self._readers or self._is_wanted():
            return
        if self.is_storing and (self._keeps_on or self._is_nearly_here()):
            return
        self.source.close()
        self._break("nobody waits for it")

    def leave(self, reader: "FillReader") -> None:
        """Take leave of a reader."""
        if reader in self._readers:
            self._readers.remove(reader)
            self.check()
            # It may have been the one that held the others up.
            self.pump()

    def _share(self, data: bytes) -> None:
        for reader in tuple(self._readers):
            reader.tail.feed(data)
        self.check()

    def _is_nearly_here(self) -> bool:
        size = self.source.size_octets
        return size is not None and size - self.taken_octets <= NEARLY_OCTETS

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
    """What one client gets of a Fill: what the store has taken, then what came behind that."""

    def __init__(self, fill: Fill, stored: Reader | None) -> None:
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
        """Whether it holds up the source."""
        return self.tail.is_full

    @property
    def remaining_octets(self) -> int | None:
        """How much is left to be read where all of it is here, None where it is not."""
        fill = self._fill
        if not fill.is_over or fill.error is not None:
            return None
        return self.tail.buffered_octets + (fill.taken_octets if self._stored is not None else 0)

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while nothing is there; raises OSError where it broke off."""
        if self._stored is None:
            return self.tail.read(limit_octets)
        try:
            data = self._stored.read(limit_octets)
        except OSError:
            # The writer gave up, and what it took until then is read; or that cannot be read.
            writer = self._fill.writer
            if writer is None or writer.state is not State.ABORTED:
                raise
            data = b""
        if data:
            return data
        if self._fill.is_storing:
            return None
        # All that was stored is read; what the writer did not take is in the tail, and so is the end.
        self._stored.close()
        self._stored = None
        return self.tail.read(limit_octets)

    def close(self) -> None:
        """Let go of it; may be called twice."""
        self.on_more = do_nothing
        if self._stored is not None:
            self._stored.close()
            self._stored = None
        self.tail.close()
        self._fill.leave(self)

    def _more(self) -> None:
        self.on_more()
