"""HTTP messages and connection events, for all versions (RFC 9110 section 6).

A connection decodes octets into a Request or a Response, then Data for each piece of content, then EndOfMessage:

    Request(b"GET", b"/", fields=Fields(...)), EndOfMessage()

A Fault is an error of the peer, after which no further input is parsed; Closed is the end of the connection between
two messages.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from services.http.fields import Fields

Version = tuple[int, int]
HTTP_1_0: Version = (1, 0)
HTTP_1_1: Version = (1, 1)

NO_FIELDS = Fields()
PHRASES = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
# RFC 9110 renamed phrases that older registries, and Python 3.11, still carry.
PHRASES |= {413: b"Content Too Large", 414: b"URI Too Long"}
PHRASES |= {416: b"Range Not Satisfiable", 422: b"Unprocessable Content"}
# RFC 9110 section 15.5.19 keeps the number unused.
PHRASES.pop(418, None)


class Body(Protocol):
    """Content of a response that is read in pieces; `size_octets` is None if unknown before the last piece."""

    size_octets: int | None

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets, at most `limit_octets`; raises OSError on failure."""
        ...

    def close(self) -> None:
        """Release the body's resources; idempotent."""
        ...


def do_nothing() -> None:
    """Do nothing: the default of a callback."""


class StreamedBody:
    """A streamed response body; read() returns None while no data is available.

    `on_more` is called when there may be more to read; `trailers` are valid once read() has returned b"".
    """

    def __init__(self, size_octets: int | None = None) -> None:
        self.size_octets = size_octets
        self.trailers = NO_FIELDS
        self.on_more: Callable[[], None] = do_nothing

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while no data is available; raises OSError on failure."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the resources, also before the end; idempotent."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its content; `request_target` as sent, `version` as (major, minor)."""

    method: bytes
    request_target: bytes
    fields: Fields = NO_FIELDS
    version: Version = HTTP_1_1


@dataclass(frozen=True, slots=True)
class Response:
    """A response, interim (1xx) or final; `body` is set for sending only."""

    status: int
    fields: Fields = NO_FIELDS
    body: bytes | Body | StreamedBody = b""
    reason: bytes | None = None
    version: Version = HTTP_1_1

    @property
    def phrase(self) -> bytes:
        """The reason phrase received, or the registered one."""
        return PHRASES.get(self.status, b"") if self.reason is None else self.reason


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the content, with the transfer coding decoded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The end of the content, with the trailer fields (RFC 9110 section 6.5.1)."""

    trailers: Fields = field(default=NO_FIELDS)


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer closed its side between two messages."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of the peer: the status code of the response to it, and the reason."""

    status: int
    detail: str


Event = Request | Response | Data | EndOfMessage | Closed | Fault
END = EndOfMessage()
