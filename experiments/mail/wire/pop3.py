"""Parser of captured POP3 sessions: greeting, and commands with their responses (RFC 1939).

RFC 1939: the server speaks first (section 4); responses answer commands in order, also if commands are pipelined (RFC
2449 section 6.6). The session is in the AUTHORIZATION state until the user is authenticated, then in the TRANSACTION
state; QUIT there deletes the marked messages (section 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lab7.experiments.harness.judge.dialogue import Dialogue, DialogueTraffic, Exchange, early_reply
from lab7.experiments.harness.judge.frames import CaptureFile, Connection
from lab7.experiments.mail.wire.pop3_grammar import (
    Command,
    Pop3GrammarError,
    Response,
    read_command,
    read_line,
    read_response,
)

POP3_PORT = 110
# POP3 commands that authenticate the user (RFC 1939 section 7, RFC 5034).
PROOFS = ("PASS", "APOP", "AUTH")


@dataclass(frozen=True)
class Pop3Exchange(Exchange[Command, Response]):
    """POP3 command and the response to it."""

    @property
    def ok(self) -> bool:
        """Return True if the response is +OK."""
        return self.final is not None and self.final.ok

    @property
    def content(self) -> bytes:
        """Return the lines of a multi-line response without dot-stuffing; empty for other responses."""
        return (self.final.content if self.final is not None else None) or b""

    @property
    def outcome(self) -> str:
        """Return the status line of the response, for evidence texts."""
        return self.final.text if self.final is not None else "no response"


@dataclass(frozen=True)
class Pop3Session(Dialogue[Pop3Exchange, Response | None]):
    """Captured POP3 session: greeting, and commands with responses; `problem`: a violation of the grammar."""

    @property
    def proof(self) -> Pop3Exchange | None:
        """Return the command that authenticated the user, such as PASS, with its response; None if there is none."""
        return next((exchange for exchange in self.exchanges if exchange.verb in PROOFS and exchange.ok), None)


@dataclass(frozen=True)
class Pop3Traffic(DialogueTraffic[Pop3Session]):
    """POP3 sessions captured at one interface."""

    session_name = "POP3 session"


def pop3_traffic(captured: CaptureFile, interface: str, port: int = POP3_PORT) -> Pop3Traffic:
    """Return the POP3 sessions captured at an interface, to servers on this port."""
    return Pop3Traffic.at(captured, interface, [port], read_session)


@dataclass
class _SessionParser:
    """State of the session parser: offsets in both streams, the greeting, and the commands with responses so far."""

    connection: Connection
    sent: int = 0
    got: int = 0
    greeting: Response | None = None
    exchanges: list[Pop3Exchange] = field(default_factory=list)
    encrypted: int | None = None

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
    """Parse a captured connection into a POP3 session; store a violation of the grammar as `problem`."""
    reading, problem = _SessionParser(connection), None
    try:
        _read(reading)
        problem = _order(reading)
    except Pop3GrammarError as error:
        problem = str(error)
    return Pop3Session(connection, reading.greeting, tuple(reading.exchanges), problem, encrypted=reading.encrypted)


def _read(reading: _SessionParser) -> None:
    reading.greeting = reading.response()
    for command in reading.commands():
        response = reading.response(command.has_lines)
        while response is not None and response.status == "+" and reading.line():
            response = reading.response()
        reading.exchanges.append(Pop3Exchange(command, response))
        if command.verb == "STLS" and response is not None and response.ok:
            reading.encrypted = response.frame
            return
    if reading.got < len(reading.connection.from_server.stream.data):
        raise Pop3GrammarError("a response belongs to no command")


def _order(reading: _SessionParser) -> str | None:
    """Return a clause about a violation of the required order: greeting first, each response after its command.

    Returns None if the order is right.
    """
    if reading.greeting is not None and reading.greeting.status == "+":
        return "the greeting is a continuation request"
    return early_reply(reading.exchanges)
