"""POP3 sessions at one interface: the greeting, and the exchanges.

RFC 1939: the server speaks first (section 4); responses answer commands in order, several at a time with PIPELINING
(RFC 2449 section 6.6). The session is in the AUTHORIZATION state until the user is authenticated, then in the
TRANSACTION state; QUIT there deletes the marked messages (section 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from experiments.harness.judge.frames import CaptureFile
from experiments.harness.judge.tcp import Connection, connections
from experiments.mail.wire.pop3_grammar import (
    Command,
    Pop3GrammarError,
    Response,
    read_command,
    read_line,
    read_response,
)

POP3_PORT = 110
# Commands that authenticate the user (RFC 1939 section 7, RFC 5034).
PROOFS = ("PASS", "APOP", "AUTH")


@dataclass(frozen=True)
class Exchange:
    """A command and its response; None if none came."""

    command: Command
    response: Response | None

    @property
    def verb(self) -> str:
        """The command's keyword."""
        return self.command.verb

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.response is not None and self.response.ok

    @property
    def content(self) -> bytes:
        """The lines that followed."""
        return (self.response.content if self.response is not None else None) or b""

    @property
    def text(self) -> str:
        """The exchange in words, as a transcript has it."""
        return f"{self.command.text} - {self.response.text if self.response is not None else 'no response'}"

    @property
    def frames(self) -> list[int]:
        """The frames with which command and response were said."""
        return [self.command.frame, *([self.response.frame] if self.response is not None else [])]


@dataclass(frozen=True)
class Pop3Session:
    """One connection, its greeting and its exchanges in order; `problem`: what breaks the grammar, if anything."""

    connection: Connection
    greeting: Response | None
    exchanges: tuple[Exchange, ...]
    problem: str | None = None

    def asked(self, *verbs: str) -> list[Exchange]:
        """The exchanges of these keywords."""
        return [one for one in self.exchanges if one.verb in verbs]

    @property
    def proof(self) -> Exchange | None:
        """The exchange behind which the user is known."""
        return next((one for one in self.exchanges if one.verb in PROOFS and one.ok), None)

    @property
    def frame(self) -> int:
        """The frame that opens it."""
        return self.connection.syn.frame


@dataclass(frozen=True)
class Pop3Traffic:
    """The sessions that one interface saw, in the order of their SYNs, and how many packets were not captured."""

    sessions: tuple[Pop3Session, ...]
    dropped: int = 0

    def between(self, start_ns: int, end_ns: int) -> Pop3Traffic:
        """The part whose connections begin within [start_ns, end_ns)."""
        kept = tuple(one for one in self.sessions if start_ns <= one.connection.syn.time_ns < end_ns)
        return Pop3Traffic(kept, self.dropped)


def pop3_traffic(captured: CaptureFile, interface: str, port: int = POP3_PORT) -> Pop3Traffic:
    """Return the POP3 sessions with servers at this port that began while `interface` was captured.

    Raises KeyError if the capture has no such interface.
    """
    every = [one for one in connections(captured.at(interface)) if one.server.port == port and one.established]
    return Pop3Traffic(tuple(read_session(one) for one in every), captured.dropped(interface))


@dataclass
class _Reading:
    """How far both streams of a session are read, and what has been found."""

    connection: Connection
    sent: int = 0
    got: int = 0
    greeting: Response | None = None
    exchanges: list[Exchange] = field(default_factory=list)

    def response(self, has_lines: bool = False) -> Response | None:
        found = read_response(self.connection.from_server.stream, self.got, has_lines)
        self.got += len(found.octets) if found is not None else 0
        return found

    def commands(self) -> Iterator[Command]:
        while (found := read_command(self.connection.from_client.stream, self.sent)) is not None:
            self.sent += len(found.octets)
            yield found

    def line(self) -> bool:
        found = read_line(self.connection.from_client.stream, self.sent)
        self.sent += len(found.octets) if found is not None else 0
        return found is not None


def read_session(connection: Connection) -> Pop3Session:
    """Divide a connection into its exchanges; what breaks the grammar is its `problem`."""
    reading, problem = _Reading(connection), None
    try:
        _read(reading)
        problem = _order(reading)
    except Pop3GrammarError as error:
        problem = str(error)
    return Pop3Session(connection, reading.greeting, tuple(reading.exchanges), problem)


def _read(reading: _Reading) -> None:
    reading.greeting = reading.response()
    for command in reading.commands():
        response = reading.response(command.has_lines)
        while response is not None and response.status == "+" and reading.line():
            response = reading.response()
        reading.exchanges.append(Exchange(command, response))
        if command.verb == "STLS" and response is not None and response.ok:
            return
    if reading.got < len(reading.connection.from_server.stream.data):
        raise Pop3GrammarError("a response answers nothing")


def _order(reading: _Reading) -> str | None:
    """RFC 1939 section 3: a response follows its command; section 4: the greeting is a response that is positive."""
    if reading.greeting is not None and reading.greeting.status == "+":
        return "the greeting asks for more"
    for one in reading.exchanges:
        if one.response is not None and one.response.last_ns < one.command.last_ns:
            return f"the response in frame {one.response.frame} precedes its command in frame {one.command.frame}"
    return None
