"""Test cases for an SMTP relay: sessions as octets, and the check of replies and of mail relayed to the next hop.

A test case is one connection, in the order of the test cases. The client sends the session in pieces, such as a command
line or the mail data, and sends a piece once the server is silent. The octets that the server sends between two pieces
are therefore its reply to the first of them, well-formed or not. Messages at the next hop are identified by their
Message-ID, independently of the order and number of transactions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from lab7.experiments.analysis.rules import smtp
from lab7.experiments.analysis.rules.lines import Line, LineConnection, line_connections
from lab7.experiments.analysis.rules.rule import Rule, Source, Violation, as_text
from lab7.experiments.assignments.programs.deviation import DeviationError, explained
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, connections
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict, failed, shown, undecided

# Message rules that hold in every test case: for the server's replies, and for its commands to the next hop.
REPLIES = frozenset(rule.id for rule in (smtp.LINE_END, smtp.REPLY, smtp.REPLY_LINES, smtp.UNREQUESTED))
COMMANDS = frozenset(rule.id for rule in (smtp.LINE_END, smtp.COMMAND, smtp.GREETING, smtp.DOT, smtp.DATA_END))
END_OF_TIME_NS = 1 << 63
# Silence in seconds after which the next piece is sent.
QUIET_S = 1.0
ANSWER = Rule("smtp-server-answer", "smtp", "A server replies to each command.", "RFC 5321 section 4.2")
HANDED_ON = Rule(
    "smtp-server-handed-on",
    "smtp",
    "A server that has replied 250 to mail data delivers the message, or sends it on.",
    "RFC 5321 section 4.2.5",
)
RECIPIENTS = Rule(
    "smtp-server-recipients", "smtp", "A message goes to each recipient that was accepted.", "RFC 5321 section 3.3"
)
CONTENT = Rule(
    "smtp-server-content",
    "smtp",
    "A relay sends the mail data on as they are, but for trace fields.",
    "RFC 5321 section 2.3.10",
)
_CODE = re.compile(rb"([2-5][0-9]{2})(?:[ -]|\Z)")
_PATH = re.compile(rb"<([^>]*)>")


@dataclass(frozen=True)
class Reply:
    """Server's reply to one piece of the client's octets: code, lines, and its range [start, end) in the stream."""

    code: int
    lines: tuple[bytes, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Delivery:
    """Message relayed to the next hop: reverse-path, accepted recipients, and lines of the mail data as sent."""

    source: Source
    sender: str
    recipients: tuple[str, ...]
    command: Line
    lines: tuple[Line, ...]
    time_ns: int

    def text(self, number: int) -> bytes:
        """Return line `number` of the message after removal of dot-stuffing."""
        text = self.lines[number].text
        return text[1:] if text.startswith(b".") else text

    def fault(self, rule: Rule, line: Line, found: str, expected: str) -> DeviationError:
        """Return a DeviationError for a fault in a line of the message or in a command."""
        return DeviationError(self.source.violation(rule, line.start, line.after, found, expected))

    def begins_at(self, first: bytes) -> int:
        """Return the index of the first line that equals `first` after removal of dot-stuffing; -1 if there is none."""
        return next((number for number in range(len(self.lines)) if self.text(number) == first), -1)


@dataclass(frozen=True)
class View:
    """Captured SMTP session of a test case, with checks (`expect`, `delivered`) of the server's replies and deliveries.

    `pieces`: the octets of the client, in the pieces that were sent one by one; `deliveries`: all messages relayed to
    the next hop in the run.
    """

    connection: Connection
    client: Source
    server: Source
    pieces: tuple[bytes, ...]
    deliveries: tuple[Delivery, ...]

    def reply(self, number: int) -> Reply:
        """Return the server's reply to piece `number` of the client's octets. Raises DeviationError if there is none.

        Piece 0 is empty: its reply is the greeting.
        """
        begin_ns, end_ns = self._time_ns(number), self._time_ns(number + 1)
        data = self.server.stream.data
        heard = [one for one in self.server.stream.pieces if begin_ns <= one.time_ns < end_ns and one.start < len(data)]
        if not heard:
            raise self._no_reply(number)
        start, end = heard[0].start, heard[-1].end
        lines = tuple(data[start:end].replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n"))
        code = _CODE.match(lines[-1])
        if code is None:
            raise self.fault(smtp.REPLY, start, end, f"{as_text(lines[-1])} is not a reply", "250 text\\r\\n")
        return Reply(int(code[1]), lines, start, end)

    def expect(self, number: int, codes: Sequence[int], rule: Rule, to: str, text: str = "") -> Reply:
        """Return the reply to piece `number` of the client's octets. Raises DeviationError for any other code.

        `codes`: the permitted reply codes.
        """
        reply = self.reply(number)
        if reply.code not in codes:
            raise self.fault(rule, reply.start, reply.end, f"{reply.code} to {to}", text or f"{codes[0]} text\\r\\n")
        return reply

    def fault(self, rule: Rule, start: int, end: int, found: str, expected: str) -> DeviationError:
        """Return a DeviationError for a fault in the octets [start, end) of the server's stream."""
        return DeviationError(self.server.violation(rule, start, end, found, expected))

    def delivered(self, first: bytes, number: int, rule: Rule = HANDED_ON, why: str = "") -> list[Delivery]:
        """Return the deliveries to the next hop of the message that begins with the line `first`.

        `number`: index of the piece with the message's mail data. Raises DeviationError if the message is not
        delivered.
        """
        found = [one for one in self.deliveries if one.begins_at(first) >= 0]
        if not found:
            reply = self.reply(number)
            said = f"{reply.code} to mail data that do not come to the next hop{why}"
            raise self.fault(rule, reply.start, reply.end, said, "the message at the next hop")
        return found

    def _start(self, number: int) -> int:
        return sum(map(len, self.pieces[:number]))

    def _time_ns(self, number: int) -> int:
        """Return the send time in ns of piece `number` of the client's octets; for piece 0, the time of the SYN.

        The time is END_OF_TIME_NS for a piece that was not sent.
        """
        if number == 0:
            return self.connection.syn.time_ns
        start = self._start(number)
        if number >= len(self.pieces) or start >= len(self.client.stream.data):
            return END_OF_TIME_NS
        return self.client.stream.span(start, start + 1)[0].time_ns

    def _no_reply(self, number: int) -> DeviationError:
        start, data = self._start(number), self.client.stream.data
        fin = self.connection.from_server.fin
        how = "no octet came" if fin is None else f"the server closed the connection in frame {fin.frame}"
        if start >= len(data) or not self.pieces[number]:
            what, start, end = "no greeting" if number == 0 else "no reply", max(0, len(data) - 1), len(data)
        else:
            end = min(len(data), start + len(self.pieces[number]))
            what = "no reply to this"
        expected = "220 name-of-the-server\\r\\n" if number == 0 else "a code of three digits and text"
        return DeviationError(self.client.violation(ANSWER, start, end, f"{what} ({how})", expected))


@dataclass(frozen=True)
class Case:
    """Test case of a claim in one SMTP session: octets to send, the check of the capture, and rules for the replies.

    `pieces`: the octets in pieces, each of which is sent once the server is silent. The first piece is empty and waits
    for the greeting. `restarts`: the server is killed and started again after the session. `malformed`: the mail data
    are malformed, so the messages that the server relays are not checked by the message rules. The check returns its
    evidence as one sentence, or raises DeviationError.
    """

    claim: str
    pieces: tuple[bytes, ...]
    check: Callable[[View], str]
    rules: frozenset[str] = frozenset()
    restarts: bool = False
    malformed: bool = False

    def request(self, address: str) -> dict[str, object]:
        """Return the JSON request with which the raw client runs the session with the server at `address`."""
        sends = [octets.hex() for octets in self.pieces]
        return {"address": address, "port": smtp.PORTS[0], "send": sends, "quiet_s": QUIET_S}


def deliveries(captured: CaptureFile, interface: str) -> Iterator[Delivery]:
    """Yield the messages in the SMTP traffic at an interface, each with its accepted recipients."""
    for one in line_connections(captured, interface, smtp.PORTS, smtp.LINE_END):
        yield from _transactions(one)


def _transactions(one: LineConnection) -> Iterator[Delivery]:
    codes = list(_codes(one))
    # The first reply is the greeting.
    sender, recipients, command = "", list[str](), Line(0, b"", 0)
    for number, line in enumerate(iter(one.client.next, None), 1):
        verb, code = line.text[:4].upper(), codes[number] if number < len(codes) else 0
        path = _PATH.search(line.text)
        if verb == b"MAIL":
            sender, recipients, command = path[1].decode("latin-1") if path else "", [], line
        elif verb == b"RCPT" and code == 250 and path:
            recipients.append(path[1].decode("latin-1"))
        elif verb == b"DATA" and code == smtp.START_MAIL_INPUT:
            lines = tuple(iter(lambda: _text_line(one), None))
            time_ns = one.client.time_ns(line.start)
            yield Delivery(one.client.source, sender, tuple(recipients), command, lines, time_ns)
            # The mail data have one reply, although they are several lines: skip it.
            del codes[number + 1 : number + 2]
            recipients = []


def _text_line(one: LineConnection) -> Line | None:
    line = one.client.next()
    return None if line is None or line.text == b"." else line


def _codes(one: LineConnection) -> Iterator[int]:
    while (line := one.server.next()) is not None:
        if line.text[3:4] != b"-":
            yield int(line.text[:3]) if line.text[:3].isdigit() else 0


@dataclass
class _Violations:
    """Message rules that the server under test has violated: in its replies to the client, and towards the next hop."""

    found: list[Violation] = field(default_factory=list)

    def within(self, begin_ns: int, end_ns: int, rules: frozenset[str]) -> list[Violation]:
        return [one for one in self.found if begin_ns <= one.time_ns < end_ns and one.rule.id in rules]


def decide_cases(
    captured: CaptureFile, at_client: str, at_next: str, address: str, cases: Sequence[Case]
) -> tuple[Verdict, ...]:
    """Return a verdict on each claim: failed by its first deviating test case, shown if all its test cases pass.

    address: IP address of the server under test.
    """
    seen = [one for one in connections(captured.at(at_client)) if one.server.port == smtp.PORTS[0]]
    handed_on = tuple(deliveries(captured, at_next))
    replies = _Violations([one for one in smtp.check(captured, at_client).violations if one.sender.startswith(address)])
    commands = _Violations([one for one in smtp.check(captured, at_next).violations if one.sender.startswith(address)])
    verdicts: dict[str, Verdict] = {}
    for number, case in enumerate(cases):
        before = verdicts.get(case.claim)
        if before is not None and before.verdict != "shown":
            continue
        if number >= len(seen):
            one = undecided(case.claim, "The run ended before this session.")
        else:
            end_ns = seen[number + 1].syn.time_ns if number + 1 < len(seen) else END_OF_TIME_NS
            begin_ns = seen[number].syn.time_ns
            violations = replies.within(begin_ns, end_ns, REPLIES | case.rules)
            violations += [] if case.malformed else commands.within(begin_ns, end_ns, COMMANDS)
            one = _decide(case, seen[number], at_client, handed_on, violations)
        if before is not None and one.verdict == "shown":
            one = shown(case.claim, f"{before.evidence} {one.evidence}", (*before.frames, *one.frames))
        verdicts[case.claim] = one
    return tuple(verdicts.values())


def _decide(
    case: Case,
    connection: Connection,
    interface: str,
    handed_on: tuple[Delivery, ...],
    violations: Sequence[Violation],
) -> Verdict:
    frame = connection.syn.frame
    if connection.from_server.syn is None:
        how = "is refused" if connection.from_server.reset else "is not answered"
        return failed(case.claim, f"Frame {frame}: the connection to {connection.server} {how}.", (frame,))
    for violation in sorted(violations, key=lambda one: one.time_ns):
        return failed(case.claim, explained(violation), (violation.frame,))
    client = Source(interface, str(connection.client), connection.from_client.stream)
    server = Source(interface, str(connection.server), connection.from_server.stream)
    try:
        return shown(case.claim, case.check(View(connection, client, server, case.pieces, handed_on)), (frame,))
    except Contradiction as fault:
        return failed(case.claim, fault.evidence, fault.frames)


def expect_same(found: Delivery, message: bytes, rule: Rule = CONTENT) -> None:
    """Require that a delivered message, without the added trace fields, equals `message`. Raises DeviationError."""
    wanted = message.removesuffix(b"\r\n").split(b"\r\n")
    first = found.begins_at(wanted[0])
    for number, line in enumerate(wanted):
        if first + number >= len(found.lines):
            last = found.lines[-1]
            raise found.fault(rule, last, f"the message ends before its line {number + 1}", _stuffed(line))
        if found.text(first + number) != line:
            sent = found.lines[first + number]
            raise found.fault(rule, sent, f"line {number + 1} of the message is another", _stuffed(line))
    if first + len(wanted) < len(found.lines):
        more = found.lines[first + len(wanted)]
        raise found.fault(rule, more, f"a line behind the {len(wanted)} lines of the message", "no octets")


def _stuffed(line: bytes) -> str:
    text = b"." + line if line.startswith(b".") else line
    return as_text(text[:60]) + ("\\r\\n" if len(text) <= 60 else f"... ({len(text)} octets)\\r\\n")
