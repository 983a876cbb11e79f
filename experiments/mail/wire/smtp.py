"""Parser of captured SMTP sessions: greeting, commands with replies, and the messages transferred (RFC 5321).

RFC 5321: the server speaks first (section 3.1); replies answer commands in order (section 4.2), also if commands are
pipelined (RFC 2920); after the reply 354 to DATA come the mail data, and their reply (section 4.1.1.4). A message is
the content of a transaction: MAIL, the accepted RCPTs, the mail data. In an AUTH exchange (RFC 4954) each 334 requests
one more line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from lab7.experiments.harness.judge.dialogue import Dialogue, DialogueTraffic, Exchange, early_reply, valid_lines
from lab7.experiments.harness.judge.frames import CaptureFile, Connection
from lab7.experiments.harness.judge.reassembly import Stream
from lab7.experiments.mail.wire.smtp_grammar import (
    Command,
    MailData,
    Reply,
    SmtpGrammarError,
    read_line,
    read_mail_data,
    read_replies,
)

SMTP_PORT, SUBMISSION_PORT = 25, 587
PORTS = (SMTP_PORT, SUBMISSION_PORT)
START_MAIL_INPUT, CONTINUE_AUTH, CLOSING_DOWN = 354, 334, 421
READY = 220  # Reply to STARTTLS, after which TLS begins (RFC 3207 section 4).
BLANK_LINE = b"\r\n\r\n"


@dataclass(frozen=True)
class SmtpExchange(Exchange[Command | MailData, Reply]):
    """SMTP command with its reply, or the mail data after a 354 with their reply."""

    @property
    def code(self) -> int:
        """Return the reply code; 0 without a reply."""
        return self.final.code if self.final is not None else 0

    @property
    def outcome(self) -> str:
        """Return the reply code as text, for evidence texts."""
        return str(self.code or "no reply")


@dataclass(frozen=True)
class Message:
    """Captured mail transaction: MAIL, the accepted RCPTs and DATA with their replies, and the mail data with reply."""

    mail: SmtpExchange
    recipients: tuple[SmtpExchange, ...]
    data_command: SmtpExchange
    sent: SmtpExchange

    @property
    def data(self) -> MailData:
        """Return the mail data as captured, with dot-stuffing."""
        assert isinstance(self.sent.command, MailData)
        return self.sent.command

    @property
    def content(self) -> bytes:
        """Return the header and body of the message, without dot-stuffing."""
        return self.data.content

    @property
    def body(self) -> bytes:
        """Return the body, after the first empty line, which servers must not change (RFC 5321 section 6.4)."""
        return self.content.partition(BLANK_LINE)[2]

    @property
    def taken(self) -> bool:
        """Return True if the server accepted the message (250)."""
        return self.sent.code == 250


@dataclass(frozen=True)
class SmtpSession(Dialogue[SmtpExchange, Reply | None]):
    """Captured SMTP session and its messages; `unsolicited`: replies without a command, such as 421."""

    messages: tuple[Message, ...] = ()
    unsolicited: tuple[Reply, ...] = ()

    @property
    def replies(self) -> list[Reply]:
        """Return all replies of the server in order, with greeting and unsolicited replies."""
        first = [self.greeting] if self.greeting is not None else []
        return [
            *first,
            *(exchange.final for exchange in self.exchanges if exchange.final is not None),
            *self.unsolicited,
        ]


@dataclass(frozen=True)
class SmtpTraffic(DialogueTraffic[SmtpSession]):
    """SMTP sessions captured at one interface; `others`: all other TCP connections, also refused ones."""

    session_name = "SMTP session"

    def to(self, *addresses: str) -> SmtpTraffic:
        """Return only the sessions with servers at these IP addresses."""
        kept = tuple(session for session in self.sessions if session.connection.server.address in addresses)
        return SmtpTraffic(kept, self.others, self.dropped)

    @property
    def messages(self) -> list[Message]:
        """Return the mail transactions of all sessions in order."""
        return [message for session in self.sessions for message in session.messages]


def smtp_traffic(captured: CaptureFile, interface: str, ports: Collection[int] = PORTS) -> SmtpTraffic:
    """Return the SMTP sessions captured at an interface, to servers on these ports."""
    return SmtpTraffic.at(captured, interface, ports, read_session)


@dataclass
class _SessionParser:
    """State of the parser: offset in the client's stream, unused replies, commands with replies, open transaction."""

    stream: Stream
    replies: list[Reply]
    at: int = 0
    exchanges: list[SmtpExchange] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    mail: SmtpExchange | None = None
    recipients: list[SmtpExchange] = field(default_factory=list)
    encrypted: int | None = None

    def next_reply(self) -> Reply | None:
        return self.replies.pop(0) if self.replies else None

    def record(self, said: Command | MailData) -> SmtpExchange:
        """Pair a command or mail data with the next reply; record the pair as an SmtpExchange and return it."""
        self.at += len(said.octets)
        made = SmtpExchange(said, self.next_reply())
        self.exchanges.append(made)
        return made


def read_session(connection: Connection) -> SmtpSession:
    """Parse a captured connection into an SMTP session; store a violation of the grammar as `problem`."""
    replies, wrong_reply = valid_lines(read_replies(connection.from_server.stream), SmtpGrammarError)
    greeting = replies.pop(0) if replies else None
    reading = _SessionParser(connection.from_client.stream, replies)
    problem = None
    try:
        _read(reading)
    except SmtpGrammarError as error:
        problem = str(error)
    wrong = str(wrong_reply) if wrong_reply is not None and reading.encrypted is None else None
    unasked = tuple(reading.replies) if problem is None and reading.encrypted is None else ()
    problem = wrong or problem or _order(greeting, reading.exchanges, unasked)
    return SmtpSession(
        connection,
        greeting,
        tuple(reading.exchanges),
        problem,
        tuple(reading.messages),
        unasked,
        encrypted=reading.encrypted,
    )


def _read(reading: _SessionParser) -> None:
    while (line := read_line(reading.stream, reading.at)) is not None:
        exchange = reading.record(line)
        if exchange.verb == "AUTH":
            _read_auth(reading, exchange)
        elif exchange.verb == "DATA" and exchange.code == START_MAIL_INPUT:
            if not _read_data(reading, exchange):
                return
        elif exchange.verb == "STARTTLS" and exchange.code == READY:
            reading.encrypted = exchange.frames[-1]
            return
        else:
            _update_transaction(reading, exchange)


def _read_auth(reading: _SessionParser, exchange: SmtpExchange) -> None:
    while exchange.code == CONTINUE_AUTH and (line := read_line(reading.stream, reading.at)) is not None:
        exchange = reading.record(line)


def _read_data(reading: _SessionParser, asked: SmtpExchange) -> bool:
    """Parse the mail data after a 354, and their reply; return False if the mail data are incomplete."""
    data = read_mail_data(reading.stream, reading.at)
    if data is None:
        return False
    sent = reading.record(data)
    if reading.mail is not None:
        reading.messages.append(Message(reading.mail, tuple(reading.recipients), asked, sent))
    reading.mail, reading.recipients = None, []
    return True


def _update_transaction(reading: _SessionParser, exchange: SmtpExchange) -> None:
    """Update the open transaction after a successful MAIL, RCPT, RSET, HELO or EHLO (RFC 5321 section 4.1.4)."""
    done = 200 <= exchange.code < 300
    if exchange.verb == "MAIL" and done:
        reading.mail, reading.recipients = exchange, []
    elif exchange.verb == "RCPT" and done:
        reading.recipients.append(exchange)
    elif exchange.verb in ("RSET", "EHLO", "HELO") and done:
        reading.mail, reading.recipients = None, []


def _order(greeting: Reply | None, exchanges: Sequence[SmtpExchange], left: Iterable[Reply]) -> str | None:
    """Return a clause about a violation of the required order: each reply after its command, only 421 unsolicited.

    Returns None if the order is right.
    """
    first = next(iter(exchanges), None)
    if first is not None and greeting is not None and first.command.first_ns < greeting.last_ns:
        return f"{first.text!r} in frame {first.command.frame} precedes the greeting"
    if (early := early_reply(exchanges)) is not None:
        return early
    unasked = [one for one in left if one.code != CLOSING_DOWN]
    return f"the reply in frame {unasked[0].frame} belongs to no command" if unasked else None
