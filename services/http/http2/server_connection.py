"""HTTP/2 server connection, sans-IO: octets in, events out; responses in, octets out (RFC 9113).

    server = Http2ServerConnection(b"http", limits.REQUEST_BODY_OCTETS, time_limits, now)
    server.receive_data(PREFACE + settings + headers, now)     # [RequestReceived(1, Request(...), b"")]
    server.send_response(1, Response(200, body=b"hi"), date)   # on stream 1: buffers HEADERS, queues the content
    server.produce(65_536)                                     # buffers DATA, until 65,536 octets are buffered
    server.data_to_send()                                      # SETTINGS, WINDOW_UPDATE, SETTINGS (ACK), HEADERS, DATA

A frame is decoded by FrameDecoder (frames.py) and dispatched to its handler by type. The connection keeps the streams
(streams.py), the limits on request content (ReceiveWindows in flow_control.py) and on abuse (RateLimits in limits.py);
responses are passed to the Scheduler (scheduler.py), which produces the DATA frames.

RFC 9113 sections 3.4, 5, 6 and 8; RFC 8441 (WebSocket); RFC 7540 section 3.2 (Upgrade), which RFC 9113 removed and
clients still use. Left out: priorities (section 5.3 deprecates them), CONNECT without :protocol, and PUSH_PROMISE on
streams that are not a request's.
"""

from collections.abc import Callable
from math import inf
from typing import ClassVar

from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.http1.codec import expects_continue
from lab7.services.http.http2 import limits
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError, MalformedError
from lab7.services.http.http2.events import (
    ConnectionTerminated,
    ContinueExpected,
    Event,
    RequestReceived,
    RequestRejected,
    StreamCancelled,
    TunnelData,
)
from lab7.services.http.http2.flow_control import ReceiveWindows
from lab7.services.http.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PING_OCTETS,
    PRIORITY_FLAG,
    PRIORITY_OCTETS,
    STREAM_ID_MASK,
    Frame,
    FrameDecoder,
    Kind,
    decode_uint32,
    encode_frame,
    encode_uint32,
    require_connection,
    require_size,
    require_stream,
    strip_padding,
)
from lab7.services.http.http2.header_lists import (
    HTTP_2,
    is_extended_connect,
    parse_content_length,
    parse_request,
    parse_trailers,
)
from lab7.services.http.http2.hpack import HeaderBlock, HeaderDecoder
from lab7.services.http.http2.limits import RateLimits, TimeLimits
from lab7.services.http.http2.scheduler import Scheduler
from lab7.services.http.http2.settings import PeerSettings, Setting, announced, parse_settings
from lab7.services.http.http2.streams import Closing, Signal, Stream, StreamState, StreamTable
from lab7.services.http.messages import NO_FIELDS, Request, Response


class Http2ServerConnection:
    """Server's end of an HTTP/2 connection, sans-IO: octets in, events out; responses in, octets out."""

    def __init__(
        self,
        scheme: bytes,
        body_limit_octets: int,
        time_limits: TimeLimits,
        now: float,
        extended_connect: bool = False,
    ) -> None:
        """Create a connection; `extended_connect` permits WebSocket, whose octets become TunnelData (RFC 8441)."""
        self.is_over = False
        self._scheme = scheme
        self._extended_connect = extended_connect
        self._body_limit_octets = body_limit_octets
        self._time_limits = time_limits
        self._begun = self._now = now
        self._peer_settings = PeerSettings()
        self._rate_limits = RateLimits()
        self._scheduler = Scheduler(self._peer_settings, self._rate_limits, self._close_stream)
        self._frame_decoder = FrameDecoder()
        self._header_decoder = HeaderDecoder()
        self._header_block: HeaderBlock | None = None
        self._streams = StreamTable()
        self._windows = ReceiveWindows(self._scheduler.send, self._streams.by_id, time_limits.body_s)
        self._closed_streams: list[Stream] = []
        self._events: list[Event] = []
        self._rejected: Request | None = None
        self._is_draining = False
        self._has_preface = False
        self._has_settings = False
        self._settings_sent: float | None = now
        self._withheld = 0
        # RFC 9113 section 3.4: a server's preface is a SETTINGS frame, sent before anything is received.
        self._scheduler.send(encode_frame(Kind.SETTINGS, 0, 0, announced(extended_connect)))
        self._windows.replenish()

    # Receiving.

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Process octets from the client and return a batch of events.

        Call again with b"" for the next batch, until a batch is empty.
        """
        self._now = now
        self._events = []
        if self.is_over:
            return []
        if data:
            self._frame_decoder.feed(data)
        try:
            self._process_frames()
        except Http2ConnectionError as error:
            self._fail(error.code, error.detail)
        return self._events

    def upgrade(self, settings: bytes, request: Request, content: bytes) -> list[Event]:
        """Start with a request received by HTTP/1.1 as stream 1, half-closed (remote) (RFC 7540 section 3.2)."""
        self._apply_settings(settings)
        self._withheld = limits.INITIAL_WINDOW - limits.EARLY_OCTETS
        self._scheduler.withhold(self._withheld)
        stream = self._open_stream(1)
        stream.request = request
        stream.move(Signal.RECEIVE_END)
        return [RequestReceived(1, request, content)]

    @property
    def last_stream_id(self) -> int:
        """Highest number of a stream that the client has opened; 0 if there is none."""
        return self._streams.last_request_id

    @property
    def unparsed_octets(self) -> int:
        """Size in octets of the input that is buffered and not yet decoded."""
        return len(self._frame_decoder)

    @property
    def has_frame(self) -> bool:
        """True if a complete frame is buffered, so that receive_data() with b"" would proceed."""
        return self._has_preface and not self.is_over and self._frame_decoder.has_frame()

    @property
    def is_stopped(self) -> bool:
        """True if stop() was called, so that no further request is accepted."""
        return self._is_draining

    def check_timeouts(self, now: float) -> list[Event]:
        """Return the events of expired time limits: requests rejected with 408, or the end of the connection."""
        self._now = now
        self._events = []
        try:
            self._check_time_limits(now)
        except Http2ConnectionError as error:
            self._fail(error.code, error.detail)
        return self._events

    def _check_time_limits(self, now: float) -> None:
        if not self._has_settings and now > self._begun + self._time_limits.head_s:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "timeout while waiting for the connection preface")
        if self._header_block is not None and now > self._header_block.begun + self._time_limits.head_s:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "timeout while receiving a header block")
        # RFC 9113 section 6.5.3: SETTINGS must be acknowledged; the time limit is this server's.
        if self._settings_sent is not None and now > self._settings_sent + self._time_limits.settings_s:
            raise Http2ConnectionError(ErrorCode.SETTINGS_TIMEOUT, "timeout of the acknowledgment of SETTINGS")
        for stream in list(self._streams.by_id.values()):
            # The deadline does not run while the stream's window is zero: then this side delays the content.
            if stream.may_receive and stream.status == 0 and stream.receive_window > 0 and now > stream.deadline:
                self._events.append(RequestRejected(stream.stream_id, 408, "timeout while receiving the request"))

    def _process_frames(self) -> None:
        if not self._has_preface:
            self._has_preface = self._frame_decoder.take_preface()
            if not self._has_preface:
                return
            self._scheduler.withhold(-self._withheld)
        while len(self._events) < limits.BATCH_REQUESTS:
            frame = self._frame_decoder.next_frame()
            if frame is None:
                return
            try:
                self._dispatch(frame)
            except Http2StreamError as error:
                self._reset_stream(error)

    def _dispatch(self, frame: Frame) -> None:
        if not self._has_settings:
            # RFC 9113 section 3.4
            if frame.kind != Kind.SETTINGS or frame.flags & ACK:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._has_settings = True
        block = self._header_block
        # RFC 9113 section 6.10: a header block is not interrupted by any other frame.
        if block is not None and (frame.kind != Kind.CONTINUATION or frame.stream_id != block.stream_id):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted by another frame")
        handler = self._HANDLERS.get(frame.kind)
        if handler is None:
            # RFC 9113 section 5.5: unknown frame types are ignored.
            self._rate_limits.count_idle_frame(self._now)
        else:
            handler(self, frame)

    # Header blocks (RFC 9113 sections 4.3, 6.2 and 6.10): a rejected stream's block may change the dynamic table, too.

    def _on_headers(self, frame: Frame) -> None:
        """Handle HEADERS, which open a stream or are trailers (RFC 9113 section 6.2)."""
        require_stream(frame)
        stream_id = frame.stream_id
        # RFC 9113 section 5.1.1: clients use odd stream numbers, each higher than the last one.
        if stream_id % 2 == 0:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on an even-numbered stream")
        fragment, depends_on_itself = strip_padding(frame), False
        if frame.flags & PRIORITY_FLAG:
            if len(fragment) < PRIORITY_OCTETS:
                raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority fields")
            depends_on_itself = decode_uint32(fragment) & STREAM_ID_MASK == stream_id
            fragment = fragment[PRIORITY_OCTETS:]
        ends_stream = bool(frame.flags & END_STREAM)
        if frame.flags & END_HEADERS:
            self._on_block(stream_id, fragment, ends_stream, depends_on_itself)
        else:
            self._header_block = HeaderBlock(stream_id, ends_stream, depends_on_itself, self._now)
            self._header_block.append(fragment)

    def _on_continuation(self, frame: Frame) -> None:
        """Handle CONTINUATION (RFC 9113 section 6.10): without a header block to continue it is a connection error."""
        block = self._header_block
        if block is None:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        block.append(frame.payload)
        if frame.flags & END_HEADERS:
            self._header_block = None
            self._on_block(block.stream_id, b"".join(block.fragments), block.ends_stream, block.depends_on_itself)

    def _on_block(self, stream_id: int, block: bytes, ends_stream: bool, depends_on_itself: bool) -> None:
        stream = self._streams.by_id.get(stream_id)
        if stream is not None:
            self._on_trailers(stream, self._header_decoder.decode(block), ends_stream)
            return
        if not self._streams.is_idle(stream_id):
            self._header_decoder.decode(block)
            self._on_late_headers(stream_id)
            return
        if self._is_draining or self._streams.request_count >= limits.CONCURRENT_STREAMS:
            # RFC 9113 sections 5.1.2 and 8.7: refuse the stream before any processing, so that the client may retry it.
            self._header_decoder.decode(block)
            self._streams.last_request_id = stream_id
            raise Http2StreamError(stream_id, ErrorCode.REFUSED_STREAM, "too many concurrent streams")
        stream = self._open_stream(stream_id)
        if depends_on_itself:
            self._header_decoder.decode(block)
            raise Http2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")
        stream.request_header_size_bytes = len(block)
        self._on_request(stream, block, ends_stream)

    def _on_late_headers(self, stream_id: int) -> None:
        """Handle HEADERS on a closed stream, or on a skipped stream number (RFC 9113 sections 5.1 and 5.1.1)."""
        closing = self._streams.closing(stream_id)
        if closing is None:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on a skipped stream")
        if closing is Closing.BY_END:
            raise Http2ConnectionError(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")
        if closing is Closing.BY_PEER_RESET:
            raise Http2StreamError(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS on a reset stream")
        self._rate_limits.count_idle_frame(self._now)

    # Requests.

    def _on_request(self, stream: Stream, block: bytes, ends_stream: bool) -> None:
        if ends_stream:
            stream.move(Signal.RECEIVE_END)
        try:
            stream.request = request = self._header_decoder.decode_request(block, self._parse_request)
            stream.content_length = parse_content_length(request)
            stream.is_tunnel = is_extended_connect(request)
            if stream.is_tunnel and ends_stream:
                raise MalformedError("an extended CONNECT ends its stream")
            # RFC 9113 section 8.1.1: Content-Length must equal the length of the content.
            if ends_stream and stream.content_length:
                raise MalformedError("Content-Length is not zero, but the request has no content")
            if (stream.content_length or 0) > self._body_limit_octets:
                raise HTTPError(413, f"the content is longer than {self._body_limit_octets} octets")
        except MalformedError as error:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        except HTTPError as error:
            stream.request = stream.request or self._rejected
            self._reject(stream, error)
            return
        if ends_stream or stream.is_tunnel:
            self._events.append(RequestReceived(stream.stream_id, request, b""))
            stream.deadline = inf
            return
        stream.deadline = self._now + self._time_limits.body_s
        if expects_continue(request.fields):
            self._events.append(ContinueExpected(stream.stream_id, request))

    def _parse_request(self, lines: list[FieldLine]) -> Request:
        try:
            return parse_request(lines, self._scheme, self._extended_connect)
        except HTTPError:
            # Store the method first: the response to a rejected HEAD request has no content either.
            pseudo = dict(lines)
            self._rejected = Request(pseudo.get(b":method", b""), pseudo.get(b":path", b""), version=HTTP_2)
            raise

    def _reject(self, stream: Stream, error: HTTPError) -> None:
        stream.received = []
        self._events.append(RequestRejected(stream.stream_id, error.status, error.detail))

    def _on_trailers(self, stream: Stream, lines: list[FieldLine], ends_stream: bool) -> None:
        if not stream.may_receive:
            # RFC 9113 section 5.1: in half-closed (remote), further HEADERS are a stream error.
            raise Http2StreamError(stream.stream_id, ErrorCode.STREAM_CLOSED, "HEADERS after the end of the request")
        # RFC 9113 section 8.1: a second header section is the trailers, and ends the stream. A tunnel has none (8.5).
        if stream.is_tunnel:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, "HEADERS on a tunnel")
        if not ends_stream:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, "a trailer section without END_STREAM")
        try:
            trailers = parse_trailers(lines)
        except MalformedError as error:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        except HTTPError as error:
            self._reject(stream, error)
            return
        self._complete(stream, trailers)

    def _on_data(self, frame: Frame) -> None:
        """Handle DATA: count it against the receive windows, and buffer the content (RFC 9113 section 6.1)."""
        require_stream(frame)
        data = strip_padding(frame)
        stream = self._streams.by_id.get(frame.stream_id)
        is_promised = stream is not None and stream.state is StreamState.RESERVED_LOCAL
        if is_promised or self._streams.is_idle(frame.stream_id):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "DATA on a stream that is not open")
        # RFC 9113 section 6.9: padding counts, and so does DATA on a closed stream.
        size = len(frame.payload)
        self._windows.consume(size)
        if not data and not frame.flags & END_STREAM:
            self._rate_limits.count_idle_frame(self._now)
        if stream is None:
            self._on_late_data(frame.stream_id)
        elif not stream.may_receive:
            raise Http2StreamError(stream.stream_id, ErrorCode.STREAM_CLOSED, "DATA after the end of the request")
        else:
            self._receive_content(stream, data, size, bool(frame.flags & END_STREAM))

    def _on_late_data(self, stream_id: int) -> None:
        """Handle DATA on a closed stream: discard it if this side reset the stream, else raise an error.

        RFC 9113 sections 5.1 (closed) and 6.1.
        """
        closing = self._streams.closing(stream_id)
        if closing is Closing.BY_END:
            raise Http2ConnectionError(ErrorCode.STREAM_CLOSED, "DATA on a closed stream")
        if closing is not Closing.BY_OUR_RESET:
            raise Http2StreamError(stream_id, ErrorCode.STREAM_CLOSED, "DATA on a reset stream")
        self._rate_limits.count_idle_frame(self._now)

    def _receive_content(self, stream: Stream, data: bytes, size: int, ends_stream: bool) -> None:
        if size > stream.receive_window:
            raise Http2StreamError(stream.stream_id, ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the stream's window")
        stream.receive_window -= size
        if stream.is_tunnel:
            self._receive_for_tunnel(stream, data, size, ends_stream)
            return
        stream.received_octets += len(data)
        # RFC 9113 section 8.1.1: content longer than Content-Length is malformed.
        if stream.content_length is not None and stream.received_octets > stream.content_length:
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, "content above its Content-Length")
        if stream.received_octets > self._body_limit_octets:
            self._reject(stream, HTTPError(413, f"the content is longer than {self._body_limit_octets} octets"))
            return
        stream.received.append(data)
        latest = self._now + self._time_limits.body_s
        stream.deadline = min(stream.deadline + len(data) / self._time_limits.body_rate_octets_s, latest)
        if ends_stream:
            self._complete(stream)
        else:
            self._windows.widen(stream, self._now)

    def _receive_for_tunnel(self, stream: Stream, data: bytes, size: int, ends_stream: bool) -> None:
        stream.uncredited_octets += size
        self._events.append(TunnelData(stream.stream_id, data, ends_stream))
        if ends_stream:
            stream.move(Signal.RECEIVE_END)
            if stream.state is StreamState.CLOSED:
                self._close_stream(stream)

    def credit(self, stream_id: int) -> None:
        """Count octets of a tunnel that were forwarded.

        Widen the stream's window once they are half of the initial window.
        """
        stream = self._streams.by_id.get(stream_id)
        if stream is None or not stream.may_receive or stream.uncredited_octets < limits.INITIAL_WINDOW // 2:
            return
        increment, stream.uncredited_octets = stream.uncredited_octets, 0
        stream.receive_window += increment
        self._scheduler.send(encode_frame(Kind.WINDOW_UPDATE, 0, stream_id, encode_uint32(increment)))

    def cancel_stream(self, stream_id: int) -> None:
        """Reset a stream with RST_STREAM, unless it is closed already."""
        stream = self._streams.by_id.get(stream_id)
        if stream is not None:
            self._scheduler.reset(stream, ErrorCode.CANCEL)

    def _complete(self, stream: Stream, trailers: Fields = NO_FIELDS) -> None:
        # RFC 9113 section 8.1.1: content shorter than Content-Length is malformed.
        if stream.content_length not in (None, stream.received_octets):
            raise Http2StreamError(stream.stream_id, ErrorCode.PROTOCOL_ERROR, "content below its Content-Length")
        stream.move(Signal.RECEIVE_END)
        content, stream.received = b"".join(stream.received), []
        self._windows.complete(stream, self._now)
        if stream.request is not None:
            self._events.append(RequestReceived(stream.stream_id, stream.request, content, trailers))

    # Control frames (RFC 9113 sections 6.3 to 6.9).

    def _on_settings(self, frame: Frame) -> None:
        """Handle SETTINGS: apply and acknowledge the client's values, or take its ACK (RFC 9113 section 6.5)."""
        require_connection(frame)
        if frame.flags & ACK:
            require_size(frame, 0)
            if self._settings_sent is None:
                self._rate_limits.count_idle_frame(self._now)
            self._settings_sent = None
            return
        self._rate_limits.count_idle_frame(self._now)
        self._apply_settings(frame.payload)
        self._scheduler.send(encode_frame(Kind.SETTINGS, ACK, 0))

    def _apply_settings(self, payload: bytes) -> None:
        entries = parse_settings(payload)
        for setting, value in entries:
            if setting is Setting.HEADER_TABLE_SIZE:
                self._scheduler.resize_table(value)
            elif setting is Setting.INITIAL_WINDOW_SIZE:
                # RFC 9113 section 6.9.2: a change of the initial window applies to streams, not to the connection.
                change = value - self._peer_settings.initial_window_size
                self._peer_settings.initial_window_size = value
                for stream in self._streams.by_id.values():
                    self._scheduler.shift_window(stream, change)
        self._peer_settings.apply(entries)

    def _on_ping(self, frame: Frame) -> None:
        """Handle PING: acknowledge it (RFC 9113 section 6.7)."""
        require_connection(frame)
        require_size(frame, PING_OCTETS)
        self._rate_limits.count_idle_frame(self._now)
        if not frame.flags & ACK:
            self._scheduler.send(encode_frame(Kind.PING, ACK, 0, frame.payload))

    def _on_goaway(self, frame: Frame) -> None:
        """Handle GOAWAY (RFC 9113 section 6.8): push no more; requests received so far are still answered."""
        require_connection(frame)
        if len(frame.payload) < 8:
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY shorter than 8 octets")
        self._rate_limits.count_idle_frame(self._now)
        self._peer_settings.enable_push = False

    def _on_window_update(self, frame: Frame) -> None:
        """Handle WINDOW_UPDATE for the connection or a stream (RFC 9113 sections 6.9 and 6.9.1)."""
        require_size(frame, 4)
        increment = decode_uint32(frame.payload) & STREAM_ID_MASK
        self._rate_limits.count_window_update(self._now)
        if not frame.stream_id:
            if not increment:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE with increment 0")
            self._scheduler.widen(increment)
            return
        stream = self._streams.by_id.get(frame.stream_id)
        if stream is None:
            self._streams.require_not_idle(frame)
        elif not increment:
            raise Http2StreamError(frame.stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE with increment 0")
        else:
            self._scheduler.widen_stream(stream, increment)

    def _on_priority(self, frame: Frame) -> None:
        """Handle PRIORITY (RFC 9113 section 6.3): check the frame and ignore it, in any state of the stream."""
        require_stream(frame)
        if len(frame.payload) != PRIORITY_OCTETS:
            raise Http2StreamError(frame.stream_id, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY with a length other than 5")
        self._rate_limits.count_idle_frame(self._now)
        # RFC 7540 section 5.3.1: a stream must not depend on itself, a rule that no known client breaks.
        if decode_uint32(frame.payload) & STREAM_ID_MASK == frame.stream_id:
            raise Http2StreamError(frame.stream_id, ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")

    def _on_rst_stream(self, frame: Frame) -> None:
        """Handle RST_STREAM: cancel the request and close the stream (RFC 9113 section 6.4)."""
        require_stream(frame)
        require_size(frame, 4)
        stream = self._streams.by_id.get(frame.stream_id)
        if stream is None:
            self._streams.require_not_idle(frame)
            self._rate_limits.count_idle_frame(self._now)
            return
        # Resets of pushed streams (even numbers) are not limited: this side decides how many streams it pushes.
        if frame.stream_id % 2:
            self._rate_limits.count_reset(self._now)
        self._cancel(stream)
        self._scheduler.drop(stream, Closing.BY_PEER_RESET)

    def _on_push_promise(self, frame: Frame) -> None:
        """Handle PUSH_PROMISE (RFC 9113 section 8.4): raise a connection error, since a client cannot push."""
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"client sent PUSH_PROMISE on stream {frame.stream_id}")

    # Stream and connection errors.

    def _open_stream(self, stream_id: int) -> Stream:
        stream = Stream(stream_id, self._peer_settings.initial_window_size, limits.INITIAL_WINDOW, begun=self._now)
        stream.move(Signal.RECEIVE_HEADERS)
        self._streams.add_request(stream)
        self._rate_limits.credit()
        return stream

    def _close_stream(self, stream: Stream) -> None:
        """Close a stream on which this side has sent its last frame; abort the request if it is still incomplete."""
        is_half_closed = stream.state is StreamState.HALF_CLOSED_LOCAL
        if is_half_closed and stream.is_tunnel and stream.status == 200 and not self._is_draining:
            # RFC 8441 section 5: END_STREAM is the end of one direction.
            return
        if is_half_closed:
            # RFC 9113 section 8.1: after a complete response, RST_STREAM with NO_ERROR aborts an incomplete request.
            self._scheduler.send(encode_frame(Kind.RST_STREAM, 0, stream.stream_id, encode_uint32(ErrorCode.NO_ERROR)))
            stream.move(Signal.RESET)
            stream.closing = Closing.BY_OUR_RESET
        if self._streams.remove(stream):
            self._closed_streams.append(stream)

    def _cancel(self, stream: Stream) -> None:
        if stream.status == 0 or stream.is_tunnel:
            self._events.append(StreamCancelled(stream.stream_id))

    def _reset_stream(self, error: Http2StreamError) -> None:
        """Handle a stream error: close the stream with RST_STREAM (RFC 9113 section 5.4.2)."""
        # Count stream errors like RST_STREAM, since provoking a reset costs this side as much (MadeYouReset).
        self._rate_limits.count_reset(self._now)
        stream = self._streams.by_id.get(error.stream_id)
        if stream is not None:
            self._cancel(stream)
            self._scheduler.reset(stream, error.code)
            return
        # RFC 9113 section 6.4: RST_STREAM must not be sent for an idle stream, so this is a connection error.
        if self._streams.is_idle(error.stream_id):
            raise Http2ConnectionError(error.code, error.detail)
        self._streams.note_reset(error.stream_id)
        self._scheduler.send(encode_frame(Kind.RST_STREAM, 0, error.stream_id, encode_uint32(error.code)))

    def _fail(self, code: ErrorCode, detail: str) -> None:
        """Send GOAWAY with the number of the last stream, and end the connection (RFC 9113 section 5.4.1)."""
        if self.is_over:
            return
        self.is_over = True
        self._send_goaway(code, detail)
        self.abandon()
        self._events.append(ConnectionTerminated(code, detail))

    def _send_goaway(self, code: ErrorCode, detail: str = "") -> None:
        payload = encode_uint32(self.last_stream_id) + encode_uint32(code) + detail.encode("ascii", "replace")
        self._scheduler.send(encode_frame(Kind.GOAWAY, 0, 0, payload))

    def abandon(self) -> None:
        """Close all streams without sending anything on them.

        Unanswered requests and open tunnels are reported by StreamCancelled events.
        """
        streams = list(self._streams.by_id.values())
        self._streams.by_id.clear()
        for stream in streams:
            stream.pushes = []
            stream.release()
            self._cancel(stream)
        self._scheduler.detach()

    # Sending.

    def can_respond(self, stream_id: int) -> bool:
        """Return whether a response can still be sent on this stream."""
        stream = self._streams.by_id.get(stream_id)
        return stream is not None and stream.status == 0

    @property
    def open_streams(self) -> int:
        """Number of streams that are not closed, including promised streams."""
        return len(self._streams)

    def send_interim(self, stream_id: int, response: Response) -> None:
        """Buffer an interim (1xx) response, at most one 100; do nothing once the final response has begun."""
        stream = self._streams.by_id.get(stream_id)
        if stream is None or stream.status or (response.status == 100 and stream.has_continued):
            return
        stream.has_continued = stream.has_continued or response.status == 100
        self._scheduler.send_interim(stream, response)

    def send_response(self, stream_id: int, response: Response, date: bytes) -> None:
        """Buffer a response for data_to_send(), or drop it if its stream is closed.

        In both cases, this object closes the response's Body.
        """
        stream = self._streams.by_id.get(stream_id)
        if stream is not None and stream.status == 0:
            self._scheduler.send_response(stream, response, date)
        elif not isinstance(response.body, bytes):
            response.body.close()

    def available_pushes(self) -> int:
        """Return the number of streams that could be promised now (RFC 9113 sections 5.1.2 and 8.4)."""
        if not self._peer_settings.enable_push or self._is_draining or self.is_over:
            return 0
        allowed = self._peer_settings.max_concurrent_streams
        bound = limits.PUSHED_OBJECTS if allowed is None else min(allowed, limits.PUSHED_OBJECTS)
        return max(0, bound - (len(self._streams) - self._streams.request_count))

    def promise(self, stream_id: int, request: Request) -> int:
        """Promise the response to `request` on the stream of a page's request; return the promised stream's number."""
        pushed = Stream(self._streams.next_promised_id(), self._peer_settings.initial_window_size, 0, begun=self._now)
        self._scheduler.promise(self._streams.by_id[stream_id], pushed, request, self._scheme)
        self._streams.add_promised(pushed)
        return pushed.stream_id

    @property
    def is_sending(self) -> bool:
        """True if a response is delayed by this side or by the client's flow control, not by missing content."""
        return any(stream.status and not stream.is_starved for stream in self._streams.by_id.values())

    def on_more(self, callback: Callable[[], None]) -> None:
        """Set the callback that is called when a body that had no content available has content again."""
        self._scheduler.on_more = callback

    @property
    def can_produce(self) -> bool:
        """True if produce() could send DATA now."""
        return self._scheduler.can_produce

    @property
    def outgoing_octets(self) -> int:
        """Number of octets that data_to_send() would return."""
        return self._scheduler.outgoing_octets

    def produce(self, limit_octets: int) -> list[str]:
        """Buffer DATA until `limit_octets` are buffered; return an error for each stream whose body failed."""
        broken = self._scheduler.produce(limit_octets)
        for stream, _ in broken:
            # HEADERS are sent already, so only a reset can show that the content is incomplete (RFC 9113 section 8.1).
            # RFC 9113 section 8.5: CONNECT_ERROR if the connection behind a tunnel was reset.
            code = ErrorCode.CONNECT_ERROR if stream.is_tunnel else ErrorCode.INTERNAL_ERROR
            self._scheduler.reset(stream, code)
        return [detail for _, detail in broken]

    def data_to_send(self) -> bytes:
        """Return the octets to send, and clear the buffer."""
        return self._scheduler.take_outgoing()

    def take_closed(self) -> list[Stream]:
        """Return the streams that closed since the last call, for the log."""
        closed, self._closed_streams = self._closed_streams, []
        return closed

    def stop(self) -> None:
        """Buffer GOAWAY, and accept no further request; requests received so far are still answered.

        RFC 9113 section 6.8.
        """
        if not (self._is_draining or self.is_over):
            self._is_draining = True
            self._send_goaway(ErrorCode.NO_ERROR)

    _HANDLERS: ClassVar[dict[int, Callable[["Http2ServerConnection", Frame], None]]] = {
        Kind.DATA: _on_data,
        Kind.HEADERS: _on_headers,
        Kind.PRIORITY: _on_priority,
        Kind.RST_STREAM: _on_rst_stream,
        Kind.SETTINGS: _on_settings,
        Kind.PUSH_PROMISE: _on_push_promise,
        Kind.PING: _on_ping,
        Kind.GOAWAY: _on_goaway,
        Kind.WINDOW_UPDATE: _on_window_update,
        Kind.CONTINUATION: _on_continuation,
    }
