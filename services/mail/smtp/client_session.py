"""Sans-IO SMTP client session: received replies in, commands out (RFC 5321 sections 3 and 4.1).

    S: 220 mx.example.com ESMTP ready
    C: EHLO client.example.org
    S: 250-mx.example.com ... 250 PIPELINING      step is now Step.READY: send(envelope)
    C: MAIL FROM:<alice@example.org> RCPT TO:<bob@example.com> DATA    in one write with PIPELINING (RFC 2920)
    S: 250 ... 250 ... 354
    C: ... <CRLF>.<CRLF>
    S: 250 OK                                     outcome has the reply for each recipient; step is READY again

Falls back to HELO if EHLO is rejected. SIZE (RFC 1870), BODY=8BITMIME (RFC 6152) and DSN requests (RFC 3461) are sent
if the server announces them. A message with octets beyond ASCII is not sent to a server without 8BITMIME; if an address
has them, or the header of a message received with SMTPUTF8 (RFC 6531), it is not sent to a server without SMTPUTF8.
STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4954) are used if the options enable them. Lines above 998 octets are shortened
(short_lines.py). Left out: pipelining the next message's commands after the end of the mail data.
"""

import base64
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import zip_longest

from lab7.services.buffer import OctetBuffer
from lab7.services.errors import LimitExceededError
from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.content import header_section, stuffed
from lab7.services.mail.smtp.short_lines import shorten_lines
from lab7.services.mail.smtp.syntax import (
    NO_MESSAGE_REQUEST,
    NO_RECIPIENT_REQUEST,
    REPLY_LINE_OCTETS_MAX,
    MessageRequest,
    RecipientRequest,
    Reply,
    ReplyError,
    ReplyReader,
)

# Maximum octets of replies that are buffered: a pipelined group gets a reply of some lines per command.
_UNREAD_OCTETS = 1 << 20
# Maximum octets of a reply line: four times RFC 5321's 512 octets, because some servers send such lines.
_LINE_OCTETS = 4 * REPLY_LINE_OCTETS_MAX

NOT_SEVEN_BIT = Reply(554, "The message is not ASCII, and the next server does not support 8BITMIME", "5.6.3")
NOT_ASCII = Reply(550, "An address or header is not ASCII, and the next server does not support SMTPUTF8", "5.6.7")
TOO_BIG = Reply(552, "The message exceeds the size limit of the next server", "5.3.4")
NO_TLS = Reply(454, "The server does not offer STARTTLS", "4.7.0")
NO_AUTH = Reply(530, "The server offers no usable authentication mechanism", "5.7.0")


class Step(Enum):
    """State of an SMTP client session: the server's reply, or the caller's method, that it is waiting for."""

    GREETING = "220"
    HELLO = "the reply to EHLO or HELO"
    STARTTLS = "the reply to STARTTLS"
    TLS = "the shell's handshake: tls_started()"
    AUTH = "the reply to AUTH"
    READY = "a message, or quit()"
    GROUP = "the replies to MAIL, RCPT and DATA"
    CONTENT = "the reply to the end of the mail data"
    RSET = "the reply to RSET"
    QUIT = "221"
    OVER = "none: the session is over"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message to send and its SMTP envelope.

    `content` has CRLF line ends; `reverse_path` None is the null reverse-path.
    """

    reverse_path: Mailbox | None
    forward_paths: tuple[Mailbox, ...]
    content: bytes
    is_8bit: bool = False
    # DSN requests (RFC 3461), which only a server with the extension DSN gets; one for each forward-path, or none.
    request: MessageRequest = NO_MESSAGE_REQUEST
    recipient_requests: tuple[RecipientRequest, ...] = ()
    # RFC 6531: the header may be UTF-8, which then only a server with the extension SMTPUTF8 gets.
    is_smtputf8: bool = False

    @property
    def needs_smtputf8(self) -> bool:
        """True if an address, or the header of a message received with SMTPUTF8, has characters beyond ASCII."""
        if not all(str(path or "").isascii() for path in (self.reverse_path, *self.forward_paths)):
            return True
        return self.is_smtputf8 and not header_section(self.content).isascii()


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Options of a client session: EHLO name, use of PIPELINING and STARTTLS, credentials, encoder of mail data.

    `server` is the server's name; it becomes the attribute `server` of each Reply.
    """

    hello: str
    pipelining: bool = True
    tls: bool = False
    tls_required: bool = False
    user: str | None = None
    password: str = ""
    encode: Callable[[bytes], bytes] = stuffed
    server: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a mail transaction: for each recipient, in order, the reply that decided about its delivery."""

    replies: tuple[Reply, ...]

    @property
    def delivered(self) -> bool:
        """True if the server accepted the message for every recipient."""
        return all(reply.is_positive for reply in self.replies)


@dataclass
class _Transaction:
    envelope: Envelope
    # `unsent`: commands not sent yet, as (verb, octets); `awaited`: verbs of commands without a reply.
    unsent: deque[tuple[str, bytes]] = field(default_factory=deque)
    awaited: deque[str] = field(default_factory=deque)
    replies: list[Reply] = field(default_factory=list)
    refusal: Reply | None = None
    go_ahead: bool = False

    @property
    def has_recipient(self) -> bool:
        return any(reply.is_positive for reply in self.replies)


class ClientSession:
    """Sans-IO session of an SMTP client.

    `step` is its state; `failure` is the reply that ended the session early, None if nothing failed.
    """

    def __init__(self, options: SessionOptions) -> None:
        self.step = Step.GREETING
        self.options = options
        self.extensions: dict[str, str] = {}
        self.outcome: Outcome | None = None
        self.failure: Reply | None = None
        self.uses_tls = False
        self.tls_failed = False
        # True between the end of the mail data and its reply: if the connection is lost then, delivery is uncertain.
        self.in_doubt = False
        self._input = OctetBuffer(_UNREAD_OCTETS)
        self._reader = ReplyReader(options.server)
        self._extended = True
        self._authenticated = False
        self._transaction: _Transaction | None = None

    @property
    def pipelines(self) -> bool:
        """True if commands are sent in groups: the server announces PIPELINING (RFC 2920) and the options permit it."""
        return self.options.pipelining and "PIPELINING" in self.extensions

    @property
    def relays_dsn_requests(self) -> bool:
        """True if DSN requests are sent with messages: the server announces DSN (RFC 3461)."""
        return "DSN" in self.extensions

    def receive(self, data: bytes) -> bytes:
        """Parse received octets and return the octets to send; a syntax error ends the session."""
        sent: list[bytes] = []
        try:
            self._input.feed(data)
            while self.step is not Step.OVER and (line := self._input.take_line(_LINE_OCTETS)) is not None:
                reply = self._reader.feed(line)
                if reply is not None:
                    sent.append(self._handle_reply(reply))
            if self.step is not Step.OVER and self._input.has_lf:
                raise ReplyError("a line of a reply ends in LF without CR")
        except (ReplyError, LimitExceededError) as error:
            self._end(Reply(451, f"Not an SMTP server: {error}", "4.5.0"))
        return b"".join(sent)

    def tls_started(self) -> bytes:
        """Restart the session after the TLS handshake; return the EHLO to send (RFC 3207 section 4.2)."""
        self.uses_tls = True
        self._input = OctetBuffer(_UNREAD_OCTETS)
        self.extensions = {}
        return self._hello("EHLO")

    def send(self, envelope: Envelope) -> bytes:
        """Begin a mail transaction in state READY; return the octets to send.

        The session's `outcome` is None until the last reply of the transaction.
        """
        if self.step is not Step.READY:
            raise ValueError(f"cannot send in {self.step.name}")
        if not envelope.forward_paths:
            raise ValueError("no recipients")
        self.outcome = None
        # Shorten long lines before MAIL, which declares the size of the result.
        envelope = replace(envelope, content=shorten_lines(envelope.content))
        refusal = self._cannot_send(envelope)
        if refusal is not None:
            self.outcome = Outcome((refusal,) * len(envelope.forward_paths))
            return b""
        self._transaction = transaction = _Transaction(envelope)
        transaction.unsent.append(("MAIL", self._mail(envelope)))
        transaction.unsent += [("RCPT", command) for command in self._recipients(envelope)]
        transaction.unsent.append(("DATA", b"DATA\r\n"))
        self.step = Step.GROUP
        return self._next_group(transaction)

    def quit(self) -> bytes:
        """End the session in state READY; return the QUIT command."""
        self.step = Step.QUIT
        return b"QUIT\r\n"

    def lost(self, reason: str) -> None:
        """End the session after the connection was lost; set `failure` unless the session had ended already."""
        if self.step is Step.QUIT:
            self.step = Step.OVER
        elif self.step is not Step.OVER:
            # A connection lost before the first reply inside TLS counts as a failed handshake.
            self.tls_failed = self.step is Step.TLS or (self.uses_tls and self.step is Step.HELLO)
            self._end(Reply(451, f"The connection was lost: {reason}", "4.4.2"))

    # Handlers of replies follow, in the order of a session.

    def _handle_reply(self, reply: Reply) -> bytes:
        # RFC 5321 section 4.2.1: any command may get the reply 421, after which the server closes.
        if reply.code == 421 and self.step is not Step.QUIT:
            self._end(reply)
            return b""
        if self.step is Step.GREETING:
            return self._hello("EHLO") if reply.code == 220 else self._end(reply)
        if self.step is Step.HELLO:
            return self._handle_hello_reply(reply)
        if self.step is Step.STARTTLS:
            return self._handle_starttls_reply(reply)
        if self.step is Step.AUTH:
            self._authenticated = reply.is_positive
            return self._after_hello() if reply.is_positive else self._end(reply)
        if self.step is Step.GROUP and self._transaction is not None:
            return self._handle_group_reply(reply, self._transaction)
        if self.step is Step.CONTENT and self._transaction is not None:
            return self._handle_content_reply(reply, self._transaction)
        if self.step is Step.RSET:
            self.step = Step.READY
            return b""
        if self.step is Step.QUIT:
            self.step = Step.OVER
            return b""
        return self._end(Reply(451, f"Unexpected reply: {reply}", "4.5.0"))

    def _hello(self, verb: str) -> bytes:
        self._extended = verb == "EHLO"
        self.step = Step.HELLO
        return f"{verb} {self.options.hello}\r\n".encode("ascii")

    def _handle_hello_reply(self, reply: Reply) -> bytes:
        if reply.code == 250:
            lines = reply.lines[1:] if self._extended else []
            self.extensions = {word.upper(): rest for word, _, rest in (line.partition(" ") for line in lines)}
            return self._after_hello()
        # RFC 5321 section 3.2: if EHLO is rejected, try HELO.
        if self._extended and reply.is_permanent:
            return self._hello("HELO")
        return self._end(reply)

    def _after_hello(self) -> bytes:
        if self.options.tls and not self.uses_tls:
            if "STARTTLS" in self.extensions:
                self.step = Step.STARTTLS
                return b"STARTTLS\r\n"
            if self.options.tls_required:
                return self._end(NO_TLS)
        if self.options.user is not None and not self._authenticated:
            if "PLAIN" not in self.extensions.get("AUTH", "").upper().split():
                return self._end(NO_AUTH)
            self.step = Step.AUTH
            secret = f"\0{self.options.user}\0{self.options.password}".encode()
            return b"AUTH PLAIN " + base64.b64encode(secret) + b"\r\n"
        self.step = Step.READY
        return b""

    def _handle_starttls_reply(self, reply: Reply) -> bytes:
        if reply.code == 220:
            self.step = Step.TLS
            return b""
        if self.options.tls_required:
            return self._end(reply)
        self.options = replace(self.options, tls=False)
        return self._after_hello()

    # Methods for one mail transaction follow.

    def _cannot_send(self, envelope: Envelope) -> Reply | None:
        limit = self.extensions.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(envelope.content):
            return TOO_BIG
        if envelope.needs_smtputf8 and "SMTPUTF8" not in self.extensions:
            return NOT_ASCII
        if "8BITMIME" not in self.extensions and (envelope.is_8bit or not envelope.content.isascii()):
            return None if envelope.content.isascii() else NOT_SEVEN_BIT
        return None

    def _mail(self, envelope: Envelope) -> bytes:
        words = [f"MAIL FROM:<{envelope.reverse_path or ''}>"]
        if "SIZE" in self.extensions:
            words.append(f"SIZE={len(envelope.content)}")
        if "8BITMIME" in self.extensions and not envelope.content.isascii():
            words.append("BODY=8BITMIME")
        if envelope.needs_smtputf8:
            words.append("SMTPUTF8")
        if self.relays_dsn_requests:
            words += envelope.request.parameters()
        return " ".join(words).encode("utf-8") + b"\r\n"

    def _recipients(self, envelope: Envelope) -> Iterator[bytes]:
        requests: Iterable[RecipientRequest] = envelope.recipient_requests if self.relays_dsn_requests else ()
        for path, request in zip_longest(envelope.forward_paths, requests, fillvalue=NO_RECIPIENT_REQUEST):
            yield " ".join([f"RCPT TO:<{path}>", *request.parameters()]).encode("utf-8") + b"\r\n"

    def _next_group(self, transaction: _Transaction) -> bytes:
        count = len(transaction.unsent) if self.pipelines else min(1, len(transaction.unsent))
        group = [transaction.unsent.popleft() for _ in range(count)]
        transaction.awaited += (name for name, _ in group)
        return b"".join(octets for _, octets in group)

    def _handle_group_reply(self, reply: Reply, transaction: _Transaction) -> bytes:
        name = transaction.awaited.popleft()
        if not _fits(name, reply):
            # After 250 to DATA, client and server could disagree if the next octets are mail data or commands.
            return self._end(_out_of_place(name, reply))
        if name == "MAIL" and not reply.is_positive:
            transaction.refusal = reply
        elif name == "RCPT":
            transaction.replies.append(reply)
        elif name == "DATA":
            transaction.go_ahead = reply.code == 354
            if not transaction.go_ahead and transaction.refusal is None:
                transaction.refusal = reply
        if transaction.awaited:
            return b""
        if transaction.unsent and self._can_succeed(transaction):
            return self._next_group(transaction)
        return self._send_content(transaction)

    def _can_succeed(self, transaction: _Transaction) -> bool:
        """Return False if the transaction has already failed, so that its next command would be pointless.

        This is the case if MAIL was rejected, or if DATA is next and every RCPT was rejected. Used without PIPELINING.
        """
        if transaction.refusal is not None:
            return False
        return transaction.unsent[0][0] != "DATA" or transaction.has_recipient

    def _send_content(self, transaction: _Transaction) -> bytes:
        if not transaction.go_ahead:
            self._finish(transaction, transaction.refusal)
            # Send RSET, since the server would reject the next MAIL in an open transaction.
            self.step = Step.RSET
            return b"RSET\r\n"
        self.step = Step.CONTENT
        if transaction.refusal is not None or not transaction.has_recipient:
            # RFC 2920 section 3.1: mail data must follow a 354, so send an empty message, which reaches no recipient.
            return b".\r\n"
        self.in_doubt = True
        return self.options.encode(transaction.envelope.content)

    def _handle_content_reply(self, reply: Reply, transaction: _Transaction) -> bytes:
        if not _fits("mail data", reply):
            return self._end(_out_of_place("mail data", reply))
        self._finish(transaction, transaction.refusal or reply)
        self.step = Step.READY
        return b""

    def _finish(self, transaction: _Transaction, deciding: Reply | None) -> None:
        """Set the transaction's outcome, one reply per recipient.

        A rejected recipient gets the reply to its RCPT; an accepted one gets `deciding`, the reply to DATA or the mail
        data (None: the transaction was aborted).
        """
        self.in_doubt = False
        missing = Reply(451, "The transaction was aborted", "4.5.0")
        known: Iterable[Reply] = transaction.replies
        replies = [deciding or missing if reply.is_positive else reply for reply in known]
        replies += [deciding or missing] * (len(transaction.envelope.forward_paths) - len(replies))
        self.outcome = Outcome(tuple(replies))
        self._transaction = None

    def _end(self, reply: Reply) -> bytes:
        self.failure = reply
        self.step = Step.OVER
        if self._transaction is not None:
            in_doubt = self.in_doubt
            self._finish(self._transaction, reply)
            self.in_doubt = in_doubt
        return b""


def _fits(name: str, reply: Reply) -> bool:
    """Return True if a reply is valid for a command or mail data: 354 for DATA, 2yz for others, or any 4yz or 5yz.

    RFC 5321 section 4.3.2.
    """
    return reply.code >= 400 or (reply.code == 354 if name == "DATA" else reply.code < 300)


def _out_of_place(name: str, reply: Reply) -> Reply:
    return Reply(451, f"Unexpected reply to {name}: {reply}", "4.5.0")
