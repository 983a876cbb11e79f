"""Receive flow control of an HTTP/2 server: the windows that bound request content (RFC 9113 sections 5.2 and 6.9).

HTTP/2 has two levels of windows: one per stream and one for the connection, and a DATA frame must fit into both. Only
the payload of DATA frames counts, padding included. Each direction has its own windows; the receiver of the content
widens them with WINDOW_UPDATE. All windows start at 65,535 octets.

Receiving (ReceiveWindows, below). Request content is buffered until the request is complete, so memory has to be
bounded by the stream windows. The connection window cannot do that: it is replenished whenever half of it is used,
whether or not the content has been consumed, since otherwise one stalled upload would block all others. A request of up
to 65,535 octets fits into the initial stream window and needs no WINDOW_UPDATE. For a longer request, the stream window
is enlarged to UPLOAD_WINDOW and replenished at half, but for at most GROWING_BODIES streams at a time. Any other stream
with a longer request waits in a queue, its window exhausted, until one of the enlarged streams is complete. A
connection thus buffers no more than about GROWING_BODIES times the body limit, plus one initial window per further
concurrent stream. The deadline of a stream in the queue does not run, since this side delays the content. DATA beyond a
stream window is a stream error; DATA beyond the connection window is a connection error.

Sending (scheduler.py). The client's windows limit the DATA that is sent. Two rules are easy to get wrong. A change of
SETTINGS_INITIAL_WINDOW_SIZE shifts the window of every open stream by the difference, possibly below zero, and leaves
the connection window as it is (section 6.9.2). A WINDOW_UPDATE that raises a window above 2^31-1 is an error, even if
nothing is to be sent (section 6.9.1). A stream whose window is exhausted leaves the scheduler's queue; WINDOW_UPDATE or
SETTINGS puts it back. After an upgrade from HTTP/1.1 the connection's send window is reduced to EARLY_OCTETS until the
client's preface has arrived, since some clients cannot buffer more before they have switched protocols.
"""

from collections import deque
from collections.abc import Callable, Mapping

from lab7.services.http.http2 import limits
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError
from lab7.services.http.http2.frames import Kind, encode_frame, encode_uint32
from lab7.services.http.http2.streams import Stream


class ReceiveWindows:
    """Receive windows of an HTTP/2 server: the connection window, and the stream windows enlarged for an upload."""

    def __init__(self, send: Callable[[bytes], None], streams: Mapping[int, Stream], body_s: float) -> None:
        """Create the windows of a connection.

        `send` is called with encoded WINDOW_UPDATE frames; `streams` are the open streams, keyed by number. `body_s` is
        the time limit in seconds for the content of a queued stream's request; it starts when the window is enlarged.
        """
        self._send = send
        self._streams = streams
        self._body_s = body_s
        self._window = limits.INITIAL_WINDOW
        # `_growing` has the streams with an enlarged window; `_waiting` has streams that wait for an enlarged window.
        self._growing: set[int] = set()
        self._waiting: deque[Stream] = deque()

    def replenish(self) -> None:
        """Restore the connection window to UPLOAD_WINDOW once half of it is used."""
        if self._window <= limits.UPLOAD_WINDOW // 2:
            increment = limits.UPLOAD_WINDOW - self._window
            self._send(encode_frame(Kind.WINDOW_UPDATE, 0, 0, encode_uint32(increment)))
            self._window = limits.UPLOAD_WINDOW

    def consume(self, size_octets: int) -> None:
        """Count a DATA frame against the connection window; raises Http2ConnectionError if it exceeds the window."""
        if size_octets > self._window:
            raise Http2ConnectionError(
                ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the connection's flow-control window"
            )
        self._window -= size_octets
        self.replenish()

    def widen(self, stream: Stream, now: float) -> None:
        """Enlarge a stream's window for an upload.

        If GROWING_BODIES streams have enlarged windows, put the stream in a queue.
        """
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
        """Handle the end of a stream's content: enlarge the windows of streams in the queue."""
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
