"""Scheduler of an HTTP/2 server's frames: responses, round-robin DATA, send windows (RFC 9113 sections 5.2 and 6.9).

HEADERS are sent at once. DATA is scheduled round-robin, one frame per stream that has content and a send window, so
that a large object does not delay a small one. Content is read only when its stream is scheduled, so that at most one
frame per stream is buffered, whatever the size of the content. Trailers follow the content. A pushed response is
scheduled after the page that it was promised with. The rules of flow control are explained in flow_control.py.

RFC 9113 sections 4.3, 5.2, 6.1, 6.9, 8.1 and 8.4.2. Left out: padding, and the priorities of RFC 7540, which RFC 9113
section 5.3 deprecates.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from lab7.services.http.http1.codec import has_no_content
from lab7.services.http.http2 import limits
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError
from lab7.services.http.http2.frames import (
    END_STREAM,
    Kind,
    encode_frame,
    encode_header_block,
    encode_uint32,
)
from lab7.services.http.http2.header_lists import (
    field_list,
    interim_header_list,
    request_header_list,
    response_header_list,
)
from lab7.services.http.http2.hpack import HeaderEncoder
from lab7.services.http.http2.limits import RateLimits
from lab7.services.http.http2.settings import PeerSettings
from lab7.services.http.http2.streams import Closing, Signal, Stream, StreamState
from lab7.services.http.messages import Body, Request, Response, StreamedBody, do_nothing


class BrokenBodyError(Exception):
    """Error for a response whose content is shorter or longer than its Content-Length."""


def _ignore(_: Stream) -> None:
    return


class Scheduler:
    """Scheduler of the frames that an HTTP/2 server sends: encodes and buffers them until take_outgoing() is called."""

    def __init__(self, peer: PeerSettings, rate_limits: RateLimits, on_end: Callable[[Stream], None]) -> None:
        """Create a scheduler; `on_end` is called with each stream whose last frame has been sent."""
        self.peer = peer
        self._rate_limits = rate_limits
        self.outgoing_octets = 0
        self._on_end = on_end
        # The scheduler calls on_more when a stream without available content has content again.
        self.on_more: Callable[[], None] = do_nothing
        self._window = limits.INITIAL_WINDOW
        self._header_encoder = HeaderEncoder()
        self._queue: deque[Stream] = deque()
        self._out: list[bytes] = []

    def detach(self) -> None:
        """Remove the callbacks of a closed connection, which would keep it in memory by a reference cycle."""
        self._on_end = _ignore
        self.on_more = do_nothing

    def take_outgoing(self) -> bytes:
        """Return the buffered frames, and clear the buffer."""
        out, self._out = self._out, []
        self.outgoing_octets = 0
        return out[0] if len(out) == 1 else b"".join(out)

    def send(self, octets: bytes) -> None:
        """Buffer a frame that is not subject to flow control."""
        self._out.append(octets)
        self.outgoing_octets += len(octets)

    @property
    def can_produce(self) -> bool:
        """True if produce() could send DATA now."""
        return bool(self._queue) and self._window > 0

    # Responses.

    def send_interim(self, stream: Stream, response: Response) -> None:
        """Buffer an interim response: HEADERS with a 1xx status and without END_STREAM (RFC 9113 section 8.1)."""
        block = self._header_encoder.encode(interim_header_list(response.status, response.fields))
        self.send(encode_header_block(Kind.HEADERS, 0, stream.stream_id, block, self._frame_limit()))

    def send_response(self, stream: Stream, response: Response, date: bytes) -> None:
        """Buffer a response's HEADERS, and queue its content; the stream owns the response's Body from here on."""
        if stream.parent is not None:
            # Hold a pushed response until the page is complete; only its PUSH_PROMISE is sent before that.
            stream.held = (response, date)
            return
        body = response.body
        size = len(body) if isinstance(body, bytes) else body.size_octets
        method = b"GET" if stream.request is None else stream.request.method
        empty = size == 0 or has_no_content(method, response.status)
        self._send_head(stream, response, date, size, empty)
        if empty:
            if not isinstance(body, bytes):
                body.close()
            self._end(stream)
        elif isinstance(body, bytes):
            stream.content, stream.owed_octets = body, len(body)
            self._begin_content(stream)
        else:
            stream.source, stream.owed_octets = body, size
            if isinstance(body, StreamedBody):
                body.on_more = partial(self._resume, stream)
            self._begin_content(stream)

    def _send_head(self, stream: Stream, response: Response, date: bytes, size: int | None, empty: bool) -> None:
        # RFC 9110 section 8.6: no Content-Length with 204; it may be omitted with 304.
        length = None if response.status in (204, 304) else size
        key = (response.status, response.fields, date, length)
        block = self._header_encoder.cached(key)
        if block is None:
            block = self._header_encoder.encode(
                response_header_list(response.status, response.fields, date, length), key
            )
        stream.status = response.status
        stream.response_header_size_bytes = len(block)
        stream.move(Signal.SEND_HEADERS)
        flags = END_STREAM if empty else 0
        self.send(encode_header_block(Kind.HEADERS, flags, stream.stream_id, block, self._frame_limit()))

    def _begin_content(self, stream: Stream) -> None:
        size = len(stream.content)
        # Fast path: the content fits into one frame, and no other stream is queued.
        if (
            0 < size <= min(limits.FRAME_OCTETS, stream.send_window, self._window)
            and not self._queue
            and self.outgoing_octets < limits.OUTGOING_OCTETS
        ):
            self._send_data(stream, stream.content, END_STREAM)
            self._end(stream)
        else:
            self._enqueue(stream)

    def promise(self, parent: Stream, pushed: Stream, request: Request, scheme: bytes) -> None:
        """Buffer PUSH_PROMISE of `pushed` on the stream `parent`, before that stream's DATA (RFC 9113 8.4.1)."""
        block = self._header_encoder.encode(request_header_list(request, scheme))
        payload = encode_uint32(pushed.stream_id) + block
        pushed.request = request
        pushed.request_header_size_bytes = len(block)
        pushed.move(Signal.SEND_PROMISE)
        self.send(encode_header_block(Kind.PUSH_PROMISE, 0, parent.stream_id, payload, self._frame_limit()))
        pushed.parent = parent
        parent.pushes.append(pushed)

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Buffer RST_STREAM, and drop the stream's content."""
        self.send(encode_frame(Kind.RST_STREAM, 0, stream.stream_id, encode_uint32(code)))
        self.drop(stream, Closing.BY_OUR_RESET)

    def drop(self, stream: Stream, closing: Closing) -> None:
        """Close a stream without sending on it, and drop its content."""
        stream.move(Signal.RESET)
        stream.closing = closing
        self._conclude(stream)

    # Send windows.

    def withhold(self, octets: int) -> None:
        """Reduce the connection's send window by `octets`; a negative number restores it.

        After an upgrade from HTTP/1.1, the server thus sends less than the client's window permits until the preface
        arrives.
        """
        self._window -= octets

    def widen(self, increment: int) -> None:
        """Add the increment of a WINDOW_UPDATE to the connection's send window.

        Raises Http2ConnectionError on overflow.
        """
        # RFC 9113 section 6.9.1: a window above 2^31-1 is an error.
        if self._window + increment > limits.LARGEST_WINDOW:
            raise Http2ConnectionError(
                ErrorCode.FLOW_CONTROL_ERROR, "the connection's flow-control window exceeds its maximum"
            )
        self._window += increment

    def widen_stream(self, stream: Stream, increment: int) -> None:
        """Add the increment of a WINDOW_UPDATE to a stream's send window; raises Http2StreamError on overflow."""
        if stream.send_window + increment > limits.LARGEST_WINDOW:
            raise Http2StreamError(
                stream.stream_id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's flow-control window exceeds its maximum"
            )
        stream.send_window += increment
        self._enqueue(stream)

    def shift_window(self, stream: Stream, change: int) -> None:
        """Add a change of SETTINGS_INITIAL_WINDOW_SIZE to a stream's send window, possibly below 0 (RFC 9113 6.9.2)."""
        if stream.send_window + change > limits.LARGEST_WINDOW:
            raise Http2ConnectionError(
                ErrorCode.FLOW_CONTROL_ERROR, "a stream's flow-control window exceeds its maximum"
            )
        stream.send_window += change
        self._enqueue(stream)

    def resize_table(self, table_octets: int) -> None:
        """Apply the peer's SETTINGS_HEADER_TABLE_SIZE to the header encoder."""
        self._header_encoder.resize(table_octets)

    # Round-robin scheduling.

    def produce(self, limit_octets: int) -> list[tuple[Stream, str]]:
        """Buffer DATA frames of all streams in turn, until `limit_octets` are buffered.

        Returns (stream, error) for each stream whose content could not be read.
        """
        broken: list[tuple[Stream, str]] = []
        while self._queue and self._window > 0 and self.outgoing_octets < limit_octets:
            stream = self._queue.popleft()
            stream.is_queued = False
            if stream.state is StreamState.CLOSED:
                continue
            try:
                self._schedule(stream)
            except (OSError, BrokenBodyError) as error:
                broken.append((stream, str(error)))
        return broken

    def _schedule(self, stream: Stream) -> None:
        """Buffer one DATA frame of a stream, as large as its window and the peer's frame size permit."""
        room = min(self._frame_limit(), stream.send_window, self._window)
        data = self._next_content(stream, room)
        stream.is_starved = data is None
        if data is None:
            return
        is_last = stream.source is None and not stream.content
        ends_with_trailers = is_last and len(stream.trailers) > 0
        if data or (is_last and not ends_with_trailers):
            self._send_data(stream, data, END_STREAM if is_last and not ends_with_trailers else 0)
        if ends_with_trailers:
            self._send_trailers(stream)
        if is_last:
            self._end(stream)
        else:
            self._enqueue(stream)

    def _resume(self, stream: Stream) -> None:
        """Queue a stream again for sending, because content of its body has become available."""
        if stream.is_starved:
            stream.is_starved = False
            self._enqueue(stream)
            self.on_more()

    def _next_content(self, stream: Stream, room: int) -> bytes | None:
        """Return the next octets of a stream's content, at most `room`; None if none are available yet.

        The stream's `source` is set to None once the body is read to its end.
        """
        if not stream.content and stream.source is not None:
            data = stream.source.read(room)
            if data is None:
                return None
            stream.content = data
            if stream.owed_octets is None:
                finished = not stream.content
            else:
                stream.owed_octets -= len(stream.content)
                finished = stream.owed_octets == 0
                # RFC 9113 section 8.1.1: content that is shorter or longer than Content-Length is malformed.
                if stream.owed_octets < 0 or not (stream.content or finished):
                    raise BrokenBodyError("the content does not have its announced length")
            if finished:
                self._close_source(stream)
        data, stream.content = stream.content[:room], stream.content[room:]
        return data

    def _close_source(self, stream: Stream) -> None:
        source: Body | StreamedBody | None
        source, stream.source = stream.source, None
        if isinstance(source, StreamedBody):
            stream.trailers = source.trailers
        if source is not None:
            source.close()

    def _send_trailers(self, stream: Stream) -> None:
        """Buffer the HEADERS of a trailer section, which end the stream (RFC 9113 section 8.1)."""
        block = self._header_encoder.encode(field_list(stream.trailers))
        self.send(encode_header_block(Kind.HEADERS, END_STREAM, stream.stream_id, block, self._frame_limit()))

    def _send_data(self, stream: Stream, data: bytes, flags: int) -> None:
        size = len(data)
        self._window -= size
        self._rate_limits.credit()
        stream.send_window -= size
        stream.sent_octets += size
        self.send(encode_frame(Kind.DATA, flags, stream.stream_id, data))

    def _enqueue(self, stream: Stream) -> None:
        """Queue a stream for sending if it has content and its send window is not exhausted."""
        has_content = bool(stream.content) or stream.source is not None
        if has_content and not (stream.is_queued or stream.is_starved) and stream.send_window > 0:
            stream.is_queued = True
            self._queue.append(stream)

    def _end(self, stream: Stream) -> None:
        stream.move(Signal.SEND_END)
        self._conclude(stream)

    def _conclude(self, stream: Stream) -> None:
        stream.release()
        self._on_end(stream)
        pushes, stream.pushes = stream.pushes, []
        for pushed in pushes:
            pushed.parent = None
            held, pushed.held = pushed.held, None
            if held is not None:
                self.send_response(pushed, *held)

    def _frame_limit(self) -> int:
        # RFC 9113 section 4.2: the peer limits the frame size, to no less than FRAME_OCTETS.
        return min(self.peer.max_frame_size, limits.FRAME_OCTETS)
