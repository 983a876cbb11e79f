"""SMTP server's command table, session states, and requests for I/O to the connection (RFC 5321 section 4.1).

The table maps a verb to (states in which it is allowed, handler method, help text). A command in another state gets 503
(section 4.1.4), a verb of an RFC that is not implemented 502, any other 500 (section 4.2.4).
"""

from dataclasses import dataclass
from enum import Enum

from services.mail.address import Mailbox
from services.mail.smtp.syntax import Reply


class State(Enum):
    """State of an SMTP server session."""

    CONNECTED = "no HELO or EHLO yet"
    GREETED = "no transaction"
    MAIL = "a reverse_path, no recipient"
    RCPT = "a recipient at least"
    DATA = "mail data comes"
    AUTH = "an authentication exchange"
    WAITING = "the shell has a request to answer"
    REFUSED = "not served: nothing but QUIT"
    # After suspected SMTP smuggling (content.py), commands may be a hidden message: reply 421 (RFC 5321 section 3.8).
    DISTRUSTED = "the message was made to end elsewhere: nothing but QUIT"
    CLOSED = "over"


@dataclass(frozen=True, slots=True)
class Accept:
    """Request to write a message to the queue; completed by ServerSession.accepted()."""

    reverse_path: Mailbox | None
    recipients: tuple[Mailbox, ...]
    content: bytes
    is_8bit: bool


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Request to check a password; completed by ServerSession.authenticated()."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Request for a TLS handshake after all replies are sent; completed by ServerSession.tls_started()."""


Request = Accept | CheckPassword | StartTLS


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the command table: the states in which a verb is permitted, its handler, and its help text."""

    states: frozenset[State]
    handler: str
    usage: str


_ANY = frozenset((State.CONNECTED, State.GREETED, State.MAIL, State.RCPT))
_OUTSIDE = frozenset((State.CONNECTED, State.GREETED))
_LAST = _ANY | {State.REFUSED, State.DISTRUSTED}

COMMANDS: dict[bytes, Command] = {
    b"HELO": Command(_ANY, "_helo", "HELO domain"),
    b"EHLO": Command(_ANY, "_ehlo", "EHLO domain-or-address-literal"),
    b"MAIL": Command(frozenset((State.GREETED,)), "_mail", "MAIL FROM:<reverse-path> [SIZE=octets] [BODY=8BITMIME]"),
    b"RCPT": Command(frozenset((State.MAIL, State.RCPT)), "_rcpt", "RCPT TO:<forward-path>"),
    b"DATA": Command(frozenset((State.MAIL, State.RCPT)), "_data", "DATA"),
    b"RSET": Command(_ANY, "_rset", "RSET"),
    b"VRFY": Command(_ANY, "_vrfy", "VRFY user-or-mailbox"),
    b"EXPN": Command(_ANY, "_expn", "EXPN list"),
    b"HELP": Command(_ANY, "_help", "HELP [command]"),
    b"NOOP": Command(_ANY, "_noop", "NOOP [anything]"),
    b"QUIT": Command(_LAST, "_quit", "QUIT"),
    b"AUTH": Command(frozenset((State.GREETED,)), "_auth", "AUTH mechanism [initial-response]"),
    b"STARTTLS": Command(_OUTSIDE, "_starttls", "STARTTLS"),
}

# Reply 502: RFC 821 (SEND SOML SAML TURN), RFC 1985 (ETRN), RFC 2645 (ATRN), RFC 3030 (BDAT), RFC 4468 (BURL).
NOT_IMPLEMENTED = frozenset((b"SEND", b"SOML", b"SAML", b"TURN", b"ETRN", b"ATRN", b"BDAT", b"BURL"))

OK = Reply(250, "OK", "2.0.0")
UNKNOWN = Reply(500, "No such command", "5.5.1")
NO_COMMAND = Reply(502, "This server does not implement the command", "5.5.1")
OUT_OF_ORDER = Reply(503, "Bad sequence of commands", "5.5.1")
HELLO_FIRST = Reply(503, "HELO or EHLO comes first", "5.5.1")
NESTED = Reply(503, "Transaction in progress: RSET ends it", "5.5.1")
MAIL_FIRST = Reply(503, "MAIL comes first", "5.5.1")
RCPT_FIRST = Reply(503, "RCPT comes first", "5.5.1")
NOT_SERVED = Reply(503, "Service refused: only QUIT is accepted", "5.7.1")
NO_RECIPIENTS = Reply(554, "No valid recipients", "5.5.1")
NO_ARGUMENT = Reply(501, "The command takes no argument", "5.5.4")
NEEDS_ARGUMENT = Reply(501, "The command needs an argument", "5.5.4")
LINE_TOO_LONG = Reply(500, "The line is too long", "5.5.2")
BAD_OCTETS = Reply(500, "The line contains octets that are invalid in commands; lines end in CRLF", "5.5.2")
START_MAIL_INPUT = Reply(354, "Start mail input; end with <CRLF>.<CRLF>")
TOO_MANY_RECIPIENTS = Reply(452, "Too many recipients: send what is left in another transaction", "4.5.3")

# A command in the wrong state gets one of these replies, by verb and state.
ORDER: dict[tuple[bytes, State], Reply] = {
    (b"MAIL", State.CONNECTED): HELLO_FIRST,
    (b"MAIL", State.MAIL): NESTED,
    (b"MAIL", State.RCPT): NESTED,
    (b"AUTH", State.CONNECTED): HELLO_FIRST,
    (b"RCPT", State.CONNECTED): HELLO_FIRST,
    (b"RCPT", State.GREETED): MAIL_FIRST,
    (b"DATA", State.CONNECTED): HELLO_FIRST,
    (b"DATA", State.GREETED): MAIL_FIRST,
}
