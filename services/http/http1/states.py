r"""States of an HTTP/1 connection: the state machine of its receiving and its sending half (RFC 9112).

A connection has two halves, one per direction, and each half has its own state. Messages of one direction follow each
other without overlap, so one state per half is enough; HTTP/2 needs one per stream (http2/streams.py). All transitions
of both halves, for client and server, are in TRANSITIONS. For a signal without an entry for the current state,
connection.py raises LocalProtocolError, because the caller tried to send something out of order.

             HEAD                      END
    IDLE ------------> BODY ------------------------> DONE
     | \  WHOLE      (DATA: stays)                     |  |
     |  `--------------------------------------------->'  | NEXT: back to IDLE
     |  (INTERIM: stays)                               |
     `---------------------> CLOSED <------------------'       FAULT: from IDLE, BODY or DONE to FAILED
           CLOSE                          CLOSE                CLOSE: from FAILED to CLOSED

The arrows are labelled with signals, which report what was received or sent. HEAD is a head with content to follow,
DATA a piece of the content, END the end of the content. WHOLE is a message that ends with its head or is sent in one
piece. INTERIM is a 1xx response, after which the final response is still due (RFC 9110 section 15.2). NEXT makes a half
ready for the next message of a persistent connection, CLOSE ends it, and FAULT is an error of the peer.
"""

from enum import IntEnum, auto


class HalfState(IntEnum):
    """State of one half of an HTTP/1 connection, which is the receiving or the sending direction."""

    IDLE = auto()
    BODY = auto()
    DONE = auto()
    CLOSED = auto()
    FAILED = auto()


class Signal(IntEnum):
    """Signals of the HTTP/1 state machine: the inputs of its transition table, such as the end of a message.

    Signal is an IntEnum, since a plain Enum hashes more slowly.
    """

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
