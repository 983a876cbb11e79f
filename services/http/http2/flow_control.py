"""Receive flow control of an HTTP/2 server: the windows that bound request content (RFC 9113 sections 5.2 and 6.9).

HTTP/2 has two levels of windows: one for each stream and one for the connection, and a DATA frame must fit into both.
Only the payload of DATA frames counts, padding included. Each direction has its own windows; the receiver of the
content widens them with WINDOW_UPDATE. All windows start at 65,535 octets.

Receiving (ReceiveWindows, below). Request content is buffered until the request is complete, so the windows are
what bounds memory. The connection's window is replenished whenever half of it is used, whatever happens to the
content: it bounds no memory, since every octet that it admits is also in a stream's window. If it were tied to the
streams, one stalled upload would block all others. A stream's window is different. A request of up to 65,535 octets
needs no WINDOW_UPDATE at all. Longer ones are widened to UPLOAD_WINDOW and replenished at half, but only
GROWING_BODIES of them at a time; the others wait in a queue with a window of zero until one of these is complete.
A connection can thus not hold more than about GROWING_BODIES times the body limit, plus one initial window for each
of the other concurrent streams. While a stream waits in that queue its deadline does not run: this side is the one
that stops it. The peer's violation of a window is an error with the window's scope: of the stream or the connection.

Sending (scheduler.py). The client's windows limit the DATA that leaves. Two rules are easy to get wrong. A change of
SETTINGS_INITIAL_WINDOW_SIZE shifts the window of every open stream by the difference, possibly below zero, and leaves
the connection's window as it is (section 6.9.2). And a window above 2^31-1 is an error, even if nothing was to be
sent (section 6.9.1). A stream whose window is empty leaves the scheduler's queue; WINDOW_UPDATE or SETTINGS puts it
back. After an upgrade from HTTP/1.1 the connection's send window is reduced to EARLY_OCTETS until the client's
preface has arrived, since some clients cannot buffer more before they have switched protocols.
"""

from collections import deque
from collections.abc import Callable, Mapping

from lab7.services.http.http2 import limits
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError
from lab7.services.http.http2.frames import Kind, encode_frame, encode_uint32
from lab7.services.http.http2.streams import Stream


class ReceiveWindows:
    """Receive windows of an HTTP/2 server: of the connection, and of the streams enlarged for an upload."""

    def __init__(self, send: Callable[[bytes], None], streams: Mapping[int, Stream], body_s: float) -> None:
        """Create the windows; `send` takes WINDOW_UPDATE frames, `streams` are open, `body_s` limits their content."""
        self._send = send
        self._streams = streams
        self._body_s = body_s
        self._window = limits.INITIAL_WINDOW
        # `_growing` has the streams with an enlarged window; `_waiting` has streams that wait for an enlarged window.
        self._growing: set[int] = set()
        self._waiting: deque[Stream] = deque()

    def replenish(self) -> None:
        """Restore the connection's window to UPLOAD_WINDOW once half of the window is used."""
        if self._window <= limits.UPLOAD_WINDOW // 2:
            increment = limits.UPLOAD_WINDOW - self._window
            self._send(encode_frame(Kind.WINDOW_UPDATE, 0, 0, encode_uint32(increment)))
            self._window = limits.UPLOAD_WINDOW

    def consume(self, size_octets: int) -> None:
        """Count a DATA frame against the connection's window; raises Http2ConnectionError beyond it."""
        if size_octets > self._window:
            raise Http2ConnectionError(
                ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the connection's flow-control window"
            )
        self._window -= size_octets
        self.replenish()

    def widen(self, stream: Stream, now: float) -> None:
        """Enlarge a stream's window; queue the stream if GROWING_BODIES streams have an enlarged window already."""
        if stream.stream_id not in self._growing:
            self._widen_waiting(now)
            if len(self._growing) >= limits.GROWING_BODIES:
                if stream.receive_window <= 0:
                    self._waiting.append(stream)
                return
            self._growing.add(stream.stream_id)
        if stream.receive_window <= limits.UPLOAD_WINDOW // 2:
            increment = limits.UPLOAD_WINDOW - stream.receive_window
            stream.receive_window = limits.UPLOAD_WINDOW
            self._send(encode_frame(Kind.WINDOW_UPDATE, 0, stream.stream_id, encode_uint32(increment)))

    def complete(self, stream: Stream, now: float) -> None:
        """Handle the end of a stream's content: enlarge the windows of the next streams in the queue."""
        self._growing.discard(stream.stream_id)
        self._widen_waiting(now)

    def _widen_waiting(self, now: float) -> None:
        if self._growing:
            self._growing = {stream_id for stream_id in self._growing if stream_id in self._streams}
        while self._waiting and len(self._growing) < limits.GROWING_BODIES:
            stream = self._waiting.popleft()
            if stream.may_receive:
                stream.deadline = now + self._body_s
                self._growing.add(stream.stream_id)
                self.widen(stream, now)
