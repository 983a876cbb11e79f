"""SMTP server's command table, its session states, and a session's requests for I/O (RFC 5321 section 4.1).

The table maps a verb to (states in which it is allowed, handler method, help text). A command in another state gets 503
(section 4.1.4), a known verb that is not implemented 502, an unknown verb 500 (section 4.2.4).
"""

from dataclasses import dataclass
from enum import Enum

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.syntax import NO_MESSAGE_REQUEST, MessageRequest, RecipientRequest, Reply


class State(Enum):
    """State of an SMTP server session; commands are permitted in certain states only (RFC 5321 section 4.1.4)."""

    CONNECTED = "before HELO or EHLO"
    GREETED = "no transaction"
    MAIL = "after MAIL"
    RCPT = "after RCPT"
    DATA = "receiving mail data"
    CHUNKS = "between two chunks of a message"
    AUTH = "in an authentication exchange"
    WAITING = "waiting for the shell"
    REFUSED = "service refused: only QUIT is accepted"
    # After suspected SMTP smuggling (content.py), commands may be a hidden message: reply 421 (RFC 5321 section 3.8).
    DISTRUSTED = "suspected smuggling: only QUIT is accepted"
    CLOSED = "over"


@dataclass(frozen=True, slots=True)
class Accept:
    """Request to write a message to the queue; the connection then calls ServerSession.accepted() with the reply."""

    reverse_path: Mailbox | None
    recipients: tuple[Mailbox, ...]
    content: bytes
    is_8bit: bool
    # DSN requests (RFC 3461); `recipient_requests` has one for each recipient, in order.
    request: MessageRequest = NO_MESSAGE_REQUEST
    recipient_requests: tuple[RecipientRequest, ...] = ()
    # RFC 6531: the message may have addresses and header fields in UTF-8.
    is_smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Request to check a password; the connection then calls ServerSession.authenticated() with the result."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Request for a TLS handshake after all replies are sent; the connection then calls ServerSession.tls_started()."""


Request = Accept | CheckPassword | StartTLS


@dataclass(frozen=True, slots=True)
class Command:
    """Entry of the command table: the session states that permit a verb, its handler, and its help text."""

    states: frozenset[State]
    handler: str
    usage: str


_ANY = frozenset((State.CONNECTED, State.GREETED, State.MAIL, State.RCPT, State.CHUNKS))
_OUTSIDE = frozenset((State.CONNECTED, State.GREETED))
_LAST = _ANY | {State.REFUSED, State.DISTRUSTED}

_MAIL_USAGE = "MAIL FROM:<reverse-path> [SIZE=octets] [BODY=8BITMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext]"
_RCPT_USAGE = "RCPT TO:<forward-path> [NOTIFY=conditions] [ORCPT=type;xtext]"

COMMANDS: dict[bytes, Command] = {
    b"HELO": Command(_ANY, "_helo", "HELO domain"),
    b"EHLO": Command(_ANY, "_ehlo", "EHLO domain-or-address-literal"),
    b"MAIL": Command(
        frozenset((State.GREETED,)),
        "_mail",
        _MAIL_USAGE,
    ),
    b"RCPT": Command(frozenset((State.MAIL, State.RCPT)), "_rcpt", _RCPT_USAGE),
    b"DATA": Command(frozenset((State.MAIL, State.RCPT)), "_data", "DATA"),
    # RFC 3030 section 2: the chunk follows the command in any state, and is read even if the command is refused.
    b"BDAT": Command(_ANY, "_bdat", "BDAT octets [LAST]"),
    b"RSET": Command(_ANY, "_rset", "RSET"),
    b"VRFY": Command(_ANY, "_vrfy", "VRFY user-or-mailbox"),
    b"EXPN": Command(_ANY, "_expn", "EXPN list"),
    b"HELP": Command(_ANY, "_help", "HELP [command]"),
    b"NOOP": Command(_ANY, "_noop", "NOOP [anything]"),
    b"QUIT": Command(_LAST, "_quit", "QUIT"),
    b"AUTH": Command(frozenset((State.GREETED,)), "_auth", "AUTH mechanism [initial-response]"),
    b"STARTTLS": Command(_OUTSIDE, "_starttls", "STARTTLS"),
}

# Verbs that get 502: SEND SOML SAML TURN (RFC 821), ETRN (RFC 1985), ATRN (2645), BURL (4468).
NOT_IMPLEMENTED = frozenset((b"SEND", b"SOML", b"SAML", b"TURN", b"ETRN", b"ATRN", b"BURL"))

OK = Reply(250, "OK", "2.0.0")
UNKNOWN = Reply(500, "Command unrecognized", "5.5.1")
NO_COMMAND = Reply(502, "Command not implemented", "5.5.1")
OUT_OF_ORDER = Reply(503, "Bad sequence of commands", "5.5.1")
HELLO_FIRST = Reply(503, "Send HELO or EHLO first", "5.5.1")
NESTED = Reply(503, "Nested MAIL command: send RSET first", "5.5.1")
MAIL_FIRST = Reply(503, "Send MAIL first", "5.5.1")
RCPT_FIRST = Reply(503, "Send RCPT first", "5.5.1")
NOT_SERVED = Reply(503, "Service refused: only QUIT is accepted", "5.7.1")
NO_RECIPIENTS = Reply(554, "No valid recipients", "5.5.1")
NO_ARGUMENT = Reply(501, "Syntax: command takes no argument", "5.5.4")
NEEDS_ARGUMENT = Reply(501, "Syntax: argument required", "5.5.4")
LINE_TOO_LONG = Reply(500, "Line too long", "5.5.2")
BAD_OCTETS = Reply(500, "Invalid characters in the command; lines must end in CRLF", "5.5.2")
START_MAIL_INPUT = Reply(354, "Start mail input; end with <CRLF>.<CRLF>")
TOO_MANY_RECIPIENTS = Reply(452, "Too many recipients: send the others in another transaction", "4.5.3")

# Replies to commands in the wrong state, by verb and state.
ORDER: dict[tuple[bytes, State], Reply] = {
    (b"MAIL", State.CONNECTED): HELLO_FIRST,
    (b"MAIL", State.MAIL): NESTED,
    (b"MAIL", State.RCPT): NESTED,
    (b"AUTH", State.CONNECTED): HELLO_FIRST,
    (b"RCPT", State.CONNECTED): HELLO_FIRST,
    (b"RCPT", State.GREETED): MAIL_FIRST,
    (b"DATA", State.CONNECTED): HELLO_FIRST,
    (b"DATA", State.GREETED): MAIL_FIRST,
    (b"BDAT", State.CONNECTED): HELLO_FIRST,
    (b"BDAT", State.GREETED): MAIL_FIRST,
}
