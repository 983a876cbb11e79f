"""The server's side of one HTTP/2 connection, without I/O: octets in, events out; responses in, octets out.

    server = Http2ServerConnection(b"http", limits.REQUEST_BODY_OCTETS, waits, now)
    server.receive_data(PREFACE + settings + headers, now)     # [Asked(1, Request(...), b"")]
    server.send_response(1, Response(200, body=b"hi"), date)
    server.produce(65_536)
    server.data_to_send()                                      # SETTINGS, SETTINGS with ACK, HEADERS, DATA

RFC 9113 sections 3.4, 5, 6 and 8; RFC 7540 section 3.2 (Upgrade), which RFC 9113 no longer has and clients still do.
Left out: priorities (section 5.3 deprecates them), CONNECT tunnels, and PUSH_PROMISE on any but a request's stream.
"""

from collections.abc import Callable

from services.http.http2 import limits
from services.http.http2.errors import ErrorCode, Http2ConnectionError, Http2StreamError
from services.http.http2.events import Asked, Event, Refused
from services.http.http2.frames import ACK, Frame, Kind
from services.http.http2.limits import Waits
from services.http.http2.request_frames import RequestFrames
from services.http.http2.streams import Signal, Stream
from services.http.messages import Request, Response

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
