"""State of a POP3 session that command handlers read and change: protocol state, maildrop, capabilities (RFC 1939).

    connect -> AUTHORIZATION
    AUTHORIZATION -> TRANSACTION      PASS, APOP or AUTH succeeds and the maildrop's lock is free
    TRANSACTION -> ENDED              QUIT: the messages marked by DELE are removed (UPDATE)
    AUTHORIZATION -> ENDED            QUIT
    any state -> ENDED                time-out or too many errors: no message is removed

RFC 1939 section 3 specifies the states. The module is separate from session.py, which imports the handlers, so that the
handlers can import it without a cycle.
"""

from dataclasses import dataclass
from enum import Enum, auto

from lab7.services.mail.pop3.errors import SyntaxRefusedError
from lab7.services.mail.pop3.maildrop import Maildrop


class State(Enum):
    """States of a POP3 session (RFC 1939 section 3); UPDATE is part of the transition to ENDED by QUIT."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capabilities of a POP3 session that depend on the configuration and on TLS.

    `tls` is true while STLS can be offered. If `needs_tls` is true, passwords are refused until TLS is active.
    `timestamp` is the challenge for APOP in the greeting, empty without APOP.
    """

    tls: bool = False
    needs_tls: bool = False
    timestamp: bytes = b""

    @property
    def login_allowed(self) -> bool:
        """True if USER, PASS and AUTH are permitted now."""
        return not (self.tls and self.needs_tls)


class SessionState:
    """Data of one session; `user` is the name from USER, None unless USER was the last command."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.state = State.AUTHORIZATION
        self.user: bytes | None = None
        self.maildrop: Maildrop | None = None
        self.tls_requested = False
        self.failed_logins = 0

    def open(self, maildrop: Maildrop) -> None:
        """Enter the TRANSACTION state with a maildrop that has been locked."""
        self.maildrop = maildrop
        self.state = State.TRANSACTION

    def end(self) -> None:
        """Enter the state ENDED."""
        self.state = State.ENDED

    def release(self) -> None:
        """Release the maildrop's lock."""
        if self.maildrop is not None:
            self.maildrop.release()
            self.maildrop = None

    def opened(self) -> Maildrop:
        """Return the session's maildrop; raise SyntaxRefusedError before login."""
        if self.maildrop is None:
            raise SyntaxRefusedError("Log in first.")
        return self.maildrop
