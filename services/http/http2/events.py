"""Events of a server's HTTP/2 connection, named as in the h2 library."""

from dataclasses import dataclass

from services.http.http2.errors import ErrorCode
from services.http.messages import Request


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request is complete with its content."""

    stream_id: int
    request: Request
    content: bytes


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """A request cannot be handled and gets a response with this status; the rest of its content is discarded."""

    stream_id: int
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class StreamCancelled:
    """A stream closed before the response to its request was sent; the handler may be cancelled."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class ConnectionTerminated:
    """The connection ended with an error: GOAWAY is in data_to_send(), and no further input is read."""

    code: ErrorCode
    detail: str


Event = RequestReceived | RequestRejected | StreamCancelled | ConnectionTerminated
