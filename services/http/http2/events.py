"""What happens on a server's HTTP/2 connection, for the shell to act on."""

from dataclasses import dataclass

from services.http.http2.errors import ErrorCode
from services.http.messages import Request


@dataclass(frozen=True, slots=True)
class Asked:
    """A request is complete, its content with it."""

    stream_id: int
    request: Request
    content: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A request cannot be used, and earns a response of this status; more of it may come and is dropped."""

    stream_id: int
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A stream whose request was handed out ended before its response; nobody waits for that any more."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over: GOAWAY is among the octets to send, and nothing more is read."""

    code: ErrorCode
    detail: str


Event = Asked | Refused | Cancelled | Ended
