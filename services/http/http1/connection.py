"""What both sides of an HTTP/1 connection share: the unparsed octets, the two halves' states, and the events so far.

A peer's mistake comes out as a Fault event, the last one; a mistake of this side raises LocalProtocolError.
"""

from collections.abc import Callable
from enum import IntEnum, auto

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.http import limits
from services.http.errors import HTTPError, LocalProtocolError
from services.http.http1.body import BodyDecoder, LengthDecoder
from services.http.messages import (
    Data,
    Event,
    Fault,
)

# The states of an HTTP/1 connection: each direction is a half with its own state, and all moves are in one table.
#
# A server's receiving half and sending half make one exchange: the request half goes IDLE, BODY, DONE, then the
# response half does, then NEXT takes both back to IDLE, or CLOSE ends both (RFC 9112 section 9). Interim responses
# leave the sending half IDLE (RFC 9110 section 15.2). WHOLE is a message that ends with its head, or goes out in one
# piece. A client's halves do not wait for each other: it may send the
# next request before the response came (section 9.3.2).


class Half(IntEnum):
    """Where one direction of a connection stands."""

    IDLE = auto()
    BODY = auto()
    DONE = auto()
    CLOSED = auto()
    FAILED = auto()


class Signal(IntEnum):
    """What moves a half. An IntEnum: the table is looked up for every message, and plain Enums hash slowly."""

    HEAD = auto()
    WHOLE = auto()
    INTERIM = auto()
    DATA = auto()
    END = auto()
    NEXT = auto()
    CLOSE = auto()
    FAULT = auto()


TRANSITIONS: dict[tuple[Half, Signal], Half] = {
    (Half.IDLE, Signal.HEAD): Half.BODY,
    (Half.IDLE, Signal.WHOLE): Half.DONE,
    (Half.IDLE, Signal.INTERIM): Half.IDLE,
    (Half.IDLE, Signal.CLOSE): Half.CLOSED,
    (Half.IDLE, Signal.FAULT): Half.FAILED,
    (Half.BODY, Signal.DATA): Half.BODY,
    (Half.BODY, Signal.END): Half.DONE,
    (Half.BODY, Signal.FAULT): Half.FAILED,
    (Half.DONE, Signal.NEXT): Half.IDLE,
    (Half.DONE, Signal.CLOSE): Half.CLOSED,
    (Half.DONE, Signal.FAULT): Half.FAILED,
    (Half.FAILED, Signal.CLOSE): Half.CLOSED,
}


def move(half: Half, signal: Signal) -> Half:
    """Return the state after `signal`; raises LocalProtocolError where the table has no such move."""
    after = TRANSITIONS.get((half, signal))
    if after is None:
        raise LocalProtocolError(f"{signal.name} in state {half.name}")
    return after


class Connection:
    """What both roles share: the buffer, the two halves, and the drain loop."""

    def __init__(self, body_limit_octets: int) -> None:
        self.receiving = Half.IDLE
        self.sending = Half.IDLE
        self.persistent = True
        self._body_limit_octets = body_limit_octets
        self._buffer = OctetBuffer(limits.UNPARSED_OCTETS)
        self._decoder: BodyDecoder = LengthDecoder(0)

    @property
    def waiting_octets(self) -> int:
        """How much came that is not yet parsed."""
        return len(self._buffer)

    def _drain(self, step: Callable[[], list[Event]]) -> list[Event]:
        """Return all events that `step` makes of what is there; it returns none when it needs more."""
        events: list[Event] = []
        try:
            while came := step():
                events += came
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
        event = self._decoder.step(self._buffer)
        if event is None:
            return []
        self.receiving = move(self.receiving, Signal.DATA if isinstance(event, Data) else Signal.END)
        return [event]
