"""What a session needs from outside, and what a session is."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from services.mail.maildir.store import Maildir


@dataclass(frozen=True, slots=True)
class LogIn:
    """Who wants to log in; answered with an Opened, or with None where name and password do not fit."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A log-in by a digest (RFC 1939 section 7): MD5 of `timestamp` and the password; answered as LogIn."""

    user: str
    timestamp: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """TLS begins now; answered when it has."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A user's mailbox, and the name of the user in full."""

    name: str
    maildir: Maildir


Request = LogIn | Challenge | StartTls
# Octets to send, or a request that is answered by generator.send().
Output = bytes | Request
Outputs = Generator[Output, Any, None]


class Session(Protocol):
    """A protocol's session as a connection serves it."""

    @property
    def ended(self) -> bool:
        """Whether the connection is to be closed."""

    @property
    def waits(self) -> bool:
        """Whether poll() may have something for the client now."""

    @property
    def logged_in(self) -> bool:
        """Whether the client has proved who it is."""

    def greeting(self) -> bytes:
        """Return what the server says first."""

    def receive(self, data: bytes) -> Outputs:
        """Take octets in and yield what becomes of them; all of it, before the next call."""

    def poll(self) -> Iterator[bytes]:
        """Yield what is new."""

    def end(self, text: str) -> bytes:
        """End the session from this side; returns what the client is told."""

    def release(self) -> None:
        """The connection is gone: let go of what the session holds."""
