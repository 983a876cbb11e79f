"""The server's side of one HTTP/2 connection, without I/O: octets in, events out; responses in, octets out.

    server = Http2ServerConnection(b"http", limits.REQUEST_BODY_OCTETS, waits, now)
    server.receive_data(PREFACE + settings + headers, now)     # [Asked(1, Request(...), b"")]
    server.send_response(1, Response(200, body=b"hi"), date)
    server.produce(65_536)
    server.data_to_send()                                      # SETTINGS, SETTINGS with ACK, HEADERS, DATA

RFC 9113 sections 3.4, 5, 6 and 8; RFC 7540 section 3.2 (Upgrade), which RFC 9113 no longer has and clients still do.
Left out: priorities (section 5.3 deprecates them), CONNECT tunnels, and PUSH_PROMISE on any but a request's stream.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.http.errors import HTTPError
from services.http.fields import FieldLine
from services.http.http2 import limits
from services.http.http2.connection import ControlFrames, require_stream
from services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError, MalformedError
from services.http.http2.events import Asked, Event, Refused
from services.http.http2.frames import (
    ACK,
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
from services.http.messages import Request, Response

# The frames that carry requests: HEADERS, CONTINUATION and DATA (RFC 9113 sections 5.1, 6.1, 6.2, 6.10 and 8.1).
#
# A header block is read only once it is whole, and always, whatever becomes of its stream: it may change the table
# that the next one is read with (section 4.3).


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


LARGEST_STREAM_ID = 2**31 - 1


class Http2ServerConnection(RequestFrames):
    """What a shell calls; the frames' own rules are in the classes below it."""

    def __init__(self, scheme: bytes, body_limit_octets: int, waits: Waits, now: float) -> None:
        super().__init__(scheme, body_limit_octets, waits, now)
        self._has_preface = False
        self._has_settings = False
        self._begun = now
        self._promised = 0
        self._withheld = 0
        self._on: dict[int, Callable[[Frame], None]] = {
            Kind.DATA: self._on_data,
            Kind.HEADERS: self._on_headers,
            Kind.PRIORITY: self._on_priority,
            Kind.RST_STREAM: self._on_rst_stream,
            Kind.SETTINGS: self._on_settings,
            Kind.PUSH_PROMISE: self._on_push_promise,
            Kind.PING: self._on_ping,
            Kind.GOAWAY: self._on_goaway,
            Kind.WINDOW_UPDATE: self._on_window_update,
            Kind.CONTINUATION: self._on_continuation,
        }

    # What came.

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take octets and return what they bring, some requests at a time: with b"" what is left of them, if any."""
        self._now = now
        self._events = []
        if self.is_over:
            return []
        if data:
            self._reader.feed(data)
        try:
            self._drain()
        except Http2ConnectionError as fault:
            self._fail(fault.code, fault.detail)
        return self._events

    def upgrade(self, settings: bytes, request: Request, content: bytes) -> list[Event]:
        """Begin with a request that came by HTTP/1.1 as stream 1, half-closed already (RFC 7540 section 3.2)."""
        self._apply_settings(settings)
        self._withheld = limits.INITIAL_WINDOW - limits.EARLY_OCTETS
        self._sender.withhold(self._withheld)
        stream = self._open(1)
        stream.request = request
        stream.move(Signal.RECEIVE_END)
        return [Asked(1, request, content)]

    @property
    def waiting_octets(self) -> int:
        """How much came that is not yet read."""
        return len(self._reader)

    @property
    def has_whole_frame(self) -> bool:
        """Whether receive_data() with b"" would go on."""
        return self._has_preface and not self.is_over and self._reader.has_whole()

    @property
    def is_stopped(self) -> bool:
        """Whether stop() was called."""
        return self._is_draining

    def _drain(self) -> None:
        if not self._has_preface:
            self._has_preface = self._reader.take_preface()
            if not self._has_preface:
                return
            self._sender.withhold(-self._withheld)
        while len(self._events) < limits.BATCH_REQUESTS:
            came = self._reader.take()
            if came is None:
                return
            try:
                self._receive(came)
            except Http2StreamError as fault:
                self._reset_for(fault)

    def _receive(self, came: Frame) -> None:
        if not self._has_settings:
            # RFC 9113 section 3.4
            if came.kind != Kind.SETTINGS or came.flags & ACK:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._has_settings = True
        block = self._block
        # RFC 9113 section 6.10: within a header block nothing but its own CONTINUATION frames.
        if block is not None and (came.kind != Kind.CONTINUATION or came.stream_id != block.stream_id):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame within another stream's header block")
        act = self._on.get(came.kind)
        if act is None:
            # RFC 9113 section 5.5: unknown kinds are ignored.
            self._budget.idle_frame(self._now)
        else:
            act(came)

    def check(self, now: float) -> list[Event]:
        """Return what follows from the time that has passed."""
        self._now = now
        self._events = []
        try:
            self._check_waits(now)
        except Http2ConnectionError as fault:
            self._fail(fault.code, fault.detail)
        return self._events

    def _check_waits(self, now: float) -> None:
        if not self._has_settings and now > self._begun + self._waits.head_s:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "no preface in time")
        if self._block is not None and now > self._block.begun + self._waits.head_s:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header block that does not end")
        # RFC 9113 section 6.5.3
        if self._settings_sent is not None and now > self._settings_sent + self._waits.settings_s:
            raise Http2ConnectionError(ErrorCode.SETTINGS_TIMEOUT, "SETTINGS were not acknowledged")
        for stream in list(self._streams.values()):
            # One whose window this side keeps shut cannot go on, and is not to blame.
            if stream.may_receive and stream.status == 0 and stream.receive_window > 0 and now > stream.deadline:
                self._events.append(Refused(stream.stream_id, 408, "the request did not come in time"))

    # What goes.

    def has_stream(self, stream_id: int) -> bool:
        """Tell whether a response to this stream can still be sent."""
        stream = self._streams.get(stream_id)
        return stream is not None and stream.status == 0

    @property
    def open_streams(self) -> int:
        """How many streams are not at their end, promised ones counted."""
        return len(self._streams)

    def send_response(self, stream_id: int, response: Response, date: bytes) -> None:
        """Send a response; nobody waits for it if the stream is gone. Its Body is the connection's from here on."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.status == 0:
            self._sender.respond(stream, response, date)
        elif not isinstance(response.body, bytes):
            response.body.close()

    def pushes_left(self) -> int:
        """Return how many streams could be promised now (RFC 9113 sections 5.1.2 and 8.4)."""
        if not self._peer.enable_push or self._is_draining or self.is_over:
            return 0
        allowed = self._peer.max_concurrent_streams
        bound = limits.PUSHED_OBJECTS if allowed is None else min(allowed, limits.PUSHED_OBJECTS)
        return max(0, bound - (len(self._streams) - self._requests_open))

    def promise(self, stream_id: int, request: Request) -> int:
        """Promise the response to `request` on a request's stream; returns the new stream's number."""
        self._promised += 2
        pushed = Stream(self._promised, self._peer.initial_window_size, 0, begun=self._now)
        self._sender.promise(self._streams[stream_id], pushed, request, self._scheme)
        self._streams[pushed.stream_id] = pushed
        return pushed.stream_id

    def _last_promised(self) -> int:
        return self._promised

    @property
    def is_sending(self) -> bool:
        """Whether a response is begun and not through, for want of a turn, of a window or of the socket."""
        return any(stream.status and not stream.is_starved for stream in self._streams.values())

    def on_more(self, act: Callable[[], None]) -> None:
        """Have `act` called when content is there that a stream waited for."""
        self._sender.on_more = act

    @property
    def has_turns(self) -> bool:
        """Whether produce() could send something now."""
        return self._sender.has_turns

    @property
    def outgoing_octets(self) -> int:
        """How much data_to_send() would return."""
        return self._sender.waiting_octets

    def produce(self, limit_octets: int) -> list[str]:
        """Send content until so many octets wait for the socket; returns why streams were given up, if any were."""
        broken = self._sender.produce(limit_octets)
        for stream, _ in broken:
            # The head is out, so the only honest sign is a stream that ends early (RFC 9113 section 8.1).
            self._sender.reset(stream, ErrorCode.INTERNAL_ERROR)
        return [detail for _, detail in broken]

    def data_to_send(self) -> bytes:
        """Return the octets for the socket, once."""
        return self._sender.take()

    def take_done(self) -> list[Stream]:
        """Return the streams that ended since the last call, for the log."""
        done, self._done = self._done, []
        return done

    def stop(self) -> None:
        """Take no further request; those under way go on (RFC 9113 section 6.8)."""
        if not (self._is_draining or self.is_over):
            self._is_draining = True
            self._go_away(ErrorCode.NO_ERROR)
