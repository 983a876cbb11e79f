"""Interface between a sans-IO POP3 or IMAP session and its connection: methods, and requests for I/O."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.sasl import Credentials, Exchange


@dataclass(frozen=True, slots=True)
class LogIn:
    """Request to check a password; answered with Opened, or with None if name or password is wrong."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """Request to check an APOP digest (RFC 1939 section 7), MD5 of `timestamp` and password; answered like LogIn."""

    user: str
    timestamp: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Request to start TLS; answered when the handshake is complete."""


@dataclass(frozen=True, slots=True)
class StartCompression:
    """Request to compress all further octets in both directions (RFC 4978)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Answer to a successful login: the user's mailbox, and the name in full (user@domain)."""

    name: str
    maildir: Maildir


Request = LogIn | Challenge | StartTls | StartCompression
# A session yields octets to send, or a request, whose answer the connection passes to generator.send().
Output = bytes | Request
Outputs = Generator[Output, Any, None]


@dataclass(frozen=True, slots=True)
class ContinuationRequest:
    """Request for one more line from the client, after sending `prompt` (RFC 3501 section 7.5, RFC 5034 section 4)."""

    prompt: bytes


# A command handler is a generator of outputs that returns the text of the final OK or +OK.
Steps = Generator[Output | ContinuationRequest, Any, str]


def continue_exchange(exchange: Exchange) -> Generator[ContinuationRequest, Any, Credentials]:
    """Run a SASL exchange over continuation requests; return the credentials; raise SASLError."""
    try:
        challenge = next(exchange)
        while True:
            challenge = exchange.send((yield ContinuationRequest(b"+ %b\r\n" % challenge)))
    except StopIteration as done:
        credentials: Credentials = done.value
        return credentials


class Session(Protocol):
    """Methods of a POP3 or IMAP session that its connection calls."""

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
        """Return the octets of the greeting."""

    def receive(self, data: bytes) -> Outputs:
        """Parse received octets; yield responses and requests. Exhaust the generator before the next call."""

    def poll(self) -> Iterator[bytes]:
        """Yield untagged responses for changes by other sessions or programs (IDLE, RFC 2177; NOTIFY, RFC 5465)."""

    def end(self, text: str) -> bytes:
        """End the session on time-out or shutdown; return the last response, BYE or -ERR with `text`."""

    def release(self) -> None:
        """Release the mailbox and its lock after the connection is closed."""
