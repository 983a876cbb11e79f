"""SMTP sessions at one interface: the greeting, the dialogue, and the messages that it carried.

RFC 5321: the server speaks first (section 3.1); replies answer commands in order (section 4.2), several commands at a
time with PIPELINING (RFC 2920); after the reply 354 to DATA come the mail data, and their reply (section 4.1.1.4). A
message is the content of a transaction: MAIL, the accepted RCPTs, the mail data. In an AUTH exchange (RFC 4954) each
334 requests one more line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from experiments.harness.judge.dialogue import Said
from experiments.harness.judge.frames import CaptureFile
from experiments.harness.judge.reassembly import Stream
from experiments.harness.judge.tcp import Connection, connections
from experiments.mail.wire.smtp_grammar import (
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
BLANK_LINE = b"\r\n\r\n"


@dataclass(frozen=True)
class Exchange:
    """A command, or the mail data behind a 354, and the reply to it (None: there was none)."""

    said: Command | MailData
    reply: Reply | None

    @property
    def code(self) -> int:
        """The code of the reply, 0 if there was none."""
        return self.reply.code if self.reply is not None else 0

    @property
    def verb(self) -> str:
        """The command's verb, or "." for mail data."""
        return self.said.verb if isinstance(self.said, Command) else "."

    @property
    def text(self) -> str:
        """The exchange in words, as a transcript has it."""
        said = self.said.text if isinstance(self.said, Command) else f"{len(self.said.content)} octets of mail data"
        return f"{said} - {self.code or 'no reply'}"

    @property
    def frames(self) -> list[int]:
        """The frames with which the command and its reply were said."""
        return [self.said.frame, *([self.reply.frame] if self.reply is not None else [])]


@dataclass(frozen=True)
class Message:
    """A transaction with mail data: MAIL, the accepted RCPTs, DATA, and the data with their reply."""

    mail: Exchange
    recipients: tuple[Exchange, ...]
    asked: Exchange
    sent: Exchange

    @property
    def data(self) -> MailData:
        """The mail data."""
        assert isinstance(self.sent.said, MailData)
        return self.sent.said

    @property
    def content(self) -> bytes:
        """Header and body, without dot-stuffing."""
        return self.data.content

    @property
    def body(self) -> bytes:
        """The octets after the first empty line: no server may change them (section 6.4)."""
        return self.content.partition(BLANK_LINE)[2]

    @property
    def taken(self) -> bool:
        """True if the server accepted the message."""
        return self.sent.code == 250


@dataclass(frozen=True)
class SmtpSession:
    """One connection, its greeting, its exchanges in order, and its messages.

    `unasked`: replies that answer nothing, as 421 may; `problem`: what breaks the grammar, if anything.
    """

    connection: Connection
    greeting: Reply | None
    exchanges: tuple[Exchange, ...]
    messages: tuple[Message, ...]
    unasked: tuple[Reply, ...] = ()
    problem: str | None = None

    def asked(self, *verbs: str) -> list[Exchange]:
        """The exchanges of these verbs."""
        return [one for one in self.exchanges if one.verb in verbs]

    @property
    def replies(self) -> list[Reply]:
        """All that the server said, in order."""
        first = [self.greeting] if self.greeting is not None else []
        return [*first, *(one.reply for one in self.exchanges if one.reply is not None), *self.unasked]


@dataclass(frozen=True)
class SmtpTraffic:
    """The sessions at one interface, in the order of their SYNs; other connections; the count of dropped packets."""

    sessions: tuple[SmtpSession, ...]
    others: tuple[Connection, ...] = ()
    dropped: int = 0

    def chosen(self, wanted: Callable[[Connection], bool]) -> SmtpTraffic:
        """Return the part whose connections satisfy a predicate."""
        return SmtpTraffic(
            tuple(one for one in self.sessions if wanted(one.connection)),
            tuple(one for one in self.others if wanted(one)),
            self.dropped,
        )

    def between(self, start_ns: int, end_ns: int) -> SmtpTraffic:
        """Return the part whose connections begin within [start_ns, end_ns)."""
        return self.chosen(lambda one: start_ns <= one.syn.time_ns < end_ns)

    def to(self, *addresses: str) -> SmtpTraffic:
        """Return the part whose sessions are with servers at these addresses."""
        kept = tuple(one for one in self.sessions if one.connection.server.address in addresses)
        return SmtpTraffic(kept, self.others, self.dropped)

    @property
    def messages(self) -> list[Message]:
        """The messages of all sessions."""
        return [message for session in self.sessions for message in session.messages]


def smtp_traffic(captured: CaptureFile, interface: str, ports: Collection[int] = PORTS) -> SmtpTraffic:
    """Return the SMTP sessions with servers at these ports that began while `interface` was captured.

    Connections that were not established are among the others. Raises KeyError if the capture has no such interface.
    """
    every = connections(captured.at(interface))
    ours = [one for one in every if one.server.port in ports and one.established]
    others = tuple(one for one in every if not any(one is each for each in ours))
    return SmtpTraffic(tuple(read_session(one) for one in ours), others, captured.dropped(interface))


def why_not_evidence(traffic: Iterable[SmtpTraffic]) -> str | None:
    """Return the reason why this traffic permits no conclusion, or None if it does."""
    every = list(traffic)
    if any(one.dropped for one in every):
        return f"the capture dropped {max(one.dropped for one in every)} packets"
    if not every or not all(one.sessions for one in every):
        return "no SMTP session in the capture"
    for session in (session for one in every for session in one.sessions):
        if not session.connection.whole:
            return f"the capture of the connection opened in frame {session.connection.syn.frame} has a hole"
    return None


@dataclass
class _Reading:
    """What is known so far while a session is gone through."""

    stream: Stream
    replies: list[Reply]
    at: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    mail: Exchange | None = None
    recipients: list[Exchange] = field(default_factory=list)

    def next_reply(self) -> Reply | None:
        return self.replies.pop(0) if self.replies else None

    def take(self, said: Command | MailData) -> Exchange:
        """Note what the client said, with the reply that answers it."""
        self.at += len(said.octets)
        made = Exchange(said, self.next_reply())
        self.exchanges.append(made)
        return made


def read_session(connection: Connection) -> SmtpSession:
    """Divide a connection into its exchanges; what breaks the grammar is its `problem`."""
    try:
        replies = read_replies(connection.from_server.stream)
    except SmtpGrammarError as error:
        return SmtpSession(connection, None, (), (), problem=str(error))
    greeting = replies.pop(0) if replies else None
    reading = _Reading(connection.from_client.stream, replies)
    problem = None
    try:
        _read(reading)
    except SmtpGrammarError as error:
        problem = str(error)
    unasked = tuple(reading.replies) if problem is None else ()
    problem = problem or _order(greeting, reading.exchanges, unasked)
    return SmtpSession(connection, greeting, tuple(reading.exchanges), tuple(reading.messages), unasked, problem)


def _read(reading: _Reading) -> None:
    while (line := read_line(reading.stream, reading.at)) is not None:
        exchange = reading.take(line)
        if exchange.verb == "AUTH":
            _read_auth(reading, exchange)
        elif exchange.verb == "DATA" and exchange.code == START_MAIL_INPUT:
            if not _read_data(reading, exchange):
                return
        else:
            _note(reading, exchange)


def _read_auth(reading: _Reading, exchange: Exchange) -> None:
    while exchange.code == CONTINUE_AUTH and (line := read_line(reading.stream, reading.at)) is not None:
        exchange = reading.take(line)


def _read_data(reading: _Reading, asked: Exchange) -> bool:
    """The mail data behind a 354; False where they do not end."""
    data = read_mail_data(reading.stream, reading.at)
    if data is None:
        return False
    sent = reading.take(data)
    if reading.mail is not None:
        reading.messages.append(Message(reading.mail, tuple(reading.recipients), asked, sent))
    reading.mail, reading.recipients = None, []
    return True


def _note(reading: _Reading, exchange: Exchange) -> None:
    """What a command does to the transaction (section 4.1.4)."""
    done = 200 <= exchange.code < 300
    if exchange.verb == "MAIL" and done:
        reading.mail, reading.recipients = exchange, []
    elif exchange.verb == "RCPT" and done:
        reading.recipients.append(exchange)
    elif exchange.verb in ("RSET", "EHLO", "HELO") and done:
        reading.mail, reading.recipients = None, []


def _order(greeting: Reply | None, exchanges: Iterable[Exchange], left: Iterable[Reply]) -> str | None:
    """Section 4.2: a reply follows its command; only 421 may come unasked."""
    first: Said | None = greeting
    for one in exchanges:
        if first is not None and one.said.first_ns < first.last_ns:
            return f"{one.text!r} in frame {one.said.frame} does not wait for the greeting"
        first = None
        if one.reply is not None and one.reply.last_ns < one.said.last_ns:
            return f"the reply in frame {one.reply.frame} precedes its command in frame {one.said.frame}"
    unasked = [one for one in left if one.code != CLOSING_DOWN]
    return f"the reply in frame {unasked[0].frame} answers nothing" if unasked else None
