"""Events of an HTTP/2 server connection: requests, rejections, cancelled streams, tunnel data, end of the connection.

The sans-IO connection returns them for the octets received. Their names follow those of the h2 library.
"""

from dataclasses import dataclass

from lab7.services.http.fields import Fields
from lab7.services.http.http2.errors import ErrorCode
from lab7.services.http.messages import NO_FIELDS, Request


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """Event of Http2ServerConnection: a request is complete, including its content and trailers.

    For a tunnel, the client's octets follow as TunnelData.
    """

    stream_id: int
    request: Request
    content: bytes
    trailers: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class ContinueExpected:
    """Event of Http2ServerConnection: the head of a request whose client waits for 100 Continue (RFC 9110 10.1.1)."""

    stream_id: int
    request: Request


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """Event of Http2ServerConnection: a request must get the error `status`; the rest of its content is discarded."""

    stream_id: int
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class StreamCancelled:
    """Event of Http2ServerConnection: a stream closed before its response was sent, or before its tunnel ended."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class TunnelData:
    """Event of Http2ServerConnection: octets of the client for a tunnel (RFC 8441), the last ones if `is_last`."""

    stream_id: int
    data: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class ConnectionTerminated:
    """Event of Http2ServerConnection: the connection ended with an error.

    data_to_send() contains GOAWAY; further input is ignored.
    """

    code: ErrorCode
    detail: str


Event = RequestReceived | ContinueExpected | RequestRejected | StreamCancelled | TunnelData | ConnectionTerminated
