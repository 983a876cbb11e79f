"""Parser of captured IMAP sessions: greeting, and each command with untagged data and completion (RFC 3501).

RFC 3501: the server speaks first (section 7.1); untagged data come at any time and are assigned to the command that is
completed next (section 7); a tagged status completes the command with this tag (section 2.2.2). If several outstanding
commands have the same tag, it completes the earliest. After AUTHENTICATE and IDLE (RFC 2177) lines of the client are
not commands.
"""

from __future__ import annotations

import re
from collections import Counter
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
    """IMAP command with its responses: untagged data and the tagged completion."""

    @property
    def ok(self) -> bool:
        """Return True if the command is completed with OK."""
        return self.final is not None and self.final.status == "OK"

    @property
    def outcome(self) -> str:
        """Return the status that completes the command (OK, NO, BAD), for evidence texts."""
        return self.final.status if self.final is not None else "no completion"

    def data(self, name: str) -> list[Response]:
        """Return the untagged responses with this name, such as FETCH."""
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
    """Captured IMAP session: greeting, and commands with responses; `problem`: a violation of the grammar."""


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
    greeting = responses.pop(0) if responses else None
    exchanges, stray = _pair(commands, responses)
    started = next((at for at, one in enumerate(exchanges) if one.verb == "STARTTLS" and one.ok), None)
    encrypted = None
    if started is not None:
        encrypted = exchanges[started].frames[-1]
        exchanges, wrong_command, wrong_response, stray = exchanges[: started + 1], None, None, None
    wrong = wrong_command or wrong_response or _reused_tag(exchanges) or stray or _order(greeting, exchanges)
    problem = None if wrong is None else str(wrong)
    return ImapSession(connection, greeting, tuple(exchanges), problem, encrypted=encrypted)


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


def _pair(commands: list[Command], responses: list[Response]) -> tuple[list[ImapExchange], str | None]:
    """Pair each IMAP command with its tagged completion and the untagged data before that; return (pairs, problem).

    The pairing ends at the first response that belongs to no command. `problem` is a clause about this response, else
    None.
    """
    exchanges = [ImapExchange(command, None) for command in commands]
    waiting: dict[str, list[int]] = {}
    for at, command in enumerate(commands):
        waiting.setdefault(command.tag, []).append(at)
    data: list[Response] = []
    for response in responses:
        if response.tag in (UNTAGGED, CONTINUE):
            data += [response] if response.tag == UNTAGGED else []
            continue
        places = waiting.get(response.tag)
        if not places or not response.status:
            return exchanges, f"the response in frame {response.frame} belongs to no command"
        at = places.pop(0)
        exchanges[at] = ImapExchange(commands[at], response, tuple(data))
        data = []
    return exchanges, None


def _reused_tag(exchanges: list[ImapExchange]) -> str | None:
    """Return a clause about the first tag that two commands share, which RFC 3501 section 2.2.1 forbids; else None."""
    used = Counter(exchange.command.tag for exchange in exchanges)
    return next((f"the tag {tag} is used twice" for tag, count in used.items() if count > 1), None)


def _order(greeting: Response | None, exchanges: list[ImapExchange]) -> str | None:
    """Return a clause about a violation of the required order: greeting first, each completion after its command.

    Returns None if the order is right.
    """
    if greeting is not None and (greeting.tag != UNTAGGED or greeting.status not in ("OK", "PREAUTH", "BYE")):
        return f"the line in frame {greeting.frame} is not a greeting"
    return early_reply(exchanges)
