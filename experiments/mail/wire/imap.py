"""Parser of captured IMAP sessions: greeting, and each command with untagged data and completion (RFC 3501).

RFC 3501: the server speaks first (section 7.1); untagged data come at any time and are assigned to the command that is
completed next (section 7); a tagged status completes the command of its tag (section 2.2.2). After AUTHENTICATE and
IDLE (RFC 2177) lines of the client are not commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.experiments.harness.judge.dialogue import Dialogue, DialogueTraffic, Exchange, early_reply, valid_lines
from lab7.experiments.harness.judge.frames import CaptureFile, Connection
from lab7.experiments.harness.judge.reassembly import Stream
from lab7.experiments.mail.wire.imap_grammar import (
    CONTINUE,
    UNTAGGED,
    Command,
    ImapGrammarError,
    Response,
    Value,
    read_command,
    read_line,
    read_responses,
)

IMAP_PORT = 143
# Match client lines that are no commands: base64 or "*" after AUTHENTICATE (section 6.2.2), DONE after IDLE.
_NO_COMMAND = {
    "AUTHENTICATE": re.compile(rb"(?:[A-Za-z0-9+/]+={0,2}|=|\*)?\r\n"),
    "IDLE": re.compile(rb"DONE\r\n", re.IGNORECASE),
}


@dataclass(frozen=True)
class ImapExchange(Exchange[Command, Response]):
    """IMAP command with the untagged data and the tagged completion in response."""

    @property
    def ok(self) -> bool:
        """Return True if the command is completed with OK."""
        return self.final is not None and self.final.status == "OK"

    @property
    def outcome(self) -> str:
        """Return the status that completes the command (OK, NO, BAD), for evidence texts."""
        return self.final.status if self.final is not None else "no completion"

    def data(self, name: str) -> list[Response]:
        """Return the untagged responses of the exchange with this name, such as FETCH."""
        return [one for one in self.preliminary if one.name == name]

    def fetched(self) -> dict[int, dict[str, Value]]:
        """Return the FETCH data as {message number: {item: value}}. Raises ImapGrammarError."""
        found: dict[int, dict[str, Value]] = {}
        for one in self.data("FETCH"):
            (items,) = one.values or [[]]
            if not isinstance(items, list) or len(items) % 2 or one.number is None:
                raise ImapGrammarError(f"frame {one.frame} has a malformed list of items and values")
            names = [str(name).upper() for name in items[::2]]
            found.setdefault(one.number, {}).update(zip(names, items[1::2], strict=True))
        return found


@dataclass(frozen=True)
class ImapSession(Dialogue[ImapExchange, Response | None]):
    """Captured IMAP session: greeting and exchanges, or the violation of the grammar as `problem`."""


@dataclass(frozen=True)
class ImapTraffic(DialogueTraffic[ImapSession]):
    """IMAP sessions captured at one interface."""

    session_name = "IMAP session"


def imap_traffic(captured: CaptureFile, interface: str, port: int = IMAP_PORT) -> ImapTraffic:
    """Return the IMAP sessions captured at an interface, to servers on this port."""
    return ImapTraffic.at(captured, interface, [port], read_session)


def read_session(connection: Connection) -> ImapSession:
    """Parse a captured connection into an IMAP session; store a violation of the grammar as `problem`."""
    commands, wrong_command = valid_lines(read_commands(connection.from_client.stream), ImapGrammarError)
    responses, wrong_response = valid_lines(read_responses(connection.from_server.stream), ImapGrammarError)
    started = _tls_start(commands, responses)
    if started is not None:
        commands, responses = commands[: started[0]], responses[: started[1]]
    elif wrong := wrong_command or wrong_response:
        return ImapSession(connection, None, (), str(wrong))
    encrypted = responses[-1].frame if started is not None else None
    greeting = responses.pop(0) if responses else None
    try:
        exchanges = _pair(commands, responses)
    except ImapGrammarError as error:
        return ImapSession(connection, None, (), str(error))
    return ImapSession(connection, greeting, tuple(exchanges), _order(greeting, exchanges), encrypted=encrypted)


def _tls_start(commands: list[Command], responses: list[Response]) -> tuple[int, int] | None:
    """Return (number of commands, number of responses) up to a successful STARTTLS, included; None without one."""
    for at, command in enumerate(commands, 1):
        for place, response in enumerate(responses, 1):
            if command.verb == "STARTTLS" and response.tag == command.tag and response.status == "OK":
                return at, place
    return None


def read_commands(stream: Stream) -> Iterator[Command]:
    """Yield the commands of a client's stream, without lines of AUTHENTICATE and IDLE. Raises ImapGrammarError."""
    at, last = 0, ""
    while (octets := read_line(stream, at)) is not None:
        if last in _NO_COMMAND and _NO_COMMAND[last].fullmatch(octets):
            at += len(octets)
            continue
        command = read_command(stream, at)
        assert command is not None
        at, last = at + len(octets), command.verb
        yield command


def _pair(commands: list[Command], responses: list[Response]) -> list[ImapExchange]:
    """Return each command with its tagged completion, and with the untagged data that precede the completion.

    Raises ImapGrammarError if a tag is used twice or a response belongs to no command.
    """
    data: list[Response] = []
    found: dict[str, ImapExchange] = {}
    for command in commands:
        if command.tag in found:
            raise ImapGrammarError(f"the tag {command.tag} is used twice")
        found[command.tag] = ImapExchange(command, None)
    for response in responses:
        if response.tag in (UNTAGGED, CONTINUE):
            data += [response] if response.tag == UNTAGGED else []
            continue
        if response.tag not in found or found[response.tag].final is not None or not response.status:
            raise ImapGrammarError(f"the response in frame {response.frame} belongs to no command")
        found[response.tag] = ImapExchange(found[response.tag].command, response, tuple(data))
        data = []
    return list(found.values())


def _order(greeting: Response | None, exchanges: list[ImapExchange]) -> str | None:
    """Return a violation of the required order, or None: the greeting is first, completions follow their commands."""
    if greeting is not None and (greeting.tag != UNTAGGED or greeting.status not in ("OK", "PREAUTH", "BYE")):
        return f"the line in frame {greeting.frame} is not a greeting"
    return early_reply(exchanges)
