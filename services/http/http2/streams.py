"""The states of a stream as the server sees them, all moves in one table (RFC 9113 section 5.1).

                    SEND_PROMISE                  RECEIVE_HEADERS
    RESERVED_LOCAL <------------ IDLE ------------------------> OPEN
          | SEND_HEADERS                        RECEIVE_END /        \\ SEND_END
          v                                                v          v
    HALF_CLOSED_REMOTE <-------------------- HALF_CLOSED_REMOTE   HALF_CLOSED_LOCAL
          \\ SEND_END                              SEND_END \\     / RECEIVE_END
           `--------------------> CLOSED <------------------------'       (RESET closes any but IDLE)

A server promises streams and never is promised any, so RESERVED_REMOTE is left out.
"""

from dataclasses import dataclass, field
from enum import IntEnum, auto

from services.http.errors import LocalProtocolError
from services.http.messages import Arriving, Body, Request, Response


class StreamState(IntEnum):
    """RFC 9113 section 5.1. An IntEnum: the table is looked up for every message."""

    IDLE = auto()
    RESERVED_LOCAL = auto()
    OPEN = auto()
    HALF_CLOSED_REMOTE = auto()
    HALF_CLOSED_LOCAL = auto()
    CLOSED = auto()


class Signal(IntEnum):
    """What moves a stream."""

    RECEIVE_HEADERS = auto()
    RECEIVE_END = auto()
    SEND_PROMISE = auto()
    SEND_HEADERS = auto()
    SEND_END = auto()
    RESET = auto()


class Closing(IntEnum):
    """How a stream came to its end, which decides what a late frame is (RFC 9113 section 5.1, closed)."""

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
    """Return the state after `signal`; raises LocalProtocolError where the table has no such move."""
    after = TRANSITIONS.get((state, signal))
    if after is None:
        raise LocalProtocolError(f"{signal.name} in state {state.name}")
    return after


@dataclass(slots=True, eq=False)
class Stream:
    """One stream under way: its state and windows, the request as it comes and the response as it goes."""

    stream_id: int
    send_window: int
    receive_window: int
    state: StreamState = StreamState.IDLE
    closing: Closing = Closing.BY_END
    request: Request | None = None
    # The request's content: what came of it, and how much its head promised.
    received: list[bytes] = field(default_factory=list)
    received_octets: int = 0
    content_length: int | None = None
    # The response: `content` waits to be sent, `source` has more of it, `owed_octets` are still to be read of that.
    status: int = 0
    content: bytes = b""
    source: Body | Arriving | None = None
    owed_octets: int | None = 0
    is_queued: bool = False
    # `source` has nothing now, and says when it has.
    is_starved: bool = False
    # A promised stream's response goes after its page's; until then it is held, with its Date.
    parent: "Stream | None" = None
    held: tuple[Response, bytes] | None = None
    pushes: "list[Stream]" = field(default_factory=list)
    # For the log, and for the deadline of a request's content.
    begun: float = 0.0
    deadline: float = 0.0
    sent_octets: int = 0
    request_header_size_bytes: int = 0
    response_header_size_bytes: int = 0

    def move(self, signal: Signal) -> None:
        """Take one step of the table."""
        self.state = move(self.state, signal)

    @property
    def may_receive(self) -> bool:
        """Whether the request is not complete yet."""
        return self.state in (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)

    def release(self) -> None:
        """Let go of all content."""
        self.received = []
        self.content = b""
        source, self.source = self.source, None
        if source is not None:
            source.close()
        held, self.held = self.held, None
        if held is not None and not isinstance(held[0].body, bytes):
            held[0].body.close()
