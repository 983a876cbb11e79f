"""Events of an HTTP/2 server connection: request, rejection, cancelled stream, tunnel data, end of the connection.

The sans-IO connection returns them for the octets received. Their names follow those of the h2 library.
"""

from dataclasses import dataclass

from lab7.services.http.http2.errors import ErrorCode
from lab7.services.http.messages import Request


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """Event: a request is complete, including its content. For a tunnel, the client's octets follow as TunnelData."""

    stream_id: int
    request: Request
    content: bytes


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """Event: a request is to be answered with the error `status`; the rest of its content is discarded."""

    stream_id: int
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class StreamCancelled:
    """Event: a stream closed before a response to its request was sent, or before its tunnel ended."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class TunnelData:
    """Event: octets of the client for a tunnel (RFC 8441), the last ones if `is_last`."""

    stream_id: int
    data: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class ConnectionTerminated:
    """Event: the connection ended with an error. data_to_send() contains GOAWAY; further input is ignored."""

    code: ErrorCode
    detail: str


Event = RequestReceived | RequestRejected | StreamCancelled | TunnelData | ConnectionTerminated
