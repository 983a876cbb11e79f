"""Interface between a sans-IO POP3 or IMAP session and its connection: the session's methods and its I/O requests.

The session implements the protocol without sockets; the connection does the network I/O, and checks passwords.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from lab7.services.mail.maildir.store import Maildir
from lab7.services.mail.sasl import Credentials, Exchange


@dataclass(frozen=True, slots=True)
class LogIn:
    """A session's request to check a user name and password.

    The connection answers with an Opened object, or with None if either is wrong.
    """

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A session's request to check an APOP digest, the MD5 hash of `timestamp` and password (RFC 1939 section 7).

    The connection answers with an Opened object, or with None if user name or digest is wrong.
    """

    user: str
    timestamp: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """A session's request to start TLS; the connection answers when the TLS handshake is complete."""


@dataclass(frozen=True, slots=True)
class StartCompression:
    """A session's request to compress all further octets of the connection in both directions (RFC 4978)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Answer to a successful login: the user's full name (user@domain) and Maildir."""

    name: str
    maildir: Maildir


Request = LogIn | Challenge | StartTls | StartCompression
# A session yields octets to send, or a request, whose answer the connection passes to generator.send().
Output = bytes | Request
Outputs = Generator[Output, Any, None]


@dataclass(frozen=True, slots=True)
class ContinuationRequest:
    """A command handler's request for one more line from the client, after sending `prompt` ("+ ...").

    RFC 3501 section 7.5 for IMAP, RFC 5034 section 4 for POP3.
    """

    prompt: bytes


# A command handler is a generator of outputs that returns the text of the final OK or +OK.
Steps = Generator[Output | ContinuationRequest, Any, str]


def continue_exchange(exchange: Exchange) -> Generator[ContinuationRequest, Any, Credentials]:
    """Run a SASL exchange, a generator of challenges, by continuation requests; return the client's credentials.

    Raises SASLError.
    """
    try:
        challenge = next(exchange)
        while True:
            challenge = exchange.send((yield ContinuationRequest(b"+ %b\r\n" % challenge)))
    except StopIteration as done:
        credentials: Credentials = done.value
        return credentials


class Session(Protocol):
    """Interface of a sans-IO POP3 or IMAP session: the methods that its connection calls."""

    @property
    def ended(self) -> bool:
        """True when the connection must be closed."""

    @property
    def waits(self) -> bool:
        """True while the server may send untagged responses unasked (IDLE, NOTIFY); poll() then yields them."""

    @property
    def logged_in(self) -> bool:
        """True once the client has logged in."""

    def greeting(self) -> bytes:
        """Return the octets of the greeting."""

    def receive(self, data: bytes) -> Outputs:
        """Parse received octets; yield responses to send, and requests for I/O.

        The generator must be exhausted before the next call.
        """

    def poll(self) -> Iterator[bytes]:
        """Yield untagged responses for mailbox changes by other clients (IDLE, RFC 2177; NOTIFY, RFC 5465)."""

    def end(self, text: str) -> bytes:
        """End the session after a time-out or at shutdown; return the last response: BYE or -ERR, with `text`."""

    def release(self) -> None:
        """Release the mailbox, and the lock of a POP3 maildrop, after the connection has been closed."""
