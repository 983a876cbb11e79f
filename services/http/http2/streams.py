r"""Stream states of an HTTP/2 server, with all transitions in one table (RFC 9113 section 5.1).

                    SEND_PROMISE                  RECEIVE_HEADERS
    RESERVED_LOCAL <------------ IDLE ------------------------> OPEN
          |                                       RECEIVE_END /      \ SEND_END
          | SEND_HEADERS                                     v        v
          `-----------------------------------> HALF_CLOSED_REMOTE   HALF_CLOSED_LOCAL
                                                    SEND_END  \        / RECEIVE_END
                                                               > CLOSED <             (RESET closes any but IDLE)

RESERVED_REMOTE is left out: only clients receive PUSH_PROMISE.
"""

from dataclasses import dataclass, field
from enum import IntEnum, auto

from lab7.services.http.errors import LocalProtocolError
from lab7.services.http.fields import Fields
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError
from lab7.services.http.http2.frames import Frame, Kind
from lab7.services.http.http2.limits import CLOSED_STREAMS
from lab7.services.http.messages import NO_FIELDS, Body, Request, Response, StreamedBody


class StreamState(IntEnum):
    """Stream states (RFC 9113 section 5.1); an IntEnum, which hashes faster than a plain Enum."""

    IDLE = auto()
    RESERVED_LOCAL = auto()
    OPEN = auto()
    HALF_CLOSED_REMOTE = auto()
    HALF_CLOSED_LOCAL = auto()
    CLOSED = auto()


class Signal(IntEnum):
    """Signals of the stream state machine: frames sent and received, promises and resets."""

    RECEIVE_HEADERS = auto()
    RECEIVE_END = auto()
    SEND_PROMISE = auto()
    SEND_HEADERS = auto()
    SEND_END = auto()
    RESET = auto()


class Closing(IntEnum):
    """Way in which a stream was closed: by END_STREAM, or by a reset of either side (RFC 9113 section 5.1, closed).

    The way determines how a late frame on the closed stream is handled.
    """

    BY_END = auto()
    BY_PEER_RESET = auto()
    BY_OUR_RESET = auto()


TRANSITIONS: dict[tuple[StreamState, Signal], StreamState] = {
    (StreamState.IDLE, Signal.RECEIVE_HEADERS): StreamState.OPEN,
    (StreamState.IDLE, Signal.SEND_PROMISE): StreamState.RESERVED_LOCAL,
    (StreamState.RESERVED_LOCAL, Signal.SEND_HEADERS): StreamState.HALF_CLOSED_REMOTE,
    (StreamState.RESERVED_LOCAL, Signal.RESET): StreamState.CLOSED,
    (StreamState.OPEN, Signal.SEND_HEADERS): StreamState.OPEN,
    (StreamState.OPEN, Signal.RECEIVE_END): StreamState.HALF_CLOSED_REMOTE,
    (StreamState.OPEN, Signal.SEND_END): StreamState.HALF_CLOSED_LOCAL,
    (StreamState.OPEN, Signal.RESET): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_REMOTE, Signal.SEND_HEADERS): StreamState.HALF_CLOSED_REMOTE,
    (StreamState.HALF_CLOSED_REMOTE, Signal.SEND_END): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_REMOTE, Signal.RESET): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_LOCAL, Signal.RECEIVE_END): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_LOCAL, Signal.RESET): StreamState.CLOSED,
}


def move(state: StreamState, signal: Signal) -> StreamState:
    """Return the state that follows `state` after `signal`.

    Raises LocalProtocolError if the table has no such transition.
    """
    after = TRANSITIONS.get((state, signal))
    if after is None:
        raise LocalProtocolError(f"invalid transition: {signal.name} in state {state.name}")
    return after


@dataclass(slots=True, eq=False)
class Stream:
    """Stream that is not closed: state, flow-control windows, request being received and response being sent."""

    stream_id: int
    send_window: int
    receive_window: int
    state: StreamState = StreamState.IDLE
    closing: Closing = Closing.BY_END
    request: Request | None = None
    # Content of the request received so far; `content_length` is None without Content-Length.
    received: list[bytes] = field(default_factory=list)
    received_octets: int = 0
    content_length: int | None = None
    # Content of the response: `content` is buffered; `source` has further content, of which `owed_octets` are unread.
    status: int = 0
    has_continued: bool = False
    content: bytes = b""
    source: Body | StreamedBody | None = None
    owed_octets: int | None = 0
    trailers: Fields = NO_FIELDS
    is_queued: bool = False
    # True if `source` has no content available; `source` calls back when it has more.
    is_starved: bool = False
    # A pushed response is held, with its Date, until the response of its parent stream is complete.
    parent: "Stream | None" = None
    held: tuple[Response, bytes] | None = None
    pushes: "list[Stream]" = field(default_factory=list)
    # A tunnel (RFC 8441), whose `uncredited_octets` were received and are not yet given back to the window.
    is_tunnel: bool = False
    uncredited_octets: int = 0
    # `begun`: time at which the request started, for the log; `deadline`: time limit for the request's content.
    begun: float = 0.0
    deadline: float = 0.0
    sent_octets: int = 0
    request_header_size_bytes: int = 0
    response_header_size_bytes: int = 0

    def move(self, signal: Signal) -> None:
        """Apply one transition of the state table; raises LocalProtocolError if the table has none."""
        self.state = move(self.state, signal)

    @property
    def may_receive(self) -> bool:
        """True if the request is still incomplete."""
        return self.state in (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)

    def release(self) -> None:
        """Discard the stream's content and close the bodies of its responses."""
        self.received = []
        self.content = b""
        source, self.source = self.source, None
        if source is not None:
            source.close()
        held, self.held = self.held, None
        if held is not None and not isinstance(held[0].body, bytes):
            held[0].body.close()


class StreamTable:
    """Table of a connection's open streams, and of the way in which recently closed streams were closed.

    The way (class Closing) determines whether a late frame on a closed stream is ignored or an error.
    """

    def __init__(self) -> None:
        self.by_id: dict[int, Stream] = {}
        self.last_request_id = 0
        self.last_promised_id = 0
        self.request_count = 0
        """Open streams that the client opened; the others were promised."""
        self._closed: dict[int, Closing] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def add_request(self, stream: Stream) -> None:
        """Add a stream that the client opens; idle streams with lower numbers are closed (RFC 9113 section 5.1.1)."""
        self.last_request_id = stream.stream_id
        self.by_id[stream.stream_id] = stream
        self.request_count += 1

    def add_promised(self, stream: Stream) -> None:
        """Add a promised stream, whose number is next_promised_id()."""
        self.by_id[stream.stream_id] = stream

    def next_promised_id(self) -> int:
        """Allocate the number of a promised stream."""
        self.last_promised_id += 2
        return self.last_promised_id

    def remove(self, stream: Stream) -> bool:
        """Remove a closed stream and record how it was closed; return whether it was in the table."""
        if self.by_id.pop(stream.stream_id, None) is None:
            return False
        if stream.stream_id % 2:
            self.request_count -= 1
        self._closed[stream.stream_id] = stream.closing
        if len(self._closed) > 2 * CLOSED_STREAMS:
            for stream_id in list(self._closed)[:CLOSED_STREAMS]:
                del self._closed[stream_id]
        return True

    def note_reset(self, stream_id: int) -> None:
        """Record that this side has reset a stream that is not in the table, so that late frames on it are ignored."""
        self._closed[stream_id] = Closing.BY_OUR_RESET

    def closing(self, stream_id: int) -> Closing | None:
        """Return how a stream was closed; None if it was never open, or was closed too long ago."""
        return self._closed.get(stream_id)

    def is_idle(self, stream_id: int) -> bool:
        """Return whether a stream is idle: not opened, and no stream with a higher number opened.

        RFC 9113 section 5.1.1.
        """
        return stream_id > (self.last_request_id if stream_id % 2 else self.last_promised_id)

    def require_not_idle(self, frame: Frame) -> None:
        """Raise Http2ConnectionError for an idle stream: it permits only HEADERS and PRIORITY (RFC 9113 5.1)."""
        if self.is_idle(frame.stream_id):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{Kind(frame.kind).name} on an idle stream")
