"""What every part of a server's HTTP/2 connection shares: its streams, how they end, and the two scopes of an error.

RFC 9113 sections 3.4, 5.1, 5.1.1, 5.4, 6.8 and 6.9.
"""

from services.http.http2 import limits
from services.http.http2.budget import Budget
from services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError
from services.http.http2.events import Cancelled, Ended, Event
from services.http.http2.frames import (
    ACK,
    PING_OCTETS,
    PRIORITY_OCTETS,
    STREAM_ID_MASK,
    Frame,
    FrameReader,
    Kind,
    frame,
    number,
    number_octets,
)
from services.http.http2.hpack import BlockReader
from services.http.http2.limits import Waits
from services.http.http2.sender import Sender
from services.http.http2.settings import ANNOUNCED, PeerSettings, Setting, read_settings
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


# The frames that steer: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, PRIORITY, RST_STREAM (RFC 9113 sections 6.3 to 6.9).
#
# Each method takes one frame, and raises one of the two errors where the section that it names says so.


def require_size(came: Frame, octets: int) -> None:
    """Refuse a frame that is not as long as its kind has to be."""
    if len(came.payload) != octets:
        raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, f"{Kind(came.kind).name} of {len(came.payload)} octets")


def require_connection(came: Frame) -> None:
    """Refuse a frame that names a stream and is for the connection."""
    if came.stream_id:
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{Kind(came.kind).name} on a stream")


def require_stream(came: Frame) -> None:
    """Refuse a frame that names no stream and is for one."""
    if not came.stream_id:
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{Kind(came.kind).name} on stream 0")


class ControlFrames(Http2ConnectionBase):
    """The part of a connection that is told how to go on."""

    def _on_settings(self, came: Frame) -> None:
        """RFC 9113 section 6.5"""
        require_connection(came)
        if came.flags & ACK:
            require_size(came, 0)
            if self._settings_sent is None:
                self._budget.idle_frame(self._now)
            self._settings_sent = None
            return
        self._budget.idle_frame(self._now)
        self._apply_settings(came.payload)
        self._sender.send(frame(Kind.SETTINGS, ACK, 0))

    def _apply_settings(self, payload: bytes) -> None:
        entries = read_settings(payload)
        for setting, value in entries:
            if setting is Setting.HEADER_TABLE_SIZE:
                self._sender.resize_table(value)
            elif setting is Setting.INITIAL_WINDOW_SIZE:
                # RFC 9113 section 6.9.2: the difference goes to every stream's window, the connection's has none of it.
                change = value - self._peer.initial_window_size
                self._peer.initial_window_size = value
                for stream in self._streams.values():
                    self._sender.shift(stream, change)
        self._peer.apply(entries)

    def _on_ping(self, came: Frame) -> None:
        """RFC 9113 section 6.7"""
        require_connection(came)
        require_size(came, PING_OCTETS)
        self._budget.idle_frame(self._now)
        if not came.flags & ACK:
            self._sender.send(frame(Kind.PING, ACK, 0, came.payload))

    def _on_goaway(self, came: Frame) -> None:
        """RFC 9113 section 6.8: the client takes no more pushes; what it asked for it still wants."""
        require_connection(came)
        if len(came.payload) < 8:
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY of less than 8 octets")
        self._budget.idle_frame(self._now)
        self._peer.enable_push = False

    def _on_window_update(self, came: Frame) -> None:
        """RFC 9113 sections 6.9 and 6.9.1"""
        require_size(came, 4)
        increment = number(came.payload) & STREAM_ID_MASK
        self._budget.window_update(self._now)
        if not came.stream_id:
            if not increment:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self._sender.widen(increment)
            return
        stream = self._streams.get(came.stream_id)
        if stream is None:
            self._require_used(came)
        elif not increment:
            raise Http2StreamError(came.stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        else:
            self._sender.widen_stream(stream, increment)

    def _on_priority(self, came: Frame) -> None:
        """RFC 9113 section 6.3: read and not acted on; it may name a stream in any state."""
        require_stream(came)
        if len(came.payload) != PRIORITY_OCTETS:
            raise Http2StreamError(came.stream_id, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of a length other than 5")
        self._budget.idle_frame(self._now)
        self._refuse_self_dependency(came.stream_id, came.payload)

    def _refuse_self_dependency(self, stream_id: int, fields: bytes) -> None:
        # RFC 7540 section 5.3.1; RFC 9113 took the rule out together with priorities, and no honest client breaks it.
        if number(fields) & STREAM_ID_MASK == stream_id:
            raise Http2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")

    def _on_rst_stream(self, came: Frame) -> None:
        """RFC 9113 section 6.4"""
        require_stream(came)
        require_size(came, 4)
        stream = self._streams.get(came.stream_id)
        if stream is None:
            self._require_used(came)
            self._budget.idle_frame(self._now)
            return
        # A pushed stream may well be refused: how many there are is this side's doing.
        if came.stream_id % 2:
            self._budget.reset(self._now)
        self._cancel(stream)
        self._sender.drop(stream, Closing.BY_PEER_RESET)

    def _require_used(self, came: Frame) -> None:
        # RFC 9113 section 5.1: on an idle stream none but HEADERS and PRIORITY.
        if self._is_idle(came.stream_id):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{Kind(came.kind).name} on an idle stream")

    def _on_push_promise(self, came: Frame) -> None:
        """RFC 9113 section 8.4: a client cannot push."""
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"PUSH_PROMISE from a client, on stream {came.stream_id}")
