"""Sans-IO SMTP server session: received octets in, replies and requests for I/O out (RFC 5321 sections 3 and 4).

    S: 220 mx.example.com ESMTP ready          greeting()
    C: EHLO client.example.org                 receive() returns the replies to all complete commands, in order
    S: 250-mx.example.com ...
    C: MAIL FROM:<alice@example.org>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<bob@example.com>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 Start mail input; end with <CRLF>.<CRLF>
    C: ... <CRLF>.<CRLF>                       request is now Accept(...): the connection writes the message to disk
    S: 250 2.0.0 Queued as ...                 accepted()

The command table is in commands.py. For an operation that needs I/O (write to the queue, validate a password, TLS
handshake) the session sets `request`; until the request is completed, received octets are buffered and the connection
stops reading. Extensions: SIZE (RFC 1870), PIPELINING (RFC 2920), 8BITMIME (RFC 6152), ENHANCEDSTATUSCODES (RFC 2034),
STARTTLS (RFC 3207), AUTH (RFC 4954), DSN (RFC 3461), CHUNKING (RFC 3030),
SMTPUTF8 (RFC 6531), submission (RFC 6409). Left out: BINARYMIME.
"""

import re
from dataclasses import dataclass, replace

from lab7.services.mail import sasl
from lab7.services.mail.accounts import Account
from lab7.services.mail.address import POSTMASTER, Mailbox
from lab7.services.mail.smtp import commands as replies
from lab7.services.mail.smtp import limits, syntax
from lab7.services.mail.smtp.chunks import SYNTAX, Chunk, ChunkedContent, parse_chunk
from lab7.services.mail.smtp.commands import COMMANDS, Accept, CheckPassword, Request, StartTLS, State
from lab7.services.mail.smtp.content import SMUGGLING_SUSPECTED, TOO_BIG, ContentReader
from lab7.services.mail.smtp.policy import AUTH_REQUIRED, Client, Policy
from lab7.services.mail.smtp.syntax import CommandLines, EndlessLineError, RecipientRequest, Reply, line_limit

# Extensions that are always announced, in addition to SIZE.
_EXTENSIONS = ("8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING", "SMTPUTF8", "HELP")
# RFC 5321 section 4.1.4 forbids rejection of a wrong name, so any name or literal of valid characters is accepted.
_HELLO = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[!-Z^-~]{1,255}\])\Z")
# RFC 6531 section 3.7.4.2: VRFY and EXPN may have this parameter; replies are ASCII in any case.
_SMTPUTF8 = re.compile(r" +SMTPUTF8\Z", re.IGNORECASE)
# Commands must not contain control characters, above all no bare CR or LF (RFC 5321 section 2.3.8).
_NOT_IN_COMMANDS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Offer:
    """The host name, size limit and extensions that the server announces on a listening port."""

    hostname: str
    size_octets: int = limits.MESSAGE_OCTETS
    starttls: bool = False
    auth: bool = False
    # RFC 4954 section 4: if False, passwords are accepted inside TLS only, provided that the server has TLS.
    auth_in_clear: bool = False
    auth_required: bool = False
    # With strict_syntax, paths beyond the grammar and lines above 1000 octets (RFC 5321 section 4.5.3.1.6) are refused.
    strict_syntax: bool = False


class ServerSession:
    """Sans-IO session of one SMTP client.

    If `request` is set, the connection has to do this I/O before the session continues.
    """

    def __init__(self, policy: Policy, offer: Offer, client: Client) -> None:
        self.state = State.CONNECTED
        self.request: Request | None = None
        self.client = client
        self._policy = policy
        self._offer = offer
        self._input = CommandLines()
        self._output: list[bytes] = []
        # Mail data of the open transaction: after DATA, or in chunks, of which `_chunk` is the one being received.
        self._content: ContentReader | None = None
        self._chunks: ChunkedContent | None = None
        self._chunk: Chunk | None = None
        self._exchange: sasl.Exchange | None = None
        self._errors = self._auth_failures = 0
        self._reset()

    # Methods that the connection calls follow.

    def greeting(self) -> bytes:
        """Return the greeting: 220, or 554 if the client is rejected (RFC 5321 section 3.1)."""
        refusal = self._policy.connection(self.client.address)
        if refusal is not None:
            self.state = State.REFUSED
            return Reply(refusal.code, f"{self._offer.hostname} {refusal.text}").to_wire()
        return Reply(220, f"{self._offer.hostname} ESMTP ready").to_wire()

    def receive(self, data: bytes) -> bytes:
        """Buffer received octets; return the replies to all complete commands.

        The result is b"" while `request` is set and after the session is closed.
        """
        if self.state is State.CLOSED:
            return b""
        self._input.feed(data)
        return self._advance()

    def accepted(self, reply: Reply) -> bytes:
        """Complete the request Accept; return its reply, and the replies to commands that arrived during the write."""
        self._end_request(State.GREETED)
        self._reply(reply)
        return self._advance()

    def authenticated(self, account: Account | None) -> bytes:
        """Complete the request CheckPassword; return the replies to send.

        `account` is None if user or password is wrong.
        """
        self._end_request(State.GREETED)
        if account is not None:
            self.client.account = account
            self._reply(Reply(235, "Authentication successful", "2.7.0"))
            return self._advance()
        self._auth_failures += 1
        self._reply(Reply(535, "Authentication failed: wrong user or password", "5.7.8"))
        if self._auth_failures >= limits.AUTH_FAILURES:
            self._close(Reply(421, f"{self._offer.hostname} Too many failed logins", "4.7.0"))
        return self._advance()

    def tls_started(self, version: str) -> bytes:
        """Complete the request StartTLS and discard the session's state (RFC 3207 section 4.2); return b""."""
        self._end_request(State.CONNECTED)
        self._input.clear()
        self.client.hello, self.client.is_extended, self.client.tls = "", False, version
        self._reset()
        return b""

    def stop(self, reason: str, enhanced: str = "4.3.2") -> bytes:
        """Close the session; return its last reply, 421 with a reason (RFC 5321 section 3.8), b"" if closed already."""
        if self.state is State.CLOSED:
            return b""
        self._close(Reply(421, f"{self._offer.hostname} {reason}", enhanced))
        return self._flush()

    @property
    def held_octets(self) -> int:
        """The number of received octets that are buffered."""
        data = self._content or self._chunks
        return len(self._input) + (0 if data is None else data.held_octets)

    # Methods that parse the input and dispatch commands follow.

    def _advance(self) -> bytes:
        while self.request is None and self.state is not State.CLOSED and self._step():
            pass
        return self._flush()

    def _step(self) -> bool:
        """Handle one command or, after DATA, mail data; return False if neither is complete in the buffer."""
        if self._content is not None:
            rest = self._content.feed(self._input.pop_all())
            if rest is None:
                return False
            self._input.feed(rest)
            self._finish_data(self._content)
            return True
        if self._chunk is not None:
            return self._read_chunk(self._chunk)
        try:
            line = self._input.pop_line()
        except EndlessLineError:
            self._close(Reply(421, f"{self._offer.hostname} Line too long", "4.5.2"))
            return False
        if line is None:
            return False
        self._handle_line(*line)
        return True

    def _handle_line(self, line: bytes, octets: int) -> None:
        if self.state is State.AUTH:
            self._handle_auth_response(line, octets)
            return
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        if octets > line_limit(verb):
            self._reply(replies.LINE_TOO_LONG)
        elif _NOT_IN_COMMANDS.search(line) is not None:
            self._reply(replies.BAD_OCTETS)
        else:
            self._dispatch(verb, argument.strip(b" \t"))

    def _dispatch(self, verb: bytes, argument: bytes) -> None:
        command = COMMANDS.get(verb)
        if command is not None and self.state in command.states:
            getattr(self, command.handler)(argument)
        elif self.state is State.REFUSED:
            self._reply(replies.NOT_SERVED)
        elif self.state is State.DISTRUSTED:
            self._close(Reply(421, f"{self._offer.hostname} Suspected SMTP smuggling: connection closed", "4.7.0"))
        elif command is not None:
            self._reply(replies.ORDER.get((verb, self.state), replies.OUT_OF_ORDER))
        else:
            self._reply(replies.NO_COMMAND if verb in replies.NOT_IMPLEMENTED else replies.UNKNOWN)

    # Command handlers follow, in the order of the command table.

    def _helo(self, argument: bytes) -> None:
        if self._hello(argument, is_extended=False):
            self._reply(Reply(250, f"{self._offer.hostname} greets {self.client.hello}"))

    def _ehlo(self, argument: bytes) -> None:
        if self._hello(argument, is_extended=True):
            lines = [f"{self._offer.hostname} greets {self.client.hello}", *self._extensions()]
            self._reply(Reply(250, "\n".join(lines)))

    def _hello(self, argument: bytes, is_extended: bool) -> bool:
        name = argument.decode("ascii", "replace")
        if not _HELLO.match(name):
            self._reply(Reply(501, "Syntax: HELO and EHLO take a domain or an address literal", "5.5.4"))
            return False
        self.client.hello, self.client.is_extended = name, is_extended
        # RFC 5321 section 4.1.4: HELO or EHLO resets an open transaction.
        self._reset()
        self.state = State.GREETED
        return True

    def _extensions(self) -> list[str]:
        lines = [f"SIZE {self._offer.size_octets}", *_EXTENSIONS]
        if self._may_start_tls():
            lines.append("STARTTLS")
        if self._may_authenticate():
            lines.append("AUTH " + " ".join(sasl.MECHANISMS))
        return lines

    def _may_start_tls(self) -> bool:
        # RFC 3207 section 4.2: STARTTLS is not announced inside TLS.
        return self._offer.starttls and self.client.tls is None

    def _may_authenticate(self) -> bool:
        return self._offer.auth and (self.client.tls is not None or self._offer.auth_in_clear)

    def _mail(self, argument: bytes) -> None:
        if self._offer.auth_required and self.client.account is None:
            self._reply(AUTH_REQUIRED)
            return
        try:
            mail = syntax.parse_mail(argument, self._offer.auth, self._offer.strict_syntax)
        except syntax.ParameterError as error:
            self._reply(error.reply)
            return
        # RFC 1870 section 6.1: 552 rejects a size above the limit; 452 means that storage is insufficient.
        if mail.size_octets > self._offer.size_octets:
            self._reply(Reply(552, f"Message size exceeds the limit of {self._offer.size_octets} octets", "5.3.4"))
            return
        refusal = self._policy.sender(mail.size_octets)
        if refusal is not None:
            self._reply(refusal)
            return
        sender = mail.reverse_path
        self._transaction = mail if sender is None else replace(mail, reverse_path=self._with_domain(sender))
        self.state = State.MAIL
        self._reply(Reply(250, "Sender ok", "2.1.0"))

    def _rcpt(self, argument: bytes) -> None:
        if len(self._recipients) >= limits.RECIPIENTS:
            self._reply(replies.TOO_MANY_RECIPIENTS)
            return
        try:
            mailbox, request = syntax.parse_rcpt(argument, self._offer.strict_syntax, self._transaction.is_smtputf8)
        except syntax.ParameterError as error:
            self._reply(error.reply)
            self._refused_recipients += 1
            return
        if mailbox.domain or mailbox.local_part.lower() != POSTMASTER:
            mailbox = self._policy.localized(mailbox, self.client)
        mail = self._transaction
        reply = self._policy.recipient(mailbox, mail.reverse_path, mail.size_octets, self.client)
        self._reply(reply)
        if reply.is_positive:
            key = self._policy.accounts.recipient_key(mailbox)
            self._recipients.setdefault(key, (mailbox, request))
            self.state = State.RCPT
        else:
            self._refused_recipients += 1

    def _data(self, argument: bytes) -> None:
        if argument:
            self._reply(replies.NO_ARGUMENT)
        elif self.state is State.MAIL:
            # RFC 5321 section 3.3: DATA without an accepted recipient gets 503 or 554.
            self._reply(self._no_recipients())
        else:
            self._content = ContentReader(self._offer.size_octets, self._offer.strict_syntax)
            self.state = State.DATA
            self._reply(replies.START_MAIL_INPUT)

    def _bdat(self, argument: bytes) -> None:
        chunk = parse_chunk(argument)
        if chunk is None:
            self._reply(SYNTAX)
            return
        if self.state is State.MAIL:
            chunk.refusal = self._no_recipients()
        elif self.state is State.RCPT:
            self._chunks = ChunkedContent(self._offer.size_octets, self._offer.strict_syntax)
        elif self.state is not State.CHUNKS:
            chunk.refusal = replies.ORDER.get((b"BDAT", self.state), replies.OUT_OF_ORDER)
        self._chunk = chunk
        if chunk.refusal is None:
            self.state = State.DATA

    def _read_chunk(self, chunk: Chunk) -> bool:
        """Take octets of a chunk from the input; return False if the chunk is not complete."""
        octets = self._input.pop(chunk.missing_octets)
        chunk.missing_octets -= len(octets)
        if chunk.refusal is None and self._chunks is not None:
            self._chunks.feed(octets)
        if chunk.missing_octets:
            return False
        self._finish_chunk(chunk, self._chunks)
        return True

    def _finish_chunk(self, chunk: Chunk, content: ChunkedContent | None) -> None:
        self._chunk = None
        if chunk.refusal is not None or content is None:
            self._reply(chunk.refusal or replies.OUT_OF_ORDER)
        elif content.is_too_big:
            # RFC 3030 section 2: after a failure, further chunks of the message get 503.
            self._reset()
            self._reply(TOO_BIG)
        elif chunk.is_last:
            self._finish_content(content.finish())
        else:
            self.state = State.CHUNKS
            self._reply(Reply(250, f"{chunk.size_octets} octets received", "2.0.0"))

    def _rset(self, argument: bytes) -> None:
        if argument:
            self._reply(replies.NO_ARGUMENT)
            return
        self._reset()
        self._reply(replies.OK)

    def _vrfy(self, argument: bytes) -> None:
        text = _SMTPUTF8.sub("", argument.decode("utf-8", "replace"))
        self._reply(self._policy.verify(text, self.client) if text else replies.NEEDS_ARGUMENT)

    def _expn(self, argument: bytes) -> None:
        text = _SMTPUTF8.sub("", argument.decode("utf-8", "replace"))
        self._reply(self._policy.expand(text) if text else replies.NEEDS_ARGUMENT)

    def _help(self, argument: bytes) -> None:
        verb = argument.upper()
        if verb in COMMANDS and self._is_available(verb):
            self._reply(Reply(214, COMMANDS[verb].usage, "2.0.0"))
        elif argument:
            self._reply(Reply(504, "No help on that command", "5.5.4"))
        else:
            verbs = " ".join(verb.decode() for verb in filter(self._is_available, COMMANDS))
            self._reply(Reply(211, f"{self._offer.hostname} is up, you are {self.client.address}\n{verbs}", "2.0.0"))

    def _is_available(self, verb: bytes) -> bool:
        """Return True if this session offers a command of the table, now or after STARTTLS."""
        return {b"AUTH": self._offer.auth, b"STARTTLS": self._may_start_tls()}.get(verb, True)

    def _noop(self, _: bytes) -> None:
        self._reply(replies.OK)

    def _quit(self, argument: bytes) -> None:
        if argument:
            self._reply(replies.NO_ARGUMENT)
            return
        self._close(Reply(221, f"{self._offer.hostname} closing", "2.0.0"))

    def _auth(self, argument: bytes) -> None:
        name, _, initial = argument.partition(b" ")
        mechanism = name.decode("ascii", "replace").upper()
        if not self._offer.auth:
            self._reply(replies.NO_COMMAND)
        elif self.client.account is not None:
            self._reply(Reply(503, "Already authenticated", "5.5.1"))
        elif not mechanism:
            self._reply(replies.NEEDS_ARGUMENT)
        elif mechanism not in sasl.MECHANISMS:
            self._reply(Reply(504, "Unsupported mechanism", "5.5.4"))
        elif not self._may_authenticate():
            # RFC 4954 section 6: 538 means that AUTH requires TLS.
            self._reply(Reply(538, "Must issue a STARTTLS command first", "5.7.11"))
        else:
            self._exchange = sasl.exchange(mechanism, initial.strip() or None)
            self.state = State.AUTH
            self._continue_exchange(self._exchange, None)

    def _starttls(self, argument: bytes) -> None:
        if not self._offer.starttls:
            self._reply(replies.NO_COMMAND)
        elif self.client.tls is not None:
            self._reply(Reply(503, "TLS is already active", "5.5.1"))
        elif argument:
            self._reply(replies.NO_ARGUMENT)
        else:
            self._reply(Reply(220, "Ready to start TLS", "2.0.0"))
            # Discard commands received in plain text before TLS: an attacker on the path may have injected commands.
            self._input.clear()
            self._set_request(StartTLS())

    # Methods that several handlers share follow.

    def _with_domain(self, mailbox: Mailbox) -> Mailbox:
        """Return a mailbox with the default domain if it has none, as Postfix does with append_at_myorigin."""
        return mailbox if mailbox.domain else replace(mailbox, domain=self._policy.accounts.domains[0])

    def _handle_auth_response(self, line: bytes, octets: int) -> None:
        exchange = self._exchange
        if octets > limits.AUTH_LINE_OCTETS or exchange is None:
            # RFC 4954 section 4: a response that exceeds the line limit gets 500.
            self._end_exchange(Reply(500, "Authentication response too long", "5.5.6"))
        else:
            self._continue_exchange(exchange, line)

    def _continue_exchange(self, exchange: sasl.Exchange, response: bytes | None) -> None:
        """Continue AUTH: send the next challenge, request the password check, or reply to an error (RFC 4954)."""
        try:
            challenge = exchange.send(response)
        except StopIteration as done:
            self._exchange = None
            self._set_request(CheckPassword(done.value.user, done.value.password))
        except sasl.CancelledError:
            self._end_exchange(Reply(501, "Authentication cancelled", "5.7.0"))
        except sasl.AuthorizationError as error:
            self._end_exchange(Reply(535, f"Not accepted: {error}", "5.7.8"))
        except sasl.SASLError as error:
            self._end_exchange(Reply(501, f"Not accepted: {error}", "5.5.2"))
        else:
            self._reply(Reply(334, challenge.decode("ascii")))

    def _end_exchange(self, reply: Reply) -> None:
        self._exchange = None
        self.state = State.GREETED
        self._reply(reply)

    def _finish_data(self, reader: ContentReader) -> None:
        content = reader.finish()
        self._finish_content(content)
        if content in SMUGGLING_SUSPECTED:
            self.state = State.DISTRUSTED

    def _no_recipients(self) -> Reply:
        """Return the reply to DATA or BDAT if no recipient has been accepted: 554, or 503 if there was no RCPT."""
        return replies.NO_RECIPIENTS if self._refused_recipients else replies.RCPT_FIRST

    def _finish_content(self, content: bytes | Reply) -> None:
        """Set the request to write a received message to the queue, or send the reply that rejects the message."""
        mail, accepted = self._transaction, tuple(self._recipients.values())
        recipients = tuple(mailbox for mailbox, _ in accepted)
        self._reset()
        if not isinstance(content, Reply):
            content = self._policy.content(recipients, len(content)) or content
        if isinstance(content, Reply):
            self._reply(content)
        else:
            requests = tuple(request for _, request in accepted)
            self._set_request(
                Accept(mail.reverse_path, recipients, content, mail.is_8bit, mail.request, requests, mail.is_smtputf8)
            )

    def _reset(self) -> None:
        """Discard the open mail transaction: sender, recipients and mail data (RFC 5321 section 4.1.1.5)."""
        self._transaction = syntax.MailParameters(None)
        self._recipients: dict[tuple[str, str], tuple[Mailbox, RecipientRequest]] = {}
        self._refused_recipients = 0
        self._content = None
        self._chunks = None
        self._chunk = None
        if self.state is not State.CONNECTED:
            self.state = State.GREETED

    def _set_request(self, request: Request) -> None:
        self.request = request
        self.state = State.WAITING

    def _end_request(self, state: State) -> None:
        self.request = None
        if self.state is not State.CLOSED:
            self.state = state

    def _reply(self, reply: Reply) -> None:
        self._output.append(reply.to_wire())
        if 500 <= reply.code <= 504 and self.state is not State.CLOSED:
            self._errors += 1
            if self._errors >= limits.ERRORS:
                self._close(Reply(421, f"{self._offer.hostname} Too many errors", "4.7.0"))

    def _close(self, reply: Reply) -> None:
        self.state = State.CLOSED
        self._output.append(reply.to_wire())
        self._input.clear()

    def _flush(self) -> bytes:
        octets = b"".join(self._output)
        self._output.clear()
        return octets
