"""Session protocol of POP3 and IMAP, and the requests that a session makes of its connection."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from services.mail.maildir.store import Maildir
from services.mail.sasl import Credentials, Exchange


@dataclass(frozen=True, slots=True)
class LogIn:
    """Check a password; answered with an Opened, or None if name or password is wrong."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """Check an APOP digest (RFC 1939 section 7): MD5 of `timestamp` and the password; answered as LogIn."""

    user: str
    timestamp: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Start TLS; answered when the handshake is complete."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An authenticated user's mailbox, with the user's full name."""

    name: str
    maildir: Maildir


Request = LogIn | Challenge | StartTls
# Octets to send, or a request that generator.send() answers.
Output = bytes | Request
Outputs = Generator[Output, Any, None]


@dataclass(frozen=True, slots=True)
class ContinuationRequest:
    """Send `prompt`; the client's next line is the answer (RFC 3501 section 7.5, RFC 5034 section 4)."""

    prompt: bytes


# A command handler; the value returned is the text of the final response (OK or +OK).
Steps = Generator[Output | ContinuationRequest, Any, str]


def continue_exchange(exchange: Exchange) -> Generator[ContinuationRequest, Any, Credentials]:
    """Run a SASL exchange by continuation requests; raise SASLError."""
    try:
        challenge = next(exchange)
        while True:
            challenge = exchange.send((yield ContinuationRequest(b"+ %b\r\n" % challenge)))
    except StopIteration as done:
        credentials: Credentials = done.value
        return credentials


class Session(Protocol):
    """A protocol session as a connection drives it."""

    @property
    def ended(self) -> bool:
        """True when the connection must be closed."""

    @property
    def waits(self) -> bool:
        """True while poll() may yield updates."""

    @property
    def logged_in(self) -> bool:
        """True once the client is authenticated."""

    def greeting(self) -> bytes:
        """Return the greeting."""

    def receive(self, data: bytes) -> Outputs:
        """Parse input; yield responses and requests. Must be exhausted before the next call."""

    def poll(self) -> Iterator[bytes]:
        """Yield mailbox updates."""

    def end(self, text: str) -> bytes:
        """End the session from the server's side; return the response to send."""

    def release(self) -> None:
        """Release the mailbox: the connection is closed."""
