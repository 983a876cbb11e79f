"""What every part of a server's HTTP/2 connection shares: its streams, how they end, and the two scopes of an error.

RFC 9113 sections 3.4, 5.1, 5.1.1, 5.4, 6.8 and 6.9.
"""

from services.http.http2 import limits
from services.http.http2.blocks import BlockReader
from services.http.http2.budget import Budget
from services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError
from services.http.http2.events import Cancelled, Ended, Event
from services.http.http2.frames import FrameReader, Kind, frame, number_octets
from services.http.http2.limits import Waits
from services.http.http2.sender import Sender
from services.http.http2.settings import ANNOUNCED, PeerSettings
from services.http.http2.streams import Closing, Signal, Stream, StreamState


class Http2ConnectionBase:
    """The state of one connection, and what any frame may have to do to it."""

    def __init__(self, scheme: bytes, body_limit_octets: int, waits: Waits, now: float) -> None:
        self.is_over = False
        self.last_stream_id = 0
        self._scheme = scheme
        self._body_limit_octets = body_limit_octets
        self._waits = waits
        self._now = now
        self._peer = PeerSettings()
        self._budget = Budget()
        self._sender = Sender(self._peer, self._budget, self._forget)
        self._reader = FrameReader()
        self._blocks = BlockReader()
        self._streams: dict[int, Stream] = {}
        self._requests_open = 0
        self._closed: dict[int, Closing] = {}
        self._done: list[Stream] = []
        self._events: list[Event] = []
        self._is_draining = False
        self._settings_sent: float | None = now
        self._receive_window = limits.INITIAL_WINDOW
        # RFC 9113 section 3.4: a server's preface is a SETTINGS frame, sent before anything came.
        self._sender.send(frame(Kind.SETTINGS, 0, 0, ANNOUNCED))
        self._replenish()

    def _replenish(self) -> None:
        """Keep the connection's window open: what bounds memory is each stream's own (RFC 9113 section 6.9)."""
        if self._receive_window <= limits.UPLOAD_WINDOW // 2:
            increment = limits.UPLOAD_WINDOW - self._receive_window
            self._sender.send(frame(Kind.WINDOW_UPDATE, 0, 0, number_octets(increment)))
            self._receive_window = limits.UPLOAD_WINDOW

    def _open(self, stream_id: int) -> Stream:
        """Open a client's stream (RFC 9113 section 5.1.1: all idle ones below it are closed by that)."""
        stream = Stream(stream_id, self._peer.initial_window_size, limits.INITIAL_WINDOW, begun=self._now)
        stream.move(Signal.RECEIVE_HEADERS)
        self.last_stream_id = stream_id
        self._streams[stream_id] = stream
        self._requests_open += 1
        self._budget.earn()
        return stream

    def _forget(self, stream: Stream) -> None:
        """Note that this side sent its last frame on a stream, and how the stream came to its end."""
        if stream.state is StreamState.HALF_CLOSED_LOCAL:
            # RFC 9113 section 8.1: a complete response tells the client by this that the rest is not needed.
            self._sender.send(frame(Kind.RST_STREAM, 0, stream.stream_id, number_octets(ErrorCode.NO_ERROR)))
            stream.move(Signal.RESET)
            stream.closing = Closing.BY_OUR_RESET
        if self._streams.pop(stream.stream_id, None) is None:
            return
        if stream.stream_id % 2:
            self._requests_open -= 1
        self._closed[stream.stream_id] = stream.closing
        if len(self._closed) > 2 * limits.CLOSED_STREAMS:
            for stream_id in list(self._closed)[: limits.CLOSED_STREAMS]:
                del self._closed[stream_id]
        self._done.append(stream)

    def _is_idle(self, stream_id: int) -> bool:
        """Tell whether nobody has used or passed over this stream yet (RFC 9113 section 5.1.1)."""
        return stream_id > self.last_stream_id if stream_id % 2 else stream_id > self._last_promised()

    def _last_promised(self) -> int:
        return 0

    def _cancel(self, stream: Stream) -> None:
        if stream.status == 0:
            self._events.append(Cancelled(stream.stream_id))

    def _reset_for(self, fault: Http2StreamError) -> None:
        """RFC 9113 section 5.4.2"""
        # A client can have streams reset by its mistakes as well as by RST_STREAM: both cost the same.
        self._budget.reset(self._now)
        stream = self._streams.get(fault.stream_id)
        if stream is not None:
            self._cancel(stream)
            self._sender.reset(stream, fault.code)
            return
        # RFC 9113 section 6.4: RST_STREAM is never sent for an idle stream, so the fault is the connection's.
        if self._is_idle(fault.stream_id):
            raise Http2ConnectionError(fault.code, fault.detail)
        self._closed[fault.stream_id] = Closing.BY_OUR_RESET
        self._sender.send(frame(Kind.RST_STREAM, 0, fault.stream_id, number_octets(fault.code)))

    def _fail(self, code: ErrorCode, detail: str) -> None:
        """RFC 9113 section 5.4.1: say why and which request was the last, then end."""
        if self.is_over:
            return
        self.is_over = True
        self._go_away(code, detail)
        self.abandon()
        self._events.append(Ended(code, detail))

    def _go_away(self, code: ErrorCode, detail: str = "") -> None:
        payload = number_octets(self.last_stream_id) + number_octets(code) + detail.encode("ascii", "replace")
        self._sender.send(frame(Kind.GOAWAY, 0, 0, payload))

    def abandon(self) -> None:
        """Let go of all streams: nothing more will be sent on them."""
        streams = list(self._streams.values())
        self._streams.clear()
        for stream in streams:
            stream.pushes = []
            stream.release()
            self._cancel(stream)
