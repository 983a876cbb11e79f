"""The states of an HTTP/1 connection: each direction is a half with its own state, and all moves are in one table.

A server's receiving half and sending half make one exchange: the request half goes IDLE, BODY, DONE, then the
response half does, then NEXT takes both back to IDLE, or CLOSE ends both (RFC 9112 section 9). Interim responses
leave the sending half IDLE (RFC 9110 section 15.2). WHOLE is a message that ends with its head, or goes out in one
piece. A client's halves do not wait for each other: it may send the
next request before the response came (section 9.3.2).
"""

from enum import IntEnum, auto

from services.http.errors import LocalProtocolError


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
