"""The frames that steer: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, PRIORITY, RST_STREAM (RFC 9113 sections 6.3 to 6.9).

Each method takes one frame, and raises one of the two errors where the section that it names says so.
"""

from services.http.http2.connection import Http2ConnectionBase
from services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError
from services.http.http2.frames import ACK, PING_OCTETS, PRIORITY_OCTETS, STREAM_ID_MASK, Frame, Kind, frame, number
from services.http.http2.settings import Setting, read_settings
from services.http.http2.streams import Closing


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
