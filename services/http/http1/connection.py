"""HTTP/1 connection states, and the base class of the client's and the server's connection (RFC 9112 section 9).

An error of the peer is returned as a Fault event, the last event; an error of this side raises LocalProtocolError.
"""

from collections.abc import Callable
from enum import IntEnum, auto

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.http import limits
from services.http.errors import HTTPError, LocalProtocolError
from services.http.http1.body import BodyDecoder, LengthDecoder
from services.http.messages import Data, Event, Fault

# The state machine of an HTTP/1 connection.
#
# A connection has two halves, one for each direction, and each half has its own state. Messages of one direction follow
# each other without overlap, so one state a half is enough; HTTP/2 needs one a stream (http2/streams.py). All
# transitions of both halves and of both roles are in TRANSITIONS. A signal that has no entry for the current state is a
# LocalProtocolError: the caller tried to send something out of order. Input cannot raise it, because a half in BODY
# asks a decoder, a half in IDLE parses a head, and in all other states input stays in the buffer.
#
#              HEAD                      END
#     IDLE ------------> BODY ------------------------> DONE
#      | \  WHOLE      (DATA: stays)                     |  |
#      |  `--------------------------------------------->'  | NEXT: back to IDLE
#      |  (INTERIM: stays)                               |
#      `---------------------> CLOSED <------------------'       FAULT: from IDLE, BODY or DONE to FAILED
#            CLOSE                          CLOSE                CLOSE: from FAILED to CLOSED
#
# HEAD is a head with content to follow; WHOLE is a message that ends with its head or is sent in one piece; INTERIM is
# a 1xx response, after which a final one is still due (RFC 9110 section 15.2).
#
# The server couples its halves: one exchange is a request in the receiving half and the response in the sending half.
# While the response is not complete, the receiving half stays in DONE and pipelined requests stay in the buffer
# (RFC 9112 section 9.3.2); that bounds the work that a client can cause. next_exchange() then applies NEXT to both
# halves if the connection persists, else CLOSE. A response may be complete before the request is: then the receiving
# half is still in BODY, the response was sent with `Connection: close`, and the rest of the request is discarded.
#
#     receiving   IDLE -HEAD-> BODY -END-> DONE ........................... DONE -NEXT-> IDLE
#     sending     IDLE ....................... -HEAD-> BODY -END-> DONE ........ -NEXT-> IDLE
#
# The client does not couple them: it may send several requests ahead of their responses. So it applies NEXT to the
# sending half as soon as a request is sent, and keeps the methods of unanswered requests in a queue, since the method
# decides whether a response has content (section 6.3).
#
# `persistent` is not a state but the decision for the end of the exchange. It is set by the framing of each message
# (section 9.3) and only ever cleared by other causes: a fault, the peer's end, a stop of the server.


class HalfState(IntEnum):
    """State of one direction of a connection."""

    IDLE = auto()
    BODY = auto()
    DONE = auto()
    CLOSED = auto()
    FAILED = auto()


class Signal(IntEnum):
    """Inputs of the transition table; an IntEnum, since a plain Enum hashes more slowly."""

    HEAD = auto()
    WHOLE = auto()
    INTERIM = auto()
    DATA = auto()
    END = auto()
    NEXT = auto()
    CLOSE = auto()
    FAULT = auto()


TRANSITIONS: dict[tuple[HalfState, Signal], HalfState] = {
    (HalfState.IDLE, Signal.HEAD): HalfState.BODY,
    (HalfState.IDLE, Signal.WHOLE): HalfState.DONE,
    (HalfState.IDLE, Signal.INTERIM): HalfState.IDLE,
    (HalfState.IDLE, Signal.CLOSE): HalfState.CLOSED,
    (HalfState.IDLE, Signal.FAULT): HalfState.FAILED,
    (HalfState.BODY, Signal.DATA): HalfState.BODY,
    (HalfState.BODY, Signal.END): HalfState.DONE,
    (HalfState.BODY, Signal.FAULT): HalfState.FAILED,
    (HalfState.DONE, Signal.NEXT): HalfState.IDLE,
    (HalfState.DONE, Signal.CLOSE): HalfState.CLOSED,
    (HalfState.DONE, Signal.FAULT): HalfState.FAILED,
    (HalfState.FAILED, Signal.CLOSE): HalfState.CLOSED,
}


def move(half: HalfState, signal: Signal) -> HalfState:
    """Return the state after `signal`; raises LocalProtocolError if the table has no such transition."""
    after = TRANSITIONS.get((half, signal))
    if after is None:
        raise LocalProtocolError(f"{signal.name} in state {half.name}")
    return after


class Connection:
    """Base class of both roles: the input buffer, the two halves, and the loop over parsing steps."""

    def __init__(self, body_limit_octets: int) -> None:
        self.receiving = HalfState.IDLE
        self.sending = HalfState.IDLE
        self.persistent = True
        self._body_limit_octets = body_limit_octets
        self._buffer = OctetBuffer(limits.UNPARSED_OCTETS)
        self._decoder: BodyDecoder = LengthDecoder(0)

    @property
    def unparsed_octets(self) -> int:
        """The size of the input that is buffered and not yet parsed."""
        return len(self._buffer)

    def _parse(self, step: Callable[[], list[Event]]) -> list[Event]:
        """Call `step` until it returns no event, and return all events; a fault is the last one."""
        events: list[Event] = []
        try:
            while parsed := step():
                events += parsed
        except HTTPError as error:
            events.append(self._fail(error.status, error.detail))
        return events

    def _feed(self, data: bytes) -> Fault | None:
        try:
            self._buffer.feed(data)
        except LimitExceededError as error:
            return self._fail(400, str(error))
        return None

    def _fail(self, status: int, detail: str) -> Fault:
        self.receiving = move(self.receiving, Signal.FAULT)
        self.persistent = False
        return Fault(status, detail)

    def _body_step(self) -> list[Event]:
        event = self._decoder.decode(self._buffer)
        if event is None:
            return []
        self.receiving = move(self.receiving, Signal.DATA if isinstance(event, Data) else Signal.END)
        return [event]
