"""The frames that carry requests: HEADERS, CONTINUATION and DATA (RFC 9113 sections 5.1, 6.1, 6.2, 6.10 and 8.1).

A header block is read only once it is whole, and always, whatever becomes of its stream: it may change the table
that the next one is read with (section 4.3).
"""

from collections import deque
from dataclasses import dataclass, field

from services.http.errors import HTTPError
from services.http.fields import FieldLine
from services.http.http2 import limits
from services.http.http2.control_frames import ControlFrames, require_stream
from services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError, MalformedError
from services.http.http2.events import Asked, Refused
from services.http.http2.frames import (
    END_HEADERS,
    END_STREAM,
    PRIORITY_FLAG,
    PRIORITY_OCTETS,
    Frame,
    Kind,
    frame,
    number_octets,
    unpadded,
)
from services.http.http2.header_lists import HTTP_2, read_length, read_request, read_trailers
from services.http.http2.limits import Waits
from services.http.http2.streams import Closing, Signal, Stream, StreamState
from services.http.messages import Request


@dataclass(slots=True)
class OpenBlock:
    """A header block whose end has not come."""

    stream_id: int
    ends_stream: bool
    depends_on_itself: bool
    begun: float
    pieces: list[bytes] = field(default_factory=list)
    size_octets: int = 0


class RequestFrames(ControlFrames):
    """The part of a connection that gathers requests."""

    def __init__(self, scheme: bytes, body_limit_octets: int, waits: Waits, now: float) -> None:
        super().__init__(scheme, body_limit_octets, waits, now)
        self._block: OpenBlock | None = None
        # Requests whose content may grow beyond the first window, and those that wait to be among them.
        self._growing: set[int] = set()
        self._waiting: deque[Stream] = deque()
        self._refused: Request | None = None

    # Header blocks.

    def _on_headers(self, came: Frame) -> None:
        """RFC 9113 section 6.2"""
        require_stream(came)
        stream_id = came.stream_id
        # RFC 9113 section 5.1.1: clients use odd numbers, and none that is idle below the last one.
        if stream_id % 2 == 0:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream that a client cannot open")
        fragment, depends_on_itself = unpadded(came), False
        if came.flags & PRIORITY_FLAG:
            if len(fragment) < PRIORITY_OCTETS:
                raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            depends_on_itself = int.from_bytes(fragment[:4], "big") & 0x7FFF_FFFF == stream_id
            fragment = fragment[PRIORITY_OCTETS:]
        ends_stream = bool(came.flags & END_STREAM)
        if came.flags & END_HEADERS:
            self._on_block(stream_id, fragment, ends_stream, depends_on_itself)
        else:
            self._block = OpenBlock(stream_id, ends_stream, depends_on_itself, self._now)
            self._extend(self._block, fragment)

    def _on_continuation(self, came: Frame) -> None:
        """RFC 9113 section 6.10; one that continues nothing is a connection error."""
        block = self._block
        if block is None:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._extend(block, came.payload)
        if came.flags & END_HEADERS:
            self._block = None
            self._on_block(block.stream_id, b"".join(block.pieces), block.ends_stream, block.depends_on_itself)

    def _extend(self, block: OpenBlock, fragment: bytes) -> None:
        block.pieces.append(fragment)
        block.size_octets += len(fragment)
        too_long = block.size_octets > limits.HEADER_BLOCK_OCTETS
        if too_long or len(block.pieces) > limits.CONTINUATION_FRAMES + 1:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header block that does not end")

    def _on_block(self, stream_id: int, block: bytes, ends_stream: bool, depends_on_itself: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._on_trailers(stream, self._blocks.lines(block), ends_stream)
            return
        if stream_id <= self.last_stream_id:
            self._blocks.lines(block)
            self._on_late_headers(stream_id)
            return
        if self._is_draining or self._requests_open >= limits.CONCURRENT_STREAMS:
            # RFC 9113 sections 5.1.2 and 8.7: refused before anything was done, so it may be asked again.
            self._blocks.lines(block)
            self.last_stream_id = stream_id
            raise Http2StreamError(stream_id, ErrorCode.REFUSED_STREAM, "more streams than announced")
        stream = self._open(stream_id)
        if depends_on_itself:
            self._blocks.lines(block)
            raise Http2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")
        stream.request_header_size_bytes = len(block)
        self._on_request(stream, block, ends_stream)

    def _on_late_headers(self, stream_id: int) -> None:
        """RFC 9113 sections 5.1 (closed) and 5.1.1: HEADERS on a stream that is over, or was passed over."""
        closing = self._closed.get(stream_id)
        if closing is None:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream that was passed over")
        if closing is Closing.BY_END:
            raise Http2ConnectionError(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")
        if closing is Closing.BY_PEER_RESET:
            raise Http2StreamError(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS on a stream that was reset")
        self._budget.idle_frame(self._now)

    def _on_request(self, stream: Stream, block: bytes, ends_stream: bool) -> None:
        if ends_stream:
            stream.move(Signal.RECEIVE_END)
        try:
            stream.request = request = self._blocks.request(block, self._read_request)
            stream.content_length = read_length(request)
            # RFC 9113 section 8.1.1: the length that was said and the length that comes are one.
            if ends_stream and stream.content_length:
                raise MalformedError("a Content-Length, and no content")
            if (stream.content_length or 0) > self._body_limit_octets:
                raise HTTPError(413, f"the content is longer than {self._body_limit_octets} octets")
        except MalformedError as error:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        except HTTPError as error:
            stream.request = stream.request or self._refused
            self._refuse(stream, error)
            return
        if ends_stream:
            self._events.append(Asked(stream.stream_id, request, b""))
            return
        stream.deadline = self._now + self._waits.body_s
        if b"expect" in request.fields:
            # RFC 9110 section 10.1.1
            self._sender.interim(stream, 100)

    def _read_request(self, lines: list[FieldLine]) -> Request:
        try:
            return read_request(lines, self._scheme)
        except HTTPError:
            # Even a refused HEAD request gets no content, so its method is known before the refusal goes out.
            named = dict(lines)
            self._refused = Request(named.get(b":method", b""), named.get(b":path", b""), version=HTTP_2)
            raise

    def _refuse(self, stream: Stream, error: HTTPError) -> None:
        stream.received = []
        self._events.append(Refused(stream.stream_id, error.status, error.detail))

    def _on_trailers(self, stream: Stream, lines: list[FieldLine], ends_stream: bool) -> None:
        if not stream.may_receive:
            # RFC 9113 section 5.1, half-closed (remote)
            raise Http2StreamError(stream.stream_id, ErrorCode.STREAM_CLOSED, "HEADERS after the request's end")
        # RFC 9113 section 8.1: a second header section is the trailers, and ends the stream.
        if not ends_stream:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, "trailers that do not end the stream")
        try:
            read_trailers(lines)
        except MalformedError as error:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        except HTTPError as error:
            self._refuse(stream, error)
            return
        self._complete(stream)

    # Content.

    def _on_data(self, came: Frame) -> None:
        """RFC 9113 section 6.1"""
        require_stream(came)
        data = unpadded(came)
        stream = self._streams.get(came.stream_id)
        if self._is_idle(came.stream_id) or (stream is not None and stream.state is StreamState.RESERVED_LOCAL):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "DATA on a stream that is not open")
        # RFC 9113 section 6.9: padding counts, and so does what comes on a stream that is over.
        size = len(came.payload)
        if size > self._receive_window:
            raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the connection's window")
        self._receive_window -= size
        self._replenish()
        if not data and not came.flags & END_STREAM:
            self._budget.idle_frame(self._now)
        if stream is None:
            self._on_late_data(came.stream_id)
        elif not stream.may_receive:
            raise Http2StreamError(stream.stream_id, ErrorCode.STREAM_CLOSED, "DATA after the request's end")
        else:
            self._take_content(stream, data, size, bool(came.flags & END_STREAM))

    def _on_late_data(self, stream_id: int) -> None:
        """RFC 9113 sections 5.1 (closed) and 6.1: what was under way when this side reset the stream is dropped."""
        closing = self._closed.get(stream_id)
        if closing is Closing.BY_END:
            raise Http2ConnectionError(ErrorCode.STREAM_CLOSED, "DATA on a closed stream")
        if closing is not Closing.BY_OUR_RESET:
            raise Http2StreamError(stream_id, ErrorCode.STREAM_CLOSED, "DATA on a stream that was reset")
        self._budget.idle_frame(self._now)

    def _take_content(self, stream: Stream, data: bytes, size: int, ends_stream: bool) -> None:
        if size > stream.receive_window:
            raise Http2StreamError(stream.stream_id, ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the stream's window")
        stream.receive_window -= size
        stream.received_octets += len(data)
        # RFC 9113 section 8.1.1
        if stream.content_length is not None and stream.received_octets > stream.content_length:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, "more content than its Content-Length")
        if stream.received_octets > self._body_limit_octets:
            self._refuse(stream, HTTPError(413, f"the content is longer than {self._body_limit_octets} octets"))
            return
        stream.received.append(data)
        most = self._now + self._waits.body_s
        stream.deadline = min(stream.deadline + len(data) / self._waits.body_rate_octets_s, most)
        if ends_stream:
            self._complete(stream)
        else:
            self._grow(stream)

    def _complete(self, stream: Stream) -> None:
        # RFC 9113 section 8.1.1
        if stream.content_length not in (None, stream.received_octets):
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, "less content than its Content-Length")
        stream.move(Signal.RECEIVE_END)
        content, stream.received = b"".join(stream.received), []
        self._growing.discard(stream.stream_id)
        self._grow_others()
        if stream.request is not None:
            self._events.append(Asked(stream.stream_id, stream.request, content))

    def _grow(self, stream: Stream) -> None:
        """Widen the stream's window as its content is taken, for some streams at a time: they bound the memory."""
        if stream.stream_id not in self._growing:
            self._grow_others()
            if len(self._growing) >= limits.GROWING_BODIES:
                if stream.receive_window <= 0:
                    self._waiting.append(stream)
                return
            self._growing.add(stream.stream_id)
        if stream.receive_window <= limits.UPLOAD_WINDOW // 2:
            increment = limits.UPLOAD_WINDOW - stream.receive_window
            stream.receive_window = limits.UPLOAD_WINDOW
            self._sender.send(frame(Kind.WINDOW_UPDATE, 0, stream.stream_id, number_octets(increment)))

    def _grow_others(self) -> None:
        """Let streams that wait for a wider window have it, once others ended."""
        if self._growing:
            self._growing = {stream_id for stream_id in self._growing if stream_id in self._streams}
        while self._waiting and len(self._growing) < limits.GROWING_BODIES:
            stream = self._waiting.popleft()
            if stream.may_receive:
                stream.deadline = self._now + self._waits.body_s
                self._growing.add(stream.stream_id)
                self._grow(stream)
