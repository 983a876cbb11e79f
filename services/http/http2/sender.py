"""What a server sends on an HTTP/2 connection: responses as frames, in fair turns, as far as the windows allow.

Obeyed: RFC 9113 sections 4.3, 5.2, 6.1, 6.9, 8.1 and 8.4.2. HEADERS leave at once; DATA waits in a queue from which
each stream with something to send and a window for it takes one frame in turn, so a small object is not held up by a
large one. Content is read only when it is its turn: what is held is a frame a stream, whatever its size. A promised
stream's response queues behind the page that it was promised with. Left out: the priorities of RFC 7540, which
RFC 9113 section 5.3 gave up, and padding.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from services.http.http1.framing import has_no_content
from services.http.http2 import limits
from services.http.http2.budget import Budget
from services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError
from services.http.http2.frames import (
    END_HEADERS,
    END_STREAM,
    Kind,
    frame,
    header_frames,
    number_octets,
)
from services.http.http2.header_lists import request_lines, response_lines
from services.http.http2.hpack import BlockWriter
from services.http.http2.settings import PeerSettings
from services.http.http2.streams import Closing, Signal, Stream, StreamState
from services.http.messages import Arriving, Body, Request, Response, nothing


class BrokenBodyError(Exception):
    """A response's content could not be had as its length promised."""


class Sender:
    """The sending half of a connection; what it sends gathers until take() is called."""

    def __init__(self, peer: PeerSettings, budget: Budget, on_end: Callable[[Stream], None]) -> None:
        """`on_end` is told of each stream that this side has sent its last frame on."""
        self.peer = peer
        self._budget = budget
        self.waiting_octets = 0
        self._on_end = on_end
        # Called when a stream has its turn again for which nothing was there before.
        self.on_more: Callable[[], None] = nothing
        self._window = limits.INITIAL_WINDOW
        self._writer = BlockWriter()
        self._queue: deque[Stream] = deque()
        self._out: list[bytes] = []

    def take(self) -> bytes:
        """Return what is to go to the socket now."""
        out, self._out = self._out, []
        self.waiting_octets = 0
        return out[0] if len(out) == 1 else b"".join(out)

    def send(self, octets: bytes) -> None:
        """Send a frame that no window counts."""
        self._out.append(octets)
        self.waiting_octets += len(octets)

    @property
    def has_turns(self) -> bool:
        """Whether DATA could be sent now."""
        return bool(self._queue) and self._window > 0

    # Responses.

    def interim(self, stream: Stream, status: int) -> None:
        """Send an interim response (RFC 9113 section 8.1)."""
        block = self._writer.block([(b":status", b"%d" % status)])
        self.send(frame(Kind.HEADERS, END_HEADERS, stream.stream_id, block))

    def respond(self, stream: Stream, response: Response, date: bytes) -> None:
        """Send a response's head and queue its content; the stream takes over the response's Body."""
        if stream.parent is not None:
            # The page comes first: until it is through, nothing of this goes out but the promise.
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
            if isinstance(body, Arriving):
                body.on_more = partial(self._feed, stream)
            self._begin_content(stream)

    def _send_head(self, stream: Stream, response: Response, date: bytes, size: int | None, empty: bool) -> None:
        # RFC 9110 section 8.6: no Content-Length with 204; with 304 it may be left out.
        length = None if response.status in (204, 304) else size
        key = (response.status, response.fields, date, length)
        block = self._writer.known(key)
        if block is None:
            block = self._writer.block(response_lines(response.status, response.fields, date, length), key)
        stream.status = response.status
        stream.response_header_size_bytes = len(block)
        stream.move(Signal.SEND_HEADERS)
        flags = END_STREAM if empty else 0
        self.send(header_frames(Kind.HEADERS, flags, stream.stream_id, block, self._frame_limit()))

    def _begin_content(self, stream: Stream) -> None:
        size = len(stream.content)
        # The hot path: content that fits one frame, and nobody whose turn would come first.
        if (
            0 < size <= min(limits.FRAME_OCTETS, stream.send_window, self._window)
            and not self._queue
            and self.waiting_octets < limits.OUTGOING_OCTETS
        ):
            self._send_data(stream, stream.content, END_STREAM)
            self._end(stream)
        else:
            self._enqueue(stream)

    def promise(self, parent: Stream, pushed: Stream, request: Request, scheme: bytes) -> None:
        """Promise a stream on `parent`, whose DATA comes after (RFC 9113 section 8.4.1)."""
        block = self._writer.block(request_lines(request, scheme))
        payload = number_octets(pushed.stream_id) + block
        pushed.request = request
        pushed.request_header_size_bytes = len(block)
        pushed.move(Signal.SEND_PROMISE)
        self.send(header_frames(Kind.PUSH_PROMISE, 0, parent.stream_id, payload, self._frame_limit()))
        pushed.parent = parent
        parent.pushes.append(pushed)

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Send RST_STREAM and let go of what the stream has."""
        self.send(frame(Kind.RST_STREAM, 0, stream.stream_id, number_octets(code)))
        self.drop(stream, Closing.BY_OUR_RESET)

    def drop(self, stream: Stream, closing: Closing) -> None:
        """Let go of a stream that is no longer to be sent on."""
        stream.move(Signal.RESET)
        stream.closing = closing
        self._conclude(stream)

    # Windows.

    def withhold(self, octets: int) -> None:
        """Make the connection's window smaller than the client has it; a negative number gives it back."""
        self._window -= octets

    def widen(self, increment: int) -> None:
        """Take a WINDOW_UPDATE for the connection."""
        # RFC 9113 section 6.9.1
        if self._window + increment > limits.LARGEST_WINDOW:
            raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is too large")
        self._window += increment

    def widen_stream(self, stream: Stream, increment: int) -> None:
        """Take a WINDOW_UPDATE for a stream."""
        if stream.send_window + increment > limits.LARGEST_WINDOW:
            raise Http2StreamError(stream.stream_id, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window is too large")
        stream.send_window += increment
        self._enqueue(stream)

    def shift(self, stream: Stream, change: int) -> None:
        """Take a change of SETTINGS_INITIAL_WINDOW_SIZE, which may make a window negative (section 6.9.2)."""
        if stream.send_window + change > limits.LARGEST_WINDOW:
            raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window is too large")
        stream.send_window += change
        self._enqueue(stream)

    def resize_table(self, table_octets: int) -> None:
        """Take a SETTINGS_HEADER_TABLE_SIZE."""
        self._writer.resize(table_octets)

    # Turns.

    def produce(self, limit_octets: int) -> list[tuple[Stream, str]]:
        """Send DATA in turns until so many octets wait for the socket; returns the streams whose content broke."""
        broken: list[tuple[Stream, str]] = []
        while self._queue and self._window > 0 and self.waiting_octets < limit_octets:
            stream = self._queue.popleft()
            stream.is_queued = False
            if stream.state is StreamState.CLOSED:
                continue
            try:
                self._take_turn(stream)
            except (OSError, BrokenBodyError) as error:
                broken.append((stream, str(error)))
        return broken

    def _take_turn(self, stream: Stream) -> None:
        room = min(self._frame_limit(), stream.send_window, self._window)
        data = self._next_content(stream, room)
        stream.is_starved = data is None
        if data is None:
            return
        is_last = stream.source is None and not stream.content
        if data or is_last:
            self._send_data(stream, data, END_STREAM if is_last else 0)
        if is_last:
            self._end(stream)
        else:
            self._enqueue(stream)

    def _feed(self, stream: Stream) -> None:
        """More may be there of a stream's content."""
        if stream.is_starved:
            stream.is_starved = False
            self._enqueue(stream)
            self.on_more()

    def _next_content(self, stream: Stream, room: int) -> bytes | None:
        """Return the next octets, at most `room`, None where they have not come yet.

        Afterwards `source` is None where there is no more to read.
        """
        if not stream.content and stream.source is not None:
            came = stream.source.read(room)
            if came is None:
                return None
            stream.content = came
            if stream.owed_octets is None:
                finished = not stream.content
            else:
                stream.owed_octets -= len(stream.content)
                finished = stream.owed_octets == 0
                # RFC 9113 section 8.1.1: content that is not as long as its Content-Length is malformed.
                if stream.owed_octets < 0 or not (stream.content or finished):
                    raise BrokenBodyError("the content is not as long as it was said to be")
            if finished:
                self._close_source(stream)
        data, stream.content = stream.content[:room], stream.content[room:]
        return data

    def _close_source(self, stream: Stream) -> None:
        source: Body | Arriving | None
        source, stream.source = stream.source, None
        if source is not None:
            source.close()

    def _send_data(self, stream: Stream, data: bytes, flags: int) -> None:
        size = len(data)
        self._window -= size
        self._budget.earn()
        stream.send_window -= size
        stream.sent_octets += size
        self.send(frame(Kind.DATA, flags, stream.stream_id, data))

    def _enqueue(self, stream: Stream) -> None:
        """Give a stream its turn, if it has something to send and room to send it in."""
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
                self.respond(pushed, *held)

    def _frame_limit(self) -> int:
        # RFC 9113 section 4.2: the peer's limit; this server's own is the smallest there is.
        return min(self.peer.max_frame_size, limits.FRAME_OCTETS)
