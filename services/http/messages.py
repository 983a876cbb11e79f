"""The messages of HTTP and the events of a connection (RFC 9110 section 6), the same for every version.

A decoder turns octets into a Request or a Response, then Data as it comes, then EndOfMessage:

    Request(b"GET", b"/", fields=Fields(...)), EndOfMessage()

A Fault is a peer's mistake as an event, after which nothing more is read; Closed is a connection that ended between
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
    """A response's content that is read piece by piece; `size_octets` is None where
    that is not known before the last piece."""

    size_octets: int | None

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets, at most so many; raises OSError when they cannot be had."""
        ...

    def close(self) -> None:
        """Let go of what the body holds; may be called twice."""
        ...


def nothing() -> None:
    """Do nothing: what a callback is before somebody wants to be told."""


class Arriving:
    """A response's content that comes from elsewhere while it is sent: a Body whose next octets may not be there yet.

    `on_more` is called whenever there may be more to read; `trailers` are known once read() has returned b"".
    """

    def __init__(self, size_octets: int | None = None) -> None:
        self.size_octets = size_octets
        self.trailers = NO_FIELDS
        self.on_more: Callable[[], None] = nothing

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while nothing is there; raises OSError where it broke off."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it, read to its end or not; may be called twice."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. `request_target` is as it was sent, `version` (major, minor)."""

    method: bytes
    request_target: bytes
    fields: Fields = NO_FIELDS
    version: Version = HTTP_1_1


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response, interim (1xx) or final, and for a sender its content."""

    status: int
    fields: Fields = NO_FIELDS
    body: bytes | Body | Arriving = b""
    reason: bytes | None = None
    version: Version = HTTP_1_1

    @property
    def phrase(self) -> bytes:
        """The reason phrase: as received, or the registered one."""
        return PHRASES.get(self.status, b"") if self.reason is None else self.reason


@dataclass(frozen=True, slots=True)
class Data:
    """Some of the content, transfer coding removed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The content is complete. Trailer fields stay apart from the header (RFC 9110 section 6.5.1)."""

    trailers: Fields = field(default=NO_FIELDS)


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer ended its side between two messages."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The peer's mistake: the status that it earns and why."""

    status: int
    detail: str


Event = Request | Response | Data | EndOfMessage | Closed | Fault
END = EndOfMessage()
